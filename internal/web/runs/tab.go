package runs

import (
	"context"
	"net/http"

	"github.com/a-h/templ"

	"github.com/cotrain/cotrain/internal/feed"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/web/page"
	view "github.com/cotrain/cotrain/views/runs"
)

// content reads what a tab shows below the run's head.
type content = func(ctx context.Context, f view.Frame) (templ.Component, error)

// Tab shows a tab of a run. A tab that has nothing to say about the run leads to its overview.
func (p *Pages) Tab(w http.ResponseWriter, r *http.Request, tab view.Tab, read content) error {
	f, err := p.frame(r, tab)
	if err != nil {
		return err
	}
	if !tab.Of(f.Run) {
		return page.Redirect(w, r, view.TabOverview.Path(f.Run.ID))
	}
	c, err := read(r.Context(), f)
	if err != nil {
		return err
	}
	return p.Render(w, r, http.StatusOK, view.Page(p.Frame(r, f.Title(), "runs"), f, c))
}

// Live is the snapshot of the live parts of a tab, for a page that missed something.
func (p *Pages) Live(w http.ResponseWriter, r *http.Request) error {
	f, err := p.frame(r, view.Tab(r.URL.Query().Get("tab")))
	if err != nil {
		return err
	}
	read, ok := map[view.Tab]content{
		view.TabOverview: p.overviewParts, view.TabWorkers: p.workers, view.TabMesh: p.meshParts, view.TabCheckpoints: p.checkpoints, view.TabEvents: p.newestEvents,
	}[f.Tab]
	var parts templ.Component = templ.NopComponent
	if ok && f.Tab.Of(f.Run) {
		if parts, err = read(r.Context(), f); err != nil {
			return err
		}
	}
	return p.Render(w, r, http.StatusOK, view.Live(f, parts))
}

// frame reads a run with its queue place. It reads the sequence first, so that no message is missed.
func (p *Pages) frame(r *http.Request, tab view.Tab) (view.Frame, error) {
	id, err := page.RunID(r)
	if err != nil {
		return view.Frame{}, err
	}
	f := view.Frame{Tab: tab, Seq: p.Seq(feed.RunTopic(id)), Now: p.Now()}
	if f.Run, err = p.Store.Run(r.Context(), id); err != nil {
		return f, err
	}
	runs := []run.Run{f.Run}
	err = p.Store.SetQueuePlaces(r.Context(), runs)
	f.Run = runs[0]
	return f, err
}
