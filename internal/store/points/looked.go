package points

import (
	"context"
	"math"
	"slices"
	"sync"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/series"
)

const (
	// lookedPoints bounds the curves that are held, to some 40 MB, and lookedEach each of them: one that is longer is joined at every look.
	lookedPoints = 1 << 19
	lookedEach   = lookedPoints / 4
)

// looked holds the curves over many workers that somebody looks at and that are not stored: joining 1000 workers of 10,000 steps
// takes a second. Another look joins only the steps that have changed since. Those that nobody looks at cost nothing.
type looked struct {
	mu     sync.Mutex
	looks  int // so far
	points int // held
	curves map[curveKey]*lookedCurve
}

type curveKey struct {
	run    run.ID
	metric string
}

type lookedCurve struct {
	joining sync.Mutex // one look at a time
	curve   []run.CurvePoint
	parts   []series.Part

	// Under looked.mu:
	from int64 // the first step that is to be joined again
	size int
	last int // look
}

// parts are those of a curve over all workers.
func (l *looked) parts(ctx context.Context, ps *Points, id run.ID, metric string) ([]series.Part, error) {
	key := curveKey{id, metric}
	l.mu.Lock()
	c := l.curves[key]
	if c == nil {
		c = &lookedCurve{from: math.MinInt64}
		l.curves[key] = c
	}
	l.looks++
	c.last = l.looks
	l.mu.Unlock()
	c.joining.Lock()
	defer c.joining.Unlock()
	l.mu.Lock()
	from := c.from
	c.from = math.MaxInt64 // from here on changes lower it: they may be missed below
	l.mu.Unlock()
	if from == math.MaxInt64 {
		return c.parts, nil
	}
	changed, err := ps.join(ctx, id, metric, from, math.MaxInt64)
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		c.from = min(c.from, from)
		return nil, err
	}
	c.curve = slices.Concat(c.curve[:fromStep(c.curve, from)], changed) // a copy: parts of the one before may be in use
	c.parts = series.PartsOf(c.curve)
	parts := c.parts
	l.points += len(c.curve) - c.size
	c.size = len(c.curve)
	if l.curves[key] != c { // deleted meanwhile
		l.points -= c.size
	} else if c.size > lookedEach {
		l.drop(key)
	}
	l.shrink()
	return parts, nil
}

// shrink drops the curves that were looked at longest ago.
func (l *looked) shrink() {
	for l.points > lookedPoints {
		var oldest curveKey
		last := math.MaxInt
		for key, c := range l.curves {
			if c.size > 0 && c.last < last {
				oldest, last = key, c.last
			}
		}
		l.drop(oldest)
	}
}

func (l *looked) drop(key curveKey) {
	if c := l.curves[key]; c != nil {
		l.points -= c.size
		delete(l.curves, key)
	}
}

// change makes the next looks join again what a transaction has changed.
func (l *looked) change(id run.ID, changed *change) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if changed.reset {
		l.forget(id)
		return
	}
	for metric, step := range changed.from {
		if c := l.curves[curveKey{id, metric}]; c != nil {
			c.from = min(c.from, step)
		}
	}
}

// forget drops a run's curves.
func (l *looked) forget(id run.ID) {
	for key := range l.curves {
		if key.run == id {
			l.drop(key)
		}
	}
}
