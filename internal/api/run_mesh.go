package api

import (
	"context"

	"github.com/cotrain/cotrain/internal/client"
	"github.com/cotrain/cotrain/internal/mesh"
)

// mostSyncs bounds the syncs of one answer: rounds times workers.
const mostSyncs = 100_000

type readMeshInput struct {
	ID string `path:"id" doc:"ID of the run, such as r-0123456789"`
	client.MeshQuery
}

// readMesh tells of a run's outer steps. A run without DiLoCo has none.
func (s *server) readMesh(ctx context.Context, in *readMeshInput) (out client.Mesh, err error) {
	r, err := s.find(ctx, in.ID)
	if err != nil {
		return out, err
	}
	out.Run = r.ID
	if r.InnerSteps == 0 {
		out.Report = mesh.Of(mesh.Input{}).Report(mesh.Page{}, nil)
		return out, nil
	}
	made, err := s.Rounds.Of(ctx, s.Details, r)
	if err != nil {
		return out, err
	}
	known, err := s.Survey.Measured(ctx)
	if err != nil { // who may not see the cluster has no numbers of it
		known = nil
	}
	page := mesh.Page{Before: in.Before, Limit: in.Limit, Syncs: in.Syncs}
	if page.Syncs {
		page.Limit = min(page.Limit, max(1, mostSyncs/max(1, len(made.Lanes))))
	}
	out.Report = made.Report(r, known, page)
	return out, nil
}
