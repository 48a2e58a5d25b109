package store

import (
	"context"
	"database/sql"
	"fmt"
	"strings"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store/db"
)

// CountRuns returns how many of the runs that match, but for their states, are in each state; see [run.Counted]. States without runs are
// absent.
func (s *Store) CountRuns(ctx context.Context, f run.RunFilter) (counts run.Counts, err error) {
	f.States, f.Order, f.Folded, f.Before, f.After, f.Text = nil, run.Order{}, false, "", nil, sought(f.Text)
	named := f.Owner != "" || f.Model != "" || len(labels(f)) > 0 || !f.Since.IsZero() || !f.Until.IsZero()
	if f.Projects.None() {
		return run.Counts{}, nil
	}
	switch {
	case f.Sweep != "":
		counts, err = s.countAlong(ctx, bySweep(f), f)
	case f.Text != "":
		counts, err = s.countFound(ctx, f)
	case named:
		var p path
		if p, err = narrowest(ctx, s.db, f, s.sizes.fewSorted); err == nil {
			if p == nil {
				p = broad(f)
			}
			counts, err = s.countAlong(ctx, p, f)
		}
	default:
		counts, err = s.countAll(ctx, f)
	}
	if err != nil {
		return nil, fmt.Errorf("count runs: %w", err)
	}
	return counts, nil
}

// countAll counts the runs of projects in each state, in one statement.
func (s *Store) countAll(ctx context.Context, f run.RunFilter) (run.Counts, error) {
	var each []string
	var args params
	most, index, in, order := args.add(run.Counted), "runs_by_state", "", "archived, id" // in the index's order, which keeps PostgreSQL from reading the table
	if !f.Projects.All {
		index, in, order = "runs_by_project_state", ` AND project IN (`+args.list(anys(f.Projects.Names))+`)`, "archived, project, id"
	}
	archived := facets(f)[0].sql(&args)
	for _, st := range run.States() {
		each = append(each, fmt.Sprintf(`SELECT '%[1]s' AS state, (SELECT count(*) FROM (SELECT id FROM runs INDEXED BY %[2]s WHERE %[6]s AND state = '%[1]s'%[3]s ORDER BY %[4]s LIMIT %[5]s) AS counted) AS n`, st, index, in, order, most, archived))
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

// countAlong counts the newest runs on a path that have the text and labels.
func (s *Store) countAlong(ctx context.Context, p path, f run.RunFilter) (run.Counts, error) {
	out, sum := run.Counts{}, 0
	for i := range p {
		var args params
		conditions := matching(&args, f.Text, p.unknown(f))
		found, err := s.counts(ctx, `SELECT state, count(*) FROM (`+p[i:i+1].union(&args, `id, state`, args.add(run.Counted), within(f), conditions...)+`) AS newest GROUP BY state`, args)
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
		return s.countAlong(ctx, p, f)
	}
	queries := s.db.Search(f.Text, maxNumber, run.CountedFound)
	for i, q := range queries {
		out, more, err := s.countAmong(ctx, f, q)
		switch {
		case err != nil:
			return nil, err
		case more:
			all, err := s.countAll(ctx, f)
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
	args := params(q.Args)
	terms := append([]string{`runs.id >= ` + args.add(within(f).from), `runs.id < ` + args.add(within(f).below)}, matching(&args, "", labels(f))...)
	rows, err := s.db.Query(ctx, `SELECT runs.state, runs.project, runs.owner, runs.preset, runs.archived, count(*), sum(CASE WHEN `+strings.Join(terms, ` AND `)+` THEN 1 ELSE 0 END)
		FROM (`+q.SQL+`) AS found CROSS JOIN runs INDEXED BY runs_list ON runs.id = found.id WHERE runs.archived IN (0, 1) GROUP BY runs.state, runs.project, runs.owner, runs.preset, runs.archived`, args...)
	if err != nil {
		return nil, false, err
	}
	type group struct {
		found
		n, matching int
	}
	groups, err := db.Collect(rows, func(row db.Scanner) (g group, err error) {
		return g, row.Scan(&g.state, &g.project, &g.owner, &g.preset, &g.archived, &g.n, &g.matching)
	})
	out, sum := run.Counts{}, 0
	for _, g := range groups {
		if sum += g.n; g.matching > 0 && g.matches(f) {
			out[g.state] = run.Count{N: out[g.state].N + g.matching}
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
