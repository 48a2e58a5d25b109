// Package retention deletes the logs of ended runs that limits no longer keep: those that are too old, and where all together are too
// large those of the runs that ended first.
package retention

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/cotrain/cotrain/internal/audit"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store"
)

const (
	// every is how often it is looked for logs to delete.
	every = time.Minute
	// atOnce bounds how many logs are listed at a time.
	atOnce = 200
)

// Action is what the audit log calls a deletion.
const Action = "logs.expire"

// Store has the logs.
type Store interface {
	MeasureLogs(ctx context.Context) (more bool, err error)
	SetLogLimits(ctx context.Context, wanted []run.LogLimit, now time.Time) ([]run.LogLimit, error)
	LogUsage(ctx context.Context) ([]run.LogUsage, error)
	OldestLogs(ctx context.Context, project string, before time.Time, n int) ([]store.OldLog, error)
	DeleteLog(ctx context.Context, id run.ID, d run.DeletedLog) (run.Run, run.Event, error)
	TidyLogs(ctx context.Context) error
}

// Publisher informs viewers; see [feed.Hub].
type Publisher interface {
	PublishRun(r run.Run, evs ...run.Event)
}

// Options configures [New]. All fields are required.
type Options struct {
	Store     Store
	Limits    func() []run.LogLimit // as they are set now, without Since
	Publisher Publisher
	Logger    *slog.Logger
	Now       func() time.Time
}

// Retention deletes logs.
type Retention struct{ o Options }

// New returns one that is idle; see Run.
func New(o Options) *Retention { return &Retention{o} }

// Run works until ctx ends. Failures are logged, and tried again.
func (r *Retention) Run(ctx context.Context) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	told := ""
	for {
		text := ""
		if err := r.Once(ctx); err != nil && ctx.Err() == nil {
			text = err.Error()
			if text != told {
				r.o.Logger.Warn("logs that are due were not deleted", "err", err, "again", every)
			}
		}
		told = text
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// Once deletes what is due now.
func (r *Retention) Once(ctx context.Context) error {
	for more := true; more; {
		var err error
		if more, err = r.o.Store.MeasureLogs(ctx); err != nil {
			return err
		}
	}
	limits, err := r.o.Store.SetLogLimits(ctx, r.o.Limits(), r.o.Now())
	if err != nil {
		return err
	}
	deleted := 0
	for _, l := range limits {
		n, err := r.enforce(ctx, l)
		deleted += n
		if err != nil {
			return err
		}
	}
	if deleted == 0 {
		return nil
	}
	return r.o.Store.TidyLogs(ctx)
}

// enforce deletes what a limit does not keep, and returns of how many runs.
func (r *Retention) enforce(ctx context.Context, l run.LogLimit) (n int, err error) {
	now := r.o.Now()
	if now.Before(l.Counts()) {
		return 0, nil
	}
	if l.Age > 0 {
		d := run.DeletedLog{At: now, Project: l.Project != "", Age: int64(l.Age / time.Second)}
		if n, err = r.delete(ctx, l.Project, now.Add(-l.Age), d, func(int64) bool { return true }); err != nil {
			return n, err
		}
	}
	if l.Bytes == 0 {
		return n, nil
	}
	used, err := r.used(ctx, l.Project)
	if err != nil || used <= l.Bytes {
		return n, err
	}
	d := run.DeletedLog{At: now, Project: l.Project != "", Most: l.Bytes}
	m, err := r.delete(ctx, l.Project, now, d, func(freed int64) bool { return used-freed > l.Bytes })
	return n + m, err
}

// used is how much the logs of a project take, "" for all.
func (r *Retention) used(ctx context.Context, project string) (int64, error) {
	all, err := r.o.Store.LogUsage(ctx)
	for _, u := range all {
		if u.Project == project {
			return u.Bytes, err
		}
	}
	return 0, err
}

// delete deletes logs of runs that ended before a time, the oldest first, while more says so of what was freed.
func (r *Retention) delete(ctx context.Context, project string, before time.Time, d run.DeletedLog, more func(freed int64) bool) (n int, err error) {
	var freed int64
	for {
		old, err := r.o.Store.OldestLogs(ctx, project, before, atOnce)
		if err != nil {
			return n, err
		}
		before := n
		for _, o := range old {
			if !more(freed) {
				return n, nil
			}
			switch err := r.deleteLog(ctx, o.Run, d); {
			case errors.Is(err, fault.ErrConflict), errors.Is(err, fault.ErrNotFound): // it lives again, or is gone
			case err != nil:
				return n, err
			default:
				n++
				freed += o.Bytes
			}
		}
		if len(old) < atOnce || n == before {
			return n, nil
		}
	}
}

func (r *Retention) deleteLog(ctx context.Context, id run.ID, d run.DeletedLog) error {
	change, _ := audit.Begin(ctx, audit.Entry{At: d.At, Actor: audit.Actor{Name: run.Console}, Action: Action, Reason: "deleted by " + d.Why()})
	now, ev, err := r.o.Store.DeleteLog(change, id, d)
	if err != nil {
		return err
	}
	r.o.Logger.Info("a log was deleted", "run", id, "by", d.Why())
	r.o.Publisher.PublishRun(now, ev)
	return nil
}
