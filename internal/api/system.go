package api

import (
	"context"

	"github.com/cotrain/cotrain/internal/client"
)

func (s *server) getSystem(context.Context, *struct{}) (*body[client.System], error) {
	return &body[client.System]{client.System(s.System())}, nil
}
