package points

import (
	"context"
	"database/sql"
	"maps"
	"math"
	"slices"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/series"
	"github.com/cotrain/cotrain/internal/store/db"
)

// HeadlineFault is a stored headline that its run's points do not give.
type HeadlineFault struct {
	Run        run.ID
	Have, Want run.Progress
}

// Repair stores the right one, to which the summaries of the run then follow.
func (f HeadlineFault) Repair(ctx context.Context, tx *db.Tx) error {
	if err := (SummaryFault{Run: f.Run}).Repair(ctx, tx); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, `UPDATE runs SET step = ?, loss = ?, has_loss = ?, revision = revision + 1 WHERE id = ?`, f.Want.Step, f.Want.Loss, f.Want.HasLoss, f.Run)
	return err
}

// CheckHeadline compares a run's headline with its curves, unless these are to be derived again: nil if it is right. A
// later step than the settled one may be, since a headline does not go back, and so may that which all workers had
// reported: their states are stored after it. Any of these must be a point of the curves.
func CheckHeadline(ctx context.Context, q db.Querier, id run.ID) (*HeadlineFault, error) {
	f := HeadlineFault{Run: id}
	var loss sql.NullFloat64
	var stale bool
	var innerSteps int64
	err := q.QueryRow(ctx, `SELECT step, loss, has_loss, inner_steps, EXISTS (SELECT 1 FROM stale_curves WHERE run_id = runs.id) FROM runs WHERE id = ?`, id).
		Scan(&f.Have.Step, &loss, &f.Have.HasLoss, &innerSteps, &stale)
	if err != nil || stale {
		return nil, err
	}
	f.Have.Loss = db.FromNull(loss)
	step, ofAll, err := settled(ctx, q, id, innerSteps)
	if err != nil {
		return nil, err
	}
	if f.Want, err = headlineAt(ctx, q, id, step); err != nil {
		return nil, err
	}
	if f.Have.Step >= min(step, ofAll) {
		kept, err := headlineAt(ctx, q, id, f.Have.Step)
		if err != nil {
			return nil, err
		}
		if kept.Step == f.Have.Step {
			f.Want = kept
		}
	}
	if f.Have.Step == f.Want.Step && f.Have.HasLoss == f.Want.HasLoss && (!f.Want.HasLoss || same(f.Have.Loss, f.Want.Loss)) {
		return nil, nil
	}
	return &f, nil
}

// headlineAt is a run's headline when a step is the settled one.
func headlineAt(ctx context.Context, q db.Querier, id run.ID, step int64) (p run.Progress, err error) {
	loss, err := Last(ctx, q, id, "loss", step)
	if err != nil {
		return p, err
	}
	rate, err := Last(ctx, q, id, "tokens_per_second", step)
	return run.Progress{Step: max(loss.Step, rate.Step), Loss: loss.Mean, HasLoss: loss.Workers > 0, TokensPerSec: rate.Sum}, err
}

// SummaryFault is a metric of an ended run whose summary is not what its points give.
type SummaryFault struct {
	Run    run.ID
	Metric string
}

// Repair has the console summarize the run again.
func (f SummaryFault) Repair(ctx context.Context, tx *db.Tx) error {
	_, err := tx.Exec(ctx, `INSERT INTO stale_metrics (run_id) VALUES (?) ON CONFLICT (run_id) DO NOTHING`, f.Run)
	return err
}

// CheckSummaries compares an ended run's summaries with its points, unless they are to be derived again. All points must be
// readable.
func CheckSummaries(ctx context.Context, s *db.Snapshot, id run.ID) (faults []SummaryFault, err error) {
	var headline int64
	var stale bool
	err = s.QueryRow(ctx, `SELECT step, EXISTS (SELECT 1 FROM stale_metrics WHERE run_id = runs.id) OR EXISTS (SELECT 1 FROM stale_curves WHERE run_id = runs.id) FROM runs WHERE id = ?`, id).Scan(&headline, &stale)
	if err != nil || stale {
		return nil, err
	}
	have, err := readSummaries(ctx, s, id)
	if err != nil {
		return nil, err
	}
	byName := map[string]Summary{}
	for _, h := range have {
		byName[h.Metric] = h
	}
	names, err := metrics(ctx, s, id)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if _, ok := byName[name]; !ok {
			byName[name] = newSummary(name)
		}
	}
	r := &reader{tx: s}
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		want, known := newSummary(name), run.KnownMetric(name)
		if err := r.eachOfAll(ctx, id, name, math.MinInt64, settledTo(name, headline), func(p run.CurvePoint) bool {
			want.add(p, known.Over(p))
			return true
		}); err != nil {
			return nil, err
		}
		if !sameSummary(byName[name], want) {
			faults = append(faults, SummaryFault{id, name})
		}
	}
	return faults, nil
}

// sameSummary allows for means that were rounded otherwise, of which another may be the lowest.
func sameSummary(a, b Summary) bool {
	if a.Points == 0 {
		return b.Points == 0
	}
	_, damaged := series.DecodeShape(a.Shape)
	return damaged == nil && a.Points == b.Points && a.Workers == b.Workers && a.First == b.First && a.Last == b.Last &&
		near(a.Value, b.Value) && near(a.Low, b.Low) && near(a.High, b.High)
}
