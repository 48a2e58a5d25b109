package store

import (
	"context"
	"fmt"
	"strings"

	"github.com/cotrain/cotrain/internal/run"
)

// lineNames is how many of those ahead are named.
const lineNames = 3

// lineAhead is the runs before a turn, of sweeps that have a place for them. The terms are searched one after the other: an
// index has them in order.
func lineAhead(full []run.SweepID) string {
	but := ""
	if len(full) > 0 {
		but = ` AND sweep NOT IN (?` + strings.Repeat(",?", len(full)-1) + `)`
	}
	of := `SELECT id, priority FROM runs INDEXED BY runs_line WHERE ` + ready + ` AND `
	return of + `priority > ?` + but + ` UNION ALL ` + of + `priority = ? AND id < ?` + but
}

// Lines tells of runs where they stand among those that wait for their turn and room; those that wait for something else,
// or do not wait, are left as they are. Its time grows with how many wait, by less than a millisecond for 10 000.
func (s *Store) Lines(ctx context.Context, runs []run.Run) error {
	var groups []ReadyGroup
	for i := range runs {
		r := &runs[i]
		if r.State != run.Queued || !r.NotBefore.IsZero() {
			continue
		}
		if groups == nil {
			var err error
			if groups, err = s.ReadyGroups(ctx); err != nil {
				return err
			}
		}
		if err := s.line(ctx, r, groups); err != nil {
			return fmt.Errorf("place of run %s in the queue: %w", r.ID, mapError(err))
		}
	}
	return nil
}

func (s *Store) line(ctx context.Context, r *run.Run, groups []ReadyGroup) error {
	var full []run.SweepID
	var but []any
	for _, g := range groups {
		if !g.Full() {
			continue
		}
		if g.Sweep == r.Origin.Sweep {
			return nil // it waits for its sweep
		}
		full, but = append(full, g.Sweep), append(but, g.Sweep)
	}
	priority := r.Priority()
	args := append(append([]any{priority}, but...), priority, r.ID)
	args = append(args, but...)
	ahead := lineAhead(full)
	line := run.Line{}
	if err := s.read.QueryRowContext(ctx, `SELECT count(*) FROM (`+ahead+`)`, args...).Scan(&line.Position); err != nil {
		return err
	}
	line.Position++
	rows, err := s.read.QueryContext(ctx, `SELECT r.id, r.name FROM (SELECT id, priority FROM (`+ahead+`) LIMIT ?) f JOIN runs r ON r.id = f.id
		ORDER BY f.priority DESC, f.id`, append(args, lineNames)...)
	if err != nil {
		return err
	}
	line.Ahead, err = collect(rows, func(row scanner) (a run.Ahead, err error) { return a, row.Scan(&a.ID, &a.Name) })
	r.Line = &line
	return err
}
