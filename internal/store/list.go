package store

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store/db"
)

const (
	// afterAll is beyond every ID of a run, and maxNumber beyond their numbers.
	afterAll  = "r-~"
	maxNumber = 1 << 50
	// listBatch is the most runs that one step looks at.
	listBatch = 2000
	// patience is how many runs with the text are looked at before those of a narrower path.
	patience = 2000
	// foundAtOnce is how many runs a search reads that takes as long for one.
	foundAtOnce = 5000
	// resolvedAtOnce bounds a statement's parameters.
	resolvedAtOnce = 500
)

// Runs returns the runs that match, in the filter's order. What newest first reads is bounded by the page, not by how many runs there are or
// match, except where nearly all runs that an index finds for one part of the filter do not match another.
func (s *Store) Runs(ctx context.Context, f run.RunFilter) (out []run.Run, err error) {
	l, err := s.ListRuns(ctx, f)
	return l.Runs, err
}

// sizes decide which of several ways leads to the runs of a list.
type sizes struct {
	few       int // how many runs a path may have to be narrow
	fewSorted int // how many runs are sorted here rather than found along an index of the order
	lookedAt  int // how many runs are looked at along an index of the order, before all that match are picked out of it
}

var usual = sizes{few: 20_000, fewSorted: 4000, lookedAt: 500}

// ListRuns returns a page of the runs that match, and the cursor of the next one; see [Store.Runs].
func (s *Store) ListRuns(ctx context.Context, f run.RunFilter) (out run.Page, err error) {
	if f.Projects.None() {
		return out, nil
	}
	limit := min(max(f.Limit, 1), 1000)
	f.Limit = limit + 1
	err = s.db.Read(ctx, func(tx *db.Snapshot) error {
		l := newLister(tx, s, f)
		places, err := l.places(ctx)
		if err != nil || len(places) == 0 {
			return err
		}
		if len(places) > limit {
			places = places[:limit]
			out.Next = f.Order.Cursor(places[limit-1])
		}
		out.Runs, err = readRuns(ctx, tx, places)
		return err
	})
	if err != nil {
		return run.Page{}, fmt.Errorf("list runs: %w", err)
	}
	return out, nil
}

// readRuns returns the runs at places, in their order.
func readRuns(ctx context.Context, tx *db.Snapshot, places []run.Position) ([]run.Run, error) {
	at := make(map[run.ID]int, len(places))
	ids := make([]any, len(places))
	for i, p := range places {
		at[p.ID], ids[i] = i, p.ID
	}
	found, err := db.Select(ctx, tx, scanRun, `SELECT `+runColumns+` FROM runs WHERE id IN (`+marks(len(ids))+`)`, ids...)
	slices.SortFunc(found, func(a, b run.Run) int { return cmp.Compare(at[a.ID], at[b.ID]) })
	return found, err
}

// lister finds runs that match until it has enough: newest first it walks down, for other orders see order.go.
type lister struct {
	tx     *db.Snapshot
	search func(text string, below int64, limit int) []db.Query
	sizes  sizes
	sorts  bool // the database sorts many runs fast: PostgreSQL, which reads a set at once, and with several processes
	many   bool // so many that it does now
	now    int64
	f      run.RunFilter
	text   string
	within bounds
	rare   bool                 // the first query of the search has not found enough
	looked int                  // how many runs with the text were found
	folded map[run.SweepID]bool // sweeps that need no further run
}

func newLister(tx *db.Snapshot, s *Store, f run.RunFilter) *lister {
	return &lister{tx: tx, search: s.db.Search, sizes: s.sizes, sorts: s.db.Shared(), now: time.Now().UnixMilli(), f: f, text: sought(f.Text), within: within(f), folded: map[run.SweepID]bool{}}
}

// places are where the runs are in the order.
func (l *lister) places(ctx context.Context) ([]run.Position, error) {
	if l.f.Order != (run.Order{}) {
		return l.sorted(ctx)
	}
	if l.f.After != nil {
		l.f.Before = l.f.After.ID
	}
	ids, err := l.ids(ctx)
	out := make([]run.Position, len(ids))
	for i, id := range ids {
		out[i].ID = id
	}
	return out, err
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
	before := l.within.below
	if l.f.Before != "" {
		before = min(before, l.f.Before)
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
			p, err := narrowest(ctx, l.tx, l.f, l.sizes.few)
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
	named := l.f.Owner != "" || l.f.Model != "" || len(labels(l.f)) > 0
	switch {
	case l.f.Sweep != "":
		return l.walk(bySweep(l.f)), nil
	case l.text == "" && !named:
		return l.walk(byProject(l.f)), nil
	case l.text != "" && len(labels(l.f)) == 0:
		return l.find, nil
	}
	p, err := narrowest(ctx, l.tx, l.f, l.sizes.few)
	switch {
	case err != nil:
		return nil, err
	case p != nil:
		return l.walk(p), nil
	case l.text != "":
		return l.find, nil
	}
	return l.walk(broad(l.f)), nil
}

// walk reads along a path. The text and the labels, if any, and further conditions are checked for each run.
func (l *lister) walk(p path, further ...func(*params) string) next {
	return func(ctx context.Context, before run.ID, n int) (batch []listed, last run.ID, more bool, err error) {
		for some := range slices.Chunk(p, spansAtOnce) {
			var args params
			limit, conditions := args.add(n), l.conditions(&args, p)
			for _, condition := range further {
				conditions = append(conditions, condition(&args))
			}
			q := `SELECT id, sweep FROM (` + some.union(&args, `id, sweep`, limit, bounds{l.within.from, before}, conditions...) + `) AS every ORDER BY id DESC LIMIT ` + limit
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

// conditions of a walk: without the runs of folded sweeps, and with the text and the labels.
func (l *lister) conditions(args *params, p path) (out []string) {
	if len(l.folded) > 0 {
		out = append(out, `sweep NOT IN (`+args.list(anys(slices.Collect(maps.Keys(l.folded))))+`)`)
	}
	return append(out, matching(args, l.text, p.unknown(l.f))...)
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
		found, err := l.look(ctx, some, "")
		if err != nil {
			return nil, "", false, err
		}
		for _, r := range found {
			batch = append(batch, r.listed)
		}
	}
	last = ids[len(ids)-1]
	return batch, last, len(ids) == n && last >= l.within.from, nil
}

// look returns those of up to [resolvedAtOnce] runs that match, with a text, newest first.
func (l *lister) look(ctx context.Context, ids []run.ID, text string) ([]found, error) {
	var args params
	terms := append([]string{`archived IN (0, 1)`, `id IN (` + args.list(anys(ids)) + `)`}, matching(&args, text, labels(l.f))...)
	out, err := db.Select(ctx, l.tx, scanFound, `SELECT `+foundColumns+` FROM runs INDEXED BY runs_list WHERE `+strings.Join(terms, ` AND `)+` ORDER BY id DESC`, args...)
	// States in the query would tempt PostgreSQL to read all runs in them.
	return slices.DeleteFunc(out, func(r found) bool { return !r.matches(l.f) || r.id < l.within.from || r.id >= l.within.below }), err
}

// found is a run as an index of the list knows it.
type found struct {
	listed
	state                  run.State
	project, owner, preset string
	archived               bool
}

const foundColumns = `id, sweep, state, project, owner, preset, archived`

func scanFound(row db.Scanner) (v found, err error) {
	return v, row.Scan(&v.id, &v.sweep, &v.state, &v.project, &v.owner, &v.preset, &v.archived)
}

func (r found) matches(f run.RunFilter) bool {
	return f.Projects.Include(r.project) && (f.Owner == "" || f.Owner == r.owner) && (len(f.States) == 0 || slices.Contains(f.States, r.state)) &&
		(f.Model == "" || f.Model == r.preset) && (f.Archived == run.WithArchived || r.archived == (f.Archived == run.OnlyArchived)) && (f.Sweep == "" || f.Sweep == r.sweep)
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
	terms := []string{`sweep <> ''`, `sweep IN (` + args.list(sweeps) + `)`, `id >= ` + args.add(l.f.Before), `id < ` + args.add(l.within.below)}
	for _, c := range facets(l.f) {
		terms = append(terms, c.sql(&args))
	}
	terms = append(terms, matching(&args, l.text, labels(l.f))...)
	found, err := db.Select(ctx, l.tx, db.One[run.SweepID], `SELECT DISTINCT sweep FROM runs WHERE `+strings.Join(terms, ` AND `), args...)
	for _, id := range found {
		l.folded[id] = true
	}
	return err
}
