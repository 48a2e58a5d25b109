package state

import (
	"log/slog"
	"sync"
	"time"

	"github.com/hashicorp/nomad/api"
)

// Store guards the tables and keeps them on disk.
type Store struct {
	// Now is the clock.
	Now func() time.Time

	mu     sync.RWMutex
	tables *Tables
	events *eventList
	log    *stateLog
}

// Open reads the tables that dir holds and keeps them there from then on, variables encrypted.
func Open(dir string, keys *KeyRing, now func() time.Time, log *slog.Logger) (*Store, error) {
	s := &Store{Now: now, tables: newTables(), events: newEventList()}
	var err error
	s.log, err = openStateLog(dir, s.tables, keys, log)
	return s, err
}

// Close syncs what is on disk. Changes that come later are in memory only.
func (s *Store) Close() error { return s.log.close() }

// Failure returns why the state on disk is behind, or nil. Work that is accepted meanwhile would be forgotten at the next start.
func (s *Store) Failure() error { return s.log.failure() }

// Compact rewrites the log once it has grown, or when it misses a change.
func (s *Store) Compact() error {
	if !s.log.full() {
		return nil
	}
	return s.CompactNow()
}

// CompactNow rewrites the log.
func (s *Store) CompactNow() error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.log.compact(s.tables)
}

// View runs fn with the tables held still.
func (s *Store) View(fn func(t *Tables)) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	fn(s.tables)
}

// Alloc returns an allocation, or nil.
func (s *Store) Alloc(id string) (a *api.Allocation) {
	s.View(func(t *Tables) { a = t.Allocs[id] })
	return a
}

// Node returns a node, or nil.
func (s *Store) Node(id string) (n *api.Node) {
	s.View(func(t *Tables) { n = t.Nodes[id] })
	return n
}

// Index is the index of the newest change.
func (s *Store) Index() uint64 {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.tables.index
}

// Tx collects one change. What it puts is visible to the rest of the same change.
type Tx struct {
	*Tables
	// Index and Now are those of this change.
	Index uint64
	Now   time.Time
	// Kind is the type of the events.
	Kind Kind

	keys    *KeyRing
	records []record
	events  []*Event
	changed [tableCount]bool
	touched map[string]bool // jobs whose status must be derived; true: put by this change
}

// Update runs fn as one change: one index, one batch of events, one line in the log. fn returns an error only before its
// first put. It returns the index of the change, or the current one when nothing was put.
func (s *Store) Update(kind Kind, fn func(tx *Tx) error) (uint64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.tables
	tx := &Tx{Tables: t, Index: t.index + 1, Now: s.Now(), Kind: kind, keys: s.log.keys, touched: map[string]bool{}}
	if err := fn(tx); err != nil {
		return t.index, err
	}
	tx.deriveJobs()
	if len(tx.records) == 0 {
		return t.index, nil
	}
	t.index = tx.Index
	s.log.append(tx.Index, tx.records)
	for i, changed := range tx.changed {
		if changed {
			t.marks[i].index = tx.Index
			close(t.marks[i].wake)
			t.marks[i].wake = make(chan struct{})
		}
	}
	s.events.publish(tx.Index, tx.events)
	return tx.Index, nil
}

// put applies a record, keeps it, and tells of it: of nothing without a topic.
func (tx *Tx) put(table Table, r record, e Event) {
	tx.apply(r)
	tx.changed[table] = true
	tx.records = append(tx.records, r)
	if e.Topic != "" && tx.Kind != Collected {
		e.Index, e.Kind = tx.Index, tx.Kind
		tx.events = append(tx.events, &e)
	}
}

// touch marks a job whose status may change.
func (tx *Tx) touch(id string) {
	if !tx.touched[id] {
		tx.touched[id] = false
	}
}

// PutJob stores a job.
func (tx *Tx) PutJob(job *api.Job) {
	job.ModifyIndex, job.CreateIndex = new(tx.Index), new(tx.Index)
	if old := tx.Jobs[*job.ID]; old != nil {
		job.CreateIndex = old.CreateIndex
	}
	if tx.versions[*job.ID][keyOf(job)] == nil {
		tx.pruneVersions(*job.ID)
	}
	tx.touched[*job.ID] = true
	tx.put(Jobs, record{Kind: kindJob, Job: job}, jobEvent(job))
}

// DeleteJob removes a job.
func (tx *Tx) DeleteJob(job *api.Job) {
	delete(tx.touched, *job.ID)
	tx.put(Jobs, record{Kind: kindJob, Delete: *job.ID}, jobEvent(job))
}

// PutEval stores an evaluation.
func (tx *Tx) PutEval(e *api.Evaluation) {
	e.ModifyIndex, e.ModifyTime = tx.Index, tx.Now.UnixNano()
	if tx.Evals[e.ID] == nil {
		e.CreateIndex, e.CreateTime = tx.Index, tx.Now.UnixNano()
	}
	tx.touch(e.JobID)
	tx.put(Evals, record{Kind: kindEval, Eval: e}, Event{
		Topic: api.TopicEvaluation, Key: e.ID, FilterKeys: []string{e.JobID, ""}, payload: func() any { return map[string]any{"Evaluation": e} },
	})
}

// DeleteEval removes an evaluation.
func (tx *Tx) DeleteEval(id string) { tx.put(Evals, record{Kind: kindEval, Delete: id}, Event{}) }

// PutAlloc stores an allocation. server says that the change is the scheduler's and not the client's: only then
// AllocModifyIndex moves.
func (tx *Tx) PutAlloc(a *api.Allocation, server bool) {
	a.ModifyIndex, a.ModifyTime = tx.Index, tx.Now.UnixNano()
	if tx.Allocs[a.ID] == nil {
		a.CreateIndex, a.CreateTime = tx.Index, tx.Now.UnixNano()
	}
	if server {
		a.AllocModifyIndex = tx.Index
	}
	tx.touch(a.JobID)
	tx.put(Allocs, record{Kind: kindAlloc, Alloc: a}, allocEvent(a))
}

// DeleteAlloc removes an allocation.
func (tx *Tx) DeleteAlloc(id string) { tx.put(Allocs, record{Kind: kindAlloc, Delete: id}, Event{}) }

// PutNode stores a node.
func (tx *Tx) PutNode(n *api.Node) {
	n.ModifyIndex, n.CreateIndex = tx.Index, tx.Index
	if old := tx.Nodes[n.ID]; old != nil {
		n.CreateIndex = old.CreateIndex
	}
	tx.put(Nodes, record{Kind: kindNode, Node: n}, nodeEvent(n))
}

// DeleteNode removes a node.
func (tx *Tx) DeleteNode(n *api.Node) {
	tx.put(Nodes, record{Kind: kindNode, Delete: n.ID}, nodeEvent(n))
}

// PutService stores a registration of a service.
func (tx *Tx) PutService(r *api.ServiceRegistration) {
	r.CreateIndex, r.ModifyIndex = tx.Index, tx.Index
	tx.put(Services, record{Kind: kindService, Service: r}, Event{})
}

// DropServices removes an allocation's registrations.
func (tx *Tx) DropServices(allocID string) {
	for _, id := range Keys(tx.Services, "") {
		if tx.Services[id].AllocID == allocID {
			tx.put(Services, record{Kind: kindService, Delete: id}, Event{})
		}
	}
}

// PutVar stores a variable, unless it cannot be encrypted.
func (tx *Tx) PutVar(v *api.Variable) error {
	if err := tx.keys.Ready(); err != nil {
		return err
	}
	v.ModifyIndex, v.ModifyTime = tx.Index, tx.Now.UnixNano()
	v.CreateIndex, v.CreateTime = v.ModifyIndex, v.ModifyTime
	if old := tx.Vars[v.Path]; old != nil {
		v.CreateIndex, v.CreateTime = old.CreateIndex, old.CreateTime
	}
	tx.put(Vars, record{Kind: kindVar, Var: v}, Event{})
	return nil
}

// DeleteVar removes a variable.
func (tx *Tx) DeleteVar(path string) {
	if _, lost := tx.lost[path]; lost || tx.Vars[path] != nil {
		tx.put(Vars, record{Kind: kindVar, Delete: path}, Event{})
	}
}

// Lose stores a lost allocation, a copy with what the client knows, and returns the evaluation that sees to its job, or
// nil when that is gone. The allocation is stopped, unless nothing may take its place.
func (tx *Tx) Lose(a *api.Allocation) *api.Evaluation {
	if Replaceable(a) && a.DesiredStatus == api.AllocDesiredStatusRun {
		a.DesiredStatus, a.DesiredDescription = api.AllocDesiredStatusStop, DescLost
	}
	tx.PutAlloc(a, true)
	job := tx.Jobs[a.JobID]
	if job == nil {
		return nil
	}
	e := NewEval(job, TriggerNode)
	e.NodeID = a.NodeID
	tx.PutEval(e)
	return e
}

// LoseAll makes the allocations lost that an agent or a node left behind, with the reason, and returns the evaluations of
// their jobs.
func (s *Store) LoseAll(allocs []*api.Allocation, why string) ([]*api.Evaluation, error) {
	var evals []*api.Evaluation
	_, err := s.Update(AllocUpdated, func(tx *Tx) error {
		for _, old := range allocs {
			tx.DropServices(old.ID)
			a := CopyAlloc(tx.Allocs[old.ID])
			a.ClientStatus, a.ClientDescription = api.AllocClientStatusLost, why
			for name, st := range a.TaskStates {
				if st.State == Dead {
					continue
				}
				c := *st
				c.State, c.FinishedAt = Dead, tx.Now.UTC()
				c.Events = append(c.Events[:len(c.Events):len(c.Events)], NewTaskEvent(tx.Now, "Failed Restoring Task", why, nil))
				a.TaskStates[name] = &c
			}
			if e := tx.Lose(a); e != nil {
				evals = append(evals, e)
			}
		}
		return nil
	})
	return evals, err
}
