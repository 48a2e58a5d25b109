package queue

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/feed"
	"github.com/cotrain/cotrain/internal/nomad"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store"
)

// Why runs wait that fit and whose turn it is, or would be. How exactly is in the log.
const (
	reasonAway       = "Nomad unreachable, retrying"
	reasonDenied     = "Nomad refuses the console's token: check NOMAD_TOKEN and its policy"
	reasonFull       = "the disk of the console's data folder is full, retrying"
	reasonStore      = "the console cannot write its data folder, retrying"
	reasonUnprepared = "the console could not prepare it, retrying: its log says why"
	reasonUnclear    = "Nomad could not say whether it fits, retrying"
	reasonTurn       = "waits for its turn behind runs that come first"
)

// sweepFull is why a run waits whose sweep has as many live runs as it may.
func sweepFull(live, parallel int) string {
	return fmt.Sprintf("waits for its sweep: %d of %d runs are active", live, parallel)
}

// reasonOf is why a run waits that could not be sent for err.
func reasonOf(err error) string {
	switch {
	case errors.Is(err, fault.ErrFull):
		return reasonFull
	case errors.Is(err, errStore) && errors.Is(err, fault.ErrUnavailable):
		return reasonStore
	case errors.Is(err, errStore):
		return reasonUnprepared
	case errors.Is(err, nomad.ErrDenied):
		return reasonDenied
	case errors.Is(err, fault.ErrUnavailable):
		return reasonAway
	}
	return fmt.Sprintf("Nomad refused the job: %v", err)
}

// told is a run that was looked at and not sent, and what it is told.
type told struct {
	candidate
	reason string
}

// explain says of the runs that were not sent why. blocked are those that were looked at.
func (q *Queue) explain(ctx context.Context, groups []store.ReadyGroup, blocked []told) error {
	own := map[run.SweepID]map[run.ID]bool{}
	shapes := map[run.SweepID]map[run.Shape]bool{}
	for _, b := range blocked {
		sweep, shape := b.group.Sweep, b.group.Shape
		if shapes[sweep] == nil {
			own[sweep], shapes[sweep] = map[run.ID]bool{}, map[run.Shape]bool{}
		}
		if shapes[sweep][shape] {
			continue // behind the first of its shape
		}
		own[sweep][b.ID], shapes[sweep][shape] = true, true
		if b.Reason != b.reason {
			if err := q.setReason(ctx, sweep, b.reason, []run.ID{b.ID}); err != nil {
				return err
			}
		}
	}
	for i, g := range groups {
		if i > 0 && groups[i-1].Sweep == g.Sweep { // they are in order
			continue
		}
		why := reasonTurn
		switch {
		case g.Full():
			why = sweepFull(g.Live, g.Parallel)
		case own[g.Sweep] == nil:
			continue
		}
		if err := q.setReasons(ctx, g.Sweep, why, own[g.Sweep]); err != nil {
			return err
		}
	}
	return nil
}

// explainAll says of every run that waits for nothing else that it waits for a cause that is not its own.
func (q *Queue) explainAll(ctx context.Context, cause error) error {
	groups, err := q.o.Store.ReadyGroups(ctx)
	if err != nil {
		return err
	}
	for _, g := range groups {
		why := reasonOf(cause)
		if g.Full() {
			why = sweepFull(g.Live, g.Parallel)
		}
		if err := q.setReasons(ctx, g.Sweep, why, nil); err != nil {
			return err
		}
	}
	return nil
}

// setReasons gives the runs of a sweep that wait a reason for it, but for those that have one of their own. It is no event,
// and written only where it is news: a sweep of hundreds of runs would otherwise write each of them at every look.
func (q *Queue) setReasons(ctx context.Context, sweep run.SweepID, why string, but map[run.ID]bool) error {
	without, err := q.o.Store.ReadyWithout(ctx, sweep, why)
	if err != nil {
		return err
	}
	var ids []run.ID
	for _, id := range without {
		if !but[id] && !q.troubled(id) {
			ids = append(ids, id)
		}
	}
	return q.setReason(ctx, sweep, why, ids)
}

func (q *Queue) setReason(ctx context.Context, sweep run.SweepID, why string, ids []run.ID) error {
	if len(ids) == 0 {
		return nil
	}
	if err := q.o.Store.SetReason(ctx, why, ids); err != nil {
		return storeTrouble(err)
	}
	q.o.Publisher.PublishMany(sweep)
	for _, id := range ids {
		if topic := feed.RunTopic(id); q.o.Publisher.HasViewers(topic) {
			q.o.Publisher.Publish(topic, feed.Gap, struct{}{})
		}
	}
	return nil
}

// errStore marks what went wrong in the store, which has nothing to do with Nomad.
var errStore = errors.New("the store")

func storeTrouble(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w: %w", errStore, err)
}

// The wait before a run that could not be sent for a cause of its own is tried again: the first, doubled each time, up to
// the longest.
const (
	firstWait   = 2 * time.Second
	longestWait = time.Minute
)

// trouble is a run that could not be sent.
type trouble struct {
	tries int
	until time.Time
}

// retryLater keeps a run back for a while.
func (q *Queue) retryLater(id run.ID) {
	q.mu.Lock()
	defer q.mu.Unlock()
	t := q.troubles[id]
	t.tries++
	t.until = q.o.Now().Add(min(longestWait, firstWait<<min(t.tries-1, 10)))
	q.troubles[id] = t
}

// troubled reports whether a run is kept back.
func (q *Queue) troubled(id run.ID) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	t, ok := q.troubles[id]
	return ok && q.o.Now().Before(t.until)
}
