package store

import (
	"context"
	"database/sql"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store/db"
)

const (
	// afterAll is beyond every ID of a run, and maxNumber beyond their numbers.
	afterAll  = "r-~"
	maxNumber = 1 << 50
	// listBatch is the most runs that one step looks at.
	listBatch = 2000
	// patience is how many runs with the text are looked at before those in the states asked for, if these are not more than
	// maxInStates.
	patience, maxInStates = 2000, 20_000
	// foundAtOnce is how many runs a search reads that takes as long for one.
	foundAtOnce = 5000
	// resolvedAtOnce bounds a statement's parameters.
	resolvedAtOnce = 500
)

// Runs returns the runs that match, newest first. What it reads is bounded by the page, not by how many runs there are or
// match, except where nearly all runs with the text are in other states than those asked for.
func (s *Store) Runs(ctx context.Context, f run.RunFilter) (out []run.Run, err error) {
	f.Limit = min(max(f.Limit, 1), 1000)
	err = s.db.Read(ctx, func(tx *db.Snapshot) error {
		l := lister{tx: tx, search: s.db.Search, f: f, text: sought(f.Text), folded: map[run.SweepID]bool{}}
		ids, err := l.ids(ctx)
		if err != nil || len(ids) == 0 {
			return err
		}
		out, err = db.Select(ctx, tx, scanRun, `SELECT `+runColumns+` FROM runs WHERE id IN (`+marks(len(ids))+`) ORDER BY id DESC`, anys(ids)...)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list runs: %w", err)
	}
	return out, nil
}

// lister walks down the runs that match, from the newest, until it has enough.
type lister struct {
	tx     *db.Snapshot
	search func(text string, below int64, limit int) []db.Query
	f      run.RunFilter
	text   string
	rare   bool                 // the first query of the search has not found enough
	looked int                  // how many runs with the text were found
	folded map[run.SweepID]bool // sweeps that need no further run
}

// listed is a run as the list is filtered.
type listed struct {
	id    run.ID
	sweep run.SweepID
}

func scanListed(row db.Scanner) (v listed, err error) { return v, row.Scan(&v.id, &v.sweep) }

func (l *lister) ids(ctx context.Context) (ids []run.ID, err error) {
	next := l.walk
	if l.text != "" && l.f.Sweep == "" {
		next = l.find
	}
	before := l.f.Before
	if before == "" {
		before = afterAll
	}
	for n, more := l.f.Limit, true; more && len(ids) < l.f.Limit; n = min(2*n, listBatch) {
		var batch []listed
		if batch, before, more, err = next(ctx, before, n); err != nil {
			return nil, err
		}
		if err = l.fold(ctx, batch); err != nil {
			return nil, err
		}
		for _, r := range batch {
			if l.f.Folded && r.sweep != "" {
				if l.folded[r.sweep] {
					continue
				}
				l.folded[r.sweep] = true
			}
			ids = append(ids, r.id)
		}
		if l.looked >= patience && len(l.f.States) > 0 {
			l.looked = math.MinInt // once
			few, err := l.fewInStates(ctx)
			if err != nil {
				return nil, err
			}
			if few {
				next = l.walk
			}
		}
	}
	return ids[:min(len(ids), l.f.Limit)], nil
}

// fewInStates reports whether so few runs are in the states asked for that the text can be looked for in each.
func (l *lister) fewInStates(ctx context.Context) (bool, error) {
	n := 0
	for _, st := range l.f.States {
		var some int
		if err := l.tx.QueryRow(ctx, `SELECT count(*) FROM (`+newestIn+`) AS newest`, st, maxInStates+1).Scan(&some); err != nil {
			return false, err
		}
		n += some
	}
	return n <= maxInStates, nil
}

// walk reads up to n runs from one index for each state. The text, if any, is checked for each of them.
func (l *lister) walk(ctx context.Context, before run.ID, n int) (batch []listed, last run.ID, more bool, err error) {
	const columns = `SELECT id, sweep FROM runs `
	rest, restArgs := l.but("runs")
	var q string
	var args []any
	switch {
	case l.f.Sweep != "":
		q = columns + `WHERE sweep <> '' AND sweep = ? AND id < ?` // the first as in the index
		args = []any{l.f.Sweep, before}
		if len(l.f.States) > 0 {
			q += ` AND state IN (` + marks(len(l.f.States)) + `)`
			args = append(args, anys(l.f.States)...)
		}
		q += rest + ` ORDER BY id DESC LIMIT ?`
		args = append(append(args, restArgs...), n)
	case len(l.f.States) == 0:
		q = columns + `INDEXED BY runs_list WHERE id < ?` + rest + ` ORDER BY id DESC LIMIT ?`
		args = append(append(append(args, before), restArgs...), n)
	default:
		var each []string
		for i, st := range slices.Compact(slices.Sorted(slices.Values(l.f.States))) {
			each = append(each, fmt.Sprintf(`SELECT id, sweep FROM (%sINDEXED BY runs_by_state WHERE state = ? AND id < ?%s ORDER BY id DESC LIMIT ?) AS s%d`, columns, rest, i))
			args = append(append(append(args, st, before), restArgs...), n)
		}
		q = `SELECT id, sweep FROM (` + strings.Join(each, ` UNION ALL `) + `) AS every ORDER BY id DESC LIMIT ?`
		args = append(args, n)
	}
	batch, err = db.Select(ctx, l.tx, scanListed, q, args...)
	if len(batch) > 0 {
		last = batch[len(batch)-1].id
	}
	return batch, last, len(batch) == n, err
}

// but is the rest of walk's conditions: without those of folded sweeps, and with the text.
func (l *lister) but(table string) (where string, args []any) {
	if len(l.folded) > 0 {
		for id := range l.folded {
			args = append(args, id)
		}
		where = ` AND sweep NOT IN (` + marks(len(args)) + `)`
	}
	if l.text != "" {
		where += ` AND ` + hasText(table)
		args = append(args, l.text)
	}
	return where, args
}

// hasText is the condition that a run's text contains another.
func hasText(table string) string {
	return `instr((SELECT text FROM run_texts WHERE run_texts.id = ` + table + `.id), ?) > 0`
}

// find looks for up to n runs with the text, and keeps those in the states asked for.
func (l *lister) find(ctx context.Context, before run.ID, n int) (batch []listed, last run.ID, more bool, err error) {
	below := int64(maxNumber)
	if before != afterAll {
		if below, err = before.Number(); err != nil {
			return nil, "", false, err
		}
	}
	var ids []run.ID
	for {
		if l.rare {
			n = foundAtOnce
		}
		queries := l.search(l.text, below, n)
		q := queries[0]
		if l.rare {
			q = queries[len(queries)-1]
		}
		if ids, err = db.Select(ctx, l.tx, db.One[run.ID], q.SQL, q.Args...); err != nil {
			return nil, "", false, err
		}
		if len(ids) == n || l.rare || len(queries) == 1 {
			break
		}
		l.rare = true
	}
	l.looked += len(ids)
	if len(ids) == 0 {
		return nil, "", false, nil
	}
	for some := range slices.Chunk(ids, resolvedAtOnce) {
		found, err := db.Select(ctx, l.tx, scanFound, `SELECT id, sweep, state FROM runs INDEXED BY runs_list WHERE id IN (`+marks(len(some))+`) ORDER BY id DESC`, anys(some)...)
		if err != nil {
			return nil, "", false, err
		}
		for _, r := range found { // in the query, states would tempt PostgreSQL to read all runs in them
			if len(l.f.States) == 0 || slices.Contains(l.f.States, r.state) {
				batch = append(batch, r.listed)
			}
		}
	}
	return batch, ids[len(ids)-1], len(ids) == n, nil
}

// found is a run that has the text.
type found struct {
	listed
	state run.State
}

func scanFound(row db.Scanner) (v found, err error) { return v, row.Scan(&v.id, &v.sweep, &v.state) }

// fold folds the sweeps of a batch that an earlier page shows, because a newer run of theirs matches.
func (l *lister) fold(ctx context.Context, batch []listed) error {
	if !l.f.Folded || l.f.Before == "" {
		return nil
	}
	var sweeps []any
	for _, r := range batch {
		if r.sweep != "" && !l.folded[r.sweep] && !slices.Contains(sweeps, any(r.sweep)) {
			sweeps = append(sweeps, r.sweep)
		}
	}
	if len(sweeps) == 0 {
		return nil
	}
	q, args := `SELECT DISTINCT sweep FROM runs WHERE sweep <> '' AND sweep IN (`+marks(len(sweeps))+`) AND id >= ?`, append(sweeps, l.f.Before)
	if len(l.f.States) > 0 {
		q += ` AND state IN (` + marks(len(l.f.States)) + `)`
		args = append(args, anys(l.f.States)...)
	}
	if l.text != "" {
		q += ` AND ` + hasText("runs")
		args = append(args, l.text)
	}
	found, err := db.Select(ctx, l.tx, db.One[run.SweepID], q, args...)
	for _, id := range found {
		l.folded[id] = true
	}
	return err
}

// newestIn is the newest runs in a state: its parameters are the state and how many.
const newestIn = `SELECT id FROM runs INDEXED BY runs_by_state WHERE state = ? ORDER BY id DESC LIMIT ?`

// CountRuns returns how many runs with a text ("" for all) are in each state; see [run.Counted]. States without runs are
// absent.
func (s *Store) CountRuns(ctx context.Context, text string) (run.Counts, error) {
	counts, err := s.countAll(ctx)
	if text := sought(text); err == nil && text != "" {
		counts, err = s.countFound(ctx, text, counts)
	}
	if err != nil {
		return nil, fmt.Errorf("count runs: %w", err)
	}
	return counts, nil
}

// countAll counts the runs in each state, in one statement.
func (s *Store) countAll(ctx context.Context) (run.Counts, error) {
	var each []string
	var args []any
	for i, st := range run.States() {
		each = append(each, fmt.Sprintf(`SELECT '%s' AS state, (SELECT count(*) FROM (%s) AS s%d) AS n`, st, newestIn, i))
		args = append(args, st, run.Counted)
	}
	rows, err := s.db.Query(ctx, strings.Join(each, ` UNION ALL `), args...)
	if err != nil {
		return nil, err
	}
	found, err := counts(rows)
	out := run.Counts{}
	for st, n := range found {
		if n > 0 {
			out[st] = run.Count{N: n, More: n == run.Counted}
		}
	}
	return out, err
}

// countFound counts the newest runs with a text. If there are more, all are counts of at least so many, of the states that
// some run is in.
func (s *Store) countFound(ctx context.Context, text string, all run.Counts) (run.Counts, error) {
	queries := s.db.Search(text, maxNumber, run.CountedFound)
	for i, q := range queries {
		rows, err := s.db.Query(ctx, `SELECT state, count(*) FROM (SELECT (SELECT state FROM runs INDEXED BY runs_list WHERE runs.id = found.id) AS state FROM (`+q.SQL+`) AS found) AS states
			WHERE state IS NOT NULL GROUP BY state`, q.Args...)
		if err != nil {
			return nil, err
		}
		found, err := counts(rows)
		if err != nil {
			return nil, err
		}
		out, sum := run.Counts{}, 0
		for st, n := range found {
			out[st] = run.Count{N: n}
			sum += n
		}
		if sum < run.CountedFound {
			if i == len(queries)-1 {
				return out, nil
			}
			continue
		}
		for st := range all {
			out[st] = run.Count{N: found[st], More: true}
		}
		return out, nil
	}
	return nil, nil
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

// anys makes arguments of a statement.
func anys[T any](values []T) []any {
	out := make([]any, len(values))
	for i, v := range values {
		out[i] = v
	}
	return out
}
