package consul

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
)

const (
	// catalogPause is between queries of the catalog, which any change of a node or check answers.
	catalogPause = time.Second
	// clientService is how Nomad registers its clients, unless configured otherwise.
	clientService = "nomad-client"
	// Bounds of what is kept of a node.
	maxFailing = 8
	maxMeta    = 32
)

// check is a check that does not pass, or one of Nomad's client.
type check struct {
	node, datacenter string
	run.ConsulCheck
}

// WatchCatalog calls fn, never twice at the same time, with all nodes that Consul has, whenever it has told anything, until ctx ends.
func (c *Client) WatchCatalog(ctx context.Context, fn func(run.Catalog)) error {
	var mu sync.Mutex
	var nodes *known[run.ConsulNode]
	var checks *known[check]
	tell := func(set func()) {
		mu.Lock()
		defer mu.Unlock()
		set()
		if nodes != nil && checks != nil {
			fn(catalog(*nodes, *checks))
		}
	}
	var running sync.WaitGroup
	defer running.Wait()
	running.Go(func() {
		_ = follow(ctx, c, catalogPause, c.failing, func(k known[check]) { tell(func() { checks = &k }) }) // ends with ctx
	})
	return follow(ctx, c, catalogPause, c.nodes, func(k known[run.ConsulNode]) { tell(func() { nodes = &k }) })
}

// Catalog returns all nodes that Consul has now.
func (c *Client) Catalog(ctx context.Context) (run.Catalog, error) {
	names, err := c.Datacenters(ctx)
	if err != nil {
		return run.Catalog{}, err
	}
	nodes, checks := known[run.ConsulNode]{datacenters: names, at: time.Now()}, known[check]{at: time.Now()}
	for _, name := range names {
		n, _, err := c.nodes(ctx, name, 0)
		nodes.all, nodes.err = append(nodes.all, n...), cmp.Or(nodes.err, err)
		f, _, err := c.failing(ctx, name, 0)
		checks.all, checks.err = append(checks.all, f...), cmp.Or(checks.err, err)
	}
	return catalog(nodes, checks), nil
}

// nodes asks one datacenter for its nodes.
func (c *Client) nodes(ctx context.Context, datacenter string, index uint64) ([]run.ConsulNode, uint64, error) {
	q, cancel := blocking(ctx, datacenter, index)
	defer cancel()
	all, meta, err := c.api.Catalog().Nodes(q)
	if err != nil {
		return nil, 0, c.classify("list the nodes of Consul's datacenter "+datacenter, err)
	}
	out := []run.ConsulNode{}
	for _, n := range all {
		if n != nil {
			out = append(out, run.ConsulNode{Name: oneLine(n.Node), Datacenter: cmp.Or(n.Datacenter, datacenter), Address: oneLine(n.Address), Meta: bounded(n.Meta)})
		}
	}
	err = c.leaderless("list nodes", meta)
	if err == nil && len(out) == 0 { // the servers are nodes, too
		err = fault.New(fault.ErrUnavailable, fmt.Sprintf("Consul at %s hides its nodes from the console's token.", c.cfg.Address),
			"Give the token (consul.token, CONSUL_HTTP_TOKEN) node:read.").Because(errors.New("filtered by ACLs"))
	}
	return out, meta.LastIndex, err
}

// bounded is metadata from outside.
func bounded(meta map[string]string) map[string]string {
	keys := make([]string, 0, len(meta))
	for k := range meta {
		if !strings.HasPrefix(k, "consul-") { // Consul's own, such as its version
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	var out map[string]string
	for _, k := range keys[:min(len(keys), maxMeta)] {
		if out == nil {
			out = map[string]string{}
		}
		out[oneLine(k)] = oneLine(meta[k])
	}
	return out
}

// failing asks one datacenter for the checks that do not pass, and for those of Nomad's clients.
func (c *Client) failing(ctx context.Context, datacenter string, index uint64) ([]check, uint64, error) {
	q, cancel := blocking(ctx, datacenter, index)
	defer cancel()
	q.Filter = fmt.Sprintf("Status != %q or ServiceName == %q", api.HealthPassing, clientService)
	all, meta, err := c.api.Health().State(api.HealthAny, q)
	if err != nil {
		return nil, 0, c.classify("read the checks of Consul's datacenter "+datacenter, err)
	}
	out := []check{}
	for _, h := range all {
		if h != nil {
			out = append(out, check{oneLine(h.Node), datacenter, run.ConsulCheck{ID: oneLine(h.CheckID), Name: oneLine(h.Name), Service: oneLine(h.ServiceName), Status: oneLine(h.Status), Output: oneLine(cmp.Or(h.Output, h.Notes))}})
		}
	}
	return out, meta.LastIndex, c.leaderless("read checks", meta)
}

// catalog puts checks to their nodes.
func catalog(nodes known[run.ConsulNode], checks known[check]) run.Catalog {
	out := run.Catalog{Nodes: slices.Clone(nodes.all), Datacenters: nodes.datacenters, At: nodes.at, Problem: text(cmp.Or(nodes.err, checks.err))}
	if checks.at.Before(out.At) {
		out.At = checks.at
	}
	slices.SortFunc(out.Nodes, func(a, b run.ConsulNode) int {
		return cmp.Or(strings.Compare(a.Datacenter, b.Datacenter), strings.Compare(a.Name, b.Name))
	})
	type key struct{ datacenter, node string }
	of := map[key][]check{}
	for _, h := range checks.all {
		of[key{h.datacenter, h.node}] = append(of[key{h.datacenter, h.node}], h)
	}
	for i := range out.Nodes {
		n := &out.Nodes[i]
		n.Health = run.ConsulPassing
		for _, h := range of[key{n.Datacenter, n.Name}] {
			n.Client = n.Client || h.Service == clientService
			if h.Status != run.ConsulPassing {
				n.Failing = append(n.Failing, h.ConsulCheck)
			}
		}
		slices.SortFunc(n.Failing, func(a, b run.ConsulCheck) int {
			return cmp.Or(strings.Compare(a.Status, b.Status), strings.Compare(a.Service, b.Service), strings.Compare(a.ID, b.ID)) // critical is before warning
		})
		if len(n.Failing) > 0 {
			n.Health = n.Failing[0].Status
		}
		if extra := len(n.Failing) - maxFailing; extra > 0 {
			n.Failing, n.More = n.Failing[:maxFailing], extra
		}
	}
	return out
}
