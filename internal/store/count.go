package store

import (
	"context"
	"database/sql"
	"fmt"
	"strings"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store/db"
)

// CountRuns returns how many runs of a filter's projects and owner with its text are in each state; see [run.Counted].
// States without runs are absent.
func (s *Store) CountRuns(ctx context.Context, f run.RunFilter) (counts run.Counts, err error) {
	f = run.RunFilter{Projects: f.Projects, Owner: f.Owner, Text: sought(f.Text)}
	if f.Projects.None() {
		return run.Counts{}, nil
	}
	switch {
	case f.Text != "":
		counts, err = s.countFound(ctx, f)
	case f.Owner != "":
		counts, err = s.countAlong(ctx, byOwner(f), "")
	default:
		counts, err = s.countAll(ctx, f.Projects)
	}
	if err != nil {
		return nil, fmt.Errorf("count runs: %w", err)
	}
	return counts, nil
}

// countAll counts the runs in each state, in one statement.
func (s *Store) countAll(ctx context.Context, projects run.Projects) (run.Counts, error) {
	var each []string
	var args params
	most, index, in, order := args.add(run.Counted), "runs_by_state", "", "id" // in the index's order, which keeps PostgreSQL from reading the table
	if !projects.All {
		index, in, order = "runs_by_project_state", ` AND project IN (`+args.list(anys(projects.Names))+`)`, "project, id"
	}
	for _, st := range run.States() {
		each = append(each, fmt.Sprintf(`SELECT '%[1]s' AS state, (SELECT count(*) FROM (SELECT id FROM runs INDEXED BY %[2]s WHERE state = '%[1]s'%[3]s ORDER BY %[4]s LIMIT %[5]s) AS counted) AS n`, st, index, in, order, most))
	}
	found, err := s.counts(ctx, strings.Join(each, ` UNION ALL `), args)
	out := run.Counts{}
	for st, n := range found {
		if n > 0 {
			out[st] = run.Count{N: n, More: n == run.Counted}
		}
	}
	return out, err
}

// countAlong counts the newest runs on a path, with a text unless it is "".
func (s *Store) countAlong(ctx context.Context, p path, text string) (run.Counts, error) {
	out, sum := run.Counts{}, 0
	for i := range p {
		var args params
		var conditions []string
		if text != "" {
			conditions = append(conditions, hasText(args.add(text)))
		}
		found, err := s.counts(ctx, `SELECT state, count(*) FROM (`+p[i:i+1].union(&args, `id, state`, args.add(run.Counted), conditions...)+`) AS newest GROUP BY state`, args)
		if err != nil {
			return nil, err
		}
		for st, n := range found {
			out[st] = run.Count{N: out[st].N + n}
			sum += n
		}
	}
	if sum >= run.Counted {
		for st, n := range out {
			out[st] = run.Count{N: n.N, More: true}
		}
	}
	return out, nil
}

// countFound counts the newest runs with a text. If there are more, all are counts of at least so many, of the states that
// some run is in.
func (s *Store) countFound(ctx context.Context, f run.RunFilter) (run.Counts, error) {
	if p, err := narrowest(ctx, s.db, f, patience); err != nil || p != nil {
		if err != nil {
			return nil, err
		}
		return s.countAlong(ctx, p, f.Text)
	}
	queries := s.db.Search(f.Text, maxNumber, run.CountedFound)
	for i, q := range queries {
		out, more, err := s.countAmong(ctx, f, q)
		switch {
		case err != nil:
			return nil, err
		case more:
			all, err := s.countAll(ctx, f.Projects)
			for st := range all {
				out[st] = run.Count{N: out[st].N, More: true}
			}
			return out, err
		case i == len(queries)-1:
			return out, nil
		}
	}
	return nil, nil
}

// countAmong counts what matches among the runs that a search finds; more says that it may find others.
func (s *Store) countAmong(ctx context.Context, f run.RunFilter, q db.Query) (out run.Counts, more bool, err error) {
	rows, err := s.db.Query(ctx, `SELECT r.state, r.project, r.owner, count(*) FROM (`+q.SQL+`) AS found CROSS JOIN runs r INDEXED BY runs_list ON r.id = found.id
		GROUP BY r.state, r.project, r.owner`, q.Args...)
	if err != nil {
		return nil, false, err
	}
	type group struct {
		found
		n int
	}
	groups, err := db.Collect(rows, func(row db.Scanner) (g group, err error) { return g, row.Scan(&g.state, &g.project, &g.owner, &g.n) })
	out, sum := run.Counts{}, 0
	for _, g := range groups {
		if sum += g.n; g.matches(f) {
			out[g.state] = run.Count{N: out[g.state].N + g.n}
		}
	}
	return out, sum >= run.CountedFound, err
}

func (s *Store) counts(ctx context.Context, query string, args []any) (map[run.State]int, error) {
	rows, err := s.db.Query(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	return counts(rows)
}

func counts(rows *sql.Rows) (map[run.State]int, error) {
	defer func() { _ = rows.Close() }()
	out := map[run.State]int{}
	for rows.Next() {
		var st run.State
		var n int
		if err := rows.Scan(&st, &n); err != nil {
			return nil, fmt.Errorf("count runs: %w", err)
		}
		out[st] = n
	}
	return out, db.MapError(rows.Err())
}
