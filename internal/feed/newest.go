package feed

import (
	"sync"

	"github.com/cotrain/cotrain/internal/run"
)

// rememberedRuns is the least number of recent runs remembered.
const rememberedRuns = 4096

// newest drops stale states: another goroutine may store and publish a newer one between our read and publish. The zero
// value is ready.
type newest struct {
	mu        sync.Mutex
	now, last map[run.ID]int64 // published revisions
}

// publish calls fn, one at a time, unless a newer state of the run was published.
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
