package queue

import (
	"context"
	"time"

	"github.com/cotrain/cotrain/internal/nomad"
	"github.com/cotrain/cotrain/internal/run"
)

const (
	// viewAge is how long the cluster is taken to be as it was read while no change is told: what other namespaces do is
	// not told.
	viewAge = 10 * time.Second
	// viewRest is how many times as long as reading it took the view is kept whatever is told, and minViewRest the least:
	// the lists of a large cluster are megabytes, and each worker that starts is several events.
	viewRest    = 4
	minViewRest = 50 * time.Millisecond
)

// view is the cluster as the queue read it last, and what was sent since.
type view struct {
	room nomad.Room
	fits map[run.Shape]*run.Fit // as far as they were needed
	at   time.Time              // when reading it began; zero when it must be read again
	took time.Duration
	sent map[run.ID]*placing
	odd  map[run.Shape]disagreement // of scheduler and numbers
}

// disagreement is from when to when, as far as was seen.
type disagreement struct{ since, seen time.Time }

// oddAfter is how long the scheduler and the numbers may disagree about a shape before the scheduler alone is believed:
// longer than workers take to end.
const oddAfter = 2 * time.Minute

// placing is a run whose workers are not all in the room.
type placing struct {
	shape   run.Shape
	job     string // "" while it is not known
	seen    int    // workers that were seen before the room was read
	missing int    // workers that are not in it
}

// look reads the cluster unless what was read is still good.
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
	for _, p := range v.sent { // unless it is among them it is placed, or over: whatever the list will not have does not come
		p.job, p.seen = "", p.shape.Nodes
	}
	for _, u := range unplaced {
		v.sent[u.ID] = &placing{shape: u.Shape, job: u.JobID, seen: u.Placed}
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

// untilStale is how long what was read is still good.
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

// fit is what a shape finds in the view.
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

// compare notes whether scheduler and numbers disagree about a shape. What nobody has looked at for long is forgotten: a
// disagreement of today is not the one that ended unseen.
func (q *Queue) compare(shape run.Shape, f run.Fit, at time.Time) {
	d, known := q.view.odd[shape]
	if !known || at.Sub(d.seen) >= oddAfter {
		d.since = at
	}
	d.seen = at
	q.view.odd[shape] = d
	if f.Now == (f.Free() >= f.Workers) {
		delete(q.view.odd, shape)
	}
}

// isOdd reports whether scheduler and numbers have disagreed about a shape for long.
func (q *Queue) isOdd(shape run.Shape) bool {
	d, odd := q.view.odd[shape]
	return odd && d.seen.Sub(d.since) >= oddAfter
}

// unseen lists what was sent and is not in the view.
func (q *Queue) unseen(ctx context.Context) ([]Sent, error) {
	out := make([]Sent, 0, len(q.view.sent))
	for id, p := range q.view.sent {
		f, err := q.fit(ctx, p.shape)
		if affectsEveryRun(err) {
			return nil, err
		}
		if err == nil { // else its job cannot even be described any more: nothing is known of what it takes
			out = append(out, Sent{ID: id, Fit: f, Workers: p.missing})
		}
	}
	return out, nil
}
