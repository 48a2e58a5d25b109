package compare

import (
	"context"
	"maps"
	"math"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store/points"
)

// MaxRuns is how many runs are compared at once.
const MaxRuns = 200

const (
	maxColumns   = 60_000 // of all curves together: more are not seen, and take a browser long
	leastColumns = 100    // of a curve
)

// Columns is how many columns each of so many curves may have.
func Columns(curves int) int { return max(leastColumns, maxColumns/max(1, curves)) }

const (
	readers = 4    // runs read at the same time
	nearby  = 1000 // steps before one in which its value may be
)

// Store reads what metrics are known of runs.
type Store interface {
	RunMetrics(ctx context.Context, id run.ID) ([]points.Summary, error)
	Each(ctx context.Context, id run.ID, metric string, worker int, from, to int64, take func(run.CurvePoint) bool) error
}

// Value is what a run reached in a metric. Numbers are NaN where they are not known.
type Value struct {
	Final, Best, At             float64
	FinalStep, BestStep, AtStep int64
}

// Values are those of one run.
type Values struct {
	Tokens  float64          // trained, NaN if not known
	Newest  map[string]int64 // the step of each metric's newest value as of its last summary
	Metrics []Value          // as asked for
}

// Read returns what each run reached in each metric, and the names of all metrics. The best is known where the [Direction] of the
// metric is. At a step it is the value there or, where none was reported, the newest of the 1000 steps before.
func Read(ctx context.Context, s Store, runs []run.Run, metrics []string, at *int64) ([]Values, []string, error) {
	out := make([]Values, len(runs))
	names := make([][]points.Summary, len(runs))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(readers)
	for i, r := range runs {
		g.Go(func() (err error) {
			if names[i], err = s.RunMetrics(ctx, r.ID); err != nil {
				return err
			}
			out[i] = valuesOf(r, names[i], metrics)
			for m, name := range metrics {
				if at == nil || !out[i].Known(m) {
					continue
				}
				if err := out[i].Metrics[m].readAt(ctx, s, r.ID, name, *at); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return nil, nil, err
	}
	all := map[string]bool{}
	for _, list := range names {
		for _, m := range list {
			all[m.Metric] = true
		}
	}
	return out, slices.Sorted(maps.Keys(all)), nil
}

func valuesOf(r run.Run, known []points.Summary, metrics []string) Values {
	nan := math.NaN()
	byName := map[string]points.Summary{}
	for _, m := range known {
		byName[m.Metric] = m
	}
	out := Values{Tokens: nan, Metrics: make([]Value, len(metrics)), Newest: make(map[string]int64, len(known))}
	for _, m := range known {
		out.Newest[m.Metric] = m.Last
	}
	if m, ok := byName["total_tokens"]; ok {
		out.Tokens = m.Value
	}
	for i, name := range metrics {
		v := Value{Final: nan, Best: nan, At: nan}
		m, ok := byName[name]
		switch {
		case ok:
			v.Final, v.FinalStep = m.Value, m.Last
			switch DirectionOf(name) {
			case Lower:
				v.Best, v.BestStep = m.Low, m.LowStep
			case Higher:
				v.Best, v.BestStep = m.High, m.HighStep
			}
		case name == "loss" && r.Progress.HasLoss: // it is known before it is summarized
			v.Final, v.FinalStep = r.Progress.Loss, r.Progress.Step
			out.Newest[name] = r.Progress.Step
		}
		out.Metrics[i] = v
	}
	return out
}

// Known reports whether the run has a metric.
func (v Values) Known(metric int) bool {
	return v.Metrics[metric].FinalStep != 0 || !math.IsNaN(v.Metrics[metric].Final)
}

func (v *Value) readAt(ctx context.Context, s Store, id run.ID, metric string, at int64) error {
	return s.Each(ctx, id, metric, points.AllWorkers, max(at, math.MinInt64+nearby)-nearby, at, func(p run.CurvePoint) bool {
		v.At, v.AtStep = run.KnownMetric(metric).Over(p), p.Step
		return true
	})
}
