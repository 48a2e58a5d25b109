package guard

import (
	"context"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/run"
)

// Templates keeps templates.
type Templates interface {
	Templates(ctx context.Context, in run.Projects) ([]run.Template, error)
	Template(ctx context.Context, project, name string, version int) (run.Template, error)
	TemplateVersions(ctx context.Context, project, name string) ([]run.Template, error)
	SaveTemplate(ctx context.Context, actor string, t run.Template, follows int) (run.Template, error)
	DeleteTemplate(ctx context.Context, actor, project, name string) error
}

// template is a template of a project, "" for the one that goes without saying, over which who asks has a right.
func (g *Guard) template(ctx context.Context, right access.Right, project, name string) (access.Subject, error) {
	project, err := run.ProjectFor(access.From(ctx), right, project)
	if err != nil {
		return access.Subject{}, err
	}
	of := access.Subject{Kind: access.SubjectTemplate, ID: name, Project: project}
	return of, g.Allow(ctx, right, of)
}

// Templates returns the newest version of each of projects, by name.
func (g *Guard) Templates(ctx context.Context, in run.Projects) ([]run.Template, error) {
	return g.o.Control.Templates(ctx, visible(ctx, access.TemplatesRead, in))
}

// Template returns a version, 0 for the newest, or [fault.ErrNotFound].
func (g *Guard) Template(ctx context.Context, project, name string, version int) (run.Template, error) {
	of, err := g.template(ctx, access.TemplatesRead, project, name)
	if err != nil {
		return run.Template{}, err
	}
	return g.o.Control.Template(ctx, of.Project, name, version)
}

// TemplateVersions returns all versions, newest first.
func (g *Guard) TemplateVersions(ctx context.Context, project, name string) ([]run.Template, error) {
	of, err := g.template(ctx, access.TemplatesRead, project, name)
	if err != nil {
		return nil, err
	}
	return g.o.Control.TemplateVersions(ctx, of.Project, name)
}

// SaveTemplate makes the version after follows (0: the first, [run.AnyVersion]: any), unless nothing changed.
func (g *Guard) SaveTemplate(ctx context.Context, t run.Template, follows int) (saved run.Template, err error) {
	err = g.inProject(ctx, access.TemplatesSave, t.Project, func(ctx context.Context, actor, project string) (err error) {
		t.Project = project
		saved, err = g.o.Control.SaveTemplate(ctx, actor, t, follows)
		return err
	})
	return saved, err
}

// DeleteTemplate removes all versions of a template.
func (g *Guard) DeleteTemplate(ctx context.Context, project, name string) error {
	of, err := g.template(ctx, access.TemplatesDelete, project, name)
	if err != nil {
		return err
	}
	return g.change(ctx, access.TemplatesDelete, of.Project, of, func(ctx context.Context, actor string) error {
		return g.o.Control.DeleteTemplate(ctx, actor, of.Project, name)
	})
}
