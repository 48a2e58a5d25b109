package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/cotrain/cotrain/internal/client"
	"github.com/cotrain/cotrain/internal/run"
)

const (
	// followPage is how many log lines one request asks for.
	followPage = 5000
	// pagesPerLook bounds the pages of log between two looks at the run, so that a flood hides no change of state.
	pagesPerLook = 20
)

// follower reads a run's log by cursor until the run has ended. The cursor moves only with a line that was handed on, so
// a lost answer is read again: no gap and no repeat.
type follower struct {
	p        *process
	c        *client.Client
	id       run.ID
	worker   int // -1 for all
	after    run.LogPos
	patience time.Duration
	line     func(run.LogLine) error
	look     func(run.Run) error // told of the run after its log so far; may be nil
}

// follow returns the run when it has ended. The console stores the whole log before a run ends, so reading it once more after
// that misses nothing.
func (f *follower) follow(ctx context.Context) (run.Run, error) {
	for {
		d, err := patiently(ctx, f.p, f.patience, func() (client.RunDetail, error) { return f.c.Run(ctx, f.id) })
		if err != nil {
			return d.Run, err
		}
		behind, err := f.drain(ctx, d.Run.State.Terminal())
		if err != nil {
			return d.Run, err
		}
		if f.look != nil {
			if err := f.look(d.Run); err != nil {
				return d.Run, err
			}
		}
		if d.Run.State.Terminal() {
			return d.Run, nil
		}
		if behind {
			continue
		}
		if err := sleep(ctx, f.p.poll); err != nil {
			return d.Run, err
		}
	}
}

// drain hands on the lines so far: all, or as many as fit between two looks at the run, and then reports true.
func (f *follower) drain(ctx context.Context, all bool) (behind bool, err error) {
	for pages := 0; all || pages < pagesPerLook; pages++ {
		page, err := patiently(ctx, f.p, f.patience, func() (client.LogPage, error) {
			return f.c.Logs(ctx, f.id, client.LogsQuery{Worker: f.worker, After: int64(f.after), Limit: followPage})
		})
		if err != nil {
			return false, err
		}
		for _, l := range page.Lines {
			if err := f.line(l); err != nil {
				return false, err
			}
			f.after = l.Pos
		}
		if !page.More || len(page.Lines) == 0 {
			return false, nil
		}
	}
	return true, nil
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
		return nil
	}
}

// printLine writes one line of a log: with its worker, unless only one is asked for.
func (p *process) printLine(l run.LogLine, worker int) error {
	if worker >= 0 {
		return p.print("%s\n", p.text(l.Text))
	}
	return p.print("[%d] %s\n", l.Rank, p.text(l.Text))
}

// progress says where a run stands, in one line.
func (p *process) progress(r run.Run) string {
	switch {
	case r.State.Terminal():
		s := string(r.State)
		if !r.StartedAt.IsZero() {
			s += " after " + age(r.EndedAt.Sub(r.StartedAt))
		}
		if r.Reason != "" {
			s += ": " + r.Reason
		}
		return s + "  step " + steps(r) + "  loss " + loss(r)
	case r.Progress.Step == 0:
		if r.Reason != "" {
			return fmt.Sprintf("%s: %s", r.State, r.Reason)
		}
		return string(r.State)
	}
	s := fmt.Sprintf("%s  step %s  loss %s  %s", r.State, steps(r), loss(r), rate(r.Progress.TokensPerSec))
	if low, high, ok := r.TimeLeft(p.now()); ok {
		s += "  ETA " + age(low)
		if to := age(high); to != age(low) {
			s += " to " + to
		}
	}
	return s + fmt.Sprintf("  %d of %d workers", r.Progress.Participants, r.Shape.Nodes)
}
