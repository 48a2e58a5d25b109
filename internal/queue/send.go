package queue

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/cotrain/cotrain/internal/feed"
	"github.com/cotrain/cotrain/internal/nomad"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store"
)

// Send dispatches one queued run and returns once Nomad has its child job. The dispatch carries the attempt's
// idempotency token, so sending again after a kill at any point finds the same child. When Nomad cannot be reached the
// run stays queued with that reason and Send returns [run.ErrUnavailable]; Run tries again.
func (q *Queue) Send(ctx context.Context, id run.ID) error {
	if !q.begin(id) {
		return nil // being sent right now
	}
	defer q.finish(id)
	resume, passed, err := q.prepare(ctx, id)
	if err != nil {
		return err
	}
	first := false
	u, err := q.o.Store.Update(ctx, id, func(u *store.Update) error {
		had := u.Attempt.Number
		ev, err := Claim(&u.Run, &u.Attempt, resume, q.o.Now())
		first = u.Attempt.Number > had
		if ev != nil {
			if passed != "" {
				ev.Message = strings.TrimPrefix(ev.Message+"; "+passed, "; ")
			}
			u.Events = append(u.Events, *ev)
		}
		return err
	})
	if errors.Is(err, errNotQueued) {
		return nil
	}
	if err != nil {
		return err
	}
	d := DispatchOf(u.Run, u.Attempt)
	d.First = first
	_, err = q.send(ctx, u.Run, d)
	return err
}

// Hold keeps a run that is about to be stored as claimed from being sent by anybody but the caller, until release.
func (q *Queue) Hold(id run.ID) (release func()) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.sending[id] { // then it is stored already, and the caller will be told so
		return func() {}
	}
	q.sending[id] = true
	return func() { q.finish(id) }
}

// SendHeld is Send for a new run that was stored as claimed while the caller had [Queue.Hold] of it, and still has. It
// returns the run as it then is.
func (q *Queue) SendHeld(ctx context.Context, r run.Run, a run.Attempt) (run.Run, error) {
	d := DispatchOf(r, a)
	d.First = true // the token came into being under the hold
	return q.send(ctx, r, d)
}

func (q *Queue) send(ctx context.Context, r run.Run, d nomad.Dispatch) (run.Run, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	parent, child, err := q.dispatch(ctx, r.Shape, d)
	if err != nil {
		return q.failed(ctx, r.ID, err)
	}
	return q.sent(ctx, r.ID, parent, child)
}

var errNotQueued = errors.New("not queued any more")

func (q *Queue) begin(id run.ID) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.sending[id] {
		return false
	}
	q.sending[id] = true
	return true
}

func (q *Queue) finish(id run.ID) {
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.sending, id)
}

// Claim gives a queued run its next attempt, which continues from the checkpoint folder resume or with "" begins as the
// configuration says, and moves it to dispatching. One that an earlier process was dispatching keeps its attempt. The
// event records the move.
func Claim(r *run.Run, a *run.Attempt, resume string, now time.Time) (*run.Event, error) {
	switch r.State {
	case run.Dispatching:
		return nil, nil
	case run.Queued:
	default:
		return nil, errNotQueued
	}
	if a.Number == 0 || a.JobID != "" {
		*a = run.Attempt{RunID: r.ID, Number: a.Number + 1, ParentJob: r.Shape.ParentJob(), Resume: resume, CreatedAt: now}
		r.Attempt = a.Number
	}
	r.NotBefore = time.Time{}
	why := ""
	if a.Resume != "" {
		why = "continues from " + a.Resume
	}
	return r.Transition(run.Dispatching, "queue", why, now)
}

// DispatchOf is how an attempt of a run is sent to Nomad.
func DispatchOf(r run.Run, a run.Attempt) nomad.Dispatch {
	return nomad.Dispatch{
		Token: a.Token(), RunID: r.ID, Attempt: a.Number, Payload: []byte(r.Config), Resume: a.Resume, Priority: r.Options.Priority,
		Env: r.Options.Env, Args: r.Options.Args, Secrets: r.Options.Secrets, CheckpointPath: r.CheckpointPath,
	}
}

func (q *Queue) dispatch(ctx context.Context, shape run.Shape, d nomad.Dispatch) (parent, child string, err error) {
	parent, child, err = q.o.Cluster.DispatchRun(ctx, shape, d)
	if parent != "" && errors.Is(err, run.ErrUnavailable) && !neverSent(err) { // without a parent nothing was dispatched
		err = fmt.Errorf("%w: %w", errUnanswered, err)
	}
	return parent, child, err
}

// errUnanswered is a dispatch that Nomad may have taken, though its answer did not come back.
var errUnanswered = errors.New("Nomad did not answer") //nolint:staticcheck // a name

// neverSent reports whether there was no connection to send anything on.
func neverSent(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}

func (q *Queue) sent(ctx context.Context, id run.ID, parent, child string) (run.Run, error) {
	stop := false
	u, err := q.o.Store.Update(ctx, id, func(u *store.Update) error {
		u.Attempt.ParentJob, u.Attempt.JobID, u.Attempt.MaybeSent = parent, child, false
		stop = u.Run.StopRequested
		return q.transition(u, run.Pending, "")
	})
	if err != nil {
		return u.Run, err
	}
	q.mu.Lock()
	delete(q.refusals, id)
	q.mu.Unlock()
	q.tell(u)
	q.o.Dispatched(id)
	if stop { // asked for while the dispatch was under way
		return u.Run, q.o.Cluster.Stop(ctx, child)
	}
	return u.Run, nil
}

func (q *Queue) transition(u *store.Update, to run.State, why string) error {
	ev, err := u.Run.Transition(to, "queue", why, q.o.Now())
	if ev != nil {
		u.Events = append(u.Events, *ev)
	}
	return err
}

// failed puts the run back, or ends it when Nomad keeps refusing it.
func (q *Queue) failed(ctx context.Context, id run.ID, cause error) (run.Run, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), callTimeout)
	defer cancel()
	to, why := run.Queued, "waiting for Nomad, which is not reachable" // how exactly is in the log
	switch {
	case errors.Is(cause, nomad.ErrDenied): // the run is not at fault: it waits for whoever mends the token
		why = "waiting: Nomad refuses the console's token"
	case !errors.Is(cause, run.ErrUnavailable):
		q.mu.Lock()
		q.refusals[id]++
		n := q.refusals[id]
		q.mu.Unlock()
		why = fmt.Sprintf("Nomad refused the job: %v", cause)
		if n >= maxFailures || errors.Is(cause, run.ErrInvalid) {
			to = run.Failed
		}
	}
	u, err := q.o.Store.Update(ctx, id, func(u *store.Update) error {
		u.Attempt.MaybeSent = u.Attempt.MaybeSent || errors.Is(cause, errUnanswered)
		switch {
		case u.Run.StopRequested && u.Attempt.MaybeSent:
			// Were it stopped now, workers that nobody knows of could train on. Sending it again finds them.
			to, why = run.Dispatching, "to be stopped as soon as Nomad says whether it has it"
		case u.Run.StopRequested:
			to, why = run.Stopped, "stopped before it was sent to Nomad"
		}
		return q.transition(u, to, why)
	})
	if err != nil {
		return u.Run, errors.Join(cause, err)
	}
	q.o.Logger.Warn("dispatch", "run", id, "err", cause, "state", u.Run.State)
	q.tell(u)
	if u.Run.State.Terminal() { // its place in a sweep is free
		q.Wake()
	}
	return u.Run, cause
}

func (q *Queue) tell(u store.Update) {
	for _, ev := range u.Events {
		q.o.Publisher.Publish(feed.RunTopic(u.Run.ID), feed.EventType, ev)
	}
	q.o.Publisher.PublishRun(u.Run)
}
