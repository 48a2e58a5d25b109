package consultest

import (
	"cmp"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// Node is a node in the catalog, with its checks.
type Node struct {
	Name, Address string
	Meta          map[string]string
	Checks        []Check
}

// Check is a check of a node, or of a service on it.
type Check struct{ ID, Name, Service, Status, Output, Notes string }

// SetNode puts a node into the catalog, in place of one of that name.
func (s *Server) SetNode(datacenter string, n Node) {
	s.change(func() { s.setNode(datacenter, n) })
}

func (s *Server) setNode(datacenter string, n Node) {
	if s.nodes[datacenter] == nil {
		s.nodes[datacenter] = map[string]Node{}
	}
	s.nodes[datacenter][n.Name] = n
}

// RemoveNode takes a node out of the catalog.
func (s *Server) RemoveNode(datacenter, name string) {
	s.change(func() { delete(s.nodes[datacenter], name) })
}

func (s *Server) catalogs(w http.ResponseWriter, r *http.Request, path string) {
	switch path {
	case "catalog/nodes":
		s.block(w, r, func() any { return s.nodeList(cmp.Or(r.URL.Query().Get("dc"), s.own)) })
	case "catalog/register":
		var given struct {
			Datacenter, Node, Address string
			NodeMeta                  map[string]string
			Checks                    []struct{ CheckID, Name, ServiceID, Status, Output, Notes string }
		}
		if err := json.NewDecoder(r.Body).Decode(&given); err != nil {
			refuse(w, http.StatusBadRequest, err.Error())
			return
		}
		n := Node{Name: given.Node, Address: given.Address, Meta: given.NodeMeta}
		for _, c := range given.Checks {
			n.Checks = append(n.Checks, Check{c.CheckID, c.Name, c.ServiceID, c.Status, c.Output, c.Notes})
		}
		s.SetNode(cmp.Or(given.Datacenter, s.own), n)
		reply(w, true)
	case "catalog/deregister":
		var given struct{ Datacenter, Node string }
		if err := json.NewDecoder(r.Body).Decode(&given); err != nil {
			refuse(w, http.StatusBadRequest, err.Error())
			return
		}
		s.RemoveNode(cmp.Or(given.Datacenter, s.own), given.Node)
		reply(w, true)
	default:
		refuse(w, http.StatusNotFound, "no such endpoint")
	}
}

func (s *Server) nodeList(datacenter string) any {
	out := []map[string]any{}
	if s.hides {
		return out
	}
	if datacenter == s.own {
		out = append(out, map[string]any{"Node": "agent", "Address": "127.0.0.1", "Datacenter": datacenter, "Meta": map[string]string{"consul-network-segment": ""}})
	}
	for _, n := range s.nodes[datacenter] {
		out = append(out, map[string]any{"Node": n.Name, "Address": n.Address, "Datacenter": datacenter, "Meta": n.Meta})
	}
	return out
}

// checks knows the one filter that the console sends.
func (s *Server) checks(q url.Values) any {
	_, service, filtered := strings.Cut(q.Get("filter"), `ServiceName == "`)
	service = strings.TrimSuffix(service, `"`)
	out := []map[string]any{}
	for _, n := range s.nodes[cmp.Or(q.Get("dc"), s.own)] {
		for _, c := range n.Checks {
			if s.hides || filtered && c.Status == "passing" && c.Service != service {
				continue
			}
			out = append(out, map[string]any{"Node": n.Name, "CheckID": c.ID, "Name": c.Name, "ServiceName": c.Service, "Status": c.Status, "Output": c.Output, "Notes": c.Notes})
		}
	}
	slices.SortFunc(out, func(a, b map[string]any) int {
		return cmp.Or(strings.Compare(a["Node"].(string), b["Node"].(string)), strings.Compare(a["CheckID"].(string), b["CheckID"].(string)))
	})
	return out
}
