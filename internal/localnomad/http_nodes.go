package localnomad

import (
	"fmt"
	"net"
	"net/http"
	"strings"

	"github.com/hashicorp/nomad/api"
)

func (s *Server) handleNodes(w http.ResponseWriter, r *http.Request) (any, error) {
	if r.Method != http.MethodGet {
		return nil, methodNotAllowed()
	}
	q, err := parseQuery(r)
	if err != nil {
		return nil, err
	}
	resources, _, err := parseBoolParam(r, "resources")
	if err != nil {
		return nil, codedError{http.StatusBadRequest, "Failed to parse node list fields: " + err.Error()}
	}
	withOS, _, err := parseBoolParam(r, "os")
	if err != nil {
		return nil, codedError{http.StatusBadRequest, "Failed to parse node list fields: " + err.Error()}
	}
	if err := checkUUIDPrefix("node", q.prefix); err != nil {
		return nil, err
	}
	obj, index := s.block(r.Context(), q, []table{tableNodes}, func() (any, uint64) {
		nodes := []*api.Node{}
		for _, id := range sortedKeys(s.st.nodes, q.prefix) {
			nodes = append(nodes, s.st.nodes[id])
		}
		return nodes, s.st.tableIndex(tableNodes)
	})
	nodes, err := list(w, q, obj.([]*api.Node), func(n *api.Node) string { return n.ID })
	if err != nil {
		return nil, err
	}
	stubs := make([]*api.NodeListStub, 0, len(nodes))
	for _, n := range nodes {
		stubs = append(stubs, nodeStub(n, resources, withOS))
	}
	setMeta(w, index)
	return stubs, nil
}

func nodeStub(n *api.Node, resources, withOS bool) *api.NodeListStub {
	host, _, _ := net.SplitHostPort(n.HTTPAddr) // empty when the agent has no port
	stub := &api.NodeListStub{
		Address: host, ID: n.ID, Datacenter: n.Datacenter, Name: n.Name, NodeClass: n.NodeClass, NodePool: n.NodePool,
		Version: n.Attributes["nomad.version"], Drain: n.Drain, SchedulingEligibility: n.SchedulingEligibility,
		Status: n.Status, StatusDescription: n.StatusDescription, Drivers: n.Drivers,
		CreateIndex: n.CreateIndex, ModifyIndex: n.ModifyIndex,
	}
	if resources {
		stub.NodeResources, stub.ReservedResources = n.NodeResources, n.ReservedResources
	}
	if withOS {
		stub.Attributes = map[string]string{"os.name": n.Attributes["os.name"]}
	}
	return stub
}

func (s *Server) handleNode(w http.ResponseWriter, r *http.Request) (any, error) {
	path := strings.TrimPrefix(r.URL.Path, "/v1/node/")
	if id, ok := strings.CutSuffix(path, "/eligibility"); ok {
		return s.setEligibility(w, r, id)
	}
	if r.Method != http.MethodGet {
		return nil, methodNotAllowed()
	}
	q, err := parseQuery(r)
	if err != nil {
		return nil, err
	}
	if id, ok := strings.CutSuffix(path, "/allocations"); ok {
		obj, index := s.block(r.Context(), q, []table{tableAllocs}, func() (any, uint64) {
			return s.st.nodeAllocs(id), s.st.tableIndex(tableAllocs)
		})
		setMeta(w, index)
		return obj, nil
	}
	if err := checkUUID("node", path); err != nil {
		return nil, err
	}
	obj, index := s.block(r.Context(), q, []table{tableNodes}, func() (any, uint64) {
		if n := s.st.nodes[path]; n != nil {
			return n, n.ModifyIndex
		}
		return nil, s.st.tableIndex(tableNodes)
	})
	setMeta(w, index)
	if obj == nil {
		return nil, codedError{http.StatusNotFound, "node not found"}
	}
	return obj, nil
}

func (s *Server) setEligibility(w http.ResponseWriter, r *http.Request, id string) (any, error) {
	if !isWrite(r) {
		return nil, methodNotAllowed()
	}
	var req api.NodeUpdateEligibilityRequest
	if err := decodeBody(r, &req); err != nil {
		return nil, err
	}
	if req.Eligibility != api.NodeSchedulingEligible && req.Eligibility != api.NodeSchedulingIneligible {
		return nil, fmt.Errorf("invalid scheduling eligibility %q", req.Eligibility)
	}
	index, err := s.st.update("NodeEligibility", s.now().UnixNano(), func(tx *txn) error {
		n := s.st.nodes[id]
		if n == nil {
			return fmt.Errorf("node not found")
		}
		c := *n
		c.SchedulingEligibility = req.Eligibility
		tx.putNode(&c)
		return nil
	})
	if err != nil {
		return nil, err
	}
	s.sched.unblock()
	setIndex(w, index)
	return map[string]any{"EvalIDs": []string{}, "EvalCreateIndex": 0, "NodeModifyIndex": index, "Index": index}, nil
}
