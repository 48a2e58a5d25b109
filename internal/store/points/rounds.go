package points

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/series"
	"github.com/cotrain/cotrain/internal/store/db"
)

// RoundQuery selects what [Points.Rounds] reads.
type RoundQuery struct {
	Metrics []string
	Every   int64 // steps of a round: points of others are left out
	// Attempt and From leave out earlier attempts, and of this one earlier steps.
	Attempt int
	From    int64
}

// RoundPoint is what a worker reported of a metric at the end of a round.
type RoundPoint struct {
	Metric  string
	Attempt int
	Rank    int
	Step    int64
	Value   float64
	At      int64 // of receipt, in Unix milliseconds
}

// Rounds reads what every worker of every attempt reported at the ends of rounds, also of steps that later attempts repeated. Where
// a step was reported more than once, what counts comes last.
func (ps *Points) Rounds(ctx context.Context, id run.ID, q RoundQuery, take func(RoundPoint)) error {
	if q.Every < 1 {
		return nil
	}
	err := ps.readPoints(ctx, func(r *reader) error {
		for _, metric := range q.Metrics {
			if err := r.rounds(ctx, id, metric, q, take); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("rounds of %s: %w", id, err)
	}
	return nil
}

// rounds reads a metric: first chunks, then rows, which are newer.
func (r *reader) rounds(ctx context.Context, id run.ID, metric string, q RoundQuery, take func(RoundPoint)) error {
	of := RoundPoint{Metric: metric}
	var chunk series.ChunkReader
	_, err := db.Select(ctx, r.tx, func(row db.Scanner) (none struct{}, err error) {
		var data []byte
		var number, count int64
		if err := row.Scan(&of.Rank, &of.Attempt, &number, &count, &data); err != nil {
			return none, err
		}
		if err := chunk.Open(data, int(count)); err != nil {
			return none, damaged(number, err)
		}
		for chunk.Next() {
			p := chunk.Point()
			if p.Step%q.Every == 0 && (of.Attempt > q.Attempt || p.Step >= q.From) {
				of.Step, of.Value, of.At = p.Step, p.Value, p.At
				take(of)
			}
		}
		return none, damaged(number, chunk.Err())
	}, `SELECT s.rank, s.attempt, c.id, c.count, c.data FROM series s JOIN point_chunks c ON c.series = s.id
		WHERE s.run_id = ? AND s.metric = ? AND s.attempt >= ? AND (s.attempt > ? OR c.last_step >= ?) AND c.first_step <= ? ORDER BY s.rank, s.attempt, c.id`,
		id, metric, q.Attempt, q.Attempt, q.From, run.MaxStep)
	if err != nil {
		return err
	}
	_, err = db.Select(ctx, r.tx, func(row db.Scanner) (none struct{}, err error) {
		var value sql.NullFloat64
		if err := row.Scan(&of.Rank, &of.Attempt, &of.Step, &value, &of.At); err != nil {
			return none, err
		}
		of.Value = db.FromNull(value)
		take(of)
		return none, nil
	}, `SELECT s.rank, s.attempt, p.step, p.value, p.at FROM series s JOIN points p ON p.series = s.id
		WHERE s.run_id = ? AND s.metric = ? AND s.attempt >= ? AND (s.attempt > ? OR p.step >= ?) AND p.step <= ? AND p.step % ? = 0`,
		id, metric, q.Attempt, q.Attempt, q.From, run.MaxStep, q.Every)
	return err
}

// damaged names the chunk that an error is of.
func damaged(number int64, err error) error {
	if errors.Is(err, series.ErrDamaged) {
		return fmt.Errorf("chunk %d: %w", number, err)
	}
	return err
}
