package localnomad

import (
	"net/http"
	"time"

	"github.com/hashicorp/nomad/api"
)

// planJob answers what registering a job would do: whether it fits. It does
// not compute differences. Like Nomad's it takes what registering refuses, a
// dispatched child for one, and places a parameterized job as well.
func (s *Server) planJob(_ http.ResponseWriter, r *http.Request, id string) (any, error) {
	if !isWrite(r) {
		return nil, methodNotAllowed()
	}
	var req api.JobPlanRequest
	if err := decodeBody(r, &req); err != nil {
		return nil, err
	}
	job := req.Job
	switch {
	case job == nil:
		return nil, badRequest("Job must be specified")
	case job.ID == nil:
		return nil, badRequest("Job must have a valid ID")
	case id != "" && *job.ID != id:
		return nil, badRequest("Job ID does not match")
	}
	if err := s.prepareJob(r, job); err != nil {
		return nil, err
	}
	job.ParameterizedJob = nil
	resp := planResponse{}
	// The write lock: the job is put in the tables for the time of the look.
	s.st.mu.Lock()
	defer s.st.mu.Unlock()
	old := s.st.jobs[*job.ID]
	if old != nil {
		resp.JobModifyIndex = *old.JobModifyIndex
		job.CreateIndex, job.Version = old.CreateIndex, new(*old.Version+1)
	}
	s.st.jobs[*job.ID] = job
	p := s.makePlan(s.newEval(job, triggerRegister), s.now())
	if old == nil {
		delete(s.st.jobs, *job.ID)
	} else {
		s.st.jobs[*job.ID] = old
	}
	resp.Annotations = annotate(job, p)
	resp.FailedTGAllocs = p.failed
	if len(p.failed) > 0 {
		e := s.newEval(job, triggerQueued)
		e.Status, e.StatusDescription, e.FailedTGAllocs = evalBlocked, "created to place remaining allocations", p.failed
		resp.CreatedEvals = append(resp.CreatedEvals, e)
	}
	return resp, nil
}

// planResponse is api.JobPlanResponse with what Nomad leaves null.
type planResponse struct {
	Annotations        *api.PlanAnnotations
	CreatedEvals       []*api.Evaluation
	Diff               *api.JobDiff
	FailedTGAllocs     map[string]*api.AllocationMetric
	Index              uint64
	JobModifyIndex     uint64
	NextPeriodicLaunch *time.Time
	Warnings           string
}

// annotate counts what a plan would place and stop. Nomad counts more: what
// stays as it is, and what changes in place.
func annotate(job *api.Job, p *plan) *api.PlanAnnotations {
	out := &api.PlanAnnotations{DesiredTGUpdates: map[string]*api.DesiredUpdates{}}
	for _, tg := range job.TaskGroups {
		u := &api.DesiredUpdates{Place: uint64(p.queued[*tg.Name])} //nolint:gosec // never negative
		for _, a := range p.placed {
			if a.TaskGroup == *tg.Name {
				u.Place++
			}
		}
		for _, a := range p.updates {
			if a.TaskGroup == *tg.Name && a.DesiredStatus == desiredStop {
				u.Stop++
			}
		}
		out.DesiredTGUpdates[*tg.Name] = u
	}
	return out
}
