package queue

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/feed"
	"github.com/cotrain/cotrain/internal/nomad"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store"
	"github.com/cotrain/cotrain/internal/trainconf"
)

// Send dispatches one queued run, whether it fits or not, and returns once Nomad has its child job. The dispatch carries the
// attempt's idempotency token, so sending again after a kill at any point finds the same child. When Nomad cannot be reached
// the run stays queued with that reason and Send returns [fault.ErrUnavailable]. Whatever the error is, it has been logged and
// told as the run's reason as far as the store takes it, and Run tries again.
func (q *Queue) Send(ctx context.Context, id run.ID) error { return q.sendAttempt(ctx, id, true) }

// sendAttempt is Send; further may be false for a run that had no attempt yet.
func (q *Queue) sendAttempt(ctx context.Context, id run.ID, further bool) error {
	if !q.begin(id) {
		return nil // being sent right now
	}
	defer q.finish(id)
	r, d, err := q.claim(ctx, id, further)
	if errors.Is(err, run.ErrNotQueued) {
		return nil
	}
	if err != nil {
		return q.unstored(ctx, id, err)
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	parent, child, err := q.dispatch(ctx, r.Shape, d)
	if err != nil {
		err = q.failed(ctx, id, err)
	} else {
		err = q.sent(ctx, id, parent, child)
	}
	return err
}

// claim stores that a run is being sent.
func (q *Queue) claim(ctx context.Context, id run.ID, further bool) (r run.Run, d nomad.Dispatch, err error) {
	resume, passed := "", ""
	if further {
		if resume, passed, err = q.prepare(ctx, id); err != nil {
			return r, d, err
		}
	}
	first := false
	u, err := q.o.Store.Update(ctx, id, func(u *store.Update) error {
		had := u.Attempt.Number
		ev, err := u.Run.Claim(&u.Attempt, resume, q.o.Now())
		first = u.Attempt.Number > had
		if err == nil && ev == nil { // it was being sent when an earlier process ended, or the store failed
			u.Attempt.MaybeSent = true
		}
		if ev != nil && passed != "" {
			ev.Message = strings.TrimPrefix(ev.Message+"; "+passed, "; ")
		}
		return u.Record(ev, err)
	})
	if err != nil {
		return r, d, err
	}
	d = DispatchOf(u.Run, u.Attempt)
	d.First = first
	return u.Run, d, nil
}

// unstored is what follows when the store fails while a run is sent: it is logged, told and tried again later. A run that
// Nomad has by then is found there by its token.
func (q *Queue) unstored(ctx context.Context, id run.ID, err error) error {
	if ctx.Err() != nil || errors.Is(err, fault.ErrNotFound) { // the console ends, or the run was deleted
		return err
	}
	err = storeTrouble(err)
	q.backOff(id)
	q.o.Logger.Warn("send run", "run", id, "err", err)
	if telling := q.o.Store.SetWaitReason(ctx, reasonOf(err), []run.ID{id}); telling != nil {
		return errors.Join(err, telling)
	}
	if topic := feed.RunTopic(id); q.o.Publisher.HasViewers(topic) {
		q.o.Publisher.Publish(topic, feed.Gap, struct{}{})
	}
	return err
}

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

// DispatchOf is how an attempt of a run is sent to Nomad.
func DispatchOf(r run.Run, a run.Attempt) nomad.Dispatch {
	return nomad.Dispatch{
		Token: a.Token(), RunID: r.ID, Attempt: a.Number, Payload: []byte(r.Config), Resume: resumeOf(r, a), MaybeSent: a.MaybeSent, Priority: r.Options.Priority,
		Env: r.Options.Env, Args: r.Options.Args, Secrets: r.Options.Secrets, CheckpointPath: r.CheckpointPath,
	}
}

// resumeOf is the checkpoint folder that the workers are told to resume from, "" for what the configuration says. Of
// several workers with DiLoCo each has a part of its own, which only the launch script finds: they are always told.
func resumeOf(r run.Run, a run.Attempt) string {
	if a.Resume != "" || r.InnerSteps == 0 || r.Shape.Nodes < 2 {
		return a.Resume
	}
	cfg, err := trainconf.Parse([]byte(r.Config))
	if err != nil {
		return "" // an older version understood it
	}
	folder, _ := cfg.Get("ckpt.resume")
	return folder
}

func (q *Queue) dispatch(ctx context.Context, shape run.Shape, d nomad.Dispatch) (parent, child string, err error) {
	parent, child, err = q.o.Cluster.DispatchRun(ctx, shape, d)
	if parent != "" && errors.Is(err, fault.ErrUnavailable) && !neverSent(err) { // without a parent nothing was dispatched
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

func (q *Queue) sent(ctx context.Context, id run.ID, parent, child string) error {
	u, err := q.o.Store.Update(ctx, id, func(u *store.Update) error {
		if u.Attempt.MaybeSent { // the time that Nomad has for placing it does not count while nobody knows of it
			u.Attempt.CreatedAt = q.o.Now()
		}
		u.Attempt.ParentJob, u.Attempt.JobID, u.Attempt.MaybeSent = parent, child, false
		if u.Run.StopRequested { // asked for while the dispatch was under way
			u.StopJob()
		}
		return u.Move(run.Pending, run.Console, "", q.o.Now())
	})
	if err != nil {
		return q.unstored(ctx, id, err)
	}
	q.mu.Lock()
	delete(q.refusals, id)
	delete(q.backoffs, id)
	q.mu.Unlock()
	q.o.Publisher.PublishRun(u.Run, u.Events...)
	q.o.Dispatched(id)
	return nil
}

// failed puts the run back, or ends it when Nomad keeps refusing it.
func (q *Queue) failed(ctx context.Context, id run.ID, cause error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), callTimeout)
	defer cancel()
	to, why := run.Queued, reasonOf(cause)
	if !affectsEveryRun(cause) {
		q.mu.Lock()
		q.refusals[id]++
		n := q.refusals[id]
		q.mu.Unlock()
		q.backOff(id)
		if n >= maxFailures || errors.Is(cause, fault.ErrInvalid) {
			to = run.Failed
		}
	}
	u, err := q.o.Store.Update(ctx, id, func(u *store.Update) error {
		u.Attempt.MaybeSent = u.Attempt.MaybeSent || errors.Is(cause, errUnanswered)
		switch {
		case to == run.Failed && u.Attempt.MaybeSent: // neither the parent that was to be nor the one that is has it
		case u.Run.StopRequested && u.Attempt.MaybeSent:
			// Were it stopped now, workers that nobody knows of could train on. Sending it again finds them.
			to, why = run.Dispatching, "to be stopped as soon as Nomad says whether it has it"
		case u.Run.StopRequested:
			to, why = run.Stopped, "stopped before it was sent to Nomad"
		}
		return u.Move(to, run.Console, why, q.o.Now())
	})
	if err != nil {
		return errors.Join(cause, q.unstored(ctx, id, err))
	}
	q.o.Logger.Warn("dispatch", "run", id, "err", cause, "state", u.Run.State)
	q.o.Publisher.PublishRun(u.Run, u.Events...)
	if u.Run.State.Terminal() { // its place in a sweep is free
		q.mu.Lock()
		delete(q.refusals, id)
		delete(q.backoffs, id)
		q.mu.Unlock()
		q.Wake()
	}
	return cause
}
