package runs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/feed"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/series"
	"github.com/cotrain/cotrain/internal/trainconf"
	"github.com/cotrain/cotrain/internal/web/page"
	"github.com/cotrain/cotrain/internal/web/sweeps"
	view "github.com/cotrain/cotrain/views/runs"
)

const (
	listSize    = 50 // runs, or sweeps folded into one entry
	openSweeps  = 8  // unfolded sweeps
	openedShown = 20 // runs per unfolded sweep
)

// List shows runs as the address filters and sorts them. Newest first a sweep is one entry, which open unfolds.
func (p *Pages) List(w http.ResponseWriter, r *http.Request) error {
	list, filter, err := p.listQuery(r, r.URL.Query())
	if err != nil {
		return err
	}
	list.Seq, list.Now = p.Seq(list.Topic), p.Now()
	chosen, err := p.chosenColumns(r, &list)
	if err != nil {
		return err
	}
	var found run.Page
	g, ctx := errgroup.WithContext(r.Context())
	g.Go(func() (err error) { list.Counts, err = p.Store.CountRuns(ctx, filter); return err })
	g.Go(func() (err error) { found, err = p.Store.ListRuns(ctx, filter); return err })
	if err := g.Wait(); err != nil {
		return err
	}
	list.Next = found.Next
	if err := p.Store.SetQueuePlaces(r.Context(), found.Runs); err != nil {
		return err
	}
	several := func(of func(run.Run) string) bool {
		return slices.ContainsFunc(found.Runs, func(r run.Run) bool { return of(r) != of(found.Runs[0]) })
	}
	list.Shown = view.Columns(chosen, several(func(r run.Run) string { return r.Project }), several(func(r run.Run) string { return r.Owner }))
	list.Shown = view.WithSorted(list.Shown, list.Sort)
	if err := p.fill(r.Context(), &list, found.Runs, filter); err != nil {
		return err
	}
	if page.IsFragment(r) {
		w.Header().Set("HX-Push-Url", list.Href())
	}
	return p.Render(w, r, http.StatusOK, view.ListPage(p.Frame(r, "Runs", "runs"), list))
}

// fill makes the rows.
func (p *Pages) fill(ctx context.Context, list *view.List, runs []run.Run, filter run.RunFilter) error {
	ids := make([]run.ID, len(runs))
	for i, r := range runs {
		ids[i] = r.ID
	}
	metrics, err := p.Store.RowMetrics(ctx, ids, view.Metrics(list.Shown))
	if err != nil {
		return err
	}
	for _, found := range runs {
		entry := view.Entry{Run: found, Metrics: map[string]view.Metric{}}
		for name, s := range metrics[found.ID] {
			m := view.Metric{Last: s.Value, Low: s.Low, High: s.High}
			shape, err := series.DecodeShape(s.Shape)
			if err != nil {
				return fmt.Errorf("curve of %s: %w", found.ID, err)
			}
			for _, c := range shape {
				m.Curve = append(m.Curve, view.CurveColumn(c))
			}
			entry.Metrics[name] = m
		}
		if found.Origin.Sweep != "" && filter.Folded {
			if entry.Sweep, err = p.foldedSweep(ctx, found.Origin.Sweep, *list, filter); err != nil {
				return err
			}
		}
		list.Entries = append(list.Entries, entry)
	}
	return nil
}

// listQuery reads a list's address, and what it asks the store for.
func (p *Pages) listQuery(r *http.Request, q url.Values) (list view.List, filter run.RunFilter, err error) {
	f, filter, err := p.readFilter(q)
	if err != nil {
		return list, filter, err
	}
	list = view.List{Filter: f, Topic: feed.RunsTopic, All: q.Get("all") == "1"}
	shown, err := page.SelectedProject(r)
	if err != nil {
		return list, filter, err
	}
	if shown != "" {
		list.Topic = feed.RunsOf(shown)
	}
	if access.From(r.Context()).May(access.ProjectEdit, shown) {
		list.Default = shown
	}
	for _, preset := range trainconf.Presets() {
		list.Presets = append(list.Presets, preset.Name)
	}
	filter.Projects, filter.Order, filter.Folded, filter.Limit = page.Projects(shown), f.Sort, f.Sort == run.Order{}, listSize
	if f.Before != "" {
		at, err := f.Sort.ParseCursor(f.Before)
		if err != nil {
			return list, filter, err
		}
		filter.After = &at
	}
	return list, filter, nil
}

// readFilter reads what a list's address says, and which runs match.
func (p *Pages) readFilter(q url.Values) (f view.Filter, of run.RunFilter, err error) {
	from, to := dayParams(q)
	if of, err = page.ReadFilter(q, p.Now(), from, to); err != nil {
		return f, of, err
	}
	f = view.Filter{
		Text: of.Text, Project: page.Text(q.Get(page.ParamProject), 64), Owner: of.Owner, Tags: of.Tags, Model: of.Model, Node: of.Node, Archived: of.Archived,
		From: page.Text(q.Get(from), 40), To: page.Text(q.Get(to), 40), Before: q.Get("before"),
	}
	if len(of.States) > 0 { // one tab
		of.States = of.States[:1]
		f.State = of.States[0]
	}
	for _, s := range view.Spans() {
		if s.Value == q.Get("within") {
			f.Within = s.Value
		}
	}
	for _, given := range q["cols"] {
		f.Columns = append(f.Columns, run.SplitTags(page.Text(given, 2000))...)
	}
	if metric := page.Text(q.Get("metric"), run.MaxMetricName); metric != "" {
		o := run.Order{By: "metric", Metric: metric, Of: q.Get("of"), Up: true}
		if _, err := run.ParseOrder(o.String()); err != nil {
			return f, of, err
		}
		f.Columns = append(f.Columns, o.String())
	}
	if f.Sort, err = run.ParseOrder(q.Get("sort")); err != nil {
		return f, of, err
	}
	for _, v := range q["open"] {
		id, err := run.ParseSweepID(v)
		if err != nil {
			return f, of, page.BadCursor("open", v, "the ID of a sweep")
		}
		if !slices.Contains(f.Open, id) {
			f.Open = append(f.Open, id)
		}
	}
	if n := len(f.Open); n > openSweeps { // keep the last ones
		f.Open = f.Open[n-openSweeps:]
	}
	return f, of, nil
}

// dayParams are the parameters of the days: from and to, or since and until as the API and comparisons name them.
func dayParams(q url.Values) (from, to string) {
	name := func(ours, theirs string) string {
		if q.Get(ours) == "" && q.Has(theirs) {
			return theirs
		}
		return ours
	}
	return name("from", "since"), name("to", "until")
}

// columnsLayout is how the layout of the list is stored.
type columnsLayout struct {
	Columns []string `json:"columns"`
}

// chosenColumns are those of the address, or else as they were saved; none for the usual ones.
func (p *Pages) chosenColumns(r *http.Request, list *view.List) ([]string, error) {
	project, err := page.SelectedProject(r)
	if err != nil {
		return nil, err
	}
	data, err := p.Store.Layout(r.Context(), project, run.LayoutRuns)
	if err != nil || data == "" {
		return list.Columns, err
	}
	list.Saved = true
	var saved columnsLayout
	if len(list.Columns) > 0 || json.Unmarshal([]byte(data), &saved) != nil { // of another release
		return list.Columns, nil
	}
	return saved.Columns, nil
}

// SaveColumns saves the columns of the list, for who asks or as the default of the project.
func (p *Pages) SaveColumns(w http.ResponseWriter, r *http.Request) error {
	who, err := page.LayoutFor(r)
	if err != nil {
		return err
	}
	f, _, err := p.readFilter(r.PostForm)
	if err != nil {
		return err
	}
	project := f.Project
	if project == "" {
		if project, err = page.SelectedProject(r); err != nil {
			return err
		}
	}
	data := ""
	if shown := view.Columns(f.Columns, false, false); who != "nobody" {
		var l columnsLayout
		for _, c := range shown {
			l.Columns = append(l.Columns, c.Key)
		}
		b, err := json.Marshal(l)
		if err != nil {
			return fmt.Errorf("encode columns: %w", err)
		}
		data = string(b)
	}
	if who == "project" {
		err = p.Store.SetProjectLayout(r.Context(), project, run.LayoutRuns, data)
	} else {
		err = p.Store.SetLayout(r.Context(), project, run.LayoutRuns, data)
	}
	if err != nil {
		return err
	}
	f.Columns = nil
	return page.Redirect(w, r, f.Href())
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
	filter.Sweep, filter.Projects, filter.Folded, filter.After, filter.Limit = id, run.AllProjects(), false, nil, run.MaxSweepRuns
	runs, err := p.Store.Runs(ctx, filter)
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
