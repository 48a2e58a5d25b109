package control

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
)

// Submit validates a submission and stores it as a queued run; the queue sends it to Nomad, which may be down now.
// Invalid fields, and folders in use by a live run, are [run.FieldErrors], all at once. A repeated Key returns the run of
// the project's first submission with it, or [fault.ErrConflict] if the settings differ.
func (c *Control) Submit(ctx context.Context, actor string, s run.Submission) (run.Run, error) {
	s.Origin.Sweep, s.Origin.Point = "", nil // only SubmitSweep sets these
	s.Project = cmp.Or(s.Project, access.DefaultProject)
	d, err := c.prepare(s, c.around(ctx))
	if err != nil {
		return run.Run{}, err
	}
	d.run.Owner = actor
	var stored run.Run
	created := false
	err = c.reserveFolders(ctx, s.Project, []draft{d}, func() (bool, error) {
		if s.Key == "" {
			return false, nil
		}
		_, err := c.o.Store.RunByKey(ctx, s.Project, s.Key)
		return found(err)
	}, func() (err error) {
		stored, created, err = c.create(ctx, actor, d, s.Key)
		return err
	})
	if err != nil {
		return stored, err
	}
	if !created {
		same, err := d.matches(stored)
		if err == nil && !same {
			err = fault.New(fault.ErrKeyReused, fmt.Sprintf("The key %.40q belongs to run %s, which was submitted with other settings.", s.Key, stored.ID), "")
		}
		return stored, err
	}
	c.o.Queue.Wake()
	c.o.Publisher.PublishRun(stored)
	return stored, nil
}

// idTries is how often a colliding ID is drawn again; see [run.NewID].
const idTries = 10

func (c *Control) create(ctx context.Context, actor string, d draft, key string) (stored run.Run, created bool, err error) {
	for tries := 0; ; tries++ {
		fresh, err := d.withID(run.NewID(d.run.CreatedAt))
		if err != nil {
			return fresh, false, err
		}
		stored, created, err = c.o.Store.CreateRun(ctx, fresh, key, submitted(fresh, actor, ""))
		if err == nil || !errors.Is(err, fault.ErrConflict) || tries == idTries {
			return stored, created, err
		}
	}
}

// submitted is a run's first event.
func submitted(r run.Run, actor, more string) run.Event {
	return run.Event{
		RunID: r.ID, At: r.CreatedAt, Kind: "state", Level: "info", Actor: actor, To: run.Queued, Rank: -1, Message: "submitted: " + r.Shape.String() + more,
	}
}
