package httpapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/hashicorp/nomad/api"

	"github.com/cotrain/cotrain/internal/localnomad/state"
)

// writeResponse is what registering and deregistering a job answer.
type writeResponse struct {
	EvalID          string
	EvalCreateIndex uint64
	JobModifyIndex  uint64
	Warnings        string
	Index           uint64
	LastContact     int64
	KnownLeader     bool
	NextToken       string
}

func (a *API) registerJob(w http.ResponseWriter, r *http.Request, _ string) (any, error) {
	var req api.JobRegisterRequest
	if err := decodeBody(r, &req); err != nil {
		return nil, err
	}
	job := req.Job
	warnings, err := a.prepare(r, job, "")
	if err != nil {
		return nil, err
	}
	if err := a.writable(); err != nil {
		return nil, err
	}
	resp := writeResponse{Warnings: warnings}
	var eval *api.Evaluation
	index, err := a.Store.Update(state.JobRegistered, func(tx *state.Tx) error {
		old := tx.Jobs[*job.ID]
		if req.EnforceIndex {
			if err := enforceIndex(old, req.JobModifyIndex); err != nil {
				return err
			}
		}
		if err := checkUpdate(old, job); err != nil {
			return err
		}
		if old != nil && specText(old) == specText(job) {
			tx.Kind = state.EvalUpdated
			resp.JobModifyIndex = *old.JobModifyIndex
		} else {
			setVersion(job, old, tx)
			tx.PutJob(job)
			resp.JobModifyIndex = tx.Index
		}
		if !state.Parameterized(job) {
			eval = state.NewEval(job, state.TriggerRegister)
			eval.JobModifyIndex = resp.JobModifyIndex
			tx.PutEval(eval)
			resp.EvalID, resp.EvalCreateIndex = eval.ID, tx.Index
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	a.Sched.Enqueue(eval)
	setIndex(w, index)
	resp.Index = index
	return resp, nil
}

func setVersion(job, old *api.Job, tx *state.Tx) {
	job.Version = new(uint64(0))
	if old != nil {
		job.Version = new(*old.Version + 1)
	}
	job.JobModifyIndex = new(tx.Index)
	job.SubmitTime = new(tx.Now.UnixNano())
	job.Status, job.StatusDescription, job.Stable = new(""), new(""), new(false)
}

func enforceIndex(old *api.Job, index uint64) error {
	const prefix = "Enforcing job modify index"
	switch {
	case old == nil && index != 0:
		return fmt.Errorf("%s %d: job does not exist", prefix, index)
	case old != nil && index == 0:
		return fmt.Errorf("%s 0: job already exists", prefix)
	case old != nil && index != *old.JobModifyIndex:
		return fmt.Errorf("%s %d: job exists with conflicting job modify index: %d", prefix, index, *old.JobModifyIndex)
	}
	return nil
}

// checkUpdate refuses changes of a job's nature.
func checkUpdate(old, job *api.Job) error {
	switch {
	case old == nil && job.Dispatched:
		return errors.New("job can't be submitted with 'Dispatched' set")
	case old == nil:
		return nil
	case state.Parameterized(old) && !state.Parameterized(job):
		return errors.New("cannot update parameterized job to being non-parameterized")
	case !state.Parameterized(old) && state.Parameterized(job):
		return errors.New("cannot update non-parameterized job to being parameterized")
	case old.Dispatched != job.Dispatched:
		return errors.New("field 'Dispatched' is read-only")
	}
	return nil
}

// specText is what the user wrote of a job, without what the agent keeps.
func specText(j *api.Job) string {
	c := *j
	c.Status, c.StatusDescription, c.Stable, c.Version, c.SubmitTime = nil, nil, nil, nil, nil
	c.CreateIndex, c.ModifyIndex, c.JobModifyIndex = nil, nil, nil
	text, err := json.Marshal(&c)
	if err != nil {
		return "" // the wire types always encode
	}
	return string(text)
}

func (a *API) deregisterJob(w http.ResponseWriter, r *http.Request, id string) (any, error) {
	if id == "" {
		return nil, errors.New("missing job ID for deregistering")
	}
	q, err := parseQuery(r)
	if err != nil {
		return nil, err
	}
	resp := writeResponse{}
	var eval *api.Evaluation
	index, err := a.Store.Update(state.JobDeregistered, func(tx *state.Tx) error {
		job := tx.Jobs[id]
		if job == nil || !q.one {
			return nil
		}
		if boolParam(r, "purge", false) {
			tx.DeleteJob(job)
		} else {
			stopped := *job
			stopped.Stop, stopped.Version = new(true), new(*job.Version+1)
			stopped.JobModifyIndex, stopped.SubmitTime = new(tx.Index), new(tx.Now.UnixNano())
			tx.PutJob(&stopped)
		}
		resp.JobModifyIndex, resp.EvalCreateIndex = tx.Index, tx.Index
		if !state.Parameterized(job) {
			eval = state.NewEval(job, state.TriggerDeregister)
			eval.Type = api.JobTypeService // Nomad's quirk: whatever the job's type
			tx.PutEval(eval)
			resp.EvalID = eval.ID
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	a.Sched.Enqueue(eval)
	if resp.JobModifyIndex == 0 {
		index = 0 // an unknown job: Nomad answers 200 with nothing in it
	}
	setIndex(w, index)
	resp.Index = index
	return resp, nil
}
