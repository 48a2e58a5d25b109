package state

import "github.com/hashicorp/nomad/api"

// deriveJobs sets the status of each job that this change touched.
func (tx *Tx) deriveJobs() {
	for _, id := range Keys(tx.touched, "") {
		job := tx.Jobs[id]
		if job == nil {
			continue
		}
		status := tx.jobStatus(job)
		switch {
		case Deref(job.Status) == status:
		case tx.touched[id]: // put by this change, and not yet seen by anybody
			job.Status = &status
		default:
			changed := *job
			changed.Status = &status
			tx.PutJob(&changed)
		}
	}
}

// jobStatus derives a job's status from its allocations and evaluations.
func (t *Tables) jobStatus(job *api.Job) string {
	if Parameterized(job) {
		if Deref(job.Stop) {
			return Dead
		}
		return Running
	}
	for id := range t.allocsByJob[*job.ID] {
		if !Terminal(t.Allocs[id]) {
			return Running
		}
	}
	for id := range t.evalsByJob[*job.ID] {
		if !EvalTerminal(t.Evals[id]) {
			return Pending
		}
	}
	if len(t.evalsByJob[*job.ID]) > 0 || Deref(job.Stop) {
		return Dead
	}
	return Pending
}
