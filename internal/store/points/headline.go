package points

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/series"
	"github.com/cotrain/cotrain/internal/store/db"
)

// Headline returns a run's headline as of the last [Points.RollUp]: the curves at the newest step that every
// participating worker of the newest training attempt has reported, but never before the stored headline. Participants
// and UpdatedAt are not set.
func (ps *Points) Headline(ctx context.Context, id run.ID) (run.Progress, error) {
	p, err := ps.headline(ctx, id)
	if err != nil {
		return p, fmt.Errorf("headline of %s: %w", id, err)
	}
	return p, nil
}

func (ps *Points) headline(ctx context.Context, id run.ID) (p run.Progress, err error) {
	var innerSteps int64
	err = ps.db.QueryRow(ctx, `SELECT step, inner_steps FROM runs WHERE id = ?`, id).Scan(&p.Step, &innerSteps)
	if err != nil {
		return p, err
	}
	step, _, err := settled(ctx, ps.db, id, innerSteps)
	if err != nil {
		return p, err
	}
	return headlineAt(ctx, ps.db, id, max(p.Step, step))
}

// settled returns the newest step that every participating worker of the newest training attempt has reported, and the
// one if each took part that has reported; 0 before the first step.
func settled(ctx context.Context, q db.Querier, id run.ID, innerSteps int64) (step, ofAll int64, err error) {
	done, err := readRepeats(ctx, q, id)
	if err != nil {
		return 0, 0, err
	}
	attempt := done.trained()
	workers, err := standing(ctx, q, id, attempt)
	if err != nil {
		return 0, 0, err
	}
	for _, metric := range CurveMetrics() {
		reported, err := newest(ctx, q, id, metric, attempt)
		if err != nil {
			return 0, 0, err
		}
		if step, ok := run.SettledStep(workers, reported, attempt, innerSteps); ok {
			ofAll, _ = run.SettledStep(nil, reported, attempt, innerSteps)
			return step, ofAll, nil
		}
	}
	return 0, 0, nil
}

// standing returns an attempt's workers with only rank, state and start: it is needed for nearly every step.
func standing(ctx context.Context, q db.Querier, id run.ID, attempt int) ([]run.Worker, error) {
	return db.Select(ctx, q, func(row db.Scanner) (w run.Worker, err error) {
		var started int64
		err = row.Scan(&w.Rank, &w.State, &started)
		w.StartedAt = db.FromMillis(started)
		return w, err
	}, `SELECT rank, state, started_at FROM workers WHERE run_id = ? AND attempt = ?`, id, attempt)
}

// Last returns a curve's last point up to a step, zero if none.
func Last(ctx context.Context, q db.Querier, id run.ID, metric string, to int64) (run.CurvePoint, error) {
	for block := curveBlock(to); ; block-- {
		var data []byte
		err := q.QueryRow(ctx, `SELECT block, data FROM curve_blocks WHERE run_id = ? AND metric = ? AND block <= ? ORDER BY block DESC LIMIT 1`,
			id, metric, block).Scan(&block, &data)
		if errors.Is(err, fault.ErrNotFound) {
			return run.CurvePoint{}, nil
		}
		if err != nil {
			return run.CurvePoint{}, err
		}
		curve, err := series.AppendCurve(nil, data)
		if err != nil {
			return run.CurvePoint{}, fmt.Errorf("curve %s of %s: %w", metric, id, err)
		}
		if curve = run.Settled(curve, to); len(curve) > 0 {
			return curve[len(curve)-1], nil
		}
	}
}

// newest returns the newest step that each worker reported of a metric in the newest attempt, by rank.
func newest(ctx context.Context, q db.Querier, id run.ID, metric string, attempt int) ([]run.WorkerStep, error) {
	rows, err := q.Query(ctx, `SELECT s.rank, p.step, p.at, c.last_step, c.last_at
		FROM series s LEFT JOIN points p ON p.series = s.id AND p.step = (SELECT max(step) FROM points WHERE series = s.id)
		LEFT JOIN point_chunks c ON c.id = (SELECT id FROM point_chunks INDEXED BY point_chunks_by_last WHERE series = s.id ORDER BY last_step DESC LIMIT 1)
		WHERE s.run_id = ? AND s.metric = ? AND s.attempt = ? ORDER BY s.rank`, id, metric, attempt)
	if err != nil {
		return nil, err
	}
	type place struct{ step, at sql.NullInt64 }
	out, err := db.Collect(rows, func(row db.Scanner) (run.WorkerStep, error) {
		var rank int
		var head, chunk place
		err := row.Scan(&rank, &head.step, &head.at, &chunk.step, &chunk.at)
		best := head
		if chunk.step.Valid && (!head.step.Valid || chunk.step.Int64 > head.step.Int64) {
			best = chunk
		}
		w := run.WorkerStep{Rank: rank, Step: best.step.Int64, At: best.at.Int64}
		if best.step.Valid {
			w.Attempt = attempt
		}
		return w, err
	})
	return slices.DeleteFunc(out, func(w run.WorkerStep) bool { return w.Attempt == 0 }), err // without points
}
