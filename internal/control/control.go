package control

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/cotrain/cotrain/internal/feed"
	"github.com/cotrain/cotrain/internal/nomad"
	"github.com/cotrain/cotrain/internal/queue"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store"
	"github.com/cotrain/cotrain/internal/trainconf"
)

// Store is what control needs of the store.
type Store interface {
	CreateRun(ctx context.Context, r run.Run, a run.Attempt, key string, evs ...run.Event) (run.Run, bool, error)
	Run(ctx context.Context, id run.ID) (run.Run, error)
	Attempts(ctx context.Context, id run.ID) ([]run.Attempt, error)
	Update(ctx context.Context, id run.ID, fn func(*store.Update) error) (store.Update, error)
	DeleteRun(ctx context.Context, id run.ID) error
}

// Queue sends runs to Nomad; see package queue.
type Queue interface {
	SendClaimed(ctx context.Context, r run.Run, a run.Attempt) (run.Run, error)
}

// Cluster is what control asks of Nomad itself; see [nomad.Client].
type Cluster interface {
	Stop(ctx context.Context, childID string) error
	Purge(ctx context.Context, childID string) error
	Nodes(ctx context.Context) ([]run.Node, error)
}

// Logs stops following a deleted run; see package ingest.
type Logs interface{ Forget(id run.ID) }

// Publisher tells viewers; see [feed.Hub].
type Publisher interface {
	Publish(topic, typ string, data any)
	PublishRun(r run.Run)
}

// Options configures [New]. All fields are needed.
type Options struct {
	Store     Store
	Queue     Queue
	Cluster   Cluster
	Logs      Logs
	Publisher Publisher
	Logger    *slog.Logger
	Now       func() time.Time
	Look      func(run.ID) // asks the watcher to compare a run with Nomad soon; must not wait
}

// Control performs actions on runs.
type Control struct{ o Options }

// New returns a Control.
func New(o Options) *Control { return &Control{o} }

// maxKey bounds idempotency keys, in bytes.
const maxKey = 200

// Submit checks a submission, stores it as a queued run and sends it to Nomad. When Nomad cannot be reached the run stays
// queued and is returned all the same. What is not valid is [run.FieldErrors], all of it at once. A repeated Key
// returns the run of the first submission, and is [run.ErrConflict] with other settings.
func (c *Control) Submit(ctx context.Context, actor string, s run.Submission) (run.Run, error) {
	r, err := c.prepare(s)
	if err != nil {
		return run.Run{}, err
	}
	stored, attempt, created, err := c.create(ctx, actor, r, s.Key)
	if err != nil {
		return stored, err
	}
	if !created {
		if stored.Name != r.Name || stored.Config != r.Config || stored.Shape != r.Shape {
			return stored, fmt.Errorf("the key %.40q belongs to run %s, which was submitted with other settings; use a new key: %w", s.Key, stored.ID, run.ErrConflict)
		}
		return stored, nil
	}
	c.o.Publisher.PublishRun(stored)
	// Even if the person who asked is gone by now the run is stored, so it is sent.
	sent, err := c.o.Queue.SendClaimed(context.WithoutCancel(ctx), stored, attempt)
	if err != nil {
		c.o.Logger.Info("run stays queued for now", "run", stored.ID, "err", err)
	}
	if sent.ID == "" { // the store failed after the dispatch; the queue repeats it and finds the same child
		return stored, nil
	}
	return sent, nil
}

// prepare validates, and fills in what was left out.
func (c *Control) prepare(s run.Submission) (run.Run, error) {
	var errs run.FieldErrors
	name := strings.TrimSpace(s.Name)
	if fe := trainconf.ValidateName(name); fe != nil {
		errs = append(errs, *fe)
	}
	if len(s.Key) > maxKey {
		errs = append(errs, run.FieldError{Field: "key", Value: s.Key[:20] + "...", Rule: "is an idempotency key of at most 200 bytes", Fix: "use a UUID"})
	}
	errs = append(errs, trainconf.ValidateShape(s.Shape)...)
	if n := len(s.Config); n > nomad.MaxPayload {
		errs = append(errs, run.FieldError{
			Field: "config", Value: fmt.Sprintf("%d bytes", n), Rule: fmt.Sprintf("must have at most %d bytes, the most that Nomad dispatches", nomad.MaxPayload),
			Fix: "shorten comments or lists of data sets",
		})
		return run.Run{}, errs
	}
	conf, err := trainconf.Parse([]byte(s.Config))
	var fes run.FieldErrors
	switch {
	case errors.As(err, &fes):
		errs = append(errs, fes...)
	case err != nil:
		return run.Run{}, err
	default:
		bad, _ := conf.Validate(s.Shape)
		errs = append(errs, bad...)
	}
	if len(errs) > 0 {
		return run.Run{}, errs
	}
	shape := s.Shape
	if shape.CPU == 0 {
		shape.CPU = run.DefaultWorkerCPU
	}
	if shape.Memory == 0 {
		shape.Memory = run.DefaultWorkerMemory
	}
	plan := conf.Plan(shape)
	return run.Run{
		Name: name, Preset: s.Preset, Config: s.Config, Shape: shape, State: run.Queued,
		StepsTotal: plan.StepsTotal, InnerSteps: plan.InnerSteps, CreatedAt: c.o.Now(),
	}, nil
}

// create stores the run, already claimed for its first attempt: one transaction instead of two. Two runs of one
// millisecond may draw the same ID.
func (c *Control) create(ctx context.Context, actor string, r run.Run, key string) (stored run.Run, a run.Attempt, created bool, err error) {
	for tries := 0; ; tries++ {
		fresh := r
		fresh.ID, a = run.NewID(r.CreatedAt), run.Attempt{}
		submitted := run.Event{
			RunID: fresh.ID, At: r.CreatedAt, Kind: "state", Level: "info", Actor: actor, To: run.Queued, Rank: -1, Message: "submitted: " + r.Shape.String(),
		}
		claimed, err := queue.Claim(&fresh, &a, r.CreatedAt)
		if err != nil {
			return fresh, a, false, err
		}
		stored, created, err = c.o.Store.CreateRun(ctx, fresh, a, key, submitted, *claimed)
		if err == nil || !errors.Is(err, run.ErrConflict) || tries == 10 {
			return stored, a, created, err
		}
	}
}

// Stop asks a run to end: its workers get SIGTERM, may save a checkpoint, and are killed after the job's kill time-out.
// A run that has not been sent to Nomad stops at once. Stopping a stopping run again is no error; stopping one that
// has ended is [run.ErrConflict].
func (c *Control) Stop(ctx context.Context, actor string, id run.ID) error {
	u, err := c.o.Store.Update(ctx, id, func(u *store.Update) error {
		if u.Run.State.Terminal() {
			return fmt.Errorf("run %s has already %s: %w", id, u.Run.State, run.ErrConflict)
		}
		if u.Run.State == run.Stopping {
			return nil
		}
		u.Run.StopRequested = true
		if u.Run.State == run.Dispatching { // whoever is sending it sees the request when the call comes back
			u.Run.Reason = "to be stopped as soon as Nomad has it"
			return nil
		}
		if u.Run.State == run.Queued && u.Attempt.MaybeSent { // its workers may be training: sending it again finds them
			ev, err := u.Run.Transition(run.Dispatching, actor, "to be stopped as soon as Nomad says whether it has it", c.o.Now())
			if ev != nil {
				u.Events = append(u.Events, *ev)
			}
			return err
		}
		to, why := run.Stopping, "workers were asked to save and leave"
		if u.Run.State == run.Queued || u.Run.State == run.Paused {
			to, why = run.Stopped, "stopped before it was sent to Nomad"
		}
		ev, err := u.Run.Transition(to, actor, why, c.o.Now())
		if ev != nil {
			u.Events = append(u.Events, *ev)
		}
		return err
	})
	if err != nil {
		return err
	}
	for _, ev := range u.Events {
		c.o.Publisher.Publish(feed.RunTopic(id), feed.EventType, ev)
	}
	c.o.Publisher.PublishRun(u.Run)
	if u.Run.State.Terminal() || u.Attempt.JobID == "" {
		return nil
	}
	if err := c.o.Cluster.Stop(ctx, u.Attempt.JobID); err != nil {
		// The watcher repeats the call until Nomad has taken it.
		c.o.Logger.Warn("stop job", "run", id, "job", u.Attempt.JobID, "err", err)
	}
	c.o.Look(id)
	return nil
}

// Delete removes a run that has ended, with its metrics, events and logs; checkpoints stay where they are. A run that has
// not ended is [run.ErrConflict].
func (c *Control) Delete(ctx context.Context, actor string, id run.ID) error {
	r, err := c.o.Store.Run(ctx, id)
	if err != nil {
		return err
	}
	if !r.State.Terminal() {
		return fmt.Errorf("run %s is %s: stop it first: %w", id, r.State, run.ErrConflict)
	}
	attempts, err := c.o.Store.Attempts(ctx, id)
	if err != nil {
		return err
	}
	c.o.Logs.Forget(id)
	if err := c.o.Store.DeleteRun(ctx, id); err != nil {
		return err
	}
	c.o.Logger.Info("run deleted", "run", id, "actor", actor)
	for _, topic := range []string{feed.RunTopic(id), feed.RunsTopic} {
		c.o.Publisher.Publish(topic, feed.Deleted, map[string]run.ID{"id": id})
	}
	for _, a := range attempts {
		if a.JobID == "" {
			continue
		}
		if err := c.o.Cluster.Purge(ctx, a.JobID); err != nil { // Nomad collects it by itself later
			c.o.Logger.Warn("purge job", "run", id, "job", a.JobID, "err", err)
		}
	}
	return nil
}

// Nodes returns the nodes of the cluster.
func (c *Control) Nodes(ctx context.Context) ([]run.Node, error) { return c.o.Cluster.Nodes(ctx) }
