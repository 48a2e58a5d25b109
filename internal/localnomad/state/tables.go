package state

import (
	"cmp"
	"slices"

	"github.com/hashicorp/nomad/api"
)

// Table names one table for blocking queries, as Nomad's state store does.
type Table int

// The tables.
const (
	Jobs Table = iota
	Evals
	Allocs
	Nodes
	Services
	Vars
	tableCount
)

// firstIndex is the index of a fresh state. Index 0 must never be answered: it means "do not block".
const firstIndex = 1

// Tables are the stored objects by ID, variables by path. They may be read inside [Store.View] and [Store.Update] only.
type Tables struct {
	Jobs     map[string]*api.Job
	Evals    map[string]*api.Evaluation
	Allocs   map[string]*api.Allocation
	Nodes    map[string]*api.Node
	Services map[string]*api.ServiceRegistration
	Vars     map[string]*api.Variable

	lost  map[string]record // variables whose key is not there
	index uint64
	marks [tableCount]struct {
		index uint64
		wake  chan struct{} // closed when the table changes
	}
	versions     map[string]map[versionKey]*api.Job // every version that is still referenced, the newest included
	allocsByJob  lookup
	allocsByNode lookup
	evalsByJob   lookup
	tokens       map[string]string // parent, NUL, idempotency token -> child
}

func newTables() *Tables {
	t := &Tables{
		Jobs: map[string]*api.Job{}, Evals: map[string]*api.Evaluation{}, Allocs: map[string]*api.Allocation{},
		Nodes: map[string]*api.Node{}, Services: map[string]*api.ServiceRegistration{}, Vars: map[string]*api.Variable{}, lost: map[string]record{},
		index: firstIndex, versions: map[string]map[versionKey]*api.Job{}, tokens: map[string]string{},
		allocsByJob: lookup{}, allocsByNode: lookup{}, evalsByJob: lookup{},
	}
	for i := range t.marks {
		t.marks[i].index, t.marks[i].wake = firstIndex, make(chan struct{})
	}
	return t
}

// Index is the newest index of a table.
func (t *Tables) Index(table Table) uint64 { return t.marks[table].index }

// Changed returns a channel that the next change of a table closes. Ask for it before reading, or a change is missed.
func (t *Tables) Changed(table Table) <-chan struct{} { return t.marks[table].wake }

// Child returns the job that a parent was dispatched as with the token, or nil.
func (t *Tables) Child(parent, token string) *api.Job {
	if token == "" {
		return nil
	}
	return t.Jobs[t.tokens[parent+"\x00"+token]]
}

// JobAllocs returns a job's allocations, oldest first.
func (t *Tables) JobAllocs(id string) []*api.Allocation {
	return sortAllocs(pick(t.Allocs, t.allocsByJob[id]))
}

// NodeAllocs returns a node's allocations, oldest first.
func (t *Tables) NodeAllocs(id string) []*api.Allocation {
	return sortAllocs(pick(t.Allocs, t.allocsByNode[id]))
}

func sortAllocs(list []*api.Allocation) []*api.Allocation {
	slices.SortFunc(list, func(a, b *api.Allocation) int {
		return cmp.Or(cmp.Compare(a.CreateIndex, b.CreateIndex), cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID))
	})
	return list
}

// JobEvals returns a job's evaluations, oldest first.
func (t *Tables) JobEvals(id string) []*api.Evaluation {
	list := pick(t.Evals, t.evalsByJob[id])
	slices.SortFunc(list, OldestEval)
	return list
}

// OldestEval orders evaluations by age.
func OldestEval(a, b *api.Evaluation) int {
	return cmp.Or(cmp.Compare(a.CreateIndex, b.CreateIndex), cmp.Compare(a.ID, b.ID))
}

// Named returns a service's registrations, in order.
func (t *Tables) Named(service string) []*api.ServiceRegistration {
	regs := []*api.ServiceRegistration{}
	for _, id := range Keys(t.Services, "") {
		if r := t.Services[id]; r.ServiceName == service {
			regs = append(regs, r)
		}
	}
	return regs
}

// versionKey tells the versions of a job apart, also those of an earlier job that had the same ID and was purged.
type versionKey struct{ create, version uint64 }

func keyOf(job *api.Job) versionKey { return versionKey{Deref(job.CreateIndex), *job.Version} }

func (t *Tables) setVersion(job *api.Job) {
	if t.versions[*job.ID] == nil {
		t.versions[*job.ID] = map[versionKey]*api.Job{}
	}
	t.versions[*job.ID][keyOf(job)] = job
}

// usedVersions are the versions of a job that allocations refer to.
func (t *Tables) usedVersions(id string) map[versionKey]bool {
	used := map[versionKey]bool{}
	for alloc := range t.allocsByJob[id] {
		used[keyOf(t.Allocs[alloc].Job)] = true
	}
	return used
}

// pruneVersions forgets the versions of a job that no allocation refers to.
func (t *Tables) pruneVersions(id string) {
	used := t.usedVersions(id)
	for v := range t.versions[id] {
		if !used[v] {
			delete(t.versions[id], v)
		}
	}
}

func (t *Tables) setJob(job *api.Job) {
	id := *job.ID
	t.Jobs[id] = job
	t.setVersion(job)
	if token := Deref(job.DispatchIdempotencyToken); token != "" {
		t.tokens[*job.ParentID+"\x00"+token] = id
	}
}

func (t *Tables) dropJob(id string) {
	job := t.Jobs[id]
	if job == nil {
		return
	}
	delete(t.Jobs, id)
	delete(t.tokens, *job.ParentID+"\x00"+Deref(job.DispatchIdempotencyToken))
	t.dropVersions(id)
}

// dropVersions forgets a purged job once its last allocation is gone.
func (t *Tables) dropVersions(id string) {
	if t.Jobs[id] == nil && len(t.allocsByJob[id]) == 0 {
		delete(t.versions, id)
	}
}

func (t *Tables) setAlloc(a *api.Allocation) {
	t.Allocs[a.ID] = a
	t.allocsByJob.add(a.JobID, a.ID)
	t.allocsByNode.add(a.NodeID, a.ID)
}

func (t *Tables) dropAlloc(id string) {
	if a := t.Allocs[id]; a != nil {
		delete(t.Allocs, id)
		t.allocsByJob.remove(a.JobID, id)
		t.allocsByNode.remove(a.NodeID, id)
		t.dropVersions(a.JobID)
	}
}

func (t *Tables) setEval(e *api.Evaluation) {
	t.Evals[e.ID] = e
	t.evalsByJob.add(e.JobID, e.ID)
}

func (t *Tables) dropEval(id string) {
	if e := t.Evals[id]; e != nil {
		delete(t.Evals, id)
		t.evalsByJob.remove(e.JobID, id)
	}
}

// lookup finds IDs by what they belong to.
type lookup map[string]map[string]struct{}

func (l lookup) add(key, id string) {
	if l[key] == nil {
		l[key] = map[string]struct{}{}
	}
	l[key][id] = struct{}{}
}

func (l lookup) remove(key, id string) {
	if delete(l[key], id); len(l[key]) == 0 {
		delete(l, key)
	}
}

func pick[V any](m map[string]V, ids map[string]struct{}) []V {
	out := make([]V, 0, len(ids))
	for id := range ids {
		out = append(out, m[id])
	}
	return out
}
