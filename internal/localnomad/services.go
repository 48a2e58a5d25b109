package localnomad

import (
	"fmt"
	"net/http"
	"sort"
	"strconv"
	"strings"

	"github.com/hashicorp/nomad/api"
)

// registerServices registers the group's and the tasks' services with this
// agent's own catalogue ("nomad" provider). Others are not looked at.
func (r *allocRunner) registerServices() {
	var regs []*api.ServiceRegistration
	env := r.s.newTaskEnv(r.alloc, r.node, nil, r.dir)
	for _, svc := range r.group.Services {
		regs = append(regs, r.registration(svc, "group-"+*r.group.Name, env))
	}
	for _, t := range r.group.Tasks {
		for _, svc := range t.Services {
			regs = append(regs, r.registration(svc, t.Name, r.s.newTaskEnv(r.alloc, r.node, t, r.dir)))
		}
	}
	_, err := r.s.st.update(kindOfService, r.s.now().UnixNano(), func(tx *txn) error {
		for _, reg := range regs {
			if reg != nil {
				tx.putService(reg)
			}
		}
		return nil
	})
	if err != nil {
		r.s.log.Error("register services", "alloc", r.alloc.ID, "error", err)
	}
}

func (r *allocRunner) registration(svc *api.Service, workload string, env *taskEnv) *api.ServiceRegistration {
	if svc.Provider != "nomad" {
		return nil
	}
	reg := &api.ServiceRegistration{
		ID:          fmt.Sprintf("_nomad-task-%s-%s-%s-%s", r.alloc.ID, workload, env.replace(svc.Name), svc.PortLabel),
		ServiceName: env.replace(svc.Name), Namespace: r.alloc.Namespace, NodeID: r.alloc.NodeID,
		Datacenter: r.node.Datacenter, JobID: r.alloc.JobID, AllocID: r.alloc.ID, Tags: []string{}, Address: loopback,
	}
	for _, tag := range svc.Tags {
		reg.Tags = append(reg.Tags, env.replace(tag))
	}
	if svc.Address != "" {
		reg.Address = env.replace(svc.Address)
	}
	label := env.replace(svc.PortLabel)
	for _, p := range r.alloc.AllocatedResources.Shared.Ports {
		if p.Label == label {
			reg.Port = p.Value
			if svc.Address == "" {
				reg.Address = p.HostIP
			}
			return reg
		}
	}
	if n, err := strconv.Atoi(label); err == nil {
		reg.Port = n
	}
	return reg
}

// deregisterServices removes the allocation's services. It is called before
// its tasks are asked to end, and once more when they have.
func (r *allocRunner) deregisterServices() { r.s.dropServices(r.alloc.ID) }

func (s *Server) dropServices(allocID string) {
	_, err := s.st.update(kindOfServiceGone, s.now().UnixNano(), func(tx *txn) error {
		for _, id := range sortedKeys(s.st.services, "") {
			if reg := s.st.services[id]; reg.AllocID == allocID {
				tx.deleteService(reg)
			}
		}
		return nil
	})
	if err != nil {
		s.log.Error("deregister services", "alloc", allocID, "error", err)
	}
}

// servicesNamed returns a service's registrations in order. The lock is held.
func (s *store) servicesNamed(name string) []*api.ServiceRegistration {
	regs := []*api.ServiceRegistration{}
	for _, r := range s.services {
		if r.ServiceName == name {
			regs = append(regs, r)
		}
	}
	sort.Slice(regs, func(i, j int) bool { return regs[i].ID < regs[j].ID })
	return regs
}

// serviceTags lists all services and their tags. The lock is held.
func (s *store) serviceTags() []*api.ServiceRegistrationStub {
	tags := map[string]map[string]struct{}{}
	for _, r := range s.services {
		if tags[r.ServiceName] == nil {
			tags[r.ServiceName] = map[string]struct{}{}
		}
		for _, t := range r.Tags {
			tags[r.ServiceName][t] = struct{}{}
		}
	}
	stubs := []*api.ServiceRegistrationStub{}
	for _, name := range sortedKeys(tags, "") {
		stubs = append(stubs, &api.ServiceRegistrationStub{ServiceName: name, Tags: sortedKeys(tags[name], "")})
	}
	return stubs
}

func (s *Server) handleServices(w http.ResponseWriter, r *http.Request) (any, error) {
	if r.Method != http.MethodGet {
		return nil, methodNotAllowed()
	}
	q, err := parseQuery(r)
	if err != nil {
		return nil, err
	}
	obj, index := s.block(r.Context(), q, []table{tableServices}, func() (any, uint64) {
		out := []*api.ServiceRegistrationListStub{}
		if stubs := s.st.serviceTags(); len(stubs) > 0 && q.visible() {
			out = append(out, &api.ServiceRegistrationListStub{Namespace: defaultNamespace, Services: stubs})
		}
		return out, s.st.tableIndex(tableServices)
	})
	setMeta(w, index)
	return obj, nil
}

func (s *Server) handleService(w http.ResponseWriter, r *http.Request) (any, error) {
	path := strings.TrimPrefix(r.URL.Path, "/v1/service/")
	name, id, both := strings.Cut(path, "/")
	if both && r.Method == http.MethodDelete {
		return s.deleteService(w, name, id)
	}
	if r.Method != http.MethodGet {
		return nil, methodNotAllowed()
	}
	if name == "" {
		return nil, codedError{http.StatusBadRequest, "missing service name"}
	}
	q, err := parseQuery(r)
	if err != nil {
		return nil, err
	}
	obj, index := s.block(r.Context(), q, []table{tableServices}, func() (any, uint64) {
		regs := []*api.ServiceRegistration{}
		if q.visible() {
			regs = s.st.servicesNamed(name)
		}
		return regs, s.st.tableIndex(tableServices)
	})
	regs, err := list(w, q, obj.([]*api.ServiceRegistration), func(r *api.ServiceRegistration) string { return r.ID })
	if err != nil {
		return nil, err
	}
	setMeta(w, index)
	return regs, nil
}

func (s *Server) deleteService(w http.ResponseWriter, name, id string) (any, error) {
	index, err := s.st.update(kindOfServiceGone, s.now().UnixNano(), func(tx *txn) error {
		reg := s.st.services[id]
		if reg == nil || reg.ServiceName != name {
			return codedError{http.StatusNotFound, "service registration not found"}
		}
		tx.deleteService(reg)
		return nil
	})
	if err != nil {
		return nil, err
	}
	setIndex(w, index)
	return nil, nil
}

func (s *Server) jobServices(w http.ResponseWriter, r *http.Request, id string) (any, error) {
	return s.servicesOf(w, r, func(reg *api.ServiceRegistration) bool { return reg.JobID == id })
}

func (s *Server) allocServices(w http.ResponseWriter, r *http.Request, id string) (any, error) {
	return s.servicesOf(w, r, func(reg *api.ServiceRegistration) bool { return reg.AllocID == id })
}

func (s *Server) servicesOf(w http.ResponseWriter, r *http.Request, want func(*api.ServiceRegistration) bool) (any, error) {
	if r.Method != http.MethodGet {
		return nil, methodNotAllowed()
	}
	q, err := parseQuery(r)
	if err != nil {
		return nil, err
	}
	obj, index := s.block(r.Context(), q, []table{tableServices}, func() (any, uint64) {
		regs := []*api.ServiceRegistration{}
		for _, id := range sortedKeys(s.st.services, "") {
			if reg := s.st.services[id]; want(reg) {
				regs = append(regs, reg)
			}
		}
		return regs, s.st.tableIndex(tableServices)
	})
	setMeta(w, index)
	return obj, nil
}
