package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/cotrain/cotrain/internal/run"
)

type runOutput struct {
	Body run.Run
}

// stopRun answers as soon as the request is on its way; the run's state tells how it goes on.
func (s *server) stopRun(ctx context.Context, in *runParam) (*runOutput, error) {
	r, err := s.find(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	if err := s.Actions.Stop(ctx, actor, r.ID); err != nil {
		return nil, s.explain(ctx, r.ID, err, "stopped", "It has ended already: there is nothing left to stop.")
	}
	if r, err = s.find(ctx, in.ID); err != nil {
		return nil, err
	}
	return &runOutput{r}, nil
}

func (s *server) deleteRun(ctx context.Context, in *runParam) (*struct{}, error) {
	r, err := s.find(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	if err := s.Actions.Delete(ctx, actor, r.ID); err != nil {
		return nil, s.explain(ctx, r.ID, err, "deleted", "Stop it first, and wait until it has ended.")
	}
	return nil, nil
}

// explain says why the state of a run does not allow an action; other errors stay what they are.
func (s *server) explain(ctx context.Context, id run.ID, err error, done, advice string) error {
	if !errors.Is(err, run.ErrConflict) {
		return err
	}
	r, again := s.find(ctx, string(id))
	if again != nil {
		return again
	}
	return newProblem(http.StatusConflict, "Not possible now", fmt.Sprintf("Run %s is %s and cannot be %s. %s", r.ID, r.State, done, advice))
}
