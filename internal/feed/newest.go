package feed

import (
	"sync"

	"github.com/cotrain/cotrain/internal/run"
)

// rememberedRuns is how many runs are remembered twice over: those whose state has changed last.
const rememberedRuns = 4096

// newest drops stale states: between reading a run and publishing it, someone else may have stored and published a newer one.
// The zero value is ready.
type newest struct {
	mu        sync.Mutex
	now, last map[run.ID]int64 // the revision that was published
}

// publish calls fn unless a newer state of the run was published before. One at a time, so that the order is kept.
func (n *newest) publish(r run.Run, fn func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if r.Revision < max(n.now[r.ID], n.last[r.ID]) {
		return
	}
	if n.now == nil || len(n.now) >= rememberedRuns {
		n.now, n.last = map[run.ID]int64{}, n.now
	}
	n.now[r.ID] = r.Revision
	fn()
}
