package web

import (
	"context"

	"golang.org/x/sync/errgroup"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/trainconf"
	"github.com/cotrain/cotrain/views"
)

// originOf finds the pages of what a run came from. What is gone, or cannot be asked for right now, has none: a run's page
// never depends on it.
func (s *Server) originOf(ctx context.Context, r run.Run) views.RunOrigin {
	o := r.Origin
	out := views.RunOrigin{Template: o.Template, Clone: string(o.Clone), Sweep: string(o.Sweep), Point: o.Point}
	if o.Template != "" && o.Template == r.Preset {
		out.Template = "" // the details name it already
	}
	var g errgroup.Group
	if out.Template != "" {
		g.Go(func() error { out.TemplateHref = s.templatePage(ctx, out.Template); return nil })
	}
	if o.Clone != "" {
		g.Go(func() error {
			if first, err := s.Runs.Run(ctx, o.Clone); err == nil {
				out.CloneHref, out.Clone = "/runs/"+string(first.ID), first.Name
			}
			return nil
		})
	}
	if o.Sweep != "" {
		g.Go(func() error {
			if sweep, err := s.Sweeps.Sweep(ctx, o.Sweep); err == nil {
				out.SweepHref, out.Sweep = "/sweeps/"+string(sweep.ID), sweep.Name
			}
			return nil
		})
	}
	_ = g.Wait() // none returns an error
	return out
}

// templatePage is the address of the page of a template's version, or of a preset; "" when it is gone.
func (s *Server) templatePage(ctx context.Context, ref string) string {
	if p, ok := trainconf.PresetByName(ref); ok {
		return "/templates/" + p.Name
	}
	name, version, ok := run.ParseTemplateRef(ref)
	if !ok {
		return ""
	}
	t, err := s.Templates.Template(ctx, name, version)
	if err != nil {
		return ""
	}
	return templateHref(t, "")
}
