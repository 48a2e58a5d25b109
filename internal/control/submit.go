package control

import (
	"context"
	"errors"
	"fmt"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/queue"
	"github.com/cotrain/cotrain/internal/run"
)

// Submit checks a submission, stores it as a queued run and sends it to Nomad. When Nomad cannot be reached the run stays
// queued and is returned all the same. What is not valid is [run.FieldErrors], all of it at once. A repeated Key
// returns the run of the first submission, and is [run.ErrConflict] with other settings. A folder that a run which has not
// ended writes into is not valid.
func (c *Control) Submit(ctx context.Context, actor string, s run.Submission) (run.Run, error) {
	s.Origin.Sweep, s.Origin.Point = "", nil // only a sweep itself makes its runs
	d, err := c.prepare(s, c.paths(ctx))
	if err != nil {
		return run.Run{}, err
	}
	var stored run.Run
	var attempt run.Attempt
	created, release := false, func() {}
	defer func() { release() }()
	err = c.free(ctx, []draft{d}, func() (bool, error) {
		if s.Key == "" {
			return false, nil
		}
		_, err := c.o.Store.RunByKey(ctx, s.Key)
		return known(err)
	}, func() (err error) {
		stored, attempt, created, release, err = c.create(ctx, actor, d, s.Key)
		return err
	})
	if err != nil {
		return stored, err
	}
	if !created {
		same, err := d.made(stored)
		if err == nil && !same {
			err = fault.New(fault.ErrReused, fmt.Sprintf("The key %.40q belongs to run %s, which was submitted with other settings.", s.Key, stored.ID), "")
		}
		return stored, err
	}
	c.o.Publisher.PublishRun(stored)
	// Even if the person who asked is gone by now the run is stored, so it is sent.
	sent, err := c.o.Queue.SendHeld(context.WithoutCancel(ctx), stored, attempt)
	if err != nil {
		c.o.Logger.Info("run stays queued for now", "run", stored.ID, "err", err)
	}
	if sent.ID == "" { // the store failed after the dispatch; the queue repeats it and finds the same child
		return stored, nil
	}
	return sent, nil
}

// idTries is how often another ID is drawn: two runs of one millisecond may draw the same.
const idTries = 10

// create stores the run, already claimed for its first attempt: one transaction instead of two. Until release nobody else
// sends it.
func (c *Control) create(ctx context.Context, actor string, d draft, key string) (stored run.Run, a run.Attempt, created bool, release func(), err error) {
	for tries := 0; ; tries++ {
		id := run.NewID(d.run.CreatedAt)
		release = c.o.Queue.Hold(id)
		fresh, err := d.as(id)
		if err != nil {
			return fresh, a, false, release, err
		}
		a = run.Attempt{}
		evs := []run.Event{submitted(fresh, actor, "")}
		claimed, err := queue.Claim(&fresh, &a, "", fresh.CreatedAt)
		if err != nil {
			return fresh, a, false, release, err
		}
		stored, created, err = c.o.Store.CreateRun(ctx, fresh, a, key, append(evs, *claimed)...)
		if err == nil || !errors.Is(err, run.ErrConflict) || tries == idTries {
			return stored, a, created, release, err
		}
		release()
	}
}

// submitted is the first event of a run.
func submitted(r run.Run, actor, more string) run.Event {
	return run.Event{
		RunID: r.ID, At: r.CreatedAt, Kind: "state", Level: "info", Actor: actor, To: run.Queued, Rank: -1, Message: "submitted: " + r.Shape.String() + more,
	}
}
