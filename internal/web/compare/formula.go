package compare

import (
	"context"
	"math"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/cotrain/cotrain/internal/chart"
	"github.com/cotrain/cotrain/internal/compare"
	"github.com/cotrain/cotrain/internal/run"
)

// A formula's final value is that of the newest step which all of its metrics have: most have one among the nearest, and one that is
// evaluated seldom among the farthest.
const (
	nearestSteps  = 1000
	farthestSteps = 100_000
)

// formulas sets what the runs reached in the formulas among the metrics.
func (p *Pages) formulas(ctx context.Context, runs []run.Run, values []compare.Values, metrics []string, at *int64) error {
	charts := chart.New(p.Store)
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(linesAtATime)
	for i, r := range runs {
		for m, name := range metrics {
			if !strings.HasPrefix(name, "=") {
				continue
			}
			g.Go(func() error { return setFormula(ctx, charts, r, name, values[i], m, at) })
		}
	}
	return g.Wait()
}

func setFormula(ctx context.Context, charts *chart.Charts, r run.Run, formula string, values compare.Values, m int, at *int64) error {
	operands, err := charts.Operands(ctx, r, formula)
	if err != nil {
		return err
	}
	last := int64(math.MaxInt64)
	for _, name := range operands {
		step, ok := values.Newest[name]
		if !ok {
			return nil // the run does not have it
		}
		last = min(last, step)
	}
	v := &values.Metrics[m]
	for _, among := range []int64{nearestSteps, farthestSteps} {
		p, found, err := charts.Newest(ctx, r, formula, last, among)
		if err != nil {
			return err
		}
		if found {
			v.Final, v.FinalStep = p.Mean, p.Step
			break
		}
	}
	if at == nil {
		return nil
	}
	p, found, err := charts.Newest(ctx, r, formula, *at, nearestSteps)
	if found {
		v.At, v.AtStep = p.Mean, p.Step
	}
	return err
}
