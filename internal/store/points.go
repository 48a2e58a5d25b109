package store

import (
	"context"
	"database/sql"
	"fmt"
	"math"
	"slices"

	"github.com/cotrain/cotrain/internal/run"
)

// WorkerPoint is one stored value.
type WorkerPoint struct {
	Rank  int        `json:"rank"`
	Step  int64      `json:"step"`
	Value run.Number `json:"value"`
	At    int64      `json:"at"` // Unix milliseconds
}

// Metrics returns the names of a run's metrics, sorted.
func (s *Store) Metrics(ctx context.Context, id run.ID) ([]string, error) {
	rows, err := s.read.QueryContext(ctx, `SELECT DISTINCT metric FROM series WHERE run_id = ? ORDER BY metric`, id)
	if err != nil {
		return nil, fmt.Errorf("metrics of %s: %w", id, mapError(err))
	}
	return collect(rows, func(row scanner) (name string, err error) { return name, row.Scan(&name) })
}

// Points returns a metric's values of every worker, by rank and step.
func (s *Store) Points(ctx context.Context, id run.ID, metric string) ([]WorkerPoint, error) {
	rows, err := s.read.QueryContext(ctx, `SELECT s.rank, p.step, p.value, p.at FROM series s JOIN points p ON p.series = s.id
		WHERE s.run_id = ? AND s.metric = ? ORDER BY s.rank, p.step`, id, metric)
	if err != nil {
		return nil, fmt.Errorf("points of %s: %w", id, mapError(err))
	}
	return collect(rows, func(row scanner) (WorkerPoint, error) {
		var p WorkerPoint
		var v sql.NullFloat64
		err := row.Scan(&p.Rank, &p.Step, &v, &p.At)
		p.Value = run.Number(fromNull(v))
		return p, err
	})
}

// Curve returns a metric over all workers, by step, from fromStep on. A step for which any worker reported NaN is NaN. Those
// of [Rolled] are as of the last [Store.RollUp].
func (s *Store) Curve(ctx context.Context, id run.ID, metric string, fromStep int64) ([]run.CurvePoint, error) {
	if !slices.Contains(Rolled(), metric) {
		return s.join(ctx, id, metric, fromStep, math.MaxInt64)
	}
	rows, err := s.read.QueryContext(ctx, `SELECT step, mean, low, high, sum, workers, at FROM curves
		WHERE run_id = ? AND metric = ? AND step >= ? ORDER BY step`, id, metric, fromStep)
	if err != nil {
		return nil, fmt.Errorf("curve of %s: %w", id, mapError(err))
	}
	return collect(rows, func(row scanner) (run.CurvePoint, error) {
		var p run.CurvePoint
		var mean, low, high, sum sql.NullFloat64
		var at int64
		err := row.Scan(&p.Step, &mean, &low, &high, &sum, &p.Workers, &at)
		p.Mean, p.Min, p.Max, p.Sum, p.At = fromNull(mean), fromNull(low), fromNull(high), fromNull(sum), fromMillis(at)
		return p, err
	})
}

// join derives a curve from the points of every worker.
func (s *Store) join(ctx context.Context, id run.ID, metric string, fromStep, toStep int64) ([]run.CurvePoint, error) {
	rows, err := s.read.QueryContext(ctx, `SELECT p.step, avg(p.value), min(p.value), max(p.value), total(p.value), count(*), count(p.value), max(p.at)
		FROM series s JOIN points p ON p.series = s.id AND p.step BETWEEN ? AND ?
		WHERE s.run_id = ? AND s.metric = ? GROUP BY p.step ORDER BY p.step`, fromStep, toStep, id, metric)
	if err != nil {
		return nil, fmt.Errorf("curve of %s: %w", id, mapError(err))
	}
	return collect(rows, func(row scanner) (run.CurvePoint, error) {
		var p run.CurvePoint
		var mean, low, high sql.NullFloat64
		var numbers int
		var at int64
		err := row.Scan(&p.Step, &mean, &low, &high, &p.Sum, &p.Workers, &numbers, &at)
		p.Mean, p.Min, p.Max, p.At = fromNull(mean), fromNull(low), fromNull(high), fromMillis(at)
		if numbers < p.Workers {
			p.Mean, p.Min, p.Max, p.Sum = math.NaN(), math.NaN(), math.NaN(), math.NaN()
		}
		return p, err
	})
}

// Headline returns the highest step that any worker reported a loss for, the mean of each worker's newest loss, and
// the sum of each worker's newest throughput. Participants and UpdatedAt stay zero.
func (s *Store) Headline(ctx context.Context, id run.ID) (run.Progress, error) {
	var p run.Progress
	loss, err := s.newest(ctx, id, "loss")
	if err != nil {
		return p, err
	}
	for _, v := range loss {
		p.Step = max(p.Step, v.Step)
		p.Loss += float64(v.Value) / float64(len(loss))
		p.HasLoss = true
	}
	rate, err := s.newest(ctx, id, "tokens_per_second")
	for _, v := range rate {
		p.TokensPerSec += float64(v.Value)
	}
	return p, err
}

// newest returns each worker's newest value of a metric.
func (s *Store) newest(ctx context.Context, id run.ID, metric string) ([]WorkerPoint, error) {
	rows, err := s.read.QueryContext(ctx, `SELECT s.rank, p.step, p.value, p.at FROM series s JOIN points p ON p.series = s.id
		AND p.step = (SELECT max(step) FROM points WHERE series = s.id) WHERE s.run_id = ? AND s.metric = ?`, id, metric)
	if err != nil {
		return nil, fmt.Errorf("newest %s of %s: %w", metric, id, mapError(err))
	}
	return collect(rows, func(row scanner) (WorkerPoint, error) {
		var p WorkerPoint
		var v sql.NullFloat64
		err := row.Scan(&p.Rank, &p.Step, &v, &p.At)
		p.Value = run.Number(fromNull(v))
		return p, err
	})
}
