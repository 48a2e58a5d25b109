package runs

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/feed"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/web/page"
	"github.com/cotrain/cotrain/internal/web/sweeps"
	view "github.com/cotrain/cotrain/views/runs"
)

const (
	listSize    = 50 // runs, or sweeps folded into one entry
	openSweeps  = 8  // unfolded sweeps
	openedShown = 20 // runs per unfolded sweep
)

// List shows runs, newest first, filtered by the query's q, state and before. A sweep is one entry; open unfolds it.
func (p *Pages) List(w http.ResponseWriter, r *http.Request) error {
	list, filter, err := listQuery(r)
	if err != nil {
		return err
	}
	list.Seq, list.Now = p.Seq(list.Topic), p.Now()
	if list.Counts, err = p.Store.CountRuns(r.Context(), filter); err != nil {
		return err
	}
	runs, err := p.Store.Runs(r.Context(), filter)
	if err != nil {
		return err
	}
	if len(runs) > listSize {
		runs = runs[:listSize]
		list.Older = runs[listSize-1].ID
	}
	if err := p.Store.SetQueuePlaces(r.Context(), runs); err != nil {
		return err
	}
	for _, found := range runs {
		entry := view.Entry{Run: found}
		if found.Origin.Sweep != "" {
			if entry.Sweep, err = p.foldedSweep(r.Context(), found.Origin.Sweep, list, filter); err != nil {
				return err
			}
		}
		list.Entries = append(list.Entries, entry)
	}
	if page.IsFragment(r) {
		w.Header().Set("HX-Push-Url", list.Href())
	}
	return p.Render(w, r, http.StatusOK, view.ListPage(p.Frame(r, "Runs", "runs"), list))
}

func listQuery(r *http.Request) (view.List, run.RunFilter, error) {
	q := r.URL.Query()
	list := view.List{Text: page.Text(q.Get("q"), 200), Owner: page.Text(q.Get("owner"), 127), Project: page.Text(q.Get(page.ParamProject), 64), Topic: feed.RunsTopic}
	shown, err := page.SelectedProject(r)
	filter := run.RunFilter{Projects: page.Projects(shown), Owner: list.Owner, Text: list.Text, Folded: true, Limit: listSize + 1}
	if err != nil {
		return list, filter, err
	}
	if shown != "" {
		list.Topic = feed.RunsOf(shown)
	}
	if v := q.Get("state"); v != "" {
		state, err := run.ParseState(v)
		if err != nil {
			return list, filter, err
		}
		list.State, filter.States = state, []run.State{state}
	}
	if v := q.Get("before"); v != "" {
		id, err := run.ParseID(v)
		if err != nil {
			return list, filter, page.BadCursor("before", v, "the ID of a run")
		}
		list.Before, filter.Before = id, id
	}
	for _, v := range q["open"] {
		id, err := run.ParseSweepID(v)
		if err != nil {
			return list, filter, page.BadCursor("open", v, "the ID of a sweep")
		}
		if !slices.Contains(list.Open, id) {
			list.Open = append(list.Open, id)
		}
	}
	if n := len(list.Open); n > openSweeps { // keep the last ones
		list.Open = list.Open[n-openSweeps:]
	}
	return list, filter, nil
}

// foldedSweep reads a sweep for the list; nil if deleted with runs left.
func (p *Pages) foldedSweep(ctx context.Context, id run.SweepID, list view.List, filter run.RunFilter) (*view.FoldedSweep, error) {
	sweep, err := p.Control.Sweep(ctx, id)
	if errors.Is(err, fault.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	out := &view.FoldedSweep{Sweep: sweep, Open: slices.Contains(list.Open, id)}
	if out.Best, err = p.Store.BestRun(ctx, id); err != nil && !errors.Is(err, fault.ErrNotFound) {
		return nil, fmt.Errorf("best of %s: %w", id, err)
	}
	if !out.Open {
		return out, nil
	}
	runs, err := p.Store.Runs(ctx, run.RunFilter{Projects: run.AllProjects(), Sweep: id, Text: filter.Text, States: filter.States, Limit: run.MaxSweepRuns})
	if err != nil {
		return nil, err
	}
	for _, r := range sweeps.InOrder(sweep, runs) {
		out.Runs = append(out.Runs, r.Run)
	}
	if out.More = len(out.Runs) > openedShown; out.More {
		out.Runs = out.Runs[:openedShown]
	}
	return out, p.Store.SetQueuePlaces(ctx, out.Runs)
}
