package httpapi

import (
	"net/http"

	"github.com/hashicorp/nomad/api"

	"github.com/cotrain/cotrain/internal/localnomad/state"
)

func (a *API) listNodes(w http.ResponseWriter, r *http.Request, _ string) (any, error) {
	resources := boolParam(r, "resources", false)
	return list(a, w, r, state.Nodes, func(t *state.Tables, q query) []*api.Node {
		q.all = true // nodes are in no namespace
		return matching(t.Nodes, q)
	}, func(n *api.Node) *api.NodeListStub {
		stub := &api.NodeListStub{
			ID: n.ID, Datacenter: n.Datacenter, Name: n.Name, NodeClass: n.NodeClass, NodePool: n.NodePool,
			Version: n.Attributes["nomad.version"], SchedulingEligibility: n.SchedulingEligibility, Status: n.Status,
			Drivers: n.Drivers, CreateIndex: n.CreateIndex, ModifyIndex: n.ModifyIndex,
		}
		if resources {
			stub.NodeResources, stub.ReservedResources = n.NodeResources, n.ReservedResources
		}
		return stub
	})
}

// nodeStats answers what the machine and a node's devices are doing, by the node's clock.
func (a *API) nodeStats(_ http.ResponseWriter, r *http.Request, _ string) (any, error) {
	id := r.URL.Query().Get("node_id")
	n := a.Store.Node(id)
	if n == nil {
		return nil, notFound("Unknown node %q", id)
	}
	if state.Gone(n) {
		return nil, notFound("No path to node")
	}
	type stats struct { // as Nomad answers; the structs of its client leave the time out
		*api.HostStats
		Timestamp int64
	}
	host := a.Usage.Host(r.Context())
	host.DeviceStats = a.DeviceStats(r.Context(), n)
	return stats{&host, a.Now(n.Name).UnixNano()}, nil
}
