package control

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/feed"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store"
)

// SubmitSweep checks every run of a sweep and stores them all at once; the queue sends them. Errors are those of Submit,
// with the point in the rule.
func (c *Control) SubmitSweep(ctx context.Context, actor string, s run.SweepSpec) (run.Sweep, error) {
	key, project := s.Key, cmp.Or(s.Project, access.DefaultProject)
	s.Name, s.Options = strings.TrimSpace(s.Name), tidyOptions(s.Options)
	s.Key, s.Project, s.Origin.Sweep, s.Origin.Point = "", "", "", nil
	s.Origin.Template = templateIn(project, s.Origin.Template)
	errs := checkOrigin(run.Submission{Key: key, Preset: s.Preset, Origin: s.Origin})
	fields, bad := checkSpec(s)
	if errs = append(errs, bad...); len(errs) > 0 {
		return run.Sweep{}, errs
	}
	points, err := c.points(project, s, fields, c.around(ctx))
	if err != nil {
		return run.Sweep{}, err
	}
	sw := run.Sweep{Project: project, Name: s.Name, Spec: s, Fields: fields, CreatedAt: c.o.Now(), Actor: actor}
	drafts := make([]draft, len(points))
	for i, p := range points {
		drafts[i] = p.draft
	}
	var stored run.Sweep
	created := false
	err = c.reserveFolders(ctx, project, drafts, func() (bool, error) {
		if key == "" {
			return false, nil
		}
		_, err := c.o.Store.SweepByKey(ctx, project, key)
		return found(err)
	}, func() (err error) {
		stored, created, err = c.createSweep(ctx, sw, key, points)
		return err
	})
	if err != nil {
		return run.Sweep{}, err
	}
	if !created {
		same, err := sameJSON(s, stored.Spec)
		if err == nil && !same {
			err = fault.New(fault.ErrKeyReused, fmt.Sprintf("The key %.40q belongs to sweep %s, which was submitted with other settings.", key, stored.ID), "")
		}
		return stored, err
	}
	c.o.Logger.Info("sweep submitted", "sweep", stored.ID, "runs", len(points), "actor", actor)
	c.o.Publisher.PublishMany(stored.ID)
	c.o.Queue.Wake()
	return stored, nil
}

// span returns the first of so many milliseconds, from a time on, of which no other sweep has IDs: those that are submitted at
// once would hardly find IDs for all their runs otherwise.
func (c *Control) span(from time.Time, n int) time.Time {
	c.spans.Lock()
	defer c.spans.Unlock()
	if from.Before(c.spanned) {
		from = c.spanned
	}
	c.spanned = from.Add(time.Duration(n) * time.Millisecond)
	return from
}

// createSweep stores the sweep and its runs under new IDs, a millisecond apart so that they sort, and are sent, in the
// order of the points.
func (c *Control) createSweep(ctx context.Context, sw run.Sweep, key string, points []point) (run.Sweep, bool, error) {
	first := c.span(sw.CreatedAt, len(points))
	for tries := 0; ; tries++ {
		sw.ID = run.NewSweepID(sw.CreatedAt)
		runs, evs := make([]run.Run, 0, len(points)), make([]run.Event, 0, len(points))
		for i, p := range points {
			r, err := p.draft.withID(run.NewID(first.Add(time.Duration(i) * time.Millisecond)))
			if err != nil {
				return sw, false, err
			}
			r.Project, r.Owner, r.Origin.Sweep, r.CreatedAt = sw.Project, sw.Actor, sw.ID, sw.CreatedAt
			runs = append(runs, r)
			evs = append(evs, submitted(r, sw.Actor, ", with "+describe(p.values)))
		}
		stored, created, err := c.o.Store.CreateSweep(ctx, sw, key, runs, evs)
		if err == nil || !errors.Is(err, fault.ErrConflict) || tries == idTries {
			return stored, created, err
		}
	}
}

// Sweep returns a sweep with the counts of its runs, or [fault.ErrNotFound].
func (c *Control) Sweep(ctx context.Context, id run.SweepID) (run.Sweep, error) {
	return c.o.Store.Sweep(ctx, id)
}

// Sweeps returns up to limit sweeps of projects, older than before ("" for the newest), newest first.
func (c *Control) Sweeps(ctx context.Context, in run.Projects, before run.SweepID, limit int) ([]run.Sweep, error) {
	return c.o.Store.Sweeps(ctx, in, before, limit)
}

// live counts the runs of a sweep that have not ended.
func live(sw run.Sweep) int {
	n := 0
	for state, count := range sw.Counts {
		if !state.Terminal() {
			n += count
		}
	}
	return n
}

// StopSweep stops every run of a sweep and marks the sweep as stopped. Stopping twice is no error; a sweep whose runs
// have all ended is [fault.ErrConflict].
func (c *Control) StopSweep(ctx context.Context, actor string, id run.SweepID) error {
	sw, err := c.o.Store.Sweep(ctx, id)
	if err != nil {
		return err
	}
	if live(sw) == 0 {
		return fault.New(fault.ErrAlreadyEnded, fmt.Sprintf("All runs of sweep %s have ended already.", id), "")
	}
	err = c.recordSweepStop(ctx, actor, id)
	if cannotWrite(err) {
		return c.stopSweepUnrecorded(ctx, actor, id, err)
	}
	return err
}

func (c *Control) recordSweepStop(ctx context.Context, actor string, id run.SweepID) error {
	us, err := c.o.Store.StopSweep(ctx, id, func(u *store.Update) error { return u.Stop(actor, run.StopByPerson, c.o.Now()) })
	if err != nil {
		return err
	}
	for _, u := range us {
		c.o.Publisher.PublishRun(u.Run, u.Events...)
		if !u.Run.State.Terminal() {
			c.o.ReconcileSoon(u.Run.ID)
		}
	}
	c.o.Logger.Info("sweep stopped", "sweep", id, "runs", len(us), "actor", actor)
	c.o.Publisher.Publish(feed.SweepTopic(id), feed.Gap, struct{}{}) // the sweep itself has changed
	return nil
}

// DeleteSweep removes a sweep and its runs, which must all have ended, or returns [fault.ErrConflict]. An interrupted
// deletion is finished by repeating it.
func (c *Control) DeleteSweep(ctx context.Context, actor string, id run.SweepID) error {
	sw, err := c.o.Store.Sweep(ctx, id)
	if err != nil {
		return err
	}
	if n := live(sw); n > 0 {
		return fault.New(fault.ErrNotEnded, fmt.Sprintf("%d runs of sweep %s have not ended, so it cannot be deleted.", n, id), "Stop it first, and wait until all of its runs have ended.")
	}
	runs, err := c.o.Store.Runs(ctx, run.RunFilter{Projects: run.AllProjects(), Sweep: id, Limit: 1000})
	if err != nil {
		return err
	}
	for _, r := range runs {
		if err := c.remove(ctx, actor, r); err != nil && !errors.Is(err, fault.ErrNotFound) { // somebody else may have deleted it
			return err
		}
	}
	if err := c.o.Store.DeleteSweep(ctx, id); err != nil {
		return err
	}
	c.o.Publisher.Publish(feed.SweepTopic(id), feed.Deleted, map[string]run.SweepID{"id": id})
	return nil
}
