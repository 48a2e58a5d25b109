package runs

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/a-h/templ"
	"golang.org/x/sync/errgroup"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/trainconf"
	"github.com/cotrain/cotrain/internal/web/form"
	"github.com/cotrain/cotrain/internal/web/page"
	"github.com/cotrain/cotrain/views/diff"
	view "github.com/cotrain/cotrain/views/runs"
	"github.com/cotrain/cotrain/views/ui"
)

const (
	// launchAway is shown while Nomad is unreachable.
	launchAway = "Job, environment and script need Nomad's parser. Try again in a moment."
	// launchWithin is how long Nomad may take: the rest of the tab does not depend on it.
	launchWithin = 3 * time.Second
)

// Config shows exactly what was run.
func (p *Pages) Config(w http.ResponseWriter, r *http.Request) error {
	return p.Tab(w, r, view.TabConfig, func(ctx context.Context, f view.Frame) (templ.Component, error) {
		c := view.Config{Run: f.Run}
		var g errgroup.Group
		g.Go(func() (err error) { c.Launch, c.Problem, err = p.launch(ctx, f.Run.ID); return })
		if req, err := trainconf.RequestOfRun(f.Run); err == nil {
			c.Reproduce = req.CommandLine(f.Run.Project)
			c.Base = p.baseOf(ctx, f.Run, req)
		}
		err := g.Wait()
		return view.ConfigTab(c), err
	})
}

// Launch is where the launch was before it had its place on the tab.
func (p *Pages) Launch(w http.ResponseWriter, r *http.Request) error {
	found, err := p.run(r)
	if err != nil {
		return err
	}
	return page.Redirect(w, r, view.TabConfig.Path(found.ID))
}

// launch is how workers are started, or why that is not known now.
func (p *Pages) launch(ctx context.Context, id run.ID) (l run.Launch, problem string, err error) {
	ctx, cancel := context.WithTimeout(ctx, launchWithin)
	defer cancel()
	l, err = p.Control.Launch(ctx, id)
	if errors.Is(err, fault.ErrUnavailable) || errors.Is(err, context.DeadlineExceeded) {
		return run.Launch{}, launchAway, nil
	}
	l.Config = "" // the tab has it already
	return l, "", err
}

// baseOf is what a run was made from, with what it changes; the zero Base where that is gone.
func (p *Pages) baseOf(ctx context.Context, r run.Run, req trainconf.Request) view.Base {
	named, err := refIn(r.Project, cmp.Or(r.Origin.Template, r.Preset))
	if err != nil {
		return view.Base{}
	}
	start, err := named.Find(ctx, p.Store.Run, p.Control.Template)
	if err != nil {
		return view.Base{}
	}
	b := view.Base{Title: named.Preset, Ref: "preset:" + named.Preset, Href: ui.TemplatePath(named.Preset)}
	if named.Preset == "" {
		ref, ok := run.ParseTemplateRef(start.Origin.Template)
		if !ok {
			return view.Base{}
		}
		b = view.Base{Title: ref.Label(), Ref: "template:" + start.Origin.Template, Href: ui.VersionPath(ref)}
	}
	for _, change := range req.Changes(start.Request) {
		if !slices.Contains([]string{trainconf.FieldName, "description", "tags"}, change.Field) { // words about one run
			b.Changes = append(b.Changes, diff.Row(change))
		}
	}
	return b
}

// ConfigFile downloads the dispatched configuration.
func (p *Pages) ConfigFile(w http.ResponseWriter, r *http.Request) error {
	found, err := p.run(r)
	if err != nil {
		return err
	}
	page.Attach(w, string(found.ID)+".toml", "application/toml")
	_, _ = w.Write([]byte(found.Config)) // the client has gone
	return nil
}

// Script downloads the launch script of a run.
func (p *Pages) Script(w http.ResponseWriter, r *http.Request) error {
	return p.launchFile(w, r, "launch.sh")
}

// Job downloads the parameterized job of a run.
func (p *Pages) Job(w http.ResponseWriter, r *http.Request) error {
	return p.launchFile(w, r, "job.json")
}

func (p *Pages) launchFile(w http.ResponseWriter, r *http.Request, file string) error {
	id, err := page.RunID(r)
	if err != nil {
		return err
	}
	launch, err := p.Control.Launch(r.Context(), id)
	if err != nil {
		return err
	}
	return form.WriteLaunchFile(w, launch, string(id)+"-", file)
}
