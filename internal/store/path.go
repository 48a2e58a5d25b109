package store

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store/db"
)

// span is a part of an index of runs that is in the order of their IDs.
type span struct {
	index string // of runs for SQLite, or ""
	kind  string // of a label, whose index is walked instead, or ""
	label string
	where []condition
}

// condition is that a column has one of some values.
type condition struct {
	column string
	values []any
}

// path is how to get at the runs that a filter asks for, apart from its text, labels and times: all that is in one of its spans matches.
type path []span

// spansAtOnce bounds the parts of a statement.
const spansAtOnce = 50

// facets are what a filter says of columns that every index of the list has, archived first.
func facets(f run.RunFilter) []condition {
	out := []condition{{"archived", []any{0, 1}}}
	switch f.Archived {
	case run.WithoutArchived:
		out[0].values = []any{0}
	case run.OnlyArchived:
		out[0].values = []any{1}
	}
	if !f.Projects.All {
		out = append(out, condition{"project", anys(slices.Compact(slices.Sorted(slices.Values(f.Projects.Names))))})
	}
	if len(f.States) > 0 {
		out = append(out, condition{"state", anys(slices.Compact(slices.Sorted(slices.Values(f.States))))})
	}
	for _, c := range []struct{ column, value string }{{"owner", f.Owner}, {"preset", f.Model}} {
		if c.value != "" {
			out = append(out, condition{c.column, []any{c.value}})
		}
	}
	return out
}

// along leads through an index that begins with archived and other columns: in one span for each of their values.
func along(f run.RunFilter, index string, columns ...string) path {
	leads, rest := [][]condition{nil}, []condition(nil)
	for _, c := range facets(f) {
		if c.column != "archived" && !slices.Contains(columns, c.column) {
			rest = append(rest, c)
			continue
		}
		var next [][]condition
		for _, lead := range leads {
			for _, v := range c.values {
				next = append(next, append(slices.Clone(lead), condition{c.column, []any{v}}))
			}
		}
		leads = next
	}
	out := make(path, len(leads))
	for i, lead := range leads {
		out[i] = span{index: index, where: append(lead, rest...)}
	}
	return out
}

// byProject leads through the runs of the projects in the states.
func byProject(f run.RunFilter) path {
	switch {
	case f.Projects.All && len(f.States) == 0:
		return along(f, "runs_list")
	case f.Projects.All:
		return along(f, "runs_by_state", "state")
	case len(f.States) == 0:
		return along(f, "runs_by_project", "project")
	}
	return along(f, "runs_by_project_state", "project", "state")
}

// bySweep leads through the runs of the sweep.
func bySweep(f run.RunFilter) path {
	return path{{where: append([]condition{{"sweep", []any{f.Sweep}}}, facets(f)...)}}
}

// byLabel leads through the runs with a label, which knows what they are filtered by.
func byLabel(f run.RunFilter, l label) path {
	return path{{kind: l.kind, label: l.text, where: facets(f)}}
}

// label is a tag or a node.
type label struct{ kind, text string }

// labels are those that a filter asks for.
func labels(f run.RunFilter) (out []label) {
	for _, t := range f.Tags {
		out = append(out, label{labelTag, t})
	}
	if f.Node != "" {
		out = append(out, label{labelNode, f.Node})
	}
	return out
}

// unknown are the labels that a filter asks for and the path does not lead along.
func (p path) unknown(f run.RunFilter) []label {
	return slices.DeleteFunc(labels(f), func(l label) bool { return len(p) > 0 && p[0].kind == l.kind && p[0].label == l.text })
}

// narrowest returns the path on which an index finds the fewest runs, so few that each can be looked at, or nil.
func narrowest(ctx context.Context, q db.Querier, f run.RunFilter, most int) (best path, err error) {
	consider := func(p path, count func(most int) (int, error)) {
		if err != nil {
			return
		}
		var n int
		if n, err = count(most + 1); err == nil && n <= most {
			best, most = p, n
		}
	}
	only := func(f run.RunFilter, index string, columns ...string) func(int) (int, error) {
		return func(most int) (int, error) { return along(f, index, columns...).count(ctx, q, within(f), most) }
	}
	whole := run.RunFilter{Projects: run.AllProjects(), Archived: f.Archived, Since: f.Since, Until: f.Until}
	for _, l := range labels(f) {
		consider(byLabel(f, l), func(most int) (int, error) { return byLabel(f, l).count(ctx, q, within(f), most) })
	}
	if f.Owner != "" {
		of := whole
		of.Owner = f.Owner
		consider(along(f, "runs_by_owner", "owner"), only(of, "runs_by_owner", "owner"))
	}
	if f.Model != "" {
		of := whole
		of.Model = f.Model
		consider(along(f, "runs_by_preset", "preset"), only(of, "runs_by_preset", "preset"))
	}
	if !f.Projects.All || len(f.States) > 0 || !f.Since.IsZero() || !f.Until.IsZero() {
		of := whole
		of.Projects, of.States = f.Projects, f.States
		consider(byProject(f), func(most int) (int, error) { return byProject(of).count(ctx, q, within(f), most) })
	}
	if err != nil {
		return nil, err
	}
	return best, nil
}

// broad is the path where none is narrow: that of what is named most exactly.
func broad(f run.RunFilter) path {
	named := labels(f)
	switch {
	case len(named) > 0:
		return byLabel(f, named[0])
	case f.Owner != "" && len(f.States) == 0:
		return along(f, "runs_by_owner", "owner")
	case f.Model != "" && f.Projects.All && len(f.States) == 0:
		return along(f, "runs_by_preset", "preset")
	}
	return byProject(f)
}

// bounds are IDs between which runs are sought: from one on, and below another.
type bounds struct{ from, below run.ID }

// within is when a filter's runs were created, in their IDs.
func within(f run.RunFilter) bounds {
	b := bounds{below: afterAll}
	if !f.Since.IsZero() {
		b.from = run.FirstID(f.Since)
	}
	if !f.Until.IsZero() {
		b.below = run.FirstID(f.Until)
	}
	return b
}

// count counts the runs on a path, up to so many.
func (p path) count(ctx context.Context, q db.Querier, b bounds, most int) (n int, err error) {
	for some := range slices.Chunk(p, spansAtOnce) {
		var args params
		var found int
		if err := q.QueryRow(ctx, `SELECT count(*) FROM (`+some.union(&args, `id`, args.add(most), b)+`) AS every`, args...).Scan(&found); err != nil {
			return 0, err
		}
		if n += found; n >= most {
			return most, nil
		}
	}
	return n, nil
}

// union reads columns of up to so many of the newest runs of each span, under further conditions.
func (p path) union(args *params, columns, limit string, b bounds, conditions ...string) string {
	out := make([]string, len(p))
	for i, s := range p {
		out[i] = fmt.Sprintf(`SELECT %s FROM (SELECT %s FROM %s ORDER BY id DESC LIMIT %s) AS s%d`, columns, columns, s.from(args, b, conditions), limit, i)
	}
	return strings.Join(out, ` UNION ALL `)
}

// from selects what is in the span, between bounds, and under further conditions.
func (s span) from(args *params, b bounds, conditions []string) string {
	from := `runs`
	switch {
	case s.kind != "": // as if these were the runs
		from = `(SELECT run_id AS id, archived, state, sweep, project, owner, preset, name FROM run_labels WHERE kind = ` + args.add(s.kind) + ` AND label = ` + args.add(s.label) + `) AS runs`
	case s.index != "":
		from += ` INDEXED BY ` + s.index
	}
	var terms []string
	for _, c := range s.where {
		if c.column == "sweep" {
			terms = append(terms, `sweep <> ''`) // as in the index
		}
		terms = append(terms, c.sql(args))
	}
	if b.from != "" {
		terms = append(terms, `id >= `+args.add(b.from))
	}
	terms = append(terms, `id < `+args.add(b.below))
	return from + ` WHERE ` + strings.Join(append(terms, conditions...), ` AND `)
}

func (c condition) sql(args *params) string {
	if len(c.values) == 1 {
		return c.column + ` = ` + args.add(c.values[0])
	}
	return c.column + ` IN (` + args.list(c.values) + `)`
}

// matching are the conditions that a run has the text and the labels, which no index of runs tells. As values rather than with EXISTS they
// are looked up run by run, where PostgreSQL could prefer to read all labels first.
func matching(args *params, text string, want []label) (out []string) {
	if text != "" {
		out = append(out, `instr((SELECT text FROM run_texts WHERE run_texts.id = runs.id), `+args.add(text)+`) > 0`)
	}
	for _, l := range want {
		out = append(out, `(SELECT 1 FROM run_labels l WHERE l.kind = `+args.add(l.kind)+` AND l.label = `+args.add(l.text)+` AND l.run_id = runs.id) = 1`)
	}
	return out
}

// matchingAll are the same conditions for where very many runs are read: as sets, which PostgreSQL reads once and merges.
func matchingAll(args *params, text string, want []label) (out []string) {
	if text != "" {
		out = append(out, `id IN (SELECT t.id FROM run_texts t WHERE instr(t.text, `+args.add(text)+`) > 0)`)
	}
	for _, l := range want {
		out = append(out, `id IN (SELECT l.run_id FROM run_labels l WHERE l.kind = `+args.add(l.kind)+` AND l.label = `+args.add(l.text)+`)`)
	}
	return out
}

// params are the parameters of a statement, by number: a value may stand in several places.
type params []any

func (p *params) add(value any) string {
	*p = append(*p, value)
	return "?" + strconv.Itoa(len(*p))
}

func (p *params) list(values []any) string {
	marks := make([]string, len(values))
	for i, v := range values {
		marks[i] = p.add(v)
	}
	return strings.Join(marks, ",")
}

// anys makes arguments of a statement.
func anys[T any](values []T) []any {
	out := make([]any, len(values))
	for i, v := range values {
		out[i] = v
	}
	return out
}
