package store

import (
	"context"
	"fmt"
	"strings"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store/db"
)

// lineNames is how many of the runs ahead are named.
const lineNames = 3

// line selects the waiting runs in queue order, without those of full sweeps.
func line(columns string, full int) string {
	but := ""
	if full > 0 {
		but = ` AND sweep NOT IN (` + marks(full) + `)`
	}
	return `SELECT ` + columns + ` FROM runs INDEXED BY runs_line WHERE ` + ready + but
}

// places numbers them and keeps n.
func places(full, n int) string {
	return `SELECT id, place FROM (` + line(`id, row_number() OVER (ORDER BY priority DESC, id) AS place`, full) + `) AS line WHERE id IN (` + marks(n) + `)`
}

func marks(n int) string { return strings.Repeat(",?", n)[1:] }

// SetQueuePlaces sets the QueuePlace of those runs that wait for turn and room, which names no run of another project. Its time grows with the queue: a few
// milliseconds for 10 000.
func (s *Store) SetQueuePlaces(ctx context.Context, runs []run.Run) error {
	at := map[run.ID]*run.Run{}
	var ids []any
	for i := range runs {
		if r := &runs[i]; r.State == run.Queued && r.NotBefore.IsZero() {
			at[r.ID] = r
			ids = append(ids, r.ID)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	groups, err := s.ReadyGroups(ctx)
	if err != nil {
		return err
	}
	var full []any
	for _, g := range groups {
		if g.Full() {
			full = append(full, g.Sweep)
		}
	}
	type ahead struct {
		run.Ahead
		project string
	}
	first, err := db.Select(ctx, s.db, func(row db.Scanner) (a ahead, err error) { return a, row.Scan(&a.ID, &a.Name, &a.project) }, line(`id, name, project`, len(full))+` ORDER BY priority DESC, id LIMIT ?`, append(full, lineNames)...)
	if err != nil {
		return fmt.Errorf("first of the queue: %w", err)
	}
	type place struct {
		id run.ID
		n  int
	}
	found, err := db.Select(ctx, s.db, func(row db.Scanner) (p place, err error) { return p, row.Scan(&p.id, &p.n) }, places(len(full), len(ids)), append(full, ids...)...)
	if err != nil {
		return fmt.Errorf("places in the queue: %w", err)
	}
	for _, p := range found {
		r := at[p.id]
		r.QueuePlace = &run.QueuePlace{Position: p.n}
		for _, a := range first[:min(len(first), p.n-1)] {
			if a.project != r.Project {
				a.Ahead = run.Ahead{}
			}
			r.QueuePlace.Ahead = append(r.QueuePlace.Ahead, a.Ahead)
		}
	}
	return nil
}
