package localnomad

import (
	"os"
	"slices"

	"github.com/hashicorp/nomad/api"

	"github.com/cotrain/cotrain/internal/localnomad/state"
)

// collect removes what is no longer needed: dead jobs after a while, as a Nomad server does, and the directories of
// allocations that ended long ago, as a client does.
func (s *Server) collect() {
	cutoff := s.opts.Now().Add(-s.opts.JobGCAfter).UnixNano()
	_, err := s.store.Update(state.Collected, func(tx *state.Tx) error {
		for _, id := range state.Keys(tx.Jobs, "") {
			job := tx.Jobs[id]
			if state.Deref(job.Status) == state.Dead && state.Deref(job.SubmitTime) <= cutoff && ended(tx, id, cutoff) {
				tx.DeleteJob(job)
			}
		}
		// What belongs to no job any more, purged ones included.
		for _, id := range state.Keys(tx.Allocs, "") {
			if a := tx.Allocs[id]; tx.Jobs[a.JobID] == nil && state.ClientTerminal(a) && a.ModifyTime <= cutoff {
				tx.DeleteAlloc(id)
			}
		}
		for _, id := range state.Keys(tx.Evals, "") {
			if e := tx.Evals[id]; tx.Jobs[e.JobID] == nil && state.EvalTerminal(e) && e.ModifyTime <= cutoff {
				tx.DeleteEval(id)
			}
		}
		return nil
	})
	if err != nil {
		s.opts.Logger.Error("collect old jobs", "error", err)
	}
	s.collectDirs()
}

// ended reports whether all that belongs to a job is old and done.
func ended(tx *state.Tx, jobID string, cutoff int64) bool {
	return !slices.ContainsFunc(tx.JobAllocs(jobID), func(a *api.Allocation) bool { return !state.ClientTerminal(a) || a.ModifyTime > cutoff }) &&
		!slices.ContainsFunc(tx.JobEvals(jobID), func(e *api.Evaluation) bool { return !state.EvalTerminal(e) || e.ModifyTime > cutoff })
}

// collectDirs keeps the directories of the newest ended allocations only.
func (s *Server) collectDirs() {
	names, err := os.ReadDir(s.runners.Root)
	if err != nil {
		s.opts.Logger.Warn("list allocation directories", "error", err)
		return
	}
	endedAt := map[string]int64{} // 0: unknown to the state
	var old []string
	s.store.View(func(t *state.Tables) {
		for _, n := range names {
			a := t.Allocs[n.Name()]
			if a != nil && !state.ClientTerminal(a) {
				continue
			}
			if a != nil {
				endedAt[n.Name()] = a.ModifyTime
			}
			old = append(old, n.Name())
		}
	})
	slices.SortFunc(old, func(a, b string) int { return int(min(max(endedAt[b]-endedAt[a], -1), 1)) })
	known := len(endedAt)
	for i, id := range old {
		if i < min(known, s.opts.MaxAllocDirs) || s.runners.Holds(id) {
			continue
		}
		if err := os.RemoveAll(string(s.runners.Dir(id))); err != nil {
			s.opts.Logger.Warn("remove allocation directory", "alloc", id, "error", err)
		}
	}
}
