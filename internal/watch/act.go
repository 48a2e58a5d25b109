package watch

import (
	"context"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store"
)

// observe finds what is wrong with the run.
func (c *change) observe(ctx context.Context, id run.ID) error {
	r, err := c.w.o.Store.Run(ctx, id)
	if err != nil {
		return err
	}
	if c.notices, c.pace, err = c.w.notices(ctx, r, c.attempt, c.obs.Workers); err != nil {
		return err
	}
	for i, n := range c.notices {
		if r.Options.Policy(n.Kind) != run.PolicyRollback {
			continue
		}
		if c.back, err = c.w.o.Store.SavedCheckpoints(ctx, id); err != nil {
			return err
		}
		c.notices[i].Next = r.NextRollback(n.Kind, n.Step, c.attempt, c.back)
	}
	return nil
}

// act stores the notices, and does what the run's options say about them.
func (c *change) act(u *store.Update, now time.Time) error {
	r := &u.Run
	if r.State == run.Stopping { // they say why
		return nil
	}
	before := r.Notices
	pace := r.Pace
	r.Pace = run.Pace{}
	switch r.State {
	case run.Running, run.Degraded:
		if r.Pace = c.pace; !r.Pace.Differs(pace) {
			r.Pace = pace
		}
	case run.Pending:
		r.Notices = slices.DeleteFunc(slices.Clone(r.Notices), func(n run.Notice) bool { return n.Kind != run.NoticeClock })
	default:
		r.Notices = nil
		c.noticed = len(before) > 0
		return nil
	}
	events := r.Observe(slices.Concat(c.notices, lasting(r.Notices, c.notices, c.obs.Workers)), now)
	if slices.ContainsFunc(c.obs.Workers, func(wk run.Worker) bool { return wk.State.Terminal() }) { // what is over because workers ended has not become well
		events = slices.DeleteFunc(events, func(ev run.Event) bool { return strings.HasSuffix(ev.Kind, run.NoticeOver) })
	}
	u.Events = append(u.Events, events...)
	c.noticed = !reflect.DeepEqual(before, r.Notices)
	for _, n := range r.Notices {
		if ev, err := c.obey(u, n, now); ev || err != nil {
			return err
		}
	}
	return nil
}

// lasting are the notices of workers that have finished which still count, of those that there were, unless they are told anyway.
func lasting(were, are []run.Notice, ws []run.Worker) (out []run.Notice) {
	for _, n := range were {
		finished := slices.ContainsFunc(ws, func(wk run.Worker) bool { return wk.Rank == n.Rank && wk.OK() })
		told := slices.ContainsFunc(are, func(other run.Notice) bool { return other.Kind == n.Kind && other.Rank == n.Rank })
		if n.Lasts() && finished && !told {
			out = append(out, n)
		}
	}
	return out
}

// obey does what the options say about a notice, and reports whether that ends the attempt.
func (c *change) obey(u *store.Update, n run.Notice, now time.Time) (bool, error) {
	r := &u.Run
	if r.StopRequested {
		return false, nil
	}
	switch policy := r.Options.Policy(n.Kind); {
	case n.Kind == run.NoticeHang && policy == run.PolicyRestart && !n.At.IsZero() && !now.Before(n.At):
		return true, u.Record(r.StopWorkers(run.StopHang, n.Text, now))
	case policy == run.PolicyStop:
		r.StopReason = "because " + n.Text
		if n.Kind != run.NoticePlateau { // which spoils nothing
			r.Exclude(n.Step)
		}
		return true, u.Stop(run.Console, run.StopLoss, now)
	case policy == run.PolicyRollback:
		next, refused := r.RollBack(u.Attempt, n.Step, c.back)
		switch {
		case refused == "":
			return true, u.Record(r.StopWorkers(run.StopRollback, n.Text+"; "+next, now))
		case n.Kind == run.NoticePlateau: // which spoils nothing
			r.StopReason = "because " + n.Text + ", " + refused
			return true, u.Stop(run.Console, run.StopLoss, now)
		}
		r.Exclude(n.Step)
		return true, u.Record(r.StopWorkers(run.StopSpoiled, n.Text+", "+refused, now))
	}
	return false, nil
}

// given makes an attempt that was stopped because it hung, or because its loss went wrong once too often, one that failed of that, unless
// training finished or a stop was requested meanwhile.
func (c *change) given(u *store.Update, state run.State, why string) (run.State, string) {
	r := &u.Run
	if !r.StopCause.Fails() || r.StopRequested || state != run.Failed && state != run.Stopped {
		return state, why
	}
	if c.policed == nil {
		return run.Failed, r.StopReason
	}
	c.cause = c.policed
	if r.StopCause == run.StopHang {
		return run.Failed, "it was ended because it hung"
	}
	return run.Failed, "it may not go back"
}
