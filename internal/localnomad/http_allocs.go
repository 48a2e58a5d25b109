package localnomad

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/hashicorp/nomad/api"
)

func allocStub(a *api.Allocation, withResources, withStates bool) *api.AllocationListStub {
	stub := &api.AllocationListStub{
		ID: a.ID, EvalID: a.EvalID, Name: a.Name, Namespace: a.Namespace, NodeID: a.NodeID, NodeName: a.NodeName,
		JobID: a.JobID, JobType: *a.Job.Type, JobVersion: *a.Job.Version, TaskGroup: a.TaskGroup,
		DesiredStatus: a.DesiredStatus, DesiredDescription: a.DesiredDescription,
		ClientStatus: a.ClientStatus, ClientDescription: a.ClientDescription,
		DeploymentStatus: a.DeploymentStatus, FollowupEvalID: a.FollowupEvalID, NextAllocation: a.NextAllocation,
		RescheduleTracker: a.RescheduleTracker, PreemptedAllocations: a.PreemptedAllocations,
		PreemptedByAllocation: a.PreemptedByAllocation, CreateIndex: a.CreateIndex, ModifyIndex: a.ModifyIndex,
		CreateTime: a.CreateTime, ModifyTime: a.ModifyTime,
	}
	if withResources {
		stub.AllocatedResources = a.AllocatedResources
	}
	if withStates {
		stub.TaskStates = a.TaskStates
	}
	return stub
}

func (s *Server) handleAllocations(w http.ResponseWriter, r *http.Request) (any, error) {
	if r.Method != http.MethodGet {
		return nil, methodNotAllowed()
	}
	q, err := parseQuery(r)
	if err != nil {
		return nil, err
	}
	resources, _, err := parseBoolParam(r, "resources")
	if err != nil {
		return nil, err
	}
	states, given, err := parseBoolParam(r, "task_states")
	if err != nil {
		return nil, err
	}
	if !given {
		states = true
	}
	if err := checkUUIDPrefix("alloc", q.prefix); err != nil {
		return nil, err
	}
	obj, index := s.block(r.Context(), q, []table{tableAllocs}, func() (any, uint64) {
		allocs := []*api.Allocation{}
		if q.visible() {
			for _, id := range sortedKeys(s.st.allocs, q.prefix) {
				allocs = append(allocs, s.st.allocs[id])
			}
		}
		return allocs, s.st.tableIndex(tableAllocs)
	})
	allocs, err := list(w, q, obj.([]*api.Allocation), func(a *api.Allocation) string { return a.ID })
	if err != nil {
		return nil, err
	}
	stubs := make([]*api.AllocationListStub, 0, len(allocs))
	for _, a := range allocs {
		stubs = append(stubs, allocStub(a, resources, states))
	}
	setMeta(w, index)
	return stubs, nil
}

// checkUUIDPrefix refuses a prefix that no UUID can have, with the text of
// the lookup that fails.
func checkUUIDPrefix(what, prefix string) error {
	for _, c := range prefix {
		if !strings.ContainsRune("0123456789abcdefABCDEF-", c) {
			return fmt.Errorf("%s lookup failed: index error: Invalid UUID: encoding/hex: invalid byte: U+%04X '%c'", what, c, c)
		}
	}
	return nil
}

// checkUUID refuses what is no UUID, as the tables' index does.
func checkUUID(what, id string) error {
	if len(id) != 36 {
		return fmt.Errorf("%s lookup failed: index error: UUID must be 36 characters", what)
	}
	return checkUUIDPrefix(what, id)
}

func (s *Server) handleAllocation(w http.ResponseWriter, r *http.Request) (any, error) {
	parts := strings.Split(strings.TrimPrefix(r.URL.Path, "/v1/allocation/"), "/")
	switch {
	case len(parts) == 1:
		return s.getAlloc(w, r, parts[0])
	case len(parts) == 2 && parts[1] == "stop":
		return s.stopAlloc(w, r, parts[0])
	case len(parts) == 2 && parts[1] == "services":
		return s.allocServices(w, r, parts[0])
	}
	return nil, codedError{http.StatusNotFound, "resource not found"}
}

func (s *Server) getAlloc(w http.ResponseWriter, r *http.Request, id string) (any, error) {
	if r.Method != http.MethodGet {
		return nil, methodNotAllowed()
	}
	q, err := parseQuery(r)
	if err != nil {
		return nil, err
	}
	if err := checkUUID("alloc", id); err != nil {
		return nil, err
	}
	obj, index := s.block(r.Context(), q, []table{tableAllocs}, func() (any, uint64) {
		if a := s.st.allocs[id]; a != nil {
			return a, a.ModifyIndex
		}
		return nil, s.st.tableIndex(tableAllocs)
	})
	setMeta(w, index)
	if obj == nil {
		return nil, codedError{http.StatusNotFound, "alloc not found"}
	}
	return obj, nil
}

func (s *Server) stopAlloc(w http.ResponseWriter, r *http.Request, id string) (any, error) {
	if !isWrite(r) {
		return nil, methodNotAllowed()
	}
	var eval *api.Evaluation
	index, err := s.st.update(kindOfTransition, s.now().UnixNano(), func(tx *txn) error {
		a := s.st.allocs[id]
		if a == nil {
			return codedError{http.StatusNotFound, "allocation not found"}
		}
		c := copyAlloc(a)
		c.DesiredTransition.Migrate = new(true)
		tx.putAlloc(c, true)
		eval = s.newEval(a.Job, triggerAllocStop)
		eval.JobModifyIndex = deref(a.Job.ModifyIndex)
		tx.putEval(eval)
		return nil
	})
	if err != nil {
		return nil, err
	}
	s.sched.enqueue(eval)
	setIndex(w, index)
	return map[string]any{"EvalID": eval.ID, "Index": index}, nil
}

func (s *Server) handleEvaluations(w http.ResponseWriter, r *http.Request) (any, error) {
	if r.Method != http.MethodGet {
		return nil, methodNotAllowed()
	}
	q, err := parseQuery(r)
	if err != nil {
		return nil, err
	}
	status, jobID := r.URL.Query().Get("status"), r.URL.Query().Get("job")
	obj, index := s.block(r.Context(), q, []table{tableEvals}, func() (any, uint64) {
		evals := []*api.Evaluation{}
		if q.visible() {
			for _, id := range sortedKeys(s.st.evals, q.prefix) {
				e := s.st.evals[id]
				if (status == "" || e.Status == status) && (jobID == "" || e.JobID == jobID) {
					evals = append(evals, e)
				}
			}
		}
		return evals, s.st.tableIndex(tableEvals)
	})
	evals, err := list(w, q, obj.([]*api.Evaluation), func(e *api.Evaluation) string { return e.ID })
	if err != nil {
		return nil, err
	}
	setMeta(w, index)
	return evals, nil
}

func (s *Server) handleEvaluation(w http.ResponseWriter, r *http.Request) (any, error) {
	if r.Method != http.MethodGet {
		return nil, methodNotAllowed()
	}
	q, err := parseQuery(r)
	if err != nil {
		return nil, err
	}
	path := strings.TrimPrefix(r.URL.Path, "/v1/evaluation/")
	if id, ok := strings.CutSuffix(path, "/allocations"); ok {
		obj, index := s.block(r.Context(), q, []table{tableAllocs}, func() (any, uint64) {
			stubs := []*api.AllocationListStub{}
			for _, allocID := range sortedKeys(s.st.allocs, "") {
				if a := s.st.allocs[allocID]; a.EvalID == id {
					stubs = append(stubs, allocStub(a, false, true))
				}
			}
			return stubs, s.st.tableIndex(tableAllocs)
		})
		setMeta(w, index)
		return obj, nil
	}
	if err := checkUUID("eval", path); err != nil {
		return nil, fmt.Errorf("failed to lookup eval: %w", err)
	}
	obj, index := s.block(r.Context(), q, []table{tableEvals}, func() (any, uint64) {
		if e := s.st.evals[path]; e != nil {
			return e, e.ModifyIndex
		}
		return nil, s.st.tableIndex(tableEvals)
	})
	setMeta(w, index)
	if obj == nil {
		return nil, codedError{http.StatusNotFound, "eval not found"}
	}
	return obj, nil
}
