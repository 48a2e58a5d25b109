package run

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// What Consul says of a check, and of a node by its worst check.
const (
	ConsulPassing  = "passing"
	ConsulWarning  = "warning"
	ConsulCritical = "critical"
)

// ConsulNode is a node as Consul's catalog has it.
type ConsulNode struct {
	Name       string            `json:"name"`
	Datacenter string            `json:"datacenter"`
	Address    string            `json:"address,omitempty"`
	Meta       map[string]string `json:"meta,omitempty"`
	Health     string            `json:"health"`            // of the worst check
	Failing    []ConsulCheck     `json:"failing,omitempty"` // the worst first, not all of very many
	More       int               `json:"more,omitempty"`    // failing checks beyond these
	Client     bool              `json:"-"`                 // a client of Nomad is registered on it
}

// ConsulCheck is a check that does not pass.
type ConsulCheck struct {
	ID      string `json:"id"`
	Name    string `json:"name"`
	Service string `json:"service,omitempty"` // "" for one of the node
	Status  string `json:"status"`
	Output  string `json:"output,omitempty"` // one line, shortened
}

// ConsulName is where Consul's catalog has a node, as Nomad's client was told by the Consul agent on its machine.
type ConsulName struct {
	Name, Datacenter string // "" if it does not say
	Address          string // of Nomad's client
}

// Catalog is the nodes in Consul's catalog.
type Catalog struct {
	Nodes       []ConsulNode
	Datacenters []string  // whose nodes these are
	At          time.Time // when Consul said so last, zero for never
	Problem     string    // why it is old or not whole, "" for nothing
}

// Join sets what the catalog has of each of Nomad's nodes, and where the two disagree. It returns the entries of Nomad's clients that
// fail and that Nomad does not have: machines that went without leaving.
func (c Catalog) Join(nodes []Node) (stale []ConsulNode) {
	matched := map[int]bool{}
	for i := range nodes {
		n := &nodes[i]
		n.Consul, n.Disagreement = nil, ""
		if at := c.find(*n); at >= 0 {
			matched[at] = true
			n.Consul = &c.Nodes[at]
		}
		n.Disagreement = c.disagreement(*n)
	}
	for i, e := range c.Nodes {
		if e.Client && e.Health == ConsulCritical && !matched[i] {
			stale = append(stale, e)
		}
	}
	return stale
}

// find returns the entry of a node, -1 for none: that of the name it has in Consul, else the one with its name, else the only one at
// its address.
func (c Catalog) find(n Node) int {
	is := func(e ConsulNode, name string) bool { return strings.EqualFold(e.Name, name) }
	if n.ConsulName.Name != "" {
		return slices.IndexFunc(c.Nodes, func(e ConsulNode) bool {
			return is(e, n.ConsulName.Name) && (n.ConsulName.Datacenter == "" || e.Datacenter == n.ConsulName.Datacenter)
		})
	}
	at, named := c.only(func(e ConsulNode) bool { return is(e, n.Name) })
	if named || n.ConsulName.Address == "" {
		return at
	}
	at, _ = c.only(func(e ConsulNode) bool { return e.Address == n.ConsulName.Address })
	return at
}

// only returns the one entry that fits, -1 for none or several, and whether any does.
func (c Catalog) only(fits func(ConsulNode) bool) (at int, some bool) {
	at = slices.IndexFunc(c.Nodes, fits)
	if at >= 0 && slices.ContainsFunc(c.Nodes[at+1:], fits) {
		return -1, true
	}
	return at, at >= 0
}

// lostAgent is the check by which Consul's agents watch each other.
const lostAgent = "serfHealth"

// disagreement says in what Nomad and Consul disagree about a node, "" for nothing.
func (c Catalog) disagreement(n Node) string {
	ready := n.Status == "ready"
	switch e := n.Consul; {
	case e == nil && (n.ConsulName.Name == "" || !ready || c.Problem != "" || !slices.Contains(c.Datacenters, cmp.Or(n.ConsulName.Datacenter, n.Datacenter))):
		return ""
	case e == nil:
		return "Ready in Nomad, and not in Consul's catalog as " + n.ConsulName.Name + ": check the Consul agent on it."
	case ready && slices.ContainsFunc(e.Failing, func(f ConsulCheck) bool { return f.ID == lostAgent && f.Status == ConsulCritical }):
		return "Ready in Nomad, and Consul's other agents do not reach its agent: check the Consul agent on it, and its network."
	case ready && e.Health == ConsulCritical:
		return "Ready in Nomad, critical in Consul."
	case !ready && e.Health == ConsulPassing:
		return "Not ready in Nomad (" + n.Status + "), passing in Consul: check Nomad's client on it."
	}
	return ""
}
