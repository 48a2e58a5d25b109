package localnomad

import (
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"

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

// readRegistration reads a job from a request; id is the one in its path, if any.
func readRegistration(r *http.Request, id string) (*api.JobRegisterRequest, error) {
	var req api.JobRegisterRequest
	if err := decodeBody(r, &req); err != nil {
		return nil, err
	}
	switch job := req.Job; {
	case job == nil:
		return nil, badRequest("Job must be specified")
	case job.ID == nil:
		return nil, badRequest("Job ID hasn't been provided")
	case id != "" && *job.ID != id:
		return nil, badRequest("Job ID does not match name")
	}
	return &req, nil
}

func (s *Server) registerJob(w http.ResponseWriter, r *http.Request, id string) (any, error) {
	req, err := readRegistration(r, id)
	if err != nil {
		return nil, err
	}
	job := req.Job
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
	if path := nullIn(reflect.ValueOf(job), "Job"); path != "" {
		return badRequest(path + " is null")
	}
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

// nullIn returns where a list or a map holds null instead of an object, or "".
// Everything behind it, the api package included, takes them for granted.
func nullIn(v reflect.Value, path string) string {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			return nullIn(v.Elem(), path)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Type().Field(i); f.IsExported() {
				if bad := nullIn(v.Field(i), path+"."+f.Name); bad != "" {
					return bad
				}
			}
		}
	case reflect.Slice:
		for i := range v.Len() {
			if bad := nullItem(v.Index(i), fmt.Sprintf("%s[%d]", path, i)); bad != "" {
				return bad
			}
		}
	case reflect.Map:
		for _, k := range v.MapKeys() {
			if bad := nullItem(v.MapIndex(k), fmt.Sprintf("%s[%v]", path, k)); bad != "" {
				return bad
			}
		}
	}
	return ""
}

func nullItem(v reflect.Value, path string) string {
	if v.Kind() == reflect.Pointer && v.IsNil() {
		return path
	}
	return nullIn(v, path)
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
