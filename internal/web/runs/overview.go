package runs

import (
	"context"
	"math"
	"net/http"
	"net/url"
	"slices"

	"github.com/a-h/templ"
	"golang.org/x/sync/errgroup"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/web/page"
	view "github.com/cotrain/cotrain/views/runs"
)

const (
	tailShown    = 100 // newest log lines; most may be for the console, and are left out
	eventsListed = 8
)

// moved are parameters of the run's page whose tabs have an address of their own.
var moved = map[string]struct {
	tab  view.Tab
	name string
}{"worker": {view.TabLogs, "worker"}, "events_before": {view.TabEvents, "before"}}

// Overview shows of everything the newest.
func (p *Pages) Overview(w http.ResponseWriter, r *http.Request) error {
	for old, to := range moved {
		if v := r.URL.Query().Get(old); v != "" {
			id, err := page.RunID(r)
			if err != nil {
				return err
			}
			return page.Redirect(w, r, to.tab.Path(id)+"?"+url.Values{to.name: {v}}.Encode())
		}
	}
	return p.Tab(w, r, view.TabOverview, func(ctx context.Context, f view.Frame) (templ.Component, error) {
		o, err := p.overview(ctx, f)
		if err != nil {
			return nil, err
		}
		o.Origin = p.originOf(ctx, f.Run)
		o.Log, err = p.Store.Logs(ctx, f.Run.ID, run.LogQuery{Rank: -1, Tail: true, Limit: tailShown})
		o.Log = slices.DeleteFunc(o.Log, func(l run.LogLine) bool { return l.Level == run.LevelMachine })
		return view.OverviewTab(o), err
	})
}

// overviewParts are the live parts of the overview.
func (p *Pages) overviewParts(ctx context.Context, f view.Frame) (templ.Component, error) {
	o, err := p.overview(ctx, f)
	return view.OverviewParts(o), err
}

// overview reads workers and the newest events.
func (p *Pages) overview(ctx context.Context, f view.Frame) (view.Overview, error) {
	o := view.Overview{Frame: f}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() (err error) { o.Workers, err = p.Store.Workers(ctx, f.Run.ID); return })
	g.Go(func() (err error) {
		o.Events, err = p.Store.EventsBefore(ctx, f.Run.ID, math.MaxInt64, eventsListed)
		return
	})
	g.Go(func() (err error) { o.LogFate, err = p.Store.LogFate(ctx, f.Run.ID); return })
	return o, g.Wait()
}
