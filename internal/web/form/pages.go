// Package form serves the form for a new run: its draft, its estimates, its dry run, and the import of a configuration. The
// sections that start from a draft, a run, a template or a preset find it here.
package form

import (
	"context"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/trainconf"
	"github.com/cotrain/cotrain/internal/web/page"
)

// Control is what the form asks for.
type Control interface {
	// Submit makes a run; what is not valid is [run.FieldErrors].
	Submit(ctx context.Context, actor string, s run.Submission) (run.Run, error)
	// DryRun asks the cluster what it would do. What is not valid is [run.FieldErrors], and a cluster that is away is
	// [fault.ErrUnavailable].
	DryRun(ctx context.Context, s run.Submission) (run.DryRun, error)
	// LaunchOf tells exactly what would start the workers. Nomad away is [fault.ErrUnavailable].
	LaunchOf(ctx context.Context, s run.Submission) (run.Launch, error)
	// Nodes returns the nodes of the cluster.
	Nodes(ctx context.Context) ([]run.Node, error)
}

// Storage checks the paths of a configuration, where they can be seen.
type Storage interface {
	CheckPaths(ctx context.Context, c trainconf.Config, shape run.Shape) (errs, warns run.FieldErrors)
}

// Pages are the handlers of the section. Storage is nil when shared storage is off.
type Pages struct {
	*page.Site
	References
	Control Control
	Storage Storage
}
