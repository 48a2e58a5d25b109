package queue

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/feed"
	"github.com/cotrain/cotrain/internal/nomad"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store"
	"github.com/cotrain/cotrain/internal/trainconf"
)

// Send dispatches a queued run, fitting or not, and returns once Nomad has its child job. The dispatch carries the
// attempt's idempotency token, so sending again after a kill finds the same child. If Nomad is unreachable the run stays
// queued with that reason and Send returns [fault.ErrUnavailable]. Errors are already logged and stored as the run's
// reason; Run tries again.
func (q *Queue) Send(ctx context.Context, id run.ID) error { return q.sendAttempt(ctx, id, true) }

// sendAttempt is Send; further is false for a run that had no attempt yet.
func (q *Queue) sendAttempt(ctx context.Context, id run.ID, further bool) error {
	if !q.begin(id) {
		return nil // already being sent
	}
	defer q.finish(id)
	r, d, err := q.claim(ctx, id, further)
	if errors.Is(err, run.ErrNotQueued) {
		return nil
	}
	if errors.Is(err, errHeld) {
		q.o.Publisher.PublishRun(r)
		q.Wake() // its shape may be another
		return err
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

// claim records that a run is being sent.
func (q *Queue) claim(ctx context.Context, id run.ID, further bool) (r run.Run, d nomad.Dispatch, err error) {
	resume, note := "", ""
	if further {
		if resume, note, err = q.prepare(ctx, id); err != nil {
			return r, d, err
		}
	}
	secrets, err := q.o.Store.Secrets(ctx)
	if err != nil {
		return r, d, err
	}
	first, held := false, false
	u, err := q.o.Store.Update(ctx, id, func(u *store.Update) error {
		var refs []run.SecretRef
		if refs, held = q.equip(u, secrets); held {
			return nil
		}
		had := u.Attempt.Number
		ev, err := u.Run.Claim(&u.Attempt, resume, q.o.Now())
		first, u.Attempt.Secrets = u.Attempt.Number > had, refs
		if err == nil && ev == nil { // an earlier process ended, or the store failed, while sending it
			u.Attempt.MaybeSent = true
		}
		if ev != nil && note != "" {
			ev.Message = strings.TrimPrefix(ev.Message+"; "+note, "; ")
		}
		return u.Record(ev, err)
	})
	if err != nil {
		return r, d, err
	}
	if held {
		return u.Run, d, errHeld
	}
	d = DispatchOf(u.Run, u.Attempt)
	d.First = first
	return u.Run, d, nil
}

// unstored handles a failure of the store while sending: the run is tried again later, and if Nomad has it, its token
// finds it.
func (q *Queue) unstored(ctx context.Context, id run.ID, err error) error {
	if ctx.Err() != nil || errors.Is(err, fault.ErrNotFound) { // shutting down, or the run was deleted
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

// DispatchOf is the dispatch for an attempt.
func DispatchOf(r run.Run, a run.Attempt) nomad.Dispatch {
	return nomad.Dispatch{
		Token: a.Token(), RunID: r.ID, Attempt: a.Number, Payload: []byte(ConfigOf(r)), Resume: resumeOf(r, a), MaybeSent: a.MaybeSent, Priority: r.Options.Priority,
		Env: r.Options.Env, Args: r.Options.Args, Secrets: a.Secrets, CheckpointPath: r.CheckpointPath,
	}
}

// ConfigOf is the configuration that a run's workers get: its own, with the learning rate that going back left of it. An argument that sets
// the learning rate still wins.
func ConfigOf(r run.Run) string {
	if r.Rollback == nil || r.Rollback.LR == 1 {
		return r.Config
	}
	cfg, err := trainconf.Parse([]byte(r.Config))
	if err != nil {
		return r.Config // accepted by an older version
	}
	lr, err := strconv.ParseFloat(cfg.Effective(learningRate), 64)
	if err == nil {
		err = cfg.Set(learningRate, strconv.FormatFloat(lr*r.Rollback.LR, 'g', 6, 64))
	}
	if err != nil {
		return r.Config
	}
	return string(cfg.TOML())
}

// learningRate is CotrainCore's field.
const learningRate = "optim.optim.lr"

// resumeOf is the checkpoint folder to pass to the workers, "" for what the configuration says. With several DiLoCo
// workers each has its own part, which only the launch script finds, so they always get it.
func resumeOf(r run.Run, a run.Attempt) string {
	if a.Resume != "" || r.InnerSteps == 0 || r.Shape.Nodes < 2 {
		return a.Resume
	}
	cfg, err := trainconf.Parse([]byte(r.Config))
	if err != nil {
		return "" // accepted by an older version
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

// errUnanswered is a dispatch that Nomad may have accepted without our seeing the answer.
var errUnanswered = errors.New("Nomad did not answer") //nolint:staticcheck // a name

// neverSent reports whether there was no connection to send anything on.
func neverSent(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}

func (q *Queue) sent(ctx context.Context, id run.ID, parent, child string) error {
	u, err := q.o.Store.Update(ctx, id, func(u *store.Update) error {
		if u.Attempt.MaybeSent { // the placement time-out starts now
			u.Attempt.CreatedAt = q.o.Now()
		}
		u.Attempt.ParentJob, u.Attempt.JobID, u.Attempt.MaybeSent = parent, child, false
		if u.Run.StopRequested { // requested during the dispatch
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

// failed requeues the run, or ends it when Nomad keeps refusing it.
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
		if n >= maxFailures && !errors.Is(cause, fault.ErrNamespace) || errors.Is(cause, fault.ErrInvalid) {
			to = run.Failed
		}
	}
	u, err := q.o.Store.Update(ctx, id, func(u *store.Update) error {
		to, why := to, why
		u.Attempt.MaybeSent = u.Attempt.MaybeSent || errors.Is(cause, errUnanswered)
		switch {
		case to == run.Failed && u.Attempt.MaybeSent: // neither parent can tell whether it was dispatched
		case u.Run.StopRequested && u.Attempt.MaybeSent:
			// If it were stopped now, unseen workers could train on. Sending again finds them.
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
	if u.Run.State.Terminal() { // its place in the sweep is free
		q.mu.Lock()
		delete(q.refusals, id)
		delete(q.backoffs, id)
		q.mu.Unlock()
		q.Wake()
	}
	return cause
}
