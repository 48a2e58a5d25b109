package task

import (
	"fmt"
	"strconv"

	"github.com/hashicorp/nomad/api"

	"github.com/cotrain/cotrain/internal/localnomad/state"
)

// registerServices registers the group's and the tasks' services with this agent's own catalogue (provider "nomad"), where
// templates find them. Others are not looked at.
func (r *allocRunner) registerServices() {
	var regs []*api.ServiceRegistration
	add := func(services []*api.Service, workload string, env *environment) {
		for _, svc := range services {
			if svc.Provider == "nomad" {
				regs = append(regs, r.registration(svc, workload, env))
			}
		}
	}
	add(r.group.Services, "group-"+*r.group.Name, r.environment(nil))
	for _, t := range r.group.Tasks {
		add(t.Services, t.Name, r.environment(t))
	}
	r.rs.update(state.ServiceRegistered, func(tx *state.Tx) {
		for _, reg := range regs {
			tx.PutService(reg)
		}
	})
}

func (r *allocRunner) registration(svc *api.Service, workload string, env *environment) *api.ServiceRegistration {
	name := env.replace(svc.Name)
	reg := &api.ServiceRegistration{
		ID:          fmt.Sprintf("_nomad-task-%s-%s-%s-%s", r.alloc.ID, workload, name, svc.PortLabel),
		ServiceName: name, Namespace: r.alloc.Namespace, NodeID: r.alloc.NodeID, Datacenter: r.node.Datacenter,
		JobID: r.alloc.JobID, AllocID: r.alloc.ID, Tags: []string{}, Address: state.Loopback,
	}
	for _, tag := range svc.Tags {
		reg.Tags = append(reg.Tags, env.replace(tag))
	}
	if svc.Address != "" {
		reg.Address = env.replace(svc.Address)
	}
	label := env.replace(svc.PortLabel)
	reg.Port, _ = strconv.Atoi(label) // a label, or a number
	for _, p := range r.alloc.AllocatedResources.Shared.Ports {
		if p.Label == label {
			reg.Port = p.Value
		}
	}
	return reg
}
