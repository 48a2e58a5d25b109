package points

import (
	"context"
	"database/sql"
	"fmt"
	"math"
	"slices"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/series"
	"github.com/cotrain/cotrain/internal/store/db"
)

// Summary is what is known of a metric without reading its points: over all workers, those of [CurveMetrics] up to the headline.
// While a run trains it is some seconds old, or more if there is much to summarize; once it has ended it is exact.
type Summary struct {
	Metric            string
	Points            int64   // steps with a value
	Workers           int     // the most of a step
	First, Last       int64   // steps; Unix milliseconds for metrics without steps
	Value             float64 // over workers at Last: see run.MetricInfo.Over
	Low, High         float64 // lowest and highest that are finite; NaN for none
	LowStep, HighStep int64
	Shape             []byte // of the loss: see series.DecodeShape
}

// shaped is the metric that lists draw, and shapeColumns its resolution.
const (
	shaped       = "loss"
	shapeColumns = 40
)

func newSummary(metric string) Summary {
	return Summary{Metric: metric, Value: math.NaN(), Low: math.NaN(), High: math.NaN()}
}

// add adds the next point of the curve, and its value.
func (s *Summary) add(p run.CurvePoint, value float64) {
	if s.Points == 0 {
		s.First = p.Step
	}
	s.Points++
	s.Workers = max(s.Workers, p.Workers)
	s.Last, s.Value = p.Step, value
	if math.IsNaN(value) || math.IsInf(value, 0) {
		return
	}
	if !(value >= s.Low) {
		s.Low, s.LowStep = value, p.Step
	}
	if !(value <= s.High) {
		s.High, s.HighStep = value, p.Step
	}
}

const summaryColumns = `metric, points, workers, first_step, last_step, last, low, low_step, high, high_step, shape`

// RunMetrics returns the summaries of a run's metrics, by name.
func (ps *Points) RunMetrics(ctx context.Context, id run.ID) ([]Summary, error) {
	return readSummaries(ctx, ps.db, id)
}

func readSummaries(ctx context.Context, q db.Querier, id run.ID) ([]Summary, error) {
	list, err := db.Select(ctx, q, scanSummary, `SELECT `+summaryColumns+` FROM run_metrics WHERE run_id = ? ORDER BY metric`, id)
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

func (s Summary) save(ctx context.Context, tx *db.Tx, id run.ID) error {
	_, err := tx.Exec(ctx, `INSERT INTO run_metrics (run_id, `+summaryColumns+`) VALUES (?,?,?,?,?,?,?,?,?,?,?,?)
		ON CONFLICT (run_id, metric) DO UPDATE SET points = excluded.points, workers = excluded.workers, first_step = excluded.first_step, last_step = excluded.last_step,
		last = excluded.last, low = excluded.low, low_step = excluded.low_step, high = excluded.high, high_step = excluded.high_step, shape = excluded.shape`,
		id, s.Metric, s.Points, s.Workers, s.First, s.Last, s.Value, s.Low, s.LowStep, s.High, s.HighStep, s.Shape)
	return err
}

// settledTo is the last step that a summary takes in.
func settledTo(metric string, headline int64) int64 {
	if slices.Contains(CurveMetrics(), metric) {
		return headline
	}
	return math.MaxInt64
}

// summarize adds what follows a base to it, and returns the base of the steps before next.
func (ps *Points) summarize(ctx context.Context, id run.ID, from base, next, headline int64) (whole Summary, before base, err error) {
	whole, before = from.Summary, from
	passed, known := false, run.KnownMetric(from.Metric)
	err = ps.Each(ctx, id, from.Metric, AllWorkers, from.next, settledTo(from.Metric, headline), func(p run.CurvePoint) bool {
		if !passed && p.Step >= next {
			before, passed = base{whole, next}, true
		}
		whole.add(p, known.Over(p))
		return true
	})
	if !passed && whole.Points > 0 && whole.Last < math.MaxInt64 {
		before = base{whole, whole.Last + 1}
	}
	if err != nil || whole.Metric != shaped || whole.Points == 0 {
		return whole, before, err
	}
	v, err := ps.View(ctx, id, shaped, ViewQuery{Worker: AllWorkers, From: math.MinInt64, To: headline, Limit: shapeColumns})
	whole.Shape = series.EncodeShape(v)
	return whole, before, err
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
