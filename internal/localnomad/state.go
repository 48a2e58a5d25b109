package localnomad

import (
	"sync"

	"github.com/hashicorp/nomad/api"
)

// table names one table for blocking queries, as Nomad's state store does.
type table int

const (
	tableJobs table = iota
	tableSummary
	tableEvals
	tableAllocs
	tableNodes
	tableServices
	tableVars
	tableCount
)

// firstIndex is the index of a fresh state. A real agent has used some
// indexes for itself before it answers the first call; index 0 must never be
// answered, since it means "do not block".
const firstIndex = 1

// store holds all tables and the log that makes them survive.
type store struct {
	mu     sync.RWMutex
	index  uint64
	tables [tableCount]struct {
		index uint64
		wake  chan struct{} // closed when the table changes
	}

	jobs     map[string]*api.Job
	versions map[string]map[versionKey]*api.Job // every version still referenced, the newest included
	evals    map[string]*api.Evaluation
	allocs   map[string]*api.Allocation
	nodes    map[string]*api.Node
	services map[string]*api.ServiceRegistration
	vars     map[string]*api.Variable

	allocsByJob  map[string]map[string]struct{}
	allocsByNode map[string]map[string]struct{}
	evalsByJob   map[string]map[string]struct{}
	children     map[string]map[string]struct{}
	tokens       map[string]string // parent, NUL, idempotency token -> child

	hub *eventHub
	log *stateLog // nil: nothing is kept (tests of the tables alone)
}

func newStore(hub *eventHub) *store {
	s := &store{
		index:        firstIndex,
		jobs:         map[string]*api.Job{},
		versions:     map[string]map[versionKey]*api.Job{},
		evals:        map[string]*api.Evaluation{},
		allocs:       map[string]*api.Allocation{},
		nodes:        map[string]*api.Node{},
		services:     map[string]*api.ServiceRegistration{},
		vars:         map[string]*api.Variable{},
		allocsByJob:  map[string]map[string]struct{}{},
		allocsByNode: map[string]map[string]struct{}{},
		evalsByJob:   map[string]map[string]struct{}{},
		children:     map[string]map[string]struct{}{},
		tokens:       map[string]string{},
		hub:          hub,
	}
	for i := range s.tables {
		s.tables[i].index = firstIndex
		s.tables[i].wake = make(chan struct{})
	}
	return s
}

// txn collects what one change of the state touches. It is used under the
// store's lock; what it puts is visible to the rest of the same change.
type txn struct {
	s       *store
	index   uint64
	now     int64
	kind    string // the event type, as Nomad derives it from the kind of change
	records []record
	events  []*event
	touched [tableCount]bool
	jobs    map[string]struct{} // whose status must be derived again
	fresh   map[string]struct{} // jobs put by this change: not yet seen by anybody
}

// update runs fn as one change of the state under the lock: one index, one
// batch of events, one write to the log. fn returns an error only before its
// first put. The index of the change is returned; when nothing was put, it is
// the current index.
func (s *store) update(kind string, now int64, fn func(tx *txn) error) (uint64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	tx := &txn{s: s, index: s.index + 1, now: now, kind: kind, jobs: map[string]struct{}{}, fresh: map[string]struct{}{}}
	if err := fn(tx); err != nil {
		return s.index, err
	}
	tx.deriveJobs()
	if len(tx.records) == 0 {
		return s.index, nil
	}
	s.index = tx.index
	if s.log != nil {
		s.log.append(tx.index, tx.records)
	}
	for t, touched := range tx.touched {
		if touched {
			s.tables[t].index = tx.index
			close(s.tables[t].wake)
			s.tables[t].wake = make(chan struct{})
		}
	}
	s.hub.publish(tx.index, tx.events)
	return tx.index, nil
}

// view runs fn with the tables held still.
func (s *store) view(fn func()) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	fn()
}

func (tx *txn) putJob(job *api.Job) {
	s := tx.s
	old := s.jobs[*job.ID]
	job.ModifyIndex = new(tx.index)
	if old == nil {
		job.CreateIndex = new(tx.index)
	} else {
		job.CreateIndex = old.CreateIndex
	}
	if s.versions[*job.ID][keyOf(job)] == nil {
		s.pruneVersions(*job.ID)
	}
	s.applyJob(job)
	tx.touched[tableJobs], tx.touched[tableSummary] = true, true
	tx.jobs[*job.ID] = struct{}{}
	tx.fresh[*job.ID] = struct{}{}
	if p := *job.ParentID; p != "" && old == nil {
		tx.touchJob(p)
	}
	tx.records = append(tx.records, record{Kind: kindJob, Job: job})
	tx.event(topicJob, *job.ID, nil, func() any { return jobEventPayload(job, false) })
}

func (tx *txn) deleteJob(job *api.Job) {
	tx.s.dropJob(*job.ID)
	delete(tx.jobs, *job.ID)
	tx.touched[tableJobs], tx.touched[tableSummary] = true, true
	tx.records = append(tx.records, record{Kind: kindJob, Delete: *job.ID})
	tx.event(topicJob, *job.ID, nil, func() any { return jobEventPayload(job, true) })
}

// touchJob marks a job whose summary changed though the job itself did not.
func (tx *txn) touchJob(id string) {
	tx.jobs[id] = struct{}{}
	tx.touched[tableSummary] = true
}

func (tx *txn) putEval(e *api.Evaluation) {
	old := tx.s.evals[e.ID]
	e.ModifyIndex, e.ModifyTime = tx.index, tx.now
	if old == nil {
		e.CreateIndex, e.CreateTime = tx.index, tx.now
	}
	tx.s.applyEval(e)
	tx.touched[tableEvals] = true
	tx.touchJob(e.JobID)
	tx.records = append(tx.records, record{Kind: kindEval, Eval: e})
	tx.event(topicEvaluation, e.ID, []string{e.JobID, e.DeploymentID}, func() any { return map[string]any{"Evaluation": e} })
}

func (tx *txn) deleteEval(id string) {
	tx.s.dropEval(id)
	tx.touched[tableEvals] = true
	tx.records = append(tx.records, record{Kind: kindEval, Delete: id})
}

// putAlloc stores an allocation. server says that the change is the
// scheduler's and not the client's: only then AllocModifyIndex moves.
func (tx *txn) putAlloc(a *api.Allocation, server bool) {
	old := tx.s.allocs[a.ID]
	a.ModifyIndex, a.ModifyTime = tx.index, tx.now
	if old == nil {
		a.CreateIndex, a.CreateTime = tx.index, tx.now
	}
	if server {
		a.AllocModifyIndex = tx.index
	}
	tx.s.applyAlloc(a)
	tx.touched[tableAllocs] = true
	tx.touchJob(a.JobID)
	tx.records = append(tx.records, record{Kind: kindAlloc, Alloc: a})
	tx.event(topicAllocation, a.ID, []string{a.JobID, a.DeploymentID}, func() any { return allocEventPayload(a) })
}

func (tx *txn) deleteAlloc(id string) {
	tx.s.dropAlloc(id)
	tx.touched[tableAllocs] = true
	tx.records = append(tx.records, record{Kind: kindAlloc, Delete: id})
}

func (tx *txn) putNode(n *api.Node) {
	old := tx.s.nodes[n.ID]
	n.ModifyIndex = tx.index
	if old == nil {
		n.CreateIndex = tx.index
	} else {
		n.CreateIndex = old.CreateIndex
	}
	tx.s.nodes[n.ID] = n
	tx.touched[tableNodes] = true
	tx.records = append(tx.records, record{Kind: kindNode, Node: n})
	tx.event(topicNode, n.ID, nil, func() any { return map[string]any{"Node": n} })
}

func (tx *txn) deleteNode(n *api.Node) {
	delete(tx.s.nodes, n.ID)
	tx.touched[tableNodes] = true
	tx.records = append(tx.records, record{Kind: kindNode, Delete: n.ID})
	tx.event(topicNode, n.ID, nil, func() any { return map[string]any{"Node": n} })
}

func (tx *txn) putService(r *api.ServiceRegistration) {
	r.CreateIndex, r.ModifyIndex = tx.index, tx.index
	tx.s.services[r.ID] = r
	tx.touched[tableServices] = true
	tx.records = append(tx.records, record{Kind: kindService, Service: r})
	tx.event(topicService, r.ID, []string{r.JobID, r.ServiceName}, func() any { return map[string]any{"Service": r} })
}

func (tx *txn) deleteService(r *api.ServiceRegistration) {
	delete(tx.s.services, r.ID)
	tx.touched[tableServices] = true
	tx.records = append(tx.records, record{Kind: kindService, Delete: r.ID})
	tx.event(topicService, r.ID, []string{r.JobID, r.ServiceName}, func() any { return map[string]any{"Service": r} })
}

func (tx *txn) putVar(v *api.Variable) {
	v.ModifyIndex, v.ModifyTime = tx.index, tx.now
	if old := tx.s.vars[v.Path]; old != nil {
		v.CreateIndex, v.CreateTime = old.CreateIndex, old.CreateTime
	} else {
		v.CreateIndex, v.CreateTime = tx.index, tx.now
	}
	tx.s.vars[v.Path] = v
	tx.touched[tableVars] = true
	tx.records = append(tx.records, record{Kind: kindVar, Var: v})
}

func (tx *txn) deleteVar(path string) {
	delete(tx.s.vars, path)
	tx.touched[tableVars] = true
	tx.records = append(tx.records, record{Kind: kindVar, Delete: path})
}
