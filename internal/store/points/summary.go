package points

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store/db"
)

// Summary is what is known of a metric without reading its points: over all workers, as of the last roll-up.
type Summary struct {
	Metric            string
	Points            int64 // steps with a value
	Workers           int
	First, Last       int64   // steps; Unix milliseconds for metrics without steps
	Value             float64 // mean over workers at Last
	Low, High         float64 // lowest and highest mean that are finite; NaN for none
	LowStep, HighStep int64
	Shape             []byte // of [CurveMetrics]: see series.DecodeShape
}

// RunMetrics returns the summaries of a run's metrics, by name.
func (ps *Points) RunMetrics(ctx context.Context, id run.ID) ([]Summary, error) {
	list, err := db.Select(ctx, ps.db, scanSummary, `SELECT metric, points, workers, first_step, last_step, last, low, low_step, high, high_step, shape
		FROM run_metrics WHERE run_id = ? ORDER BY metric`, id)
	if err != nil {
		return nil, fmt.Errorf("metrics of %s: %w", id, err)
	}
	return list, nil
}

func scanSummary(row db.Scanner) (s Summary, err error) {
	var value, low, high sql.NullFloat64
	err = row.Scan(&s.Metric, &s.Points, &s.Workers, &s.First, &s.Last, &value, &low, &s.LowStep, &high, &s.HighStep, &s.Shape)
	s.Value, s.Low, s.High = db.FromNull(value), db.FromNull(low), db.FromNull(high)
	return s, err
}

// Join is where an attempt joins what earlier ones reported: it repeats the steps from there on.
type Join struct {
	Attempt int
	From    int64 // step
}

// Joins returns where a run's further attempts join, by attempt.
func (ps *Points) Joins(ctx context.Context, id run.ID) ([]Join, error) {
	joins, err := db.Select(ctx, ps.db, func(row db.Scanner) (j Join, err error) { return j, row.Scan(&j.Attempt, &j.From) },
		`SELECT attempt, from_step FROM repeats WHERE run_id = ? ORDER BY attempt`, id)
	if err != nil {
		return nil, fmt.Errorf("attempts of %s: %w", id, err)
	}
	return joins, nil
}
