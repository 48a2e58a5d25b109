package queue

import (
	"context"
	"time"

	"github.com/cotrain/cotrain/internal/nomad"
	"github.com/cotrain/cotrain/internal/run"
)

const (
	// viewAge is how long a view lasts without a reported change: other namespaces' changes are not reported.
	viewAge = 10 * time.Second
	// viewRest keeps a view for at least this many times as long as it took to read, and minViewRest: the lists of a
	// large cluster are megabytes, and each start of a worker is several events.
	viewRest    = 4
	minViewRest = 50 * time.Millisecond
)

// view is the cluster as last read, and what was sent since.
type view struct {
	room     nomad.Room
	fits     map[run.Shape]*run.Fit // as far as needed
	at       time.Time              // start of the read; zero to read again
	took     time.Duration
	sent     map[run.ID]*placing
	disputes map[run.Shape]disagreement // between scheduler and numbers
}

// disagreement is the first and last time it was observed.
type disagreement struct{ since, seen time.Time }

// disputeAfter is how long scheduler and numbers must disagree about a shape before the scheduler alone is believed:
// longer than workers take to end.
const disputeAfter = 2 * time.Minute

// placing is a run whose workers are not all in the view.
type placing struct {
	project string
	shape   run.Shape
	job     string // "" while unknown
	seen    int    // workers seen before the view was read
	missing int    // workers not in the view
}

// look reads the cluster unless the view is fresh.
func (q *Queue) look(ctx context.Context) error {
	v := &q.view
	if q.untilStale() > 0 {
		return nil
	}
	v.at = time.Time{}
	unplaced, err := q.o.Store.Unplaced(ctx)
	if err != nil {
		return storeTrouble(err)
	}
	for _, p := range v.sent { // unless missing from the list, all is placed or over
		p.job, p.seen = "", p.shape.Nodes
	}
	for _, u := range unplaced {
		v.sent[u.ID] = &placing{project: u.Project, shape: u.Shape, job: u.JobID, seen: u.Placed}
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	q.changed.Store(false)
	at := q.o.Now()
	room, err := q.o.Cluster.Room(ctx)
	if err != nil {
		return err
	}
	for id, p := range v.sent {
		placed := p.seen
		if p.job != "" {
			placed = max(placed, room.Placed[p.job])
		}
		if p.missing = p.shape.Nodes - placed; p.missing <= 0 {
			delete(v.sent, id)
		}
	}
	v.room, v.fits, v.at, v.took = room, map[run.Shape]*run.Fit{}, at, q.o.Now().Sub(at)
	return nil
}

func (q *Queue) untilStale() time.Duration {
	v := &q.view
	if v.at.IsZero() {
		return 0
	}
	lasts := viewAge
	if q.changed.Load() {
		lasts = min(viewAge, max(minViewRest, viewRest*v.took))
	}
	return max(0, lasts-q.o.Now().Sub(v.at))
}

// fit returns how a shape fits in the view.
func (q *Queue) fit(ctx context.Context, shape run.Shape) (*run.Fit, error) {
	if f := q.view.fits[shape]; f != nil {
		return f, nil
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	at := q.o.Now()
	f, err := q.o.Cluster.Fit(ctx, shape, q.view.room)
	if err != nil {
		return nil, err
	}
	q.view.took += q.o.Now().Sub(at)
	q.view.fits[shape] = &f
	q.compare(shape, f, at)
	return &f, nil
}

// compare records whether scheduler and numbers disagree about a shape. An old observation is dropped: the disagreement
// may have ended unseen.
func (q *Queue) compare(shape run.Shape, f run.Fit, at time.Time) {
	d, known := q.view.disputes[shape]
	if !known || at.Sub(d.seen) >= disputeAfter {
		d.since = at
	}
	d.seen = at
	q.view.disputes[shape] = d
	if f.Now == (f.Free() >= f.Workers) {
		delete(q.view.disputes, shape)
	}
}

// isDisputed reports whether scheduler and numbers have long disagreed about a shape.
func (q *Queue) isDisputed(shape run.Shape) bool {
	d, odd := q.view.disputes[shape]
	return odd && d.seen.Sub(d.since) >= disputeAfter
}

// unseen lists what was sent and is not in the view.
func (q *Queue) unseen(ctx context.Context) ([]Sent, error) {
	out := make([]Sent, 0, len(q.view.sent))
	for id, p := range q.view.sent {
		f, err := q.fit(ctx, p.shape)
		if affectsEveryRun(err) {
			return nil, err
		}
		if err == nil { // else its job can no longer be described, so its needs are unknown
			out = append(out, Sent{Run: Ref{id, p.project}, Fit: f, Workers: p.missing})
		}
	}
	return out, nil
}
