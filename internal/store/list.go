package store

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store/db"
)

const (
	// afterAll is beyond every ID of a run, and maxNumber beyond their numbers.
	afterAll  = "r-~"
	maxNumber = 1 << 50
	// listBatch is the most runs that one step looks at.
	listBatch = 2000
	// patience is how many runs with the text are looked at before those of a narrower path, which has at most few runs.
	patience, few = 2000, 20_000
	// foundAtOnce is how many runs a search reads that takes as long for one.
	foundAtOnce = 5000
	// resolvedAtOnce bounds a statement's parameters.
	resolvedAtOnce = 500
)

// Runs returns the runs that match, newest first. What it reads is bounded by the page, not by how many runs there are or
// match, except where nearly all runs with the text, or of the owner, are in other states or projects than those asked for.
func (s *Store) Runs(ctx context.Context, f run.RunFilter) (out []run.Run, err error) {
	if f.Projects.None() {
		return nil, nil
	}
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

// next reads up to n runs older than one, and says where to go on, and whether there may be more.
type next func(ctx context.Context, before run.ID, n int) (batch []listed, last run.ID, more bool, err error)

func (l *lister) ids(ctx context.Context) (ids []run.ID, err error) {
	next, err := l.start(ctx)
	if err != nil {
		return nil, err
	}
	before := l.f.Before
	if before == "" {
		before = afterAll
	}
	tried := false
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
		if l.looked >= patience && !tried {
			tried = true
			p, err := narrowest(ctx, l.tx, l.f, few)
			if err != nil {
				return nil, err
			}
			if p != nil {
				next = l.walk(p)
			}
		}
	}
	return ids[:min(len(ids), l.f.Limit)], nil
}

// start returns the way to list what matches.
func (l *lister) start(ctx context.Context) (next, error) {
	switch {
	case l.f.Sweep != "":
		return l.walk(bySweep(l.f)), nil
	case l.text != "":
		return l.find, nil
	case l.f.Owner == "":
		return l.walk(byProject(l.f)), nil
	}
	p, err := narrowest(ctx, l.tx, l.f, few)
	if p == nil {
		p = byOwner(l.f)
	}
	return l.walk(p), err
}

// walk reads along a path. The text, if any, is checked for each run.
func (l *lister) walk(p path) next {
	return func(ctx context.Context, before run.ID, n int) (batch []listed, last run.ID, more bool, err error) {
		for some := range slices.Chunk(p, spansAtOnce) {
			var args params
			limit, conditions := args.add(n), append(l.conditions(&args), `id < `+args.add(before))
			q := `SELECT id, sweep FROM (` + some.union(&args, `id, sweep`, limit, conditions...) + `) AS every ORDER BY id DESC LIMIT ` + limit
			found, err := db.Select(ctx, l.tx, scanListed, q, args...)
			if err != nil {
				return nil, "", false, err
			}
			batch = append(batch, found...)
		}
		slices.SortFunc(batch, func(a, b listed) int { return cmp.Compare(b.id, a.id) })
		if batch = batch[:min(len(batch), n)]; len(batch) > 0 {
			last = batch[len(batch)-1].id
		}
		return batch, last, len(batch) == n, nil
	}
}

// conditions of a walk: without the runs of folded sweeps, and with the text.
func (l *lister) conditions(args *params) (out []string) {
	if len(l.folded) > 0 {
		out = append(out, `sweep NOT IN (`+args.list(anys(slices.Collect(maps.Keys(l.folded))))+`)`)
	}
	if l.text != "" {
		out = append(out, hasText(args.add(l.text)))
	}
	return out
}

// hasText is the condition that a run's text contains another.
func hasText(text string) string {
	return `instr((SELECT text FROM run_texts WHERE run_texts.id = runs.id), ` + text + `) > 0`
}

// find looks for up to n runs with the text, and keeps those that match the rest of the filter.
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
		found, err := db.Select(ctx, l.tx, scanFound, `SELECT id, sweep, state, project, owner FROM runs INDEXED BY runs_list WHERE id IN (`+marks(len(some))+`) ORDER BY id DESC`, anys(some)...)
		if err != nil {
			return nil, "", false, err
		}
		for _, r := range found { // in the query, states would tempt PostgreSQL to read all runs in them
			if r.matches(l.f) {
				batch = append(batch, r.listed)
			}
		}
	}
	return batch, ids[len(ids)-1], len(ids) == n, nil
}

// found is a run that has the text.
type found struct {
	listed
	state          run.State
	project, owner string
}

func scanFound(row db.Scanner) (v found, err error) {
	return v, row.Scan(&v.id, &v.sweep, &v.state, &v.project, &v.owner)
}

func (r found) matches(f run.RunFilter) bool {
	return f.Projects.Include(r.project) && (f.Owner == "" || f.Owner == r.owner) && (len(f.States) == 0 || slices.Contains(f.States, r.state))
}

// fold folds the sweeps of a batch that an earlier page shows, because a newer run of theirs matches. A sweep has one project
// and one owner.
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
	var args params
	q := `SELECT DISTINCT sweep FROM runs WHERE sweep <> '' AND sweep IN (` + args.list(sweeps) + `) AND id >= ` + args.add(l.f.Before)
	if len(l.f.States) > 0 {
		q += ` AND state IN (` + args.list(anys(l.f.States)) + `)`
	}
	if l.text != "" {
		q += ` AND ` + hasText(args.add(l.text))
	}
	found, err := db.Select(ctx, l.tx, db.One[run.SweepID], q, args...)
	for _, id := range found {
		l.folded[id] = true
	}
	return err
}
