package httpapi

import (
	"crypto/rand"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"sort"
	"strings"

	"github.com/hashicorp/nomad/api"

	"github.com/cotrain/cotrain/internal/localnomad/jobfile"
	"github.com/cotrain/cotrain/internal/localnomad/state"
)

// maxPayload is Nomad's bound of a dispatch payload in bytes.
const maxPayload = 16384

func (a *API) dispatchJob(w http.ResponseWriter, r *http.Request, id string) (any, error) {
	var req api.JobDispatchRequest
	if err := decodeBody(r, &req); err != nil {
		return nil, err
	}
	switch {
	case req.JobID != "" && req.JobID != id:
		return nil, badRequest("Job ID does not match")
	case id == "":
		return nil, fmt.Errorf("missing parameterized job ID")
	}
	if err := a.writable(); err != nil {
		return nil, err
	}
	token := r.URL.Query().Get("idempotency_token")
	resp := api.JobDispatchResponse{}
	var eval *api.Evaluation
	index, err := a.Store.Update(state.JobRegistered, func(tx *state.Tx) error {
		parent := tx.Jobs[id]
		if err := checkDispatch(parent, id, &req); err != nil {
			return err
		}
		if child := tx.Child(id, token); child != nil {
			resp.DispatchedJobID, resp.JobCreateIndex = *child.ID, *child.CreateIndex
			resp.LastIndex = *child.ModifyIndex
			return nil
		}
		child := childOf(parent, &req, token, tx)
		tx.PutJob(child)
		eval = state.NewEval(child, state.TriggerRegister)
		eval.JobModifyIndex = tx.Index
		tx.PutEval(eval)
		resp.DispatchedJobID, resp.JobCreateIndex = *child.ID, tx.Index
		resp.EvalID, resp.EvalCreateIndex = eval.ID, tx.Index
		return nil
	})
	if err != nil {
		return nil, err
	}
	if eval != nil {
		a.Sched.Enqueue(eval)
	} else {
		index, resp.LastIndex = resp.LastIndex, 0
	}
	setIndex(w, index)
	return struct {
		DispatchedJobID, EvalID                string
		EvalCreateIndex, JobCreateIndex, Index uint64
	}{resp.DispatchedJobID, resp.EvalID, resp.EvalCreateIndex, resp.JobCreateIndex, index}, nil
}

// childOf makes the job that a dispatch runs. All but a few fields are the parent's own: stored objects never change.
func childOf(parent *api.Job, req *api.JobDispatchRequest, token string, tx *state.Tx) *api.Job {
	child := *parent
	var b [4]byte
	_, _ = rand.Read(b[:]) // never fails
	id := *parent.ID + "/dispatch-"
	if req.IdPrefixTemplate != "" {
		id += req.IdPrefixTemplate + "-"
	}
	id += fmt.Sprintf("%d-%x", tx.Now.Unix(), b)
	child.ID, child.Name, child.ParentID = &id, new(id), new(*parent.ID)
	child.Dispatched = true
	child.DispatchIdempotencyToken = &token
	child.Payload = req.Payload
	child.Priority = new(req.Priority)
	child.Meta = maps.Clone(parent.Meta)
	if child.Meta == nil && len(req.Meta) > 0 {
		child.Meta = map[string]string{}
	}
	maps.Copy(child.Meta, req.Meta)
	setVersion(&child, nil, tx)
	return &child
}

// checkDispatch refuses what Nomad refuses, with its texts.
func checkDispatch(parent *api.Job, id string, req *api.JobDispatchRequest) error {
	switch {
	case parent == nil:
		return fmt.Errorf("parameterized job not found")
	case !state.Parameterized(parent):
		return fmt.Errorf("Specified job %q is not a parameterized job", id) // Nomad's text
	case state.Deref(parent.Stop):
		return fmt.Errorf("Specified job %q is stopped", id) // Nomad's text
	}
	if req.Priority == 0 {
		req.Priority = *parent.Priority
	}
	p := parent.ParameterizedJob
	switch n := len(req.Payload); {
	case p.Payload == "required" && n == 0:
		return fmt.Errorf("Payload is not provided but required by parameterized job") // Nomad's text
	case p.Payload == "forbidden" && n > 0:
		return fmt.Errorf("Payload provided but forbidden by parameterized job") // Nomad's text
	case n > maxPayload:
		return fmt.Errorf("Payload exceeds maximum size; %d > %d", n, maxPayload) // Nomad's text
	}
	var unpermitted, missing []string
	for k := range req.Meta {
		if !slices.Contains(p.MetaRequired, k) && !slices.Contains(p.MetaOptional, k) {
			unpermitted = append(unpermitted, k)
		}
	}
	for _, k := range p.MetaRequired {
		if _, ok := req.Meta[k]; !ok {
			missing = append(missing, k)
		}
	}
	sort.Strings(unpermitted)
	sort.Strings(missing)
	switch {
	case len(unpermitted) > 0:
		return fmt.Errorf("Dispatch request included unpermitted metadata keys: [%s]", strings.Join(unpermitted, " ")) // Nomad's text
	case len(missing) > 0:
		return fmt.Errorf("Dispatch did not provide required meta keys: [%s]", strings.Join(missing, " ")) // Nomad's text
	case req.Priority < jobfile.MinPriority || req.Priority > jobfile.MaxPriority:
		return fmt.Errorf("dispatch job priority must be between [%d, %d]", jobfile.MinPriority, jobfile.MaxPriority)
	}
	return nil
}
