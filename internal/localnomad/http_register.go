package localnomad

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"sort"
	"strconv"
	"strings"

	"github.com/hashicorp/nomad/api"
)

// maxPayload is Nomad's bound of a dispatch payload in bytes.
const maxPayload = 16384

// Bounds of a job's priority.
const (
	minPriority     = 1
	maxPriority     = 100
	defaultPriority = 50
)

// writeResponse is what registering, deregistering and evaluating a job answer.
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

func (s *Server) registerJob(w http.ResponseWriter, r *http.Request, id string) (any, error) {
	var req api.JobRegisterRequest
	if err := decodeBody(r, &req); err != nil {
		return nil, err
	}
	job := req.Job
	switch {
	case job == nil:
		return nil, codedError{http.StatusBadRequest, "Job must be specified"}
	case job.ID == nil:
		return nil, codedError{http.StatusBadRequest, "Job ID hasn't been provided"}
	case id != "" && *job.ID != id:
		return nil, codedError{http.StatusBadRequest, "Job ID does not match name"}
	}
	if err := s.prepareJob(r, job); err != nil {
		return nil, err
	}
	if err := s.writable(); err != nil {
		return nil, err
	}
	resp := writeResponse{}
	var eval *api.Evaluation
	index, err := s.st.update(kindOfRegister, s.now().UnixNano(), func(tx *txn) error {
		old := s.st.jobs[*job.ID]
		if req.EnforceIndex {
			if err := enforceIndex(old, req.JobModifyIndex); err != nil {
				return err
			}
		}
		if err := checkJobUpdate(old, job); err != nil {
			return err
		}
		if !isParameterized(job) && job.Periodic == nil {
			eval = s.newEval(job, triggerRegister)
		}
		if old != nil && !specChanged(old, job) {
			resp.JobModifyIndex = *old.JobModifyIndex
			if eval != nil {
				tx.kind = kindOfEval
				tx.putEval(eval)
				resp.EvalID, resp.EvalCreateIndex = eval.ID, tx.index
			}
			return nil
		}
		setVersion(job, old, tx)
		tx.putJob(job)
		resp.JobModifyIndex = tx.index
		if eval != nil {
			eval.JobModifyIndex = tx.index
			tx.putEval(eval)
			resp.EvalID, resp.EvalCreateIndex = eval.ID, tx.index
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if eval != nil {
		s.sched.enqueue(eval)
	}
	setIndex(w, index)
	resp.Index = index
	return resp, nil
}

// prepareJob fills in defaults and refuses a job that could not run.
func (s *Server) prepareJob(r *http.Request, job *api.Job) error {
	ns := r.URL.Query().Get("namespace")
	if ns == "" {
		ns = deref(job.Namespace)
	}
	if ns == "" || ns == allNamespaces {
		ns = defaultNamespace
	}
	job.Namespace = &ns
	job.Canonicalize()
	if *job.NodePool == "" {
		job.NodePool = new("default")
	}
	if len(job.Datacenters) == 0 {
		job.Datacenters = []string{"*"}
	}
	if *job.Priority == 0 {
		job.Priority = new(defaultPriority)
	}
	if *job.Region == "" {
		job.Region = new(s.opts.Region)
	}
	addSignalConstraints(job)
	if err := validateJob(job); err != nil {
		return err
	}
	if pool := *job.NodePool; pool != "default" && pool != "all" {
		return problems{fmt.Sprintf("job %q is in nonexistent node pool %q", *job.ID, pool)}.err()
	}
	if ns != defaultNamespace {
		return problems{fmt.Sprintf("job %q is in nonexistent namespace %q", *job.ID, ns)}.err()
	}
	return nil
}

// writable refuses new work while the state cannot reach the disk: it would
// be forgotten at the next start.
func (s *Server) writable() error {
	if err := s.st.log.failure(); err != nil {
		return fmt.Errorf("agent cannot write its state: %w", err)
	}
	return nil
}

func setVersion(job, old *api.Job, tx *txn) {
	job.Version = new(uint64(0))
	if old != nil {
		job.Version = new(*old.Version + 1)
	}
	job.JobModifyIndex = new(tx.index)
	job.SubmitTime = new(tx.now)
	job.Status, job.StatusDescription = new(""), new("")
	job.Stable = new(false)
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

// checkJobUpdate refuses changes of a job's nature.
func checkJobUpdate(old, job *api.Job) error {
	if old == nil {
		if job.Dispatched {
			return fmt.Errorf("job can't be submitted with 'Dispatched' set")
		}
		return nil
	}
	switch {
	case *old.Type != *job.Type:
		return fmt.Errorf("cannot update job from type %q to %q", *old.Type, *job.Type)
	case old.Periodic != nil && job.Periodic == nil:
		return fmt.Errorf("cannot update periodic job to being non-periodic")
	case old.Periodic == nil && job.Periodic != nil:
		return fmt.Errorf("cannot update non-periodic job to being periodic")
	case isParameterized(old) && !isParameterized(job):
		return fmt.Errorf("cannot update parameterized job to being non-parameterized")
	case !isParameterized(old) && isParameterized(job):
		return fmt.Errorf("cannot update non-parameterized job to being parameterized")
	case old.Dispatched != job.Dispatched:
		return fmt.Errorf("field 'Dispatched' is read-only")
	}
	return nil
}

// specChanged compares what the user wrote, not what the agent keeps.
func specChanged(old, job *api.Job) bool {
	return specText(old) != specText(job)
}

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

func (s *Server) deregisterJob(w http.ResponseWriter, r *http.Request, id string) (any, error) {
	purge, _, err := parseBoolParam(r, "purge")
	if err != nil {
		return nil, err
	}
	if id == "" {
		return nil, fmt.Errorf("missing job ID for deregistering")
	}
	q, err := parseQuery(r)
	if err != nil {
		return nil, err
	}
	resp := writeResponse{}
	var eval *api.Evaluation
	index, err := s.st.update(kindOfDeregister, s.now().UnixNano(), func(tx *txn) error {
		job := s.st.jobs[id]
		if job == nil || q.namespace != defaultNamespace {
			return nil
		}
		if !isParameterized(job) && job.Periodic == nil {
			eval = s.newEval(job, triggerDeregister)
			eval.Type = api.JobTypeService // Nomad's quirk: whatever the job's type
			resp.EvalID, resp.EvalCreateIndex = eval.ID, tx.index
		}
		resp.JobModifyIndex, resp.EvalCreateIndex = tx.index, tx.index
		if purge {
			tx.deleteJob(job)
		} else {
			stopped := *job
			stopped.Stop = new(true)
			stopped.Version = new(*job.Version + 1)
			stopped.JobModifyIndex = new(tx.index)
			stopped.SubmitTime = new(tx.now)
			tx.putJob(&stopped)
		}
		if eval != nil {
			tx.putEval(eval)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if eval != nil {
		s.sched.enqueue(eval)
	}
	if resp.JobModifyIndex == 0 {
		index = 0 // an unknown job: Nomad answers 200 with nothing in it
	}
	setIndex(w, index)
	resp.Index = index
	return resp, nil
}

func (s *Server) evaluateJob(w http.ResponseWriter, r *http.Request, id string) (any, error) {
	if !isWrite(r) {
		return nil, methodNotAllowed()
	}
	resp := writeResponse{}
	var eval *api.Evaluation
	index, err := s.st.update(kindOfEval, s.now().UnixNano(), func(tx *txn) error {
		job := s.st.jobs[id]
		switch {
		case job == nil:
			return fmt.Errorf("job not found")
		case job.Periodic != nil:
			return fmt.Errorf("can't evaluate periodic job")
		case isParameterized(job):
			return fmt.Errorf("can't evaluate parameterized job")
		}
		eval = s.newEval(job, triggerRegister)
		tx.putEval(eval)
		resp.EvalID, resp.EvalCreateIndex, resp.JobModifyIndex = eval.ID, tx.index, *job.ModifyIndex
		return nil
	})
	if err != nil {
		return nil, err
	}
	s.sched.enqueue(eval)
	setIndex(w, index)
	resp.Index = index
	return resp, nil
}

func (s *Server) dispatchJob(w http.ResponseWriter, r *http.Request, id string) (any, error) {
	if !isWrite(r) {
		return nil, methodNotAllowed()
	}
	var req api.JobDispatchRequest
	if err := decodeBody(r, &req); err != nil {
		return nil, err
	}
	switch {
	case req.JobID != "" && req.JobID != id:
		return nil, codedError{http.StatusBadRequest, "Job ID does not match"}
	case id == "":
		return nil, fmt.Errorf("missing parameterized job ID")
	}
	if err := s.writable(); err != nil {
		return nil, err
	}
	token := r.URL.Query().Get("idempotency_token")
	resp := api.JobDispatchResponse{}
	var eval *api.Evaluation
	index, err := s.st.update(kindOfRegister, s.now().UnixNano(), func(tx *txn) error {
		parent := s.st.jobs[id]
		if err := checkDispatch(parent, id, &req); err != nil {
			return err
		}
		if child := s.st.jobs[s.st.tokens[id+"\x00"+token]]; token != "" && child != nil {
			resp.DispatchedJobID, resp.JobCreateIndex = *child.ID, *child.CreateIndex
			resp.LastIndex = *child.ModifyIndex
			return nil
		}
		child := s.childOf(parent, &req, token, tx)
		tx.putJob(child)
		eval = s.newEval(child, triggerRegister)
		eval.JobModifyIndex = tx.index
		tx.putEval(eval)
		resp.DispatchedJobID, resp.JobCreateIndex = *child.ID, tx.index
		resp.EvalID, resp.EvalCreateIndex = eval.ID, tx.index
		return nil
	})
	if err != nil {
		return nil, err
	}
	if eval != nil {
		s.sched.enqueue(eval)
	} else {
		index, resp.LastIndex = resp.LastIndex, 0
	}
	setIndex(w, index)
	return struct {
		DispatchedJobID, EvalID                string
		EvalCreateIndex, JobCreateIndex, Index uint64
	}{resp.DispatchedJobID, resp.EvalID, resp.EvalCreateIndex, resp.JobCreateIndex, index}, nil
}

// childOf makes the job that a dispatch runs. All but a few fields are the
// parent's own: stored objects never change.
func (s *Server) childOf(parent *api.Job, req *api.JobDispatchRequest, token string, tx *txn) *api.Job {
	child := *parent
	id := s.childID(*parent.ID, req.IdPrefixTemplate)
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

// childID is Nomad's: parent/dispatch-[prefix-]<unix seconds>-<8 hex digits>.
func (s *Server) childID(parent, prefix string) string {
	var b [4]byte
	_, _ = rand.Read(b[:]) // never fails
	id := parent + "/dispatch-"
	if prefix != "" {
		id += prefix + "-"
	}
	return id + strconv.FormatInt(s.now().Unix(), 10) + fmt.Sprintf("-%x", b)
}

// checkDispatch refuses what Nomad refuses, with its texts.
func checkDispatch(parent *api.Job, id string, req *api.JobDispatchRequest) error {
	switch {
	case parent == nil:
		return fmt.Errorf("parameterized job not found")
	case !isParameterized(parent):
		return fmt.Errorf("Specified job %q is not a parameterized job", id) //nolint:staticcheck // Nomad's text
	case deref(parent.Stop):
		return fmt.Errorf("Specified job %q is stopped", id) //nolint:staticcheck // Nomad's text
	}
	if req.Priority == 0 {
		req.Priority = *parent.Priority
	}
	p := parent.ParameterizedJob
	switch n := len(req.Payload); {
	case p.Payload == "required" && n == 0:
		return fmt.Errorf("Payload is not provided but required by parameterized job") //nolint:staticcheck // Nomad's text
	case p.Payload == "forbidden" && n > 0:
		return fmt.Errorf("Payload provided but forbidden by parameterized job") //nolint:staticcheck // Nomad's text
	case n > maxPayload:
		return fmt.Errorf("Payload exceeds maximum size; %d > %d", n, maxPayload) //nolint:staticcheck // Nomad's text
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
		return fmt.Errorf("Dispatch request included unpermitted metadata keys: [%s]", strings.Join(unpermitted, " ")) //nolint:staticcheck // Nomad's text
	case len(missing) > 0:
		return fmt.Errorf("Dispatch did not provide required meta keys: [%s]", strings.Join(missing, " ")) //nolint:staticcheck // Nomad's text
	case req.Priority < minPriority || req.Priority > maxPriority:
		return fmt.Errorf("dispatch job priority must be between [%d, %d]", minPriority, maxPriority)
	}
	return nil
}
