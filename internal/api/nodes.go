package api

import (
	"context"

	"github.com/cotrain/cotrain/internal/client"
)

func (s *server) listNodes(ctx context.Context, _ *struct{}) (out client.NodeList, err error) {
	nodes, err := s.Actions.Nodes(ctx)
	s.Actions.MeasureGPUs(ctx, nodes)
	for i := range nodes {
		nodes[i].GPUs, nodes[i].Uses = notNil(nodes[i].GPUs), notNil(nodes[i].Uses)
	}
	out.Items = notNil(nodes)
	if s.Catalog == nil || s.Catalog() == nil {
		return out, err
	}
	c := s.Catalog()
	out.Consul = &client.ConsulCatalog{Problem: c.Problem, Stale: notNil(c.Join(out.Items))}
	if !c.At.IsZero() {
		out.Consul.At = &c.At
	}
	return out, err
}
