package httpapi

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"

	"github.com/hashicorp/nomad/api"

	"github.com/cotrain/cotrain/internal/localnomad/state"
)

func allocStub(al *api.Allocation, resources, states bool) *api.AllocationListStub {
	stub := &api.AllocationListStub{
		ID: al.ID, EvalID: al.EvalID, Name: al.Name, Namespace: al.Namespace, NodeID: al.NodeID, NodeName: al.NodeName,
		JobID: al.JobID, JobType: *al.Job.Type, JobVersion: *al.Job.Version, TaskGroup: al.TaskGroup,
		DesiredStatus: al.DesiredStatus, DesiredDescription: al.DesiredDescription,
		ClientStatus: al.ClientStatus, ClientDescription: al.ClientDescription,
		FollowupEvalID: al.FollowupEvalID, NextAllocation: al.NextAllocation, CreateIndex: al.CreateIndex,
		ModifyIndex: al.ModifyIndex, CreateTime: al.CreateTime, ModifyTime: al.ModifyTime,
	}
	if resources {
		stub.AllocatedResources = al.AllocatedResources
	}
	if states {
		stub.TaskStates = al.TaskStates
	}
	return stub
}

func (a *API) listAllocations(w http.ResponseWriter, r *http.Request, _ string) (any, error) {
	resources, states := boolParam(r, "resources", false), boolParam(r, "task_states", true)
	return list(a, w, r, state.Allocs, func(t *state.Tables, q query) []*api.Allocation { return matching(t.Allocs, q) },
		func(al *api.Allocation) *api.AllocationListStub { return allocStub(al, resources, states) })
}

func (a *API) getEvaluation(w http.ResponseWriter, r *http.Request, id string) (any, error) {
	return one(a, w, r, state.Evals, "eval not found", func(t *state.Tables, _ query) (*api.Evaluation, uint64) {
		e := t.Evals[id]
		if e == nil {
			return nil, 0
		}
		return e, e.ModifyIndex
	})
}

func (a *API) stopAllocation(w http.ResponseWriter, _ *http.Request, id string) (any, error) {
	var eval *api.Evaluation
	index, err := a.Store.Update(state.AllocTransition, func(tx *state.Tx) error {
		al := tx.Allocs[id]
		if al == nil {
			return notFound("allocation not found")
		}
		c := state.CopyAlloc(al)
		c.DesiredTransition.Migrate = new(true)
		tx.PutAlloc(c, true)
		eval = state.NewEval(al.Job, state.TriggerAllocStop)
		eval.JobModifyIndex = state.Deref(al.Job.ModifyIndex)
		tx.PutEval(eval)
		return nil
	})
	if err != nil {
		return nil, err
	}
	a.Sched.Enqueue(eval)
	setIndex(w, index)
	return map[string]any{"EvalID": eval.ID, "Index": index}, nil
}

func (a *API) restartAllocation(_ http.ResponseWriter, r *http.Request, id string) (any, error) {
	var req struct{ TaskName string }
	if err := json.NewDecoder(r.Body).Decode(&req); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if a.Store.Alloc(id) == nil {
		return nil, unknownAlloc(id)
	}
	if err := a.Runners.Restart(id, req.TaskName); err != nil {
		return nil, err
	}
	return map[string]any{"Index": 0}, nil
}

func (a *API) signalAllocation(_ http.ResponseWriter, r *http.Request, id string) (any, error) {
	var req struct{ Task, Signal string }
	if err := json.NewDecoder(r.Body).Decode(&req); err != nil {
		return nil, err
	}
	if a.Store.Alloc(id) == nil {
		return nil, unknownAlloc(id)
	}
	if err := a.Runners.Signal(id, req.Task, req.Signal); err != nil {
		return nil, err
	}
	return map[string]any{"Index": 0}, nil
}

// allocationStats answers what an allocation's processes use.
func (a *API) allocationStats(_ http.ResponseWriter, r *http.Request, id string) (any, error) {
	al := a.Store.Alloc(id)
	if al == nil {
		return nil, unknownAlloc(id)
	}
	processes := a.Runners.Processes(id)
	if len(processes) == 0 {
		return api.AllocResourceUsage{ResourceUsage: &api.ResourceUsage{}, Tasks: map[string]*api.TaskResourceUsage{}}, nil
	}
	return a.Usage.Task(r.Context(), id, al.TaskGroup, processes)
}

func unknownAlloc(id string) error { return notFound("Unknown allocation %s", strconv.Quote(id)) }
