package client

import (
	"context"

	"github.com/cotrain/cotrain/internal/mesh"
	"github.com/cotrain/cotrain/internal/run"
)

// MeshQuery says which outer steps of a run to read.
type MeshQuery struct {
	Before int  `query:"before" minimum:"1" doc:"Only rounds before this number: the next of the previous answer. The newest without it"`
	Limit  int  `query:"limit" default:"100" minimum:"1" maximum:"1000" doc:"At most so many rounds"`
	Syncs  bool `query:"syncs" doc:"With the duration of each worker's sync; then there may be fewer rounds in an answer"`
}

// Mesh is what is known of a run's outer steps: who waited for whom, and what that cost.
type Mesh struct {
	Run run.ID `json:"run"`
	mesh.Report
}

// Mesh reads the outer steps of a run.
func (c *Client) Mesh(ctx context.Context, id run.ID, q MeshQuery) (Mesh, error) {
	return get[Mesh](ctx, c, runPath(id, "/mesh"), q)
}
