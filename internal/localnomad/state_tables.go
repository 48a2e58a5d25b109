package localnomad

import (
	"maps"
	"sort"
	"strings"

	"github.com/hashicorp/nomad/api"
)

// versionKey tells the versions of a job apart, also those of an earlier job
// that had the same ID and was purged.
type versionKey struct{ create, version uint64 }

func keyOf(job *api.Job) versionKey { return versionKey{deref(job.CreateIndex), *job.Version} }

func (s *store) applyJob(job *api.Job) {
	id := *job.ID
	s.jobs[id] = job
	if s.versions[id] == nil {
		s.versions[id] = map[versionKey]*api.Job{}
	}
	s.versions[id][keyOf(job)] = job
	if p := *job.ParentID; p != "" {
		link(s.children, p, id)
		if t := deref(job.DispatchIdempotencyToken); t != "" {
			s.tokens[p+"\x00"+t] = id
		}
	}
}

// usedVersions are the versions of a job that allocations refer to.
func (s *store) usedVersions(id string) map[versionKey]bool {
	used := map[versionKey]bool{}
	for alloc := range s.allocsByJob[id] {
		used[keyOf(s.allocs[alloc].Job)] = true
	}
	return used
}

// pruneVersions forgets the versions of a job that no allocation refers to.
func (s *store) pruneVersions(id string) {
	used := s.usedVersions(id)
	for v := range s.versions[id] {
		if !used[v] {
			delete(s.versions[id], v)
		}
	}
}

func (s *store) dropJob(id string) {
	job := s.jobs[id]
	if job == nil {
		return
	}
	delete(s.jobs, id)
	if p := *job.ParentID; p != "" {
		unlink(s.children, p, id)
		if t := deref(job.DispatchIdempotencyToken); t != "" {
			delete(s.tokens, p+"\x00"+t)
		}
	}
	if len(s.allocsByJob[id]) == 0 {
		delete(s.versions, id)
	}
}

func (s *store) applyEval(e *api.Evaluation) {
	s.evals[e.ID] = e
	link(s.evalsByJob, e.JobID, e.ID)
}

func (s *store) dropEval(id string) {
	if e := s.evals[id]; e != nil {
		unlink(s.evalsByJob, e.JobID, id)
		delete(s.evals, id)
	}
}

func (s *store) applyAlloc(a *api.Allocation) {
	s.allocs[a.ID] = a
	link(s.allocsByJob, a.JobID, a.ID)
	link(s.allocsByNode, a.NodeID, a.ID)
}

func (s *store) dropAlloc(id string) {
	a := s.allocs[id]
	if a == nil {
		return
	}
	delete(s.allocs, id)
	unlink(s.allocsByJob, a.JobID, id)
	unlink(s.allocsByNode, a.NodeID, id)
	if s.jobs[a.JobID] == nil && len(s.allocsByJob[a.JobID]) == 0 {
		delete(s.versions, a.JobID)
	}
}

// jobAllocs returns a job's allocations, oldest first. The lock is held.
func (s *store) jobAllocs(jobID string) []*api.Allocation {
	out := make([]*api.Allocation, 0, len(s.allocsByJob[jobID]))
	for id := range s.allocsByJob[jobID] {
		out = append(out, s.allocs[id])
	}
	sort.Slice(out, func(i, j int) bool { return allocLess(out[i], out[j]) })
	return out
}

// nodeAllocs returns a node's allocations, oldest first. The lock is held.
func (s *store) nodeAllocs(nodeID string) []*api.Allocation {
	out := make([]*api.Allocation, 0, len(s.allocsByNode[nodeID]))
	for id := range s.allocsByNode[nodeID] {
		out = append(out, s.allocs[id])
	}
	sort.Slice(out, func(i, j int) bool { return allocLess(out[i], out[j]) })
	return out
}

func allocLess(a, b *api.Allocation) bool {
	if a.CreateIndex != b.CreateIndex {
		return a.CreateIndex < b.CreateIndex
	}
	if a.Name != b.Name {
		return a.Name < b.Name
	}
	return a.ID < b.ID
}

// jobEvals returns a job's evaluations, oldest first. The lock is held.
func (s *store) jobEvals(jobID string) []*api.Evaluation {
	out := make([]*api.Evaluation, 0, len(s.evalsByJob[jobID]))
	for id := range s.evalsByJob[jobID] {
		out = append(out, s.evals[id])
	}
	sort.Slice(out, func(i, j int) bool { return evalLess(out[i], out[j]) })
	return out
}

func evalLess(a, b *api.Evaluation) bool {
	if a.CreateIndex != b.CreateIndex {
		return a.CreateIndex < b.CreateIndex
	}
	return a.ID < b.ID
}

// allocByID finds an allocation; the client calls accept a full ID only, as
// Nomad's HTTP API does.
func (s *store) allocByID(id string) *api.Allocation {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.allocs[id]
}

// sortedKeys returns the keys with the prefix, in order.
func sortedKeys[V any](m map[string]V, prefix string) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		if strings.HasPrefix(k, prefix) {
			keys = append(keys, k)
		}
	}
	sort.Strings(keys)
	return keys
}

func link(m map[string]map[string]struct{}, key, id string) {
	if m[key] == nil {
		m[key] = map[string]struct{}{}
	}
	m[key][id] = struct{}{}
}

func unlink(m map[string]map[string]struct{}, key, id string) {
	delete(m[key], id)
	if len(m[key]) == 0 {
		delete(m, key)
	}
}

// deref returns the value a pointer of the wire types holds, or the zero value.
func deref[T any](p *T) T {
	if p == nil {
		var zero T
		return zero
	}
	return *p
}

func copyAlloc(a *api.Allocation) *api.Allocation {
	c := *a
	c.TaskStates = maps.Clone(a.TaskStates)
	return &c
}
