package client

import (
	"context"

	"github.com/cotrain/cotrain/internal/run"
)

// NodeList is the nodes of the cluster.
type NodeList struct {
	Items []run.Node `json:"items" nullable:"false"`
}

// Nodes lists the nodes of the cluster.
func (c *Client) Nodes(ctx context.Context) (NodeList, error) {
	return get[NodeList](ctx, c, "/api/v1/nodes", nil)
}
