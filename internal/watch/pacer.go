package watch

import (
	"sync"
	"time"

	"github.com/cotrain/cotrain/internal/run"
)

const (
	// restFactor is how many times as long as its comparison took a run rests before the next. While a few hundred workers
	// start, hundreds of events come in a row, and each comparison lists all of the workers.
	restFactor = 2
	// longestRest bounds what a slow Nomad can make of that.
	longestRest = time.Second
)

// pacer compares a run once at a time, with a pause in between. Requests that come meanwhile become one comparison later.
type pacer struct {
	look func(run.ID) // asks for a comparison; must not wait

	mu   sync.Mutex
	busy map[run.ID]bool // compared or at rest; true when it is to be compared again
}

func newPacer(look func(run.ID)) *pacer {
	return &pacer{look: look, busy: map[run.ID]bool{}}
}

// begin reports whether the run is to be compared now; the caller then ends it.
func (p *pacer) begin(id run.ID) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, busy := p.busy[id]
	p.busy[id] = busy
	return !busy
}

// end lets the run rest after a comparison that took so long.
func (p *pacer) end(id run.ID, took time.Duration) {
	time.AfterFunc(min(restFactor*took, longestRest), func() {
		p.mu.Lock()
		again := p.busy[id]
		delete(p.busy, id)
		p.mu.Unlock()
		if again {
			p.look(id)
		}
	})
}
