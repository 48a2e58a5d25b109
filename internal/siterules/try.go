package siterules

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/cotrain/cotrain/internal/diagnose"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/nomad"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/watch"
)

const (
	// MostTried bounds the failures that one trial reads.
	MostTried = 100
	// tryWindow is how old the failures may be.
	tryWindow = 90 * 24 * time.Hour
	// tryBudget is how long a trial may take in all, and tryEach over one failure.
	tryBudget = 7 * time.Second
	tryEach   = 2 * time.Second
)

// TryCauseRules says what other rules would have said of the newest failures, beside what the rules in effect say of the same logs. One trial
// runs at a time, and ends with what it has after some seconds.
func (s *Rules) TryCauseRules(ctx context.Context, text string, limit int) (run.CauseTrials, error) {
	out := run.CauseTrials{Trials: []run.CauseTrial{}}
	if limit < 1 || limit > MostTried {
		return out, run.FieldErrors{{Field: "limit", Value: strconv.Itoa(limit), Rule: "must be from 1 to " + strconv.Itoa(MostTried), Fix: "use 20"}}
	}
	with, err := s.compile(text)
	if err != nil {
		return out, err
	}
	select {
	case s.trying <- struct{}{}:
		defer func() { <-s.trying }()
	default:
		return out, fault.New(fault.ErrBusy, "Rules are being tried already.", "Wait some seconds until that has ended.")
	}
	now := s.Current(ctx)
	failures, err := s.o.Store.Failures(ctx, s.o.Now().Add(-tryWindow), limit)
	if err != nil {
		return out, err
	}
	out.Found = len(failures)
	limited, cancel := context.WithTimeout(ctx, tryBudget)
	defer cancel()
	for i, f := range failures {
		trial, err := s.try(limited, f, now, with)
		switch {
		case ctx.Err() != nil:
			return out, ctx.Err()
		case limited.Err() != nil:
			out.TimedOut += len(failures) - i
			return out, nil
		case errors.Is(err, errSlow):
			out.TimedOut++
		case errors.Is(err, errNothing):
			out.Found--
		case errors.Is(err, fault.ErrNotFound): // deleted meanwhile
		case err != nil:
			return out, err
		default:
			out.Trials = append(out.Trials, trial)
			if trial.Changed {
				out.Changed++
			}
		}
	}
	return out, nil
}

// Why a failure is not tried.
var (
	errSlow    = errors.New("it takes too long")
	errNothing = errors.New("no worker failed by itself: the console ended the attempt, and rules say nothing of that")
)

// try explains a failure by two sets of rules.
func (s *Rules) try(ctx context.Context, f run.PastFailure, now, with *diagnose.Rules) (t run.CauseTrial, err error) {
	ws, err := s.o.Store.AttemptWorkers(ctx, f.RunID, f.Number)
	if err != nil {
		return t, err
	}
	told, err := s.o.Store.ExitReports(ctx, f.RunID)
	if err != nil {
		return t, err
	}
	for i := range ws {
		ws[i].Report = told[ws[i].AllocID]
	}
	limited, cancel := context.WithTimeout(ctx, tryEach)
	defer cancel()
	var causes [2]*run.Cause
	for i, rules := range []*diagnose.Rules{now, with} {
		causes[i], err = watch.Explainer{Store: s.o.Store, Now: s.o.Now}.Cause(limited, rules, f.RunID, f.Attempt, nomad.NewestPerRank(ws), f.Next)
		switch {
		case limited.Err() != nil && ctx.Err() == nil:
			return t, errSlow
		case err != nil:
			return t, err
		}
	}
	if causes[0] == nil && causes[1] == nil {
		return t, errNothing
	}
	t = run.CauseTrial{Run: f.RunID, Name: f.Name, Project: f.Project, Attempt: f.Number, At: f.EndedAt, Now: run.AnswerOf(causes[0]), With: run.AnswerOf(causes[1])}
	t.Changed = t.Now != t.With
	return t, nil
}
