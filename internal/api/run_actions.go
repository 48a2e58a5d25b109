package api

import (
	"context"

	"github.com/cotrain/cotrain/internal/client"
	"github.com/cotrain/cotrain/internal/run"
)

type stopInput struct {
	ID    string `path:"id" doc:"ID of the run, such as r-0123456789"`
	Force bool   `query:"force" doc:"Kill its workers at once, without time to save"`
}

// stopRun answers, as all actions do, as soon as the request is on its way; the run's state tells how it goes on.
func (s *server) stopRun(ctx context.Context, in *stopInput) (out client.Stopped, err error) {
	r, err := s.find(ctx, in.ID)
	if err != nil {
		return out, err
	}
	if in.Force {
		err = s.Actions.Act(ctx, r.ID, run.Action{Act: run.ActKill})
	} else {
		err = s.Actions.Stop(ctx, r.ID)
	}
	if err != nil {
		return out, err
	}
	out.Run, err = s.find(ctx, in.ID)
	out.Next = out.WhatNext()
	return out, err
}

type pauseInput struct {
	ID   string `path:"id" doc:"ID of the run, such as r-0123456789"`
	When string `query:"when" doc:"checkpoint: once every worker has saved the next checkpoint, which is what happens without it; now: at once"`
}

func (s *server) pauseRun(ctx context.Context, in *pauseInput) (out client.Acted, err error) {
	when, err := run.ParsePauseWhen(in.When)
	if err != nil {
		return out, err
	}
	return s.act(ctx, in.ID, run.Action{Act: run.ActPause, When: when})
}

type againInput struct {
	ID   string `path:"id" doc:"ID of the run, such as r-0123456789"`
	From string `query:"from" doc:"What the next attempt continues from: newest, start, or the step of a checkpoint that the run has saved; the newest complete one without it"`
}

func (s *server) resumeRun(ctx context.Context, in *againInput) (client.Acted, error) {
	return s.again(ctx, in, run.ActResume)
}

func (s *server) restartRun(ctx context.Context, in *againInput) (client.Acted, error) {
	return s.again(ctx, in, run.ActRestart)
}

func (s *server) retryRun(ctx context.Context, in *againInput) (client.Acted, error) {
	return s.again(ctx, in, run.ActRetry)
}

func (s *server) stopRetrying(ctx context.Context, in *runParam) (client.Acted, error) {
	return s.act(ctx, in.ID, run.Action{Act: run.ActStopRetrying})
}

func (s *server) again(ctx context.Context, in *againInput, act run.Act) (out client.Acted, err error) {
	from, err := run.ParseResumeChoice(in.From)
	if err != nil {
		return out, err
	}
	return s.act(ctx, in.ID, run.Action{Act: act, From: from})
}

func (s *server) act(ctx context.Context, id string, a run.Action) (out client.Acted, err error) {
	r, err := s.find(ctx, id)
	if err != nil {
		return out, err
	}
	if err := s.Actions.Act(ctx, r.ID, a); err != nil {
		return out, err
	}
	out.Run, err = s.find(ctx, id)
	out.Next = out.Run.WhatNext()
	return out, err
}
