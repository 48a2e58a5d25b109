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
	return client.NodeList{Items: notNil(nodes)}, err
}
