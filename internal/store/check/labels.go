package check

import (
	"context"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store/db"
)

// labels compares what labels know of their runs with the runs.
func (p *part) labels(ctx context.Context) error {
	return p.each(ctx, `SELECT DISTINCT r.id FROM runs r JOIN run_labels l ON l.run_id = r.id WHERE r.id BETWEEN ? AND ? AND (l.archived <> r.archived OR l.state <> r.state OR l.sweep <> r.sweep
		OR l.project <> r.project OR l.owner <> r.owner OR l.preset <> r.preset OR l.name <> substr(lower(r.name), 1, 100))`, func(row db.Scanner) error {
		id, err := db.One[run.ID](row)
		if err != nil {
			return err
		}
		p.tell(RunLabels, string(id), "its tags or nodes have another", func(ctx context.Context, tx *db.Tx) error {
			_, err := tx.Exec(ctx, `UPDATE run_labels SET (archived, state, sweep, project, owner, preset, name) =
				(SELECT archived, state, sweep, project, owner, preset, substr(lower(name), 1, 100) FROM runs WHERE id = ?1) WHERE run_id = ?1`, id)
			return err
		})
		return nil
	})
}
