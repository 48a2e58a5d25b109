package localnomad

import (
	"net/http"

	"github.com/hashicorp/nomad/api"
)

// planJob answers what registering a job would do: whether it fits. It does
// not compute differences.
func (s *Server) planJob(w http.ResponseWriter, r *http.Request, id string) (any, error) {
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
	resp := api.JobPlanResponse{}
	// The write lock: the job is put in the tables for the time of the look.
	s.st.mu.Lock()
	defer s.st.mu.Unlock()
	old := s.st.jobs[*job.ID]
	if err := checkJobUpdate(old, job); err != nil {
		return nil, err
	}
	if old != nil {
		resp.JobModifyIndex = *old.JobModifyIndex
		job.Version = new(*old.Version + 1)
	}
	if !isParameterized(job) {
		s.st.jobs[*job.ID] = job
		p := s.makePlan(s.newEval(job, triggerRegister), s.now())
		if old == nil {
			delete(s.st.jobs, *job.ID)
		} else {
			s.st.jobs[*job.ID] = old
		}
		resp.FailedTGAllocs = p.failed
		if len(p.failed) > 0 {
			e := s.newEval(job, triggerQueued)
			e.Status, e.FailedTGAllocs = evalBlocked, p.failed
			resp.CreatedEvals = append(resp.CreatedEvals, e)
		}
	}
	setIndex(w, s.st.index)
	return resp, nil
}
