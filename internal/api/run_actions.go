package api

import (
	"context"

	"github.com/cotrain/cotrain/internal/run"
)

// stopRun answers as soon as the request is on its way; the run's state tells how it goes on.
func (s *server) stopRun(ctx context.Context, in *runParam) (*body[run.Run], error) {
	r, err := s.find(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	if err := s.Actions.Stop(ctx, actor, r.ID); err != nil {
		return nil, err
	}
	if r, err = s.find(ctx, in.ID); err != nil {
		return nil, err
	}
	return &body[run.Run]{r}, nil
}

func (s *server) deleteRun(ctx context.Context, in *runParam) (*struct{}, error) {
	r, err := s.find(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	return nil, s.Actions.Delete(ctx, actor, r.ID)
}
