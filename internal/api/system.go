package api

import (
	"context"

	"github.com/cotrain/cotrain/internal/client"
)

func (s *server) getSystem(context.Context, *struct{}) (out client.System, err error) {
	now := s.System()
	return client.System{Nomad: now.Nomad, Store: now.Store, Message: now.Message, Charts: client.CacheStats(s.Cache.Stats())}, nil
}
