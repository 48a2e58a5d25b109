package store

import (
	"cmp"
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
	index string // for SQLite, or ""
	where []condition
}

// condition is that a column has one of some values.
type condition struct {
	column string
	values []any
}

// path is how to get at the runs that a filter asks for, apart from its text: all that is in one of its spans matches.
type path []span

// spansAtOnce bounds the parts of a statement.
const spansAtOnce = 50

// byProject leads through the runs of the projects in the states, in one span for each.
func byProject(f run.RunFilter) (out path) {
	projects, states := [][]condition{nil}, [][]condition{nil}
	index := "runs_list"
	if !f.Projects.All {
		projects, index = each("project", f.Projects.Names), "runs_by_project"
	}
	if len(f.States) > 0 {
		states = each("state", f.States)
		index = map[bool]string{true: "runs_by_state", false: "runs_by_project_state"}[f.Projects.All]
	}
	for _, p := range projects {
		for _, s := range states {
			out = append(out, span{index, slices.Concat(p, s, where("owner", f.Owner))})
		}
	}
	return out
}

// byOwner leads through the runs of the owner.
func byOwner(f run.RunFilter) path {
	return path{{"runs_by_owner", slices.Concat(where("owner", f.Owner), rest(f))}}
}

// bySweep leads through the runs of the sweep.
func bySweep(f run.RunFilter) path {
	return path{{"", slices.Concat(where("sweep", f.Sweep), where("owner", f.Owner), rest(f))}}
}

// rest are the conditions of projects and states where an index does not have them in front.
func rest(f run.RunFilter) (out []condition) {
	if !f.Projects.All {
		out = append(out, condition{"project", anys(f.Projects.Names)})
	}
	if len(f.States) > 0 {
		out = append(out, condition{"state", anys(f.States)})
	}
	return out
}

func each[T cmp.Ordered](column string, values []T) (out [][]condition) {
	for _, v := range slices.Compact(slices.Sorted(slices.Values(values))) {
		out = append(out, []condition{{column, []any{v}}})
	}
	return out
}

// where is one value of a column, or none for "".
func where[T ~string](column string, value T) []condition {
	if value == "" {
		return nil
	}
	return []condition{{column, []any{value}}}
}

// narrowest returns a path on which an index finds so few runs that each can be looked at, or nil.
func narrowest(ctx context.Context, q db.Querier, f run.RunFilter, most int) (path, error) {
	if f.Owner != "" {
		n, err := byOwner(run.RunFilter{Owner: f.Owner, Projects: run.AllProjects()}).count(ctx, q, most+1)
		if err != nil || n <= most {
			return byOwner(f), err
		}
	}
	if f.Projects.All && len(f.States) == 0 {
		return nil, nil
	}
	n, err := byProject(run.RunFilter{Projects: f.Projects, States: f.States}).count(ctx, q, most+1)
	if err != nil || n > most {
		return nil, err
	}
	return byProject(f), nil
}

// count counts the runs on a path, up to so many.
func (p path) count(ctx context.Context, q db.Querier, most int) (n int, err error) {
	for some := range slices.Chunk(p, spansAtOnce) {
		var args params
		var found int
		if err := q.QueryRow(ctx, `SELECT count(*) FROM (`+some.union(&args, `id`, args.add(most))+`) AS every`, args...).Scan(&found); err != nil {
			return 0, err
		}
		if n += found; n >= most {
			return most, nil
		}
	}
	return n, nil
}

// union reads columns of up to so many of the newest runs of each span, under further conditions.
func (p path) union(args *params, columns, limit string, conditions ...string) string {
	out := make([]string, len(p))
	for i, s := range p {
		out[i] = fmt.Sprintf(`SELECT %s FROM (SELECT %s FROM runs%s ORDER BY id DESC LIMIT %s) AS s%d`, columns, columns, s.from(args, conditions), limit, i)
	}
	return strings.Join(out, ` UNION ALL `)
}

// from selects what is in the span and under further conditions, of which there is one at least.
func (s span) from(args *params, conditions []string) string {
	hint := ""
	if s.index != "" {
		hint = ` INDEXED BY ` + s.index
	}
	var terms []string
	for _, c := range s.where {
		if c.column == "sweep" {
			terms = append(terms, `sweep <> ''`) // as in the index
		}
		if len(c.values) == 1 {
			terms = append(terms, c.column+` = `+args.add(c.values[0]))
		} else {
			terms = append(terms, c.column+` IN (`+args.list(c.values)+`)`)
		}
	}
	return hint + ` WHERE ` + strings.Join(append(terms, conditions...), ` AND `)
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
