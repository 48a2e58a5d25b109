package runs

import (
	"context"
	"math"
	"net/http"
	"strconv"

	"golang.org/x/sync/errgroup"

	"github.com/cotrain/cotrain/internal/feed"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/web/page"
	view "github.com/cotrain/cotrain/views/runs"
)

const (
	logShown = 300
	maxRank  = 1 << 20
)

// Show shows a run, with the newest events or those before a sequence.
func (p *Pages) Show(w http.ResponseWriter, r *http.Request) error {
	before, err := page.Number(r, "events_before", 0, 0, math.MaxInt64)
	if err != nil {
		return err
	}
	d, err := p.runDetail(r, before)
	if err != nil {
		return err
	}
	d.Origin = p.originOf(r.Context(), d.Run)
	rank := rankOf(r)
	lines, err := p.Store.Logs(r.Context(), d.Run.ID, run.LogQuery{Rank: rank, Tail: true, Limit: logShown + 1})
	if err != nil {
		return err
	}
	d.Log = view.LogView{Rank: rank, Lines: lines}
	if len(lines) > logShown {
		d.Log.Lines, d.Log.More = lines[len(lines)-logShown:], true
	}
	return p.Render(w, r, http.StatusOK, view.Page(p.Frame(r, d.Run.Name, "runs"), d))
}

// Live is the snapshot of all live parts, for a page that missed something.
func (p *Pages) Live(w http.ResponseWriter, r *http.Request) error {
	d, err := p.runDetail(r, 0)
	if err != nil {
		return err
	}
	return p.Render(w, r, http.StatusOK, view.Live(d))
}

// runDetail reads a run with workers and events. It reads the sequence first, so no message is missed.
func (p *Pages) runDetail(r *http.Request, eventsBefore int64) (view.Detail, error) {
	id, err := page.RunID(r)
	if err != nil {
		return view.Detail{}, err
	}
	d := view.Detail{Seq: p.Seq(feed.RunTopic(id)), Now: p.Now()}
	g, ctx := errgroup.WithContext(r.Context())
	read := func(f func(context.Context) error) { g.Go(func() error { return f(ctx) }) }
	read(func(ctx context.Context) (err error) { d.Run, err = p.placedRun(ctx, id); return })
	read(func(ctx context.Context) (err error) { d.Workers, err = p.Store.Workers(ctx, id); return })
	read(func(ctx context.Context) (err error) { d.History, err = p.eventPage(ctx, id, eventsBefore); return })
	if err := g.Wait(); err != nil {
		return view.Detail{}, err
	}
	return d, nil
}

// placedRun reads a run with its queue place.
func (p *Pages) placedRun(ctx context.Context, id run.ID) (run.Run, error) {
	r, err := p.Store.Run(ctx, id)
	if err != nil {
		return r, err
	}
	runs := []run.Run{r}
	err = p.Store.SetQueuePlaces(ctx, runs)
	return runs[0], err
}

// rankOf is the query's worker, -1 for all or if invalid.
func rankOf(r *http.Request) int {
	rank, err := strconv.Atoi(r.URL.Query().Get("worker"))
	if err != nil || rank < 0 || rank > maxRank {
		return -1
	}
	return rank
}
