package watch

import (
	"sync"
	"time"

	"github.com/cotrain/cotrain/internal/run"
)

const (
	// restFactor is a run's pause between comparisons, relative to their duration: while hundreds of workers start,
	// events come by the hundred, and each comparison lists all workers.
	restFactor = 2
	// longestRest bounds the pause when Nomad is slow.
	longestRest = time.Second
)

// pacer compares a run once at a time, with pauses. Requests meanwhile become one later comparison.
type pacer struct {
	look func(run.ID) // asks for a comparison; must not block

	mu   sync.Mutex
	busy map[run.ID]bool // comparing or resting; true to compare again
}

func newPacer(look func(run.ID)) *pacer {
	return &pacer{look: look, busy: map[run.ID]bool{}}
}

// begin reports whether to compare the run now; the caller then calls end.
func (p *pacer) begin(id run.ID) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, busy := p.busy[id]
	p.busy[id] = busy
	return !busy
}

// end starts the pause after a comparison.
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
