package queue

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/feed"
	"github.com/cotrain/cotrain/internal/nomad"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store"
)

// Why runs wait that fit and are next; the log has the details.
const (
	reasonAway       = "Nomad unreachable, retrying"
	reasonDenied     = "Nomad refuses the console's token: check NOMAD_TOKEN and its policy"
	reasonFull       = "the disk of the console's data folder is full, retrying"
	reasonStore      = "the console cannot write its data folder, retrying"
	reasonUnprepared = "the console could not prepare it, retrying: its log says why"
	reasonUnclear    = "Nomad could not say whether it fits, retrying"
	reasonTurn       = "waits for its turn behind runs that come first"
)

func sweepFull(live, parallel int) string {
	return fmt.Sprintf("waits for its sweep: %d of %d runs are active", live, parallel)
}

// reasonOf is the wait reason for a run that could not be sent.
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
	why := err.Error()
	if said := (*fault.Error)(nil); errors.As(err, &said) { // the log has the cause
		why = strings.TrimSuffix(said.What, ".")
	}
	if errors.Is(err, fault.ErrNamespace) {
		return why
	}
	if errors.Is(err, nomad.ErrJobFile) {
		return "the" + strings.TrimPrefix(why, "The")
	}
	return "Nomad refused the job: " + strings.TrimPrefix(why, "Nomad refuses the job: ")
}

// blockedRun is a run that was not sent, and why.
type blockedRun struct {
	candidate
	reason string
}

// explainWaiting sets the wait reasons of runs that were not sent; blocked are those that were examined.
func (q *Queue) explainWaiting(ctx context.Context, groups []store.ReadyGroup, blocked []blockedRun) error {
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
			if err := q.setWaitReason(ctx, sweep, b.reason, []run.ID{b.ID}); err != nil {
				return err
			}
		}
	}
	for i, g := range groups {
		if i > 0 && groups[i-1].Sweep == g.Sweep { // sorted by sweep
			continue
		}
		why := reasonTurn
		switch {
		case g.Full():
			why = sweepFull(g.Live, g.Parallel)
		case own[g.Sweep] == nil:
			continue
		}
		if err := q.setWaitReasons(ctx, g.Sweep, why, own[g.Sweep]); err != nil {
			return err
		}
	}
	return nil
}

// explainAllWaiting sets one wait reason for every ready run.
func (q *Queue) explainAllWaiting(ctx context.Context, cause error) error {
	groups, err := q.o.Store.ReadyGroups(ctx)
	if err != nil {
		return err
	}
	for _, g := range groups {
		why := reasonOf(cause)
		if g.Full() {
			why = sweepFull(g.Live, g.Parallel)
		}
		if err := q.setWaitReasons(ctx, g.Sweep, why, nil); err != nil {
			return err
		}
	}
	return nil
}

// setWaitReasons sets the wait reason of a sweep's ready runs, except those with one of their own. It records no event
// and writes only changes, since sweeps have hundreds of runs.
func (q *Queue) setWaitReasons(ctx context.Context, sweep run.SweepID, why string, but map[run.ID]bool) error {
	without, err := q.o.Store.ReadyWithOtherReason(ctx, sweep, why)
	if err != nil {
		return err
	}
	var ids []run.ID
	for _, id := range without {
		if !but[id] && !q.backingOff(id) {
			ids = append(ids, id)
		}
	}
	return q.setWaitReason(ctx, sweep, why, ids)
}

func (q *Queue) setWaitReason(ctx context.Context, sweep run.SweepID, why string, ids []run.ID) error {
	if len(ids) == 0 {
		return nil
	}
	if err := q.o.Store.SetWaitReason(ctx, why, ids); err != nil {
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

// errStore marks failures of the store, as opposed to Nomad.
var errStore = errors.New("the store")

func storeTrouble(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w: %w", errStore, err)
}

// The wait before a run that could not be sent is tried again doubles within these bounds.
const (
	firstWait   = 2 * time.Second
	longestWait = time.Minute
)

type backoff struct {
	tries int
	until time.Time
}

func (q *Queue) backOff(id run.ID) {
	q.mu.Lock()
	defer q.mu.Unlock()
	t := q.backoffs[id]
	t.tries++
	t.until = q.o.Now().Add(min(longestWait, firstWait<<min(t.tries-1, 10)))
	q.backoffs[id] = t
}

func (q *Queue) backingOff(id run.ID) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	t, ok := q.backoffs[id]
	return ok && q.o.Now().Before(t.until)
}
