// Package form serves the form for a new run: draft, estimates, dry run and import. Other sections that start from a
// draft, run, template or preset use it too.
package form

import (
	"context"

	"github.com/cotrain/cotrain/internal/measure"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/web/page"
)

// Control is the part of control that the form uses.
type Control interface {
	// Submit creates a run; invalid input is [run.FieldErrors].
	Submit(ctx context.Context, s run.Submission) (run.Run, error)
	// Check returns what judges drafts as their project and shared storage are; nothing of those that cannot be submitted.
	Check(ctx context.Context) func(run.Submission) (errs, warns run.FieldErrors)
	// DryRun asks the cluster. Invalid input is [run.FieldErrors], an unreachable cluster [fault.ErrUnavailable].
	DryRun(ctx context.Context, s run.Submission) (run.DryRun, error)
	// LaunchOf returns what would start the workers. Nomad unreachable is [fault.ErrUnavailable].
	LaunchOf(ctx context.Context, s run.Submission) (run.Launch, error)
	Nodes(ctx context.Context) ([]run.Node, error)
	// Outlook tells which checkpoints of a run there are.
	Outlook(ctx context.Context, id run.ID) (run.Outlook, error)
}

// Secrets are those that runs may ask for.
type Secrets interface {
	// Secrets returns those that runs of a project may use.
	Secrets(ctx context.Context, project string) ([]run.Secret, error)
}

// Pages are the section's handlers.
type Pages struct {
	*page.Site
	References
	Control Control
	Secrets Secrets
	Survey  Survey
}

// Survey knows how fast the network between nodes is.
type Survey interface {
	Measured(ctx context.Context) (*measure.Known, error)
}
