package store

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store/db"
	"github.com/cotrain/cotrain/internal/store/points"
)

// AddUsage stores what machines used, as points of metrics without steps, all in one transaction. Reports of runs that are deleted
// meanwhile are left out.
func (s *Store) AddUsage(ctx context.Context, reports []points.Report) error {
	byRun := map[run.ID][]points.Report{}
	var ids []run.ID
	for _, r := range reports {
		if byRun[r.Run] == nil {
			ids = append(ids, r.Run)
		}
		byRun[r.Run] = append(byRun[r.Run], r)
	}
	slices.Sort(ids) // the order in which they are locked
	err := s.db.Write(ctx, func(tx *db.Tx) error {
		w := points.NewWriter(s.Points, tx)
		for _, id := range ids {
			switch err := tx.Require(ctx, "runs", string(id)); {
			case errors.Is(err, fault.ErrNotFound):
				continue
			case err != nil:
				return err
			}
			for _, r := range byRun[id] {
				if _, err := w.Add(ctx, r); err != nil {
					return err
				}
			}
		}
		return w.Flush(ctx)
	})
	if err != nil {
		return fmt.Errorf("store what machines use: %w", err)
	}
	return nil
}
