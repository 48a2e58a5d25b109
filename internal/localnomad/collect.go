package localnomad

import (
	"os"
	"sort"
	"time"

	"github.com/hashicorp/nomad/api"
)

// collect removes what is no longer needed: dead jobs after a while, as a
// Nomad server does, and the directories of allocations that ended long ago,
// as a client does.
func (s *Server) collect() {
	cutoff := s.now().Add(-s.opts.JobGCAfter).UnixNano()
	var removed []string
	_, err := s.st.update(kindOfGC, s.now().UnixNano(), func(tx *txn) error {
		for _, id := range sortedKeys(s.st.jobs, "") {
			if job := s.st.jobs[id]; s.collectable(job, cutoff) {
				removed = append(removed, s.collectJob(tx, job)...)
			}
		}
		removed = append(removed, s.collectOrphans(tx, cutoff)...)
		return nil
	})
	if err != nil {
		s.log.Error("collect old jobs", "error", err)
	}
	for _, id := range removed {
		s.removeDir(id)
	}
	s.collectDirs()
}

// collectable reports whether a job and all that belongs to it is old and done.
func (s *Server) collectable(job *api.Job, cutoff int64) bool {
	if deref(job.Status) != statusDead || deref(job.SubmitTime) > cutoff {
		return false
	}
	for _, a := range s.st.jobAllocs(*job.ID) {
		if !clientTerminal(a) || a.ModifyTime > cutoff {
			return false
		}
	}
	for _, e := range s.st.jobEvals(*job.ID) {
		if !evalTerminal(e) || e.ModifyTime > cutoff {
			return false
		}
	}
	return true
}

func (s *Server) collectJob(tx *txn, job *api.Job) []string {
	var removed []string
	for _, a := range s.st.jobAllocs(*job.ID) {
		tx.deleteAlloc(a.ID)
		removed = append(removed, a.ID)
	}
	for _, e := range s.st.jobEvals(*job.ID) {
		tx.deleteEval(e.ID)
	}
	tx.deleteJob(job)
	return removed
}

// collectOrphans removes what purged jobs left behind.
func (s *Server) collectOrphans(tx *txn, cutoff int64) []string {
	var removed []string
	for _, id := range sortedKeys(s.st.allocs, "") {
		a := s.st.allocs[id]
		if s.st.jobs[a.JobID] == nil && clientTerminal(a) && a.ModifyTime < cutoff {
			tx.deleteAlloc(id)
			removed = append(removed, id)
		}
	}
	for _, id := range sortedKeys(s.st.evals, "") {
		if e := s.st.evals[id]; s.st.jobs[e.JobID] == nil && evalTerminal(e) && e.ModifyTime < cutoff {
			tx.deleteEval(id)
		}
	}
	return removed
}

// collectDirs keeps the directories of the newest ended allocations only.
func (s *Server) collectDirs() {
	names, err := os.ReadDir(s.allocDir("").root)
	if err != nil {
		s.log.Warn("list allocation directories", "error", err)
		return
	}
	type ended struct {
		id string
		at time.Time
	}
	var old []ended
	s.st.view(func() {
		for _, n := range names {
			switch a := s.st.allocs[n.Name()]; {
			case a == nil:
				old = append(old, ended{id: n.Name()})
			case clientTerminal(a):
				old = append(old, ended{a.ID, time.Unix(0, a.ModifyTime)})
			}
		}
	})
	sort.Slice(old, func(i, j int) bool { return old[i].at.After(old[j].at) })
	for i, e := range old {
		if i >= s.opts.MaxAllocDirs {
			s.removeDir(e.id)
		}
	}
}

func (s *Server) removeDir(id string) {
	if id == "" || s.runners.get(id) != nil {
		return
	}
	if err := os.RemoveAll(s.allocDir(id).root); err != nil {
		s.log.Warn("remove allocation directory", "alloc", id, "error", err)
	}
}
