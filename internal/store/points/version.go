package points

import (
	"context"

	"github.com/cotrain/cotrain/internal/run"
)

// versions counts what may have changed a run's curves since the console started. It tells for certain that nothing has: this
// process is the only one that writes. Sealing changes nothing that can be read.
type versions struct {
	newest int64
	base   int64 // of the runs that are not listed
	of     map[run.ID]int64
}

// versionedRuns is how many runs are told apart; beyond, all others count as changed.
const versionedRuns = 10_000

func (v *versions) change(id run.ID) {
	if len(v.of) >= versionedRuns {
		clear(v.of)
		v.base = v.newest
	}
	v.newest++
	v.of[id] = v.newest
}

// PointsVersion returns a number that grows whenever a run's points or curves may have changed, within this process: what is read
// after asking for it is as new as it says, or newer.
func (ps *Points) PointsVersion(_ context.Context, id run.ID) (int64, error) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	if n, ok := ps.versions.of[id]; ok {
		return n, nil
	}
	return ps.versions.base, nil
}

// changed is for after a transaction, committed or not: one that failed may have succeeded.
func (ps *Points) changed(id run.ID) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	ps.versions.change(id)
}
