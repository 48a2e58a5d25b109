package localnomad

import (
	"sort"

	"github.com/hashicorp/nomad/api"
)

// Values of the wire types that the api package does not name.
const (
	statusPending = "pending"
	statusRunning = "running"
	statusDead    = "dead"

	desiredRun   = "run"
	desiredStop  = "stop"
	desiredEvict = "evict"

	clientPending  = "pending"
	clientRunning  = "running"
	clientComplete = "complete"
	clientFailed   = "failed"
	clientLost     = "lost"
	clientUnknown  = "unknown"

	evalPending   = "pending"
	evalComplete  = "complete"
	evalBlocked   = "blocked"
	evalCancelled = "canceled"
	evalFailed    = "failed"
)

// clientTerminal reports whether the allocation's processes have ended for good.
func clientTerminal(a *api.Allocation) bool {
	switch a.ClientStatus {
	case clientComplete, clientFailed, clientLost:
		return true
	}
	return false
}

// serverTerminal reports whether the scheduler no longer wants the allocation.
func serverTerminal(a *api.Allocation) bool {
	return a.DesiredStatus == desiredStop || a.DesiredStatus == desiredEvict
}

func terminal(a *api.Allocation) bool { return serverTerminal(a) || clientTerminal(a) }

func evalTerminal(e *api.Evaluation) bool {
	switch e.Status {
	case evalComplete, evalFailed, evalCancelled:
		return true
	}
	return false
}

// foreign reports whether an allocation belongs to an earlier job that had
// the same ID and was purged.
func foreign(a *api.Allocation, job *api.Job) bool {
	return job != nil && deref(a.Job.CreateIndex) != deref(job.CreateIndex)
}

func isParameterized(j *api.Job) bool { return j.ParameterizedJob != nil && !j.Dispatched }

// deriveJobs sets the status of each job that this change touched.
func (tx *txn) deriveJobs() {
	ids := make([]string, 0, len(tx.jobs))
	for id := range tx.jobs {
		ids = append(ids, id)
	}
	sort.Strings(ids)
	for _, id := range ids {
		job := tx.s.jobs[id]
		if job == nil {
			continue
		}
		status := tx.s.jobStatus(job)
		if deref(job.Status) == status {
			continue
		}
		if p := *job.ParentID; p != "" {
			tx.touched[tableSummary] = true
		}
		if _, fresh := tx.fresh[id]; fresh {
			job.Status = &status
			continue
		}
		changed := *job
		changed.Status = &status
		tx.putJob(&changed)
	}
}

// jobStatus derives a job's status from its allocations and evaluations.
func (s *store) jobStatus(job *api.Job) string {
	if *job.Type == api.JobTypeSystem || isParameterized(job) || job.Periodic != nil {
		if deref(job.Stop) {
			return statusDead
		}
		return statusRunning
	}
	for id := range s.allocsByJob[*job.ID] {
		if !terminal(s.allocs[id]) {
			return statusRunning
		}
	}
	for id := range s.evalsByJob[*job.ID] {
		if !evalTerminal(s.evals[id]) {
			return statusPending
		}
	}
	if len(s.evalsByJob[*job.ID]) > 0 || deref(job.Stop) {
		return statusDead
	}
	return statusPending
}

// jobSummary counts a job's allocations by group and its children by status.
// The lock is held.
func (s *store) jobSummary(job *api.Job) *api.JobSummary {
	sum := &api.JobSummary{
		JobID: *job.ID, Namespace: *job.Namespace,
		Summary: map[string]api.TaskGroupSummary{}, Children: &api.JobChildrenSummary{},
		CreateIndex: *job.CreateIndex, ModifyIndex: *job.ModifyIndex,
	}
	for _, tg := range job.TaskGroups {
		if !isParameterized(job) {
			sum.Summary[*tg.Name] = api.TaskGroupSummary{}
		}
	}
	for id := range s.allocsByJob[*job.ID] {
		a := s.allocs[id]
		if foreign(a, job) {
			continue
		}
		g := sum.Summary[a.TaskGroup]
		switch a.ClientStatus {
		case clientPending:
			g.Starting++
		case clientRunning:
			g.Running++
		case clientComplete:
			g.Complete++
		case clientFailed:
			g.Failed++
		case clientLost:
			g.Lost++
		case clientUnknown:
			g.Unknown++
		}
		sum.Summary[a.TaskGroup] = g
		sum.ModifyIndex = max(sum.ModifyIndex, a.ModifyIndex)
	}
	s.addQueued(job, sum)
	for id := range s.children[*job.ID] {
		child := s.jobs[id]
		switch deref(child.Status) {
		case statusPending:
			sum.Children.Pending++
		case statusRunning:
			sum.Children.Running++
		case statusDead:
			sum.Children.Dead++
		}
		sum.ModifyIndex = max(sum.ModifyIndex, *child.ModifyIndex)
	}
	return sum
}

// addQueued adds what the newest evaluation could not place.
func (s *store) addQueued(job *api.Job, sum *api.JobSummary) {
	var newest *api.Evaluation
	for id := range s.evalsByJob[*job.ID] {
		if e := s.evals[id]; newest == nil || e.ModifyIndex > newest.ModifyIndex {
			if e.QueuedAllocations != nil {
				newest = e
			}
		}
	}
	if newest == nil || deref(job.Stop) {
		return
	}
	for name, n := range newest.QueuedAllocations {
		g := sum.Summary[name]
		g.Queued = n
		sum.Summary[name] = g
	}
}
