package apitest

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/trainconf"
)

// SubmitSweep is for [api.Sweeps]. It checks every run, and leaves all of them queued.
func (c *Console) SubmitSweep(ctx context.Context, s run.SweepSpec) (sw run.Sweep, err error) {
	s.Project = cmp.Or(s.Project, access.DefaultProject)
	key := s.Project + "/" + s.Key
	err = c.locked(func() error {
		if id, used := c.sweepKeys[key]; used && s.Key != "" {
			sw = c.sweep(id)
			return nil
		}
		points := s.Points()
		if len(points) < 2 || len(points) > run.MaxSweepRuns {
			return run.FieldErrors{{Field: "grid", Value: fmt.Sprint(len(points), " runs"), Rule: "must make 2 to 500 runs", Fix: "give more values, or fewer"}}
		}
		base, err := trainconf.RequestOf(s.Submission)
		if err != nil {
			return err
		}
		var subs []run.Submission
		for i, point := range points {
			req := base
			req.Name = fmt.Sprintf("%s #%d", s.Name, i+1)
			for field, value := range point {
				if err := req.Set(field, value); err != nil {
					return trainconf.AsFieldErrors(err)
				}
			}
			sub := req.Submission()
			if _, err := check(sub); err != nil {
				return err
			}
			sub.Project = s.Project
			sub.Origin = run.Origin{Template: s.Origin.Template, Point: point}
			subs = append(subs, sub)
		}
		c.clock = c.clock.Add(time.Second)
		sw = run.Sweep{ID: run.NewSweepID(c.clock), Project: s.Project, Name: s.Name, Spec: s, Fields: fieldsOf(s), CreatedAt: c.clock, Actor: access.From(ctx).Name}
		for _, sub := range subs {
			sub.Origin.Sweep = sw.ID
			c.add(c.runOf(sub))
		}
		c.sweeps = append(c.sweeps, sw)
		c.sweepKeys[key] = sw.ID
		sw = c.sweep(sw.ID)
		return nil
	})
	return sw, err
}

func fieldsOf(s run.SweepSpec) (fields []string) {
	for _, axis := range s.Grid {
		fields = append(fields, axis.Field)
	}
	for _, point := range s.List {
		for field := range point {
			if !slices.Contains(fields, field) {
				fields = append(fields, field)
			}
		}
	}
	if len(s.List) > 0 {
		slices.Sort(fields)
	}
	return fields
}

// sweep is a stored sweep with its counts, or the zero value.
func (c *Console) sweep(id run.SweepID) run.Sweep {
	i := slices.IndexFunc(c.sweeps, func(sw run.Sweep) bool { return sw.ID == id })
	if i < 0 {
		return run.Sweep{}
	}
	sw := c.sweeps[i]
	sw.Counts = map[run.State]int{}
	for _, e := range c.runs {
		if e.run.Origin.Sweep == id {
			sw.Counts[e.run.State]++
		}
	}
	return sw
}

// Sweep is for [api.Sweeps].
func (c *Console) Sweep(_ context.Context, id run.SweepID) (sw run.Sweep, err error) {
	err = c.locked(func() error {
		if sw = c.sweep(id); sw.ID == "" {
			return run.NoSweep(string(id))
		}
		return nil
	})
	return sw, err
}

// Sweeps is for [api.Sweeps].
func (c *Console) Sweeps(_ context.Context, in run.Projects, before run.SweepID, limit int) (out []run.Sweep, err error) {
	err = c.locked(func() error {
		for _, sw := range c.sweeps {
			if in.Include(sw.Project) && (before == "" || sw.ID < before) {
				out = append(out, c.sweep(sw.ID))
			}
		}
		slices.SortFunc(out, func(a, b run.Sweep) int { return strings.Compare(string(b.ID), string(a.ID)) })
		out = out[:min(len(out), limit)]
		return nil
	})
	return out, err
}

// StopSweep is for [api.Sweeps].
func (c *Console) StopSweep(_ context.Context, id run.SweepID) error {
	return c.ofSweep(id, func(live int) error {
		if live == 0 {
			return fault.New(fault.ErrAlreadyEnded, fmt.Sprintf("All runs of sweep %s have ended already.", id), "")
		}
		for _, e := range c.runs {
			if e.run.Origin.Sweep == id && !e.run.State.Terminal() {
				e.run.State, e.run.StopRequested = run.Stopping, true
			}
		}
		return nil
	})
}

// DeleteSweep is for [api.Sweeps].
func (c *Console) DeleteSweep(_ context.Context, id run.SweepID) error {
	return c.ofSweep(id, func(live int) error {
		if live > 0 {
			return fault.New(fault.ErrNotEnded, fmt.Sprintf("%d runs of sweep %s have not ended.", live, id), "")
		}
		for _, e := range c.runs {
			if e.run.Origin.Sweep == id {
				delete(c.runs, e.run.ID)
			}
		}
		c.sweeps = slices.DeleteFunc(c.sweeps, func(sw run.Sweep) bool { return sw.ID == id })
		return nil
	})
}

// ofSweep calls fn with how many runs of a sweep have not ended.
func (c *Console) ofSweep(id run.SweepID, fn func(live int) error) error {
	return c.locked(func() error {
		sw := c.sweep(id)
		if sw.ID == "" {
			return run.NoSweep(string(id))
		}
		live := 0
		for state, n := range sw.Counts {
			if !state.Terminal() {
				live += n
			}
		}
		return fn(live)
	})
}
