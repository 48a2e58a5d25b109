package guard

import (
	"context"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/run"
)

// Layouts keeps how people arrange pages; no user is the default of a project.
type Layouts interface {
	Layout(ctx context.Context, project string, user access.UserID, page run.LayoutPage) (string, error)
	SetLayout(ctx context.Context, project string, user access.UserID, page run.LayoutPage, data string) error
}

// Layout returns how who asks has arranged a page in a project ("" for all of them), or else how the project has, or else "".
func (g *Guard) Layout(ctx context.Context, project string, page run.LayoutPage) (string, error) {
	if who := access.From(ctx); project != "" && !who.May(access.RunsRead, project) || !who.MayAnywhere(access.RunsRead) {
		return "", nil // as of a project that nobody has arranged
	}
	return g.o.Store.Layout(ctx, project, access.From(ctx).User, page)
}

// SetLayout stores how who asks arranges a page in a project ("" for all of them); no data removes it.
func (g *Guard) SetLayout(ctx context.Context, project string, page run.LayoutPage, data string) error {
	if err := g.arranges(ctx, project); err != nil {
		return err
	}
	return g.o.Store.SetLayout(ctx, project, access.From(ctx).User, page, data)
}

// SetProjectLayout stores how a project arranges a page for those who have not; no data removes it.
func (g *Guard) SetProjectLayout(ctx context.Context, project string, page run.LayoutPage, data string) error {
	subject := access.Subject{Kind: access.SubjectProject, ID: project}
	return g.change(ctx, access.ProjectEdit, project, subject, func(ctx context.Context, _ string) error {
		return g.o.Store.SetLayout(ctx, project, "", page, data)
	})
}

func (g *Guard) arranges(ctx context.Context, project string) error {
	if project == "" {
		return g.anywhere(ctx, access.RunsRead)
	}
	return g.over(ctx, access.RunsRead, project, access.Subject{Kind: access.SubjectProject, ID: project})
}
