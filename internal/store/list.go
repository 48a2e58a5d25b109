package store

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store/catalog"
	"github.com/cotrain/cotrain/internal/store/db"
)

// Runs returns the runs that match, in the filter's order.
func (s *Store) Runs(ctx context.Context, f run.RunFilter) (out []run.Run, err error) {
	l, err := s.ListRuns(ctx, f)
	return l.Runs, err
}

// ListRuns returns a page of the runs that match, and the cursor of the next one.
func (s *Store) ListRuns(ctx context.Context, f run.RunFilter) (out run.Page, err error) {
	if f.Projects.None() {
		return out, nil
	}
	limit := min(max(f.Limit, 1), 1000)
	f.Limit = limit + 1
	err = s.readCatalog(ctx, func(tx *db.Snapshot, c *current) error {
		places, err := s.places(ctx, tx, c, stored(f))
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

// places are where the runs of a page are in the order.
func (s *Store) places(ctx context.Context, tx *db.Snapshot, c *current, f run.RunFilter) ([]run.Position, error) {
	q := catalog.Query{RunFilter: f}
	if f.Order.By == "" || f.Order.Texts() {
		return c.List(q), nil
	}
	now := time.Now().UnixMilli()
	if f.After != nil && f.After.AsOf > 0 {
		now = f.After.AsOf // on each page as on the first
	}
	if f.Order.By == "duration" {
		q.AsOf = now
	}
	var err error
	if q.Live, err = underWay(ctx, tx, f.Order, now); err != nil {
		return nil, err
	}
	q.By = resultOf(f.Order)
	c, err = s.withColumn(ctx, tx, c, q.By)
	if err != nil {
		return nil, err
	}
	return c.List(q), nil
}

// stored is a filter with texts as the database has them.
func stored(f run.RunFilter) run.RunFilter {
	f.Text = db.Clean(sought(f.Text))
	f.Owner, f.Model, f.Node = db.Clean(f.Owner), db.Clean(f.Model), db.Clean(f.Node)
	f.Tags = slices.Clone(f.Tags)
	for i, t := range f.Tags {
		f.Tags[i] = db.Clean(t)
	}
	return f
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
