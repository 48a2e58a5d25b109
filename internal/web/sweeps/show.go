package sweeps

import (
	"cmp"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cotrain/cotrain/internal/compare"
	"github.com/cotrain/cotrain/internal/feed"
	"github.com/cotrain/cotrain/internal/run"
	webcompare "github.com/cotrain/cotrain/internal/web/compare"
	"github.com/cotrain/cotrain/internal/web/form"
	"github.com/cotrain/cotrain/internal/web/live"
	"github.com/cotrain/cotrain/internal/web/page"
	compareview "github.com/cotrain/cotrain/views/compare"
	view "github.com/cotrain/cotrain/views/sweeps"
)

// Columns to sort a sweep's runs by, beside its fields.
const (
	columnState      = "state"
	columnStep       = "step"
	columnLoss       = "loss"
	columnThroughput = "throughput"
	columnDuration   = "duration"
	columnField      = "field:" // plus the field
)

// Show shows a sweep with its runs, sorted by the query's sort and desc; metric picks the best.
func (p *Pages) Show(w http.ResponseWriter, r *http.Request) error {
	id, err := sweepID(r)
	if err != nil {
		return err
	}
	d := view.Detail{Now: p.Now(), Topic: feed.SweepTopic(id), Metric: view.MetricLoss}
	d.Seq = p.Seq(d.Topic) // before the rest, so no message is missed
	if d.Sweep, err = p.Control.Sweep(r.Context(), id); err != nil {
		return err
	}
	runs, err := p.Store.Runs(r.Context(), run.RunFilter{Projects: run.AllProjects(), Sweep: id, Limit: run.MaxSweepRuns})
	if err != nil {
		return err
	}
	for _, field := range d.Sweep.Fields {
		d.Columns = append(d.Columns, view.Column{Field: field, Label: form.LabelOf(field)})
	}
	d.Runs = InOrder(d.Sweep, runs)
	q := r.URL.Query()
	if q.Get("metric") == view.MetricThroughput {
		d.Metric = view.MetricThroughput
	}
	markBest(d.Runs, d.Metric)
	d.Analysis = analysis(d)
	d.Sort, d.Desc = page.Text(q.Get("sort"), 200), q.Get("desc") == "1"
	if !sortSweep(d.Runs, d.Columns, d.Sort, d.Desc, d.Now) {
		d.Sort = ""
	}
	return p.Render(w, r, http.StatusOK, view.Page(p.Frame(r, d.Sweep.Name, "sweeps"), d))
}

// analysis tells how the chosen metric depends on the varied fields. It reads no more than the page has: the runs' headlines.
func analysis(d view.Detail) *compareview.Analysis {
	metric := map[string]string{view.MetricLoss: "loss", view.MetricThroughput: "tokens_per_second"}[d.Metric]
	rows := make([]compareview.Row, len(d.Runs))
	fields := make([]compare.Field, len(d.Columns))
	for i, c := range d.Columns {
		fields[i] = compare.Field{Name: c.Field, Label: c.Label, Values: make([]string, len(d.Runs))}
	}
	for i, r := range d.Runs {
		final := math.NaN()
		switch p := r.Run.Progress; {
		case d.Metric == view.MetricLoss && p.HasLoss:
			final = p.Loss
		case d.Metric == view.MetricThroughput && p.TokensPerSec > 0:
			final = p.TokensPerSec
		}
		rows[i] = compareview.Row{Run: r.Run, Key: string(r.Run.ID), Values: compare.Values{Metrics: []compare.Value{{Final: final}}}}
		for n, v := range r.Values {
			fields[n].Values[i] = v
		}
	}
	return webcompare.Analyse(rows, fields, metric, 0)
}

// Head returns the part of a sweep's page that follows its runs' states.
func (p *Pages) Head(w http.ResponseWriter, r *http.Request) error {
	sweep, err := p.sweep(r)
	if err != nil {
		return err
	}
	return p.Render(w, r, http.StatusOK, view.Head(sweep, p.Now()))
}

// Rows returns the state of a sweep's runs, in the form of the socket's rows.
func (p *Pages) Rows(w http.ResponseWriter, r *http.Request) error {
	id, err := sweepID(r)
	if err != nil {
		return err
	}
	answer := struct {
		Seq  int64      `json:"seq"`
		Rows []live.Row `json:"rows"`
	}{Seq: p.Seq(feed.SweepTopic(id)), Rows: []live.Row{}}
	if _, err := p.Control.Sweep(r.Context(), id); err != nil {
		return err
	}
	runs, err := p.Store.Runs(r.Context(), run.RunFilter{Projects: run.AllProjects(), Sweep: id, Limit: run.MaxSweepRuns})
	if err != nil {
		return err
	}
	if err := p.Store.SetQueuePlaces(r.Context(), runs); err != nil {
		return err
	}
	for _, found := range runs {
		answer.Rows = append(answer.Rows, live.RowOf(found))
	}
	return page.JSON(w, http.StatusOK, answer)
}

// InOrder numbers a sweep's runs and finds their values, in order of creation.
func InOrder(sweep run.Sweep, runs []run.Run) []view.Run {
	out := make([]view.Run, 0, len(runs))
	slices.SortFunc(runs, func(a, b run.Run) int { return cmp.Compare(a.ID, b.ID) })
	for i, r := range runs {
		s := view.Run{Run: r, Number: i + 1}
		if n, ok := numberOf(r.Name); ok {
			s.Number = n
		}
		for _, field := range sweep.Fields {
			s.Values = append(s.Values, r.Origin.Point[field])
		}
		out = append(out, s)
	}
	slices.SortStableFunc(out, func(a, b view.Run) int { return cmp.Compare(a.Number, b.Number) })
	return out
}

// numberOf is the number of a sweep's run: "lr #3". Others may have been deleted.
func numberOf(name string) (int, bool) {
	i := strings.LastIndexByte(name, '#')
	if i < 0 {
		return 0, false
	}
	n, err := strconv.Atoi(name[i+1:])
	return n, err == nil && n >= 1 && n <= run.MaxSweepRuns
}

// markBest marks the run with the lowest loss, or the most tokens a second; the first of equals. As
// static/js/sweeps/show.js.
func markBest(runs []view.Run, metric string) {
	value := func(r run.Run) (float64, bool) {
		if metric == view.MetricThroughput {
			return -r.Progress.TokensPerSec, r.Progress.TokensPerSec > 0
		}
		return r.Progress.Loss, r.Progress.HasLoss
	}
	lowest, best := math.Inf(1), -1
	for i, r := range runs {
		if v, ok := value(r.Run); ok && !math.IsNaN(v) && !math.IsInf(v, 0) && v < lowest {
			lowest, best = v, i
		}
	}
	if best >= 0 {
		runs[best].Best = true
	}
}

// sortSweep sorts by a column, missing values last either way. It reports whether the column exists.
func sortSweep(runs []view.Run, columns []view.Column, key string, desc bool, now time.Time) bool {
	compare := func(a, b view.Run) int { return cmp.Compare(a.Number, b.Number) }
	number := func(value func(run.Run) (float64, bool)) func(a, b view.Run) int {
		return func(a, b view.Run) int {
			x, okX := value(a.Run)
			y, okY := value(b.Run)
			return present(okX, okY, desc, func() int { return cmp.Compare(x, y) })
		}
	}
	field, isField := strings.CutPrefix(key, columnField)
	switch {
	case isField:
		i := slices.IndexFunc(columns, func(c view.Column) bool { return c.Field == field })
		if i < 0 {
			return false
		}
		compare = func(a, b view.Run) int {
			x, y := a.Values[i], b.Values[i]
			return present(x != "", y != "", desc, func() int { return compareValues(x, y) })
		}
	case key == columnState:
		order := run.States()
		compare = func(a, b view.Run) int {
			return cmp.Compare(slices.Index(order, a.Run.State), slices.Index(order, b.Run.State))
		}
	case key == columnStep:
		compare = number(func(r run.Run) (float64, bool) { return float64(r.Progress.Step), true })
	case key == columnLoss:
		compare = number(func(r run.Run) (float64, bool) {
			return r.Progress.Loss, r.Progress.HasLoss && !math.IsNaN(r.Progress.Loss)
		})
	case key == columnThroughput:
		compare = number(func(r run.Run) (float64, bool) { return r.Progress.TokensPerSec, r.Progress.TokensPerSec > 0 })
	case key == columnDuration:
		compare = number(func(r run.Run) (float64, bool) {
			end := r.EndedAt
			if end.IsZero() {
				end = now
			}
			return end.Sub(r.StartedAt).Seconds(), !r.StartedAt.IsZero()
		})
	case key != "":
		return false
	}
	slices.SortStableFunc(runs, func(a, b view.Run) int {
		if desc {
			return compare(b, a)
		}
		return compare(a, b)
	})
	return true
}

// present compares optional values, missing ones last in either order.
func present(x, y, desc bool, both func() int) int {
	switch {
	case x && y:
		return both()
	case x == y:
		return 0
	case x != desc:
		return -1
	}
	return 1
}

// compareValues compares numbers as numbers and the rest as text.
func compareValues(x, y string) int {
	a, errA := strconv.ParseFloat(x, 64)
	b, errB := strconv.ParseFloat(y, 64)
	if errA == nil && errB == nil {
		return cmp.Compare(a, b)
	}
	return cmp.Compare(x, y)
}
