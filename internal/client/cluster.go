package client

import (
	"context"

	"github.com/cotrain/cotrain/internal/run"
)

// System is whether what the console depends on works.
type System struct {
	Nomad   string `json:"nomad" doc:"ok or unreachable"`
	Store   string `json:"store" doc:"ok or failing"`
	Message string `json:"message" doc:"What is wrong and what comes of it, in a sentence or two; empty when all is well"`
}

// System reads how the console is.
func (c *Client) System(ctx context.Context) (System, error) {
	return get[System](ctx, c, "/api/v1/system", nil)
}

// NodeList is the nodes of the cluster.
type NodeList struct {
	Items []run.Node `json:"items" nullable:"false"`
}

// Nodes lists the nodes of the cluster.
func (c *Client) Nodes(ctx context.Context) (NodeList, error) {
	return get[NodeList](ctx, c, "/api/v1/nodes", nil)
}
