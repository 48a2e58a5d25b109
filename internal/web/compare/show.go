package compare

import (
	"cmp"
	"context"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/cotrain/cotrain/internal/compare"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/trainconf"
	"github.com/cotrain/cotrain/internal/web/form"
	"github.com/cotrain/cotrain/internal/web/page"
	view "github.com/cotrain/cotrain/views/compare"
	"github.com/cotrain/cotrain/views/ui"
)

// offered is how many of the newest runs can be chosen by name.
const offered = 50

// Show compares the runs that the query names, one by one, by sweep, or by the filters of the list.
func (p *Pages) Show(w http.ResponseWriter, r *http.Request) error {
	q, moved, err := readQuery(r)
	bad := trainconf.AsFieldErrors(err)
	if err != nil && bad == nil {
		return err
	}
	found, err := p.pick(r, q)
	if err != nil {
		return err
	}
	if edited(&q, r, found) || moved && bad == nil {
		return page.Redirect(w, r, q.Href())
	}
	bad = append(bad, checkFound(&q, found)...)
	d, err := p.data(r.Context(), q, found)
	if err != nil {
		return err
	}
	status := http.StatusOK
	if len(bad) > 0 {
		d.Problem, status = form.Sentence(bad[0]), http.StatusUnprocessableEntity
	}
	return p.Render(w, r, status, view.Page(p.Frame(r, "Compare", ""), d))
}

// edited adds and removes the runs that the request says so of. From then on the runs are named one by one.
func edited(q *view.Query, r *http.Request, found picked) bool {
	add, remove := ids(r.URL.Query()["add"]), ids(r.URL.Query()["remove"])
	if len(add) == 0 && len(remove) == 0 {
		return false
	}
	if len(q.Runs) == 0 {
		for _, one := range found.runs {
			q.Runs = append(q.Runs, one.ID)
		}
		q.Sweep, q.Filter = "", nil
	}
	for _, id := range add {
		if !slices.Contains(q.Runs, id) {
			q.Runs = append(q.Runs, id)
		}
	}
	q.Runs = slices.DeleteFunc(slices.Clone(q.Runs), func(id run.ID) bool { return slices.Contains(remove, id) })
	if slices.Contains(remove, q.Base) {
		q.Base = ""
	}
	return true
}

func (p *Pages) data(ctx context.Context, q view.Query, found picked) (view.Data, error) {
	d := view.Data{Query: q, Missing: found.missing, Bounded: found.bounded, Title: found.title, Base: -1, Now: p.Now()}
	newest, err := p.Store.Runs(ctx, run.RunFilter{Projects: run.AllProjects(), Limit: offered})
	if err != nil {
		return d, err
	}
	for _, r := range newest {
		if !slices.ContainsFunc(found.runs, func(have run.Run) bool { return have.ID == r.ID }) {
			d.Choices = append(d.Choices, ui.Choice{Value: string(r.ID), Label: r.Name + ", " + string(r.State)})
		}
	}
	if len(found.runs) == 0 {
		return d, nil
	}
	var step *int64
	if n, err := strconv.ParseInt(q.At, 10, 64); err == nil {
		step = &n
	}
	values, names, err := compare.Read(ctx, p.Store, found.runs, q.Metrics, step)
	if err != nil {
		return d, err
	}
	if err := p.formulas(ctx, found.runs, values, q.Metrics, step); err != nil {
		return d, err
	}
	d.Names = names
	requests := compare.Requests(found.runs)
	d.Rows = rows(found.runs, requests, values, q.Group)
	if q.Group != "" && d.Rows[0].Group != "" {
		d.Groups = groupsOf(d.Rows, len(q.Metrics))
	}
	shade(&d)
	differences := trainconf.Differences(requests)
	d.GroupBy = groupChoices(differences, found.runs, q.Group)
	d.Analysis = Analyse(d.Rows, FieldsOf(differences, found.fields), q.Metrics[0], 0)
	order := sortRows(d.Rows, q, d.Now.UnixMilli())
	for _, f := range differences {
		if f.Field.Path == trainconf.FieldName {
			continue // above each column
		}
		d.Differences = append(d.Differences, view.Difference{Field: f.Field.Path, Label: f.Field.Label, Values: permute(f.Values, order)})
	}
	d.Base = slices.IndexFunc(d.Rows, func(r view.Row) bool { return r.Run.ID == q.Base })
	return d, nil
}

func rows(runs []run.Run, requests []trainconf.Request, values []compare.Values, group string) []view.Row {
	out := make([]view.Row, len(runs))
	groups := compare.GroupBy(group, runs, requests)
	slots := map[string]int{}
	for i, r := range runs {
		row := view.Row{Run: r, Key: string(r.ID), Values: values[i]}
		if groups != nil {
			row.Key, row.Group = groups[i].Key, groups[i].Text
		}
		if _, ok := slots[row.Key]; !ok {
			slots[row.Key] = len(slots)
		}
		row.Slot = slots[row.Key]
		out[i] = row
	}
	return out
}

// shade colours lines by the final value of the first metric, for where there are too many for a look each.
func shade(d *view.Data) {
	better := compare.DirectionOf(d.Query.Metrics[0])
	if d.Groups != nil {
		means := make([]float64, len(d.Groups))
		for i, g := range d.Groups {
			if means[i] = math.NaN(); g.Finals[0].N > 0 {
				means[i] = g.Finals[0].Mean
			}
		}
		for i, n := range shadesOf(means, better) {
			d.Groups[i].Shade = n
		}
		return
	}
	finals := make([]float64, len(d.Rows))
	for i, r := range d.Rows {
		finals[i] = r.Values.Metrics[0].Final
	}
	for i, n := range shadesOf(finals, better) {
		d.Rows[i].Shade = n
	}
}

// sortRows sorts by the query's column, what has no value last. It returns where each row was.
func sortRows(rows []view.Row, q view.Query, now int64) []int {
	order := make([]int, len(rows))
	for i := range order {
		order[i] = i
	}
	key, ok := sortKey(q, now)
	if !ok {
		return order
	}
	was := slices.Clone(rows)
	slices.SortStableFunc(order, func(a, b int) int {
		x, xText := key(was[a])
		y, yText := key(was[b])
		if math.IsNaN(x) != math.IsNaN(y) {
			return cmp.Compare(btoi(math.IsNaN(x)), btoi(math.IsNaN(y)))
		}
		c := cmp.Or(cmp.Compare(x, y), cmp.Compare(xText, yText))
		if q.Desc {
			return -c
		}
		return c
	})
	for i, from := range order {
		rows[i] = was[from]
	}
	return order
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// sortKey is what a column sorts by: a number, and a text for equal ones. Metrics are named as "final:loss", "best:loss", "at:loss".
func sortKey(q view.Query, now int64) (func(view.Row) (float64, string), bool) {
	kind, name, _ := strings.Cut(q.Sort, ":")
	metric := slices.Index(q.Metrics, name)
	value := func(of func(compare.Value) float64) func(view.Row) (float64, string) {
		return func(r view.Row) (float64, string) { return of(r.Values.Metrics[metric]), "" }
	}
	switch {
	case kind == "name":
		return func(r view.Row) (float64, string) { return 0, strings.ToLower(r.Run.Name) }, true
	case kind == "group":
		return func(r view.Row) (float64, string) { return float64(r.Slot), "" }, true
	case kind == "state":
		states := run.States()
		return func(r view.Row) (float64, string) { return float64(slices.Index(states, r.Run.State)), "" }, true
	case kind == "step":
		return func(r view.Row) (float64, string) { return float64(r.Run.Progress.Step), "" }, true
	case kind == "tokens":
		return func(r view.Row) (float64, string) { return r.Values.Tokens, "" }, true
	case kind == "duration":
		return func(r view.Row) (float64, string) { return duration(r.Run, now), "" }, true
	case metric < 0:
	case kind == "final":
		return value(func(v compare.Value) float64 { return v.Final }), true
	case kind == "best":
		return value(func(v compare.Value) float64 { return v.Best }), true
	case kind == "at":
		return value(func(v compare.Value) float64 { return v.At }), true
	}
	return nil, false
}

// duration is how long a run has been running, NaN if it has not.
func duration(r run.Run, now int64) float64 {
	switch {
	case r.StartedAt.IsZero():
		return math.NaN()
	case r.EndedAt.IsZero():
		return float64(now - r.StartedAt.UnixMilli())
	}
	return float64(r.EndedAt.Sub(r.StartedAt).Milliseconds())
}

func permute(values []string, order []int) []string {
	out := make([]string, len(order))
	for i, from := range order {
		out[i] = values[from]
	}
	return out
}
