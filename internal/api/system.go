package api

import (
	"context"

	"github.com/cotrain/cotrain/internal/client"
)

func (s *server) getSystem(context.Context, *struct{}) (out client.System, err error) {
	return client.System(s.System()), nil
}
