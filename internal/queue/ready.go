package queue

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store"
)

// batchOf is how many runs of a group are examined at a time.
const batchOf = 32

type candidate struct {
	store.ReadyRun
	group store.ReadyGroup
	fit   *run.Fit
}

// sendReady sends the runs that fit, in order, and sets the wait reason of the others.
func (q *Queue) sendReady(ctx context.Context) error {
	q.short = false
	for ctx.Err() == nil {
		groups, err := q.o.Store.ReadyGroups(ctx)
		if err != nil || len(groups) == 0 {
			return err
		}
		more, blocked, err := q.sendBatch(ctx, groups)
		if affectsEveryRun(err) && ctx.Err() == nil {
			q.view.at = time.Time{} // check for expiry before the next claim
			return errors.Join(err, q.explainAllWaiting(ctx, err))
		}
		if err != nil {
			return err
		}
		q.short = len(blocked) > 0
		if !more && (!q.short || q.untilStale() > 0) {
			return q.explainWaiting(ctx, groups, blocked)
		}
	}
	return nil
}

// sendBatch decides about the first runs of the groups, and sends. more means that there may be others to send behind
// them.
func (q *Queue) sendBatch(ctx context.Context, groups []store.ReadyGroup) (more bool, blocked []blockedRun, err error) {
	stuck := map[run.Shape]bool{} // none of these can be sent, however many there are
	for {
		batch, cut, err := q.batch(ctx, groups, stuck)
		if err != nil || len(batch) == 0 {
			return false, nil, err
		}
		if more, blocked, err = q.sendOf(ctx, batch, cut, stuck); err != nil || more || !cut {
			return more, blocked, err
		}
		known := len(stuck)
		for _, b := range blocked {
			stuck[b.group.Shape] = true
		}
		if len(stuck) == known {
			return false, blocked, nil
		}
	}
}

// sendOf decides about a batch, and sends. If a shape is stuck no more, there are more to send: all of its runs have to be looked
// at then.
func (q *Queue) sendOf(ctx context.Context, batch []candidate, cut bool, stuck map[run.Shape]bool) (more bool, blocked []blockedRun, err error) {
	if err := q.look(ctx); err != nil {
		return false, nil, err
	}
	if batch, blocked, err = q.measure(ctx, batch); err != nil {
		return false, nil, err
	}
	unseen, err := q.unseen(ctx)
	if err != nil {
		return false, nil, err
	}
	waiting := make([]Waiting, 0, len(batch))
	for _, r := range batch {
		waiting = append(waiting, Waiting{Run: Ref{r.ID, r.Project}, Fit: r.fit, Disputed: q.isDisputed(r.group.Shape)})
	}
	taken := map[run.SweepID]int{}
	for i, d := range Admit(waiting, unseen) {
		r := batch[i]
		if !d.Send {
			blocked = append(blocked, blockedRun{candidate: r, reason: d.Reason})
			continue
		}
		if stuck[r.group.Shape] {
			return true, blocked, nil
		}
		if taken[r.group.Sweep]++; r.group.Parallel > 0 && r.group.Live+taken[r.group.Sweep] > r.group.Parallel {
			continue // keep the order within a shape
		}
		more = more || cut || r.group.Parallel > 0
		if err := q.sendCandidate(ctx, r); affectsEveryRun(err) || ctx.Err() != nil {
			return more, blocked, err
		}
	}
	return more, blocked, nil
}

func (q *Queue) sendCandidate(ctx context.Context, r candidate) error {
	q.view.sent[r.ID] = &placing{project: r.Project, shape: r.group.Shape, missing: r.group.Shape.Nodes}
	err := q.sendAttempt(ctx, r.ID, r.Attempt > 0)
	if err != nil {
		delete(q.view.sent, r.ID)
	}
	return err
}

// batch reads the first runs of the groups with room in their sweep, in queue order and without gaps; cut means there
// are more behind them. Of shapes that are stuck it reads the first alone: what blocks it blocks those behind it.
func (q *Queue) batch(ctx context.Context, groups []store.ReadyGroup, stuck map[run.Shape]bool) (out []candidate, cut bool, err error) {
	var end *store.QueueKey
	for _, g := range groups {
		if g.Full() {
			continue
		}
		limit := batchOf
		if g.Parallel > 0 {
			limit = min(limit, g.Parallel-g.Live)
		}
		if stuck[g.Shape] {
			limit = 1
		}
		ready, err := q.o.Store.ReadyOf(ctx, g, limit)
		if err != nil {
			return nil, false, err
		}
		for _, r := range ready {
			if !q.backingOff(r.ID) {
				out = append(out, candidate{ReadyRun: r, group: g})
			}
		}
		if n := len(ready); n == batchOf && (end == nil || ready[n-1].Compare(*end) < 0) {
			end = &ready[n-1].QueueKey
		}
	}
	slices.SortFunc(out, func(a, b candidate) int { return a.Compare(b.QueueKey) })
	if end != nil {
		out = slices.DeleteFunc(out, func(r candidate) bool { return r.Compare(*end) > 0 })
	}
	return out, end != nil, nil
}

// measure finds out how the shapes of a batch fit. A shape whose job cannot even be described is sent, to be refused.
func (q *Queue) measure(ctx context.Context, batch []candidate) (fit []candidate, blocked []blockedRun, err error) {
	failed := map[run.Shape]bool{}
	for _, r := range batch {
		if failed[r.group.Shape] {
			continue
		}
		r.fit, err = q.fit(ctx, r.group.Shape)
		switch {
		case err == nil && r.group.Shape.Avoid != "" && !r.fit.Now && r.fit.Freed() < r.fit.Workers:
			if err := q.fallBack(ctx, r.ID); err != nil {
				return nil, nil, err
			}
		case err == nil:
			fit = append(fit, r)
		case affectsEveryRun(err):
			return nil, nil, err
		case errors.Is(err, fault.ErrInvalid):
			if err := q.Send(ctx, r.ID); affectsEveryRun(err) {
				return nil, nil, err
			}
		case errors.Is(err, fault.ErrNamespace):
			failed[r.group.Shape] = true
			blocked = append(blocked, blockedRun{candidate: r, reason: reasonOf(err)})
		default:
			failed[r.group.Shape] = true
			q.o.Logger.Warn("ask Nomad whether a run fits", "run", r.ID, "err", err)
			q.backOff(r.ID)
			blocked = append(blocked, blockedRun{candidate: r, reason: reasonUnclear})
		}
	}
	return fit, blocked, nil
}
