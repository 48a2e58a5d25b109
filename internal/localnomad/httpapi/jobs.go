package httpapi

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/nomad/api"

	"github.com/cotrain/cotrain/internal/localnomad/jobfile"
	"github.com/cotrain/cotrain/internal/localnomad/state"
)

func (a *API) listJobs(w http.ResponseWriter, r *http.Request, _ string) (any, error) {
	return list(a, w, r, state.Jobs, func(t *state.Tables, q query) []*api.Job { return matching(t.Jobs, q) }, func(j *api.Job) *api.JobListStub {
		return &api.JobListStub{
			ID: *j.ID, ParentID: *j.ParentID, Name: *j.Name, Namespace: *j.Namespace, Datacenters: j.Datacenters, Type: *j.Type,
			Priority: *j.Priority, ParameterizedJob: state.Parameterized(j), Stop: state.Deref(j.Stop), Status: state.Deref(j.Status),
			CreateIndex: *j.CreateIndex, ModifyIndex: *j.ModifyIndex, JobModifyIndex: *j.JobModifyIndex, SubmitTime: state.Deref(j.SubmitTime),
		}
	})
}

func (a *API) getJob(w http.ResponseWriter, r *http.Request, id string) (any, error) {
	return one(a, w, r, state.Jobs, "job not found", func(t *state.Tables, q query) (*api.Job, uint64) {
		job := t.Jobs[id]
		if job == nil || !q.one {
			return nil, 0
		}
		return job, *job.ModifyIndex
	})
}

func (a *API) jobEvaluations(w http.ResponseWriter, r *http.Request, id string) (any, error) {
	return list(a, w, r, state.Evals, func(t *state.Tables, q query) []*api.Evaluation {
		if !q.all {
			return nil
		}
		evals := t.JobEvals(id)
		slices.Reverse(evals)
		return evals
	}, func(e *api.Evaluation) *api.Evaluation { return e })
}

func (a *API) parseJob(_ http.ResponseWriter, r *http.Request, _ string) (any, error) {
	var req api.JobsParseRequest
	if err := decodeBody(r, &req); err != nil {
		return nil, err
	}
	if req.JobHCL == "" {
		return nil, badRequest("Job spec is empty")
	}
	job, err := jobfile.Parse(req.JobHCL, req.Variables)
	if err != nil {
		return nil, badRequest("Failed to parse job: %v", err)
	}
	if req.Canonicalize {
		job.Canonicalize()
	}
	return job, nil
}

// prepare fills in a job's defaults and refuses one that could not run; id is the one in the path, if any. The warnings say
// what of it has no effect, as Nomad lists them.
func (a *API) prepare(r *http.Request, job *api.Job, id string) (warnings string, err error) {
	switch {
	case job == nil:
		return "", badRequest("Job must be specified")
	case job.ID == nil:
		return "", badRequest("Job must have a valid ID")
	case id != "" && *job.ID != id:
		return "", badRequest("Job ID does not match")
	}
	list, err := jobfile.Prepare(job, r.URL.Query().Get("namespace"), a.Region)
	if null := jobfile.NullError(""); errors.As(err, &null) {
		return "", badRequest("%v", null)
	}
	if len(list) > 0 {
		a.Log.Warn("parts of a job have no effect", "job", *job.ID, "warnings", list)
		warnings = fmt.Sprintf("%d warning(s):\n\n* %s", len(list), strings.Join(list, "\n* "))
	}
	return warnings, err
}

// planJob answers what registering a job would do: whether it fits. It does not compute differences. Like Nomad's it takes
// what registering refuses, a dispatched child for one, and places a parameterized job as well.
func (a *API) planJob(_ http.ResponseWriter, r *http.Request, id string) (any, error) {
	var req api.JobPlanRequest
	if err := decodeBody(r, &req); err != nil {
		return nil, err
	}
	job := req.Job
	warnings, err := a.prepare(r, job, id)
	if err != nil {
		return nil, err
	}
	job.ParameterizedJob = nil
	resp := planResponse{Warnings: warnings, Annotations: &api.PlanAnnotations{DesiredTGUpdates: map[string]*api.DesiredUpdates{}}}
	a.Store.View(func(t *state.Tables) {
		job.Version = new(uint64(0))
		if old := t.Jobs[*job.ID]; old != nil {
			resp.JobModifyIndex = *old.JobModifyIndex
			job.CreateIndex, job.Version = old.CreateIndex, new(*old.Version+1)
		}
		p := a.Sched.Plan(t, job)
		for _, tg := range job.TaskGroups {
			u := &api.DesiredUpdates{Place: uint64(p.Queued[*tg.Name])} //nolint:gosec // never negative
			for _, al := range p.Placed {
				if al.TaskGroup == *tg.Name {
					u.Place++
				}
			}
			for _, al := range p.Updated {
				if al.TaskGroup == *tg.Name && state.ServerTerminal(al) {
					u.Stop++
				}
			}
			resp.Annotations.DesiredTGUpdates[*tg.Name] = u
		}
		if resp.FailedTGAllocs = p.Failed; len(p.Failed) > 0 {
			resp.CreatedEvals = []*api.Evaluation{p.Blocked()}
		}
	})
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
