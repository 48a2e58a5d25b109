package store

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store/catalog"
	"github.com/cotrain/cotrain/internal/store/db"
)

const (
	// catalogBatch is how many runs one statement reads for the catalog, and valueBatch how many values.
	catalogBatch, valueBatch = 4000, 10_000
	// mostChanged is how many runs are read again; where more have changed, all are. Others may be listed as changed while a transaction of
	// PostgreSQL stays open: mostListed of them are passed over.
	mostChanged, mostListed = 4000, 20_000
	// readAtOnce bounds a statement's parameters.
	readAtOnce = 500
)

// current is the catalog as of one snapshot, and what is known of the changes that the next one asks for.
type current struct {
	*catalog.Catalog
	since int64
	known map[string]int64
}

// readCatalog calls fn with a snapshot, and the catalog of exactly that: of the newest that any reader has left, with what has changed since.
// So it is right whoever writes the database, and readers do not wait for each other, except for the first.
func (s *Store) readCatalog(ctx context.Context, fn func(*db.Snapshot, *current) error) error {
	if err := s.loadCatalog(ctx); err != nil {
		return err
	}
	return s.db.Read(ctx, func(tx *db.Snapshot) error {
		base := s.catalog.Load() // before the snapshot, which begins with the first query
		c, err := base.follow(ctx, tx)
		if err != nil {
			return err
		}
		if c != base {
			s.catalog.CompareAndSwap(base, c)
		}
		return fn(tx, c)
	})
}

// Warm reads what lists of runs are answered from, which the first list would wait for: about a second for 100 000 runs. Of metrics the first
// list sorted by one reads the values.
func (s *Store) Warm(ctx context.Context) error {
	err := s.readCatalog(ctx, func(tx *db.Snapshot, c *current) (err error) {
		for _, key := range run.OrderKeys() {
			if o := (run.Order{By: key}); err == nil && key != "created" && !o.Texts() {
				c, err = s.withColumn(ctx, tx, c, resultOf(o))
			}
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("read what runs are listed by: %w", err)
	}
	return nil
}

// loadCatalog has the store have a catalog.
func (s *Store) loadCatalog(ctx context.Context) error {
	if s.catalog.Load() != nil {
		return nil
	}
	select {
	case s.loading <- struct{}{}:
		defer func() { <-s.loading }()
	case <-ctx.Done():
		return ctx.Err()
	}
	if s.catalog.Load() != nil {
		return nil
	}
	return s.db.Read(ctx, func(tx *db.Snapshot) error {
		c, err := load(ctx, tx)
		if err == nil {
			s.catalog.Store(c)
		}
		return err
	})
}

// load reads all runs.
func load(ctx context.Context, tx *db.Snapshot) (*current, error) {
	changes, err := tx.Changes(ctx, db.FromNow, 0)
	if err != nil {
		return nil, err
	}
	var all []catalog.Entry
	for after := run.ID(""); ; {
		some, err := db.Select(ctx, tx, scanEntry, entries(fmt.Sprintf(`id > ? ORDER BY id LIMIT %d`, catalogBatch)), after)
		if err != nil {
			return nil, err
		}
		if len(some) == 0 {
			return &current{catalog.New(all), changes.Since, changes.Runs}, nil
		}
		last := some[len(some)-1].ID
		labels, err := db.Select(ctx, tx, scanLabel, `SELECT run_id, kind, label FROM run_labels WHERE run_id > ? AND run_id <= ?`, after, last)
		if err != nil {
			return nil, err
		}
		addLabelsTo(some, labels)
		all, after = append(all, some...), last
	}
}

// follow returns the catalog as of a later snapshot.
func (c *current) follow(ctx context.Context, tx *db.Snapshot) (*current, error) {
	changes, err := tx.Changes(ctx, c.since, mostListed)
	if err != nil {
		return nil, err
	}
	var changed []string
	for id, n := range changes.Runs {
		if c.known[id] != n {
			changed = append(changed, id)
		}
	}
	if changes.More || len(changed) > mostChanged {
		return load(ctx, tx)
	}
	if len(changed) == 0 && changes.Since == c.since {
		return c, nil
	}
	next := &current{c.Catalog, changes.Since, changes.Runs}
	if len(changed) == 0 {
		return next, nil
	}
	slices.Sort(changed)
	var all []catalog.Change
	for some := range slices.Chunk(changed, readAtOnce) {
		read, err := readChanges(ctx, tx, some, c.Columns())
		if err != nil {
			return nil, err
		}
		all = append(all, read...)
	}
	next.Catalog = c.With(all)
	return next, nil
}

// readChanges reads what some runs are now.
func readChanges(ctx context.Context, tx *db.Snapshot, ids []string, columns []catalog.Key) ([]catalog.Change, error) {
	in := `IN (` + marks(len(ids)) + `)`
	found, err := db.Select(ctx, tx, scanEntry, entries(`id `+in+` ORDER BY id`), anys(ids)...)
	if err != nil {
		return nil, err
	}
	labels, err := db.Select(ctx, tx, scanLabel, `SELECT run_id, kind, label FROM run_labels WHERE run_id `+in, anys(ids)...)
	if err != nil {
		return nil, err
	}
	addLabelsTo(found, labels)
	out := make([]catalog.Change, len(ids))
	at := make(map[run.ID]int, len(ids))
	for i, id := range ids {
		out[i], at[run.ID(id)] = catalog.Change{ID: run.ID(id)}, i
	}
	for i := range found {
		out[at[found[i].ID]].Entry = &found[i]
	}
	if len(columns) == 0 {
		return out, nil
	}
	return out, readValues(ctx, tx, ids, columns, func(id run.ID, k catalog.Key, value float64) {
		ch := &out[at[id]]
		if ch.Values == nil {
			ch.Values = map[catalog.Key]float64{}
		}
		ch.Values[k] = value
	})
}

// readValues reads the values of some runs in some columns.
func readValues(ctx context.Context, tx *db.Snapshot, ids []string, columns []catalog.Key, set func(run.ID, catalog.Key, float64)) error {
	by := map[string][]string{}
	for _, k := range columns {
		by[k.Of] = append(by[k.Of], k.Metric)
	}
	for of, metrics := range by {
		type result struct {
			catalog.Value
			metric string
		}
		found, err := db.Select(ctx, tx, func(row db.Scanner) (r result, err error) { return r, row.Scan(&r.ID, &r.metric, &r.Value.Value) },
			`SELECT run_id, metric, `+of+` FROM run_results WHERE run_id IN (`+marks(len(ids))+`) AND metric IN (`+marks(len(metrics))+`) AND `+of+` IS NOT NULL`, append(anys(ids), anys(metrics)...)...)
		if err != nil {
			return err
		}
		for _, r := range found {
			set(r.ID, catalog.Key{Metric: r.metric, Of: of}, r.Value.Value)
		}
	}
	return nil
}

// withColumn returns a catalog that has the values that ended runs are sorted by.
func (s *Store) withColumn(ctx context.Context, tx *db.Snapshot, c *current, k catalog.Key) (*current, error) {
	if c.Has(k) {
		return c, nil
	}
	var all []catalog.Value
	for after := run.ID(""); ; {
		some, err := db.Select(ctx, tx, scanValue, fmt.Sprintf(`SELECT run_id, %s FROM run_results WHERE metric = ? AND run_id > ? AND %[1]s IS NOT NULL ORDER BY run_id LIMIT %[2]d`, k.Of, valueBatch), k.Metric, after)
		if err != nil {
			return nil, err
		}
		if all = append(all, some...); len(some) < valueBatch {
			break
		}
		after = some[len(some)-1].ID
	}
	with := &current{c.WithColumn(k, all), c.since, c.known}
	s.catalog.CompareAndSwap(c, with) // or else it is read again
	return with, nil
}

// entries selects what the catalog has of runs.
func entries(where string) string {
	return `SELECT id, state, archived, sweep, project, owner, preset, name, coalesce((SELECT text FROM run_texts t WHERE t.id = r.id), '')
		FROM (SELECT id, state, archived, sweep, project, owner, preset, substr(lower(name), 1, 100) AS name FROM runs WHERE ` + where + `) AS r ORDER BY id`
}

func scanEntry(row db.Scanner) (e catalog.Entry, err error) {
	return e, row.Scan(&e.ID, &e.State, &e.Archived, &e.Sweep, &e.Project, &e.Owner, &e.Model, &e.Name, &e.Text)
}

type runLabel struct {
	id run.ID
	catalog.Label
}

func scanLabel(row db.Scanner) (l runLabel, err error) { return l, row.Scan(&l.id, &l.Kind, &l.Text) }

// addLabelsTo gives entries, in the order of their IDs, their labels.
func addLabelsTo(all []catalog.Entry, labels []runLabel) {
	for _, l := range labels {
		i, found := slices.BinarySearchFunc(all, l.id, func(e catalog.Entry, id run.ID) int { return cmp.Compare(e.ID, id) })
		if found {
			all[i].Labels = append(all[i].Labels, l.Label)
		}
	}
}

// anys makes arguments of a statement.
func anys[T any](values []T) []any {
	out := make([]any, len(values))
	for i, v := range values {
		out[i] = v
	}
	return out
}
