package localnomad

import (
	"context"
	"fmt"
	"net/http"
	"sort"
	"strconv"
	"strings"

	"github.com/hashicorp/nomad/api"
)

func (s *Server) handleJobs(w http.ResponseWriter, r *http.Request) (any, error) {
	switch {
	case r.Method == http.MethodGet:
		return s.listJobs(w, r)
	case isWrite(r):
		return s.registerJob(w, r, "")
	}
	return nil, methodNotAllowed()
}

func (s *Server) listJobs(w http.ResponseWriter, r *http.Request) (any, error) {
	q, err := parseQuery(r)
	if err != nil {
		return nil, err
	}
	withMeta, _, err := parseBoolParam(r, "meta")
	if err != nil {
		return nil, err
	}
	tables := []table{tableJobs, tableSummary}
	obj, index := s.block(r.Context(), q, tables, func() (any, uint64) {
		jobs := []*api.Job{}
		if q.visible() {
			for _, id := range sortedKeys(s.st.jobs, q.prefix) {
				jobs = append(jobs, s.st.jobs[id])
			}
		}
		return jobs, s.st.tableIndex(tables...)
	})
	jobs, err := list(w, q, obj.([]*api.Job), func(j *api.Job) string { return *j.Namespace + "." + *j.ID })
	if err != nil {
		return nil, err
	}
	stubs := make([]*api.JobListStub, 0, len(jobs))
	s.st.view(func() {
		for _, j := range jobs {
			stubs = append(stubs, s.jobStub(j, withMeta))
		}
	})
	setMeta(w, index)
	return stubs, nil
}

func (s *Server) jobStub(j *api.Job, withMeta bool) *api.JobListStub {
	stub := &api.JobListStub{
		ID: *j.ID, ParentID: *j.ParentID, Name: *j.Name, Namespace: *j.Namespace, Datacenters: j.Datacenters,
		Type: *j.Type, Priority: *j.Priority, Periodic: j.Periodic != nil, ParameterizedJob: isParameterized(j),
		Stop: deref(j.Stop), Status: deref(j.Status), StatusDescription: deref(j.StatusDescription),
		JobSummary: s.st.jobSummary(j), CreateIndex: *j.CreateIndex, ModifyIndex: *j.ModifyIndex,
		JobModifyIndex: *j.JobModifyIndex, SubmitTime: deref(j.SubmitTime),
	}
	if withMeta {
		stub.Meta = j.Meta
	}
	return stub
}

// handleJob answers everything below /v1/job/. A job's ID may hold slashes,
// so that the action is told by the end of the path, as Nomad does.
func (s *Server) handleJob(w http.ResponseWriter, r *http.Request) (any, error) {
	path := strings.TrimPrefix(r.URL.Path, "/v1/job/")
	actions := []struct {
		suffix string
		fn     func(http.ResponseWriter, *http.Request, string) (any, error)
	}{
		{"/evaluate", s.evaluateJob},
		{"/allocations", s.jobAllocations},
		{"/evaluations", s.jobEvaluations},
		{"/plan", s.planJob},
		{"/summary", s.summarizeJob},
		{"/dispatch", s.dispatchJob},
		{"/versions", s.jobVersions},
		{"/deployments", s.jobDeployments},
		{"/services", s.jobServices},
	}
	for _, a := range actions {
		if id, ok := strings.CutSuffix(path, a.suffix); ok {
			return a.fn(w, r, id)
		}
	}
	switch {
	case r.Method == http.MethodGet:
		return s.getJob(w, r, path)
	case isWrite(r):
		return s.registerJob(w, r, path)
	case r.Method == http.MethodDelete:
		return s.deregisterJob(w, r, path)
	}
	return nil, methodNotAllowed()
}

func (s *Server) getJob(w http.ResponseWriter, r *http.Request, id string) (any, error) {
	q, err := parseQuery(r)
	if err != nil {
		return nil, err
	}
	obj, index := s.block(r.Context(), q, []table{tableJobs}, func() (any, uint64) {
		if job := s.st.jobs[id]; job != nil && q.namespace == defaultNamespace {
			return job, *job.ModifyIndex
		}
		return nil, s.st.tableIndex(tableJobs)
	})
	setMeta(w, index)
	if obj == nil {
		return nil, codedError{http.StatusNotFound, "job not found"}
	}
	return obj, nil
}

func (s *Server) summarizeJob(w http.ResponseWriter, r *http.Request, id string) (any, error) {
	q, err := parseQuery(r)
	if err != nil {
		return nil, err
	}
	obj, index := s.block(r.Context(), q, []table{tableJobs, tableSummary}, func() (any, uint64) {
		if job := s.st.jobs[id]; job != nil && q.namespace == defaultNamespace {
			sum := s.st.jobSummary(job)
			return sum, sum.ModifyIndex
		}
		return nil, s.st.tableIndex(tableSummary)
	})
	setMeta(w, index)
	if obj == nil {
		return nil, codedError{http.StatusNotFound, "job not found"}
	}
	return obj, nil
}

func (s *Server) jobAllocations(w http.ResponseWriter, r *http.Request, id string) (any, error) {
	if r.Method != http.MethodGet {
		return nil, methodNotAllowed()
	}
	q, err := parseQuery(r)
	if err != nil {
		return nil, err
	}
	if id == "" {
		return nil, fmt.Errorf("missing job ID")
	}
	all, _ := strconv.ParseBool(r.URL.Query().Get("all")) // anything else is no, as on a real agent
	obj, index := s.block(r.Context(), q, []table{tableAllocs}, func() (any, uint64) {
		stubs := []*api.AllocationListStub{}
		if q.visible() {
			for _, a := range s.st.jobAllocs(id) {
				if all || !foreign(a, s.st.jobs[id]) {
					stubs = append(stubs, allocStub(a, false, true))
				}
			}
		}
		return stubs, s.st.tableIndex(tableAllocs)
	})
	setMeta(w, index)
	return obj, nil
}

func (s *Server) jobEvaluations(w http.ResponseWriter, r *http.Request, id string) (any, error) {
	if r.Method != http.MethodGet {
		return nil, methodNotAllowed()
	}
	q, err := parseQuery(r)
	if err != nil {
		return nil, err
	}
	obj, index := s.block(r.Context(), q, []table{tableEvals}, func() (any, uint64) {
		evals := []*api.Evaluation{}
		if q.visible() {
			evals = append(evals, s.st.jobEvals(id)...)
			sort.Slice(evals, func(i, j int) bool { return evalLess(evals[j], evals[i]) })
		}
		return evals, s.st.tableIndex(tableEvals)
	})
	setMeta(w, index)
	return obj, nil
}

func (s *Server) jobVersions(w http.ResponseWriter, r *http.Request, id string) (any, error) {
	var (
		versions []*api.Job
		index    uint64
	)
	s.st.view(func() {
		if job := s.st.jobs[id]; job != nil {
			for k, j := range s.st.versions[id] {
				if k.create == *job.CreateIndex {
					versions = append(versions, j)
				}
			}
		}
		index = s.st.tableIndex(tableJobs)
	})
	setMeta(w, index)
	if len(versions) == 0 {
		return nil, codedError{http.StatusNotFound, "job versions not found"}
	}
	sort.Slice(versions, func(i, j int) bool { return *versions[i].Version > *versions[j].Version })
	return map[string]any{"Versions": versions, "Diffs": nil, "Index": index}, nil
}

// jobDeployments answers that there are none: this agent has no rolling updates.
func (s *Server) jobDeployments(w http.ResponseWriter, r *http.Request, _ string) (any, error) {
	if r.Method != http.MethodGet {
		return nil, methodNotAllowed()
	}
	setMeta(w, s.currentIndex())
	return []*api.Deployment{}, nil
}

func (s *Server) currentIndex() uint64 {
	s.st.mu.RLock()
	defer s.st.mu.RUnlock()
	return s.st.index
}

func (s *Server) handleJobsParse(_ http.ResponseWriter, r *http.Request) (any, error) {
	if !isWrite(r) {
		return nil, methodNotAllowed()
	}
	var req api.JobsParseRequest
	if err := decodeBody(r, &req); err != nil {
		return nil, err
	}
	if req.JobHCL == "" {
		return nil, codedError{http.StatusBadRequest, "Job spec is empty"}
	}
	ctx, cancel := context.WithTimeout(r.Context(), parseTimeout)
	defer cancel()
	job, err := parseJob(ctx, req.JobHCL, req.Variables)
	if err != nil {
		return nil, codedError{http.StatusBadRequest, "Failed to parse job: " + err.Error()}
	}
	if req.Canonicalize {
		job.Canonicalize()
	}
	return job, nil
}
