package catalog

import (
	"math"
	"slices"
	"strings"
	"unique"

	"github.com/cotrain/cotrain/internal/run"
)

// Query is what a list asks for. The filter's text is as [Entry] has it.
type Query struct {
	run.RunFilter
	By   Key     // the column of an order of numbers
	Live []Value // of runs under way, instead of the column's
	AsOf int64   // of an order by duration; see [run.Position]
}

// List returns the places of up to Limit runs that match, in the query's order.
func (c *Catalog) List(q Query) []run.Position {
	if q.Order == (run.Order{}) {
		return c.newest(q)
	}
	rows := c.within(q.RunFilter)
	matches := matcher(q.RunFilter)
	top, none := top{order: q.Order, most: q.Limit}, []run.Position(nil)
	at := c.positions(q)
	for i := range rows {
		r := rows[i]
		if !q.Order.Up { // so that of equals those come first that come first in the list
			r = rows[len(rows)-1-i]
		}
		if !matches(r) {
			continue
		}
		p := at(r)
		switch {
		case q.After != nil && q.Order.Compare(p, *q.After) <= 0:
		case !p.None:
			top.add(p)
		case q.Order.Up: // newest first in either direction: here the last ones count
			if len(none) == 2*q.Limit {
				none = append(none[:0], none[q.Limit:]...)
			}
			none = append(none, p)
		case len(none) < q.Limit:
			none = append(none, p)
		}
	}
	if q.Order.Up {
		slices.Reverse(none)
	}
	out := append(top.sorted(), none...)
	return out[:min(len(out), q.Limit)]
}

// newest lists runs newest first.
func (c *Catalog) newest(q Query) (out []run.Position) {
	rows := c.within(q.RunFilter)
	before := q.Before
	if q.After != nil {
		before = q.After.ID
	}
	end := len(rows)
	if before != "" {
		end, _ = (&Catalog{rows: rows}).find(before)
	}
	matches := matcher(q.RunFilter)
	folded := map[unique.Handle[run.SweepID]]bool{}
	alone := unique.Make(run.SweepID(""))
	fold := func(r *row) (shown bool) {
		if !q.Folded || r.sweep == alone {
			return false
		}
		shown = folded[r.sweep]
		folded[r.sweep] = true
		return shown
	}
	if q.Folded { // what earlier pages show
		for _, r := range rows[end:] {
			if r.sweep != alone && !folded[r.sweep] && matches(r) {
				fold(r)
			}
		}
	}
	for i := end - 1; i >= 0 && len(out) < q.Limit; i-- {
		if matches(rows[i]) && !fold(rows[i]) {
			out = append(out, run.Position{ID: rows[i].id()})
		}
	}
	return out
}

// Count counts the runs that match in each state, whatever states the filter asks for.
func (c *Catalog) Count(f run.RunFilter) run.Counts {
	f.States = nil
	n := map[unique.Handle[run.State]]int{}
	matches := matcher(f)
	for _, r := range c.within(f) {
		if matches(r) {
			n[r.state]++
		}
	}
	out := run.Counts{}
	for state, n := range n {
		out[state.Value()] = n
	}
	return out
}

// within are the rows created when the filter says.
func (c *Catalog) within(f run.RunFilter) []*row {
	from, to := 0, len(c.rows)
	if !f.Since.IsZero() {
		from, _ = c.find(run.FirstID(f.Since))
	}
	if !f.Until.IsZero() {
		to, _ = c.find(run.FirstID(f.Until))
	}
	return c.rows[from:max(from, to)]
}

// matcher is the filter but for times, order and page.
func matcher(f run.RunFilter) func(*row) bool {
	var tests []func(*row) bool
	if f.Archived != run.WithArchived {
		only := f.Archived == run.OnlyArchived
		tests = append(tests, func(r *row) bool { return r.archived == only })
	}
	if !f.Projects.All {
		among := handles(f.Projects.Names)
		tests = append(tests, func(r *row) bool { return slices.Contains(among, r.project) })
	}
	if len(f.States) > 0 {
		among := handles(f.States)
		tests = append(tests, func(r *row) bool { return slices.Contains(among, r.state) })
	}
	if f.Sweep != "" {
		sweep := unique.Make(f.Sweep)
		tests = append(tests, func(r *row) bool { return r.sweep == sweep })
	}
	if f.Owner != "" {
		owner := unique.Make(f.Owner)
		tests = append(tests, func(r *row) bool { return r.owner == owner })
	}
	if f.Model != "" {
		model := unique.Make(f.Model)
		tests = append(tests, func(r *row) bool { return r.model == model })
	}
	for _, l := range labels(f) {
		want := unique.Make(l)
		tests = append(tests, func(r *row) bool { return slices.Contains(r.labels, want) })
	}
	if f.Text != "" {
		tests = append(tests, func(r *row) bool { return strings.Contains(r.text(), f.Text) })
	}
	if len(tests) == 1 { // the most frequent
		return tests[0]
	}
	return func(r *row) bool {
		for _, test := range tests {
			if !test(r) {
				return false
			}
		}
		return true
	}
}

func handles[T comparable](values []T) []unique.Handle[T] {
	out := make([]unique.Handle[T], len(values))
	for i, v := range values {
		out[i] = unique.Make(v)
	}
	return out
}

func labels(f run.RunFilter) (out []Label) {
	for _, t := range f.Tags {
		out = append(out, Label{Tag, t})
	}
	if f.Node != "" {
		out = append(out, Label{Node, f.Node})
	}
	return out
}

// positions is where rows are in the order.
func (c *Catalog) positions(q Query) func(*row) run.Position {
	switch q.Order.By {
	case "":
		return func(r *row) run.Position { return run.Position{ID: r.id()} }
	case "name":
		return func(r *row) run.Position { return run.Position{ID: r.id(), Text: r.name()} }
	case "project":
		return func(r *row) run.Position { return run.Position{ID: r.id(), Text: r.project.Value()} }
	case "owner":
		return func(r *row) run.Position { return run.Position{ID: r.id(), Text: r.owner.Value()} }
	case "model":
		return func(r *row) run.Position { return run.Position{ID: r.id(), Text: r.model.Value()} }
	}
	col := c.columns.of[q.By]
	live := make(map[uint32]float64, len(q.Live))
	for _, v := range q.Live {
		if i, found := c.find(v.ID); found {
			live[c.rows[i].slot] = v.Value
		}
	}
	return func(r *row) run.Position {
		p := run.Position{ID: r.id(), Value: col.at(r.slot), AsOf: q.AsOf}
		if math.IsNaN(p.Value) { // what is under way has no result
			var ok bool
			p.Value, ok = live[r.slot]
			p.None = !ok
		}
		return p
	}
}

// top keeps the first positions of an order, as a heap with the last of them at the root.
type top struct {
	order run.Order
	most  int
	heap  []run.Position
}

func (t *top) add(p run.Position) {
	if len(t.heap) < t.most {
		t.heap = append(t.heap, p)
		for i := len(t.heap) - 1; i > 0; {
			up := (i - 1) / 2
			if t.order.Compare(t.heap[i], t.heap[up]) <= 0 {
				return
			}
			t.heap[i], t.heap[up] = t.heap[up], t.heap[i]
			i = up
		}
		return
	}
	if t.most == 0 || t.order.Compare(p, t.heap[0]) >= 0 {
		return
	}
	t.heap[0] = p
	for i := 0; ; {
		last := i
		for _, below := range [2]int{2*i + 1, 2*i + 2} {
			if below < len(t.heap) && t.order.Compare(t.heap[below], t.heap[last]) > 0 {
				last = below
			}
		}
		if last == i {
			return
		}
		t.heap[i], t.heap[last] = t.heap[last], t.heap[i]
		i = last
	}
}

func (t *top) sorted() []run.Position {
	slices.SortFunc(t.heap, t.order.Compare)
	return t.heap
}
