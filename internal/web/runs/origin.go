package runs

import (
	"cmp"
	"context"

	"golang.org/x/sync/errgroup"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/trainconf"
	view "github.com/cotrain/cotrain/views/runs"
	"github.com/cotrain/cotrain/views/ui"
)

// originOf links to what a run came from, where available: a run's page never depends on it.
func (p *Pages) originOf(ctx context.Context, r run.Run) view.Origin {
	o := r.Origin
	out := view.Origin{Template: o.Template, Clone: string(o.Clone), Sweep: string(o.Sweep), Point: o.Point}
	if o.Template != "" && o.Template == r.Preset {
		out.Template = "" // already in the details
	}
	var g errgroup.Group
	if out.Template != "" {
		g.Go(func() error { out.TemplateHref = p.templatePage(ctx, r.Project, out.Template); return nil })
	}
	if o.Clone != "" {
		g.Go(func() error {
			if first, err := p.Store.Run(ctx, o.Clone); err == nil {
				out.CloneHref, out.Clone = "/runs/"+string(first.ID), first.Name
			}
			return nil
		})
	}
	if o.Sweep != "" {
		g.Go(func() error {
			if sweep, err := p.Control.Sweep(ctx, o.Sweep); err == nil {
				out.SweepHref, out.Sweep = "/sweeps/"+string(sweep.ID), sweep.Name
			}
			return nil
		})
	}
	_ = g.Wait() // always nil
	return out
}

// templatePage is the page of a template's version or preset that a run of a project refers to; "" if gone.
func (p *Pages) templatePage(ctx context.Context, project, ref string) string {
	named, err := refIn(project, ref)
	switch {
	case err != nil:
		return ""
	case named.Preset != "":
		return ui.TemplatePath(named.Preset)
	}
	t, err := p.Control.Template(ctx, named.Template.Project, named.Template.Name, named.Template.Version)
	if err != nil {
		return ""
	}
	return ui.VersionPath(t.Where())
}

// refIn reads the name of a template or preset that a run of a project refers to.
func refIn(project, ref string) (trainconf.Ref, error) {
	named, err := trainconf.ParseRef("", "template:"+ref)
	if named.Preset == "" {
		named.Template.Project = cmp.Or(named.Template.Project, project)
	}
	return named, err
}
