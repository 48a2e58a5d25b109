package sweeps

import (
	"cmp"
	"context"
	"math"
	"net/http"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/series"
	"github.com/cotrain/cotrain/internal/web/page"
	view "github.com/cotrain/cotrain/views/sweeps"
)

const (
	curvesShown   = 16  // more are indistinguishable
	curvePoints   = 800 // per run
	curvesAtATime = 4   // concurrent reads
)

// sweepCurves is the chart's data.
type sweepCurves struct {
	Runs []sweepCurve `json:"runs"` // by number
	More int          `json:"more"` // omitted runs with measurements
}

// sweepCurve is a run's loss; non-finite numbers are strings.
type sweepCurve struct {
	ID     run.ID        `json:"id"`
	Number int           `json:"number"`
	Label  string        `json:"label"` // the sweep's values
	State  run.State     `json:"state"`
	Best   bool          `json:"best"`
	Steps  []int64       `json:"steps"`
	Loss   []*run.Number `json:"loss"`
}

// Points returns the loss curves of a sweep's runs, the lowest ones if too many.
func (p *Pages) Points(w http.ResponseWriter, r *http.Request) error {
	sweep, err := p.sweep(r)
	if err != nil {
		return err
	}
	runs, err := p.Store.Runs(r.Context(), run.RunFilter{Projects: run.AllProjects(), Sweep: sweep.ID, Limit: run.MaxSweepRuns})
	if err != nil {
		return err
	}
	all := InOrder(sweep, runs)
	markBest(all, view.MetricLoss)
	shown := slices.DeleteFunc(all, func(r view.Run) bool { return !r.Run.Progress.HasLoss })
	out := sweepCurves{Runs: []sweepCurve{}, More: max(0, len(shown)-curvesShown)}
	slices.SortStableFunc(shown, func(a, b view.Run) int { return cmp.Compare(sortable(a), sortable(b)) })
	shown = shown[:min(len(shown), curvesShown)]
	slices.SortStableFunc(shown, func(a, b view.Run) int { return cmp.Compare(a.Number, b.Number) })
	if out.Runs, err = p.sweepCurves(r.Context(), sweep, shown); err != nil {
		return err
	}
	return page.JSON(w, http.StatusOK, out)
}

// sortable is a run's loss, with NaN last.
func sortable(r view.Run) float64 {
	if math.IsNaN(r.Run.Progress.Loss) {
		return math.Inf(1)
	}
	return r.Run.Progress.Loss
}

func (p *Pages) sweepCurves(ctx context.Context, sweep run.Sweep, runs []view.Run) ([]sweepCurve, error) {
	out := make([]sweepCurve, len(runs))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(curvesAtATime)
	for i, r := range runs {
		g.Go(func() error {
			points, err := p.Store.Curve(ctx, r.Run.ID, "loss", 0)
			if err != nil {
				return err
			}
			c := sweepCurve{ID: r.Run.ID, Number: r.Number, Label: pointLabel(sweep.Fields, r.Values), State: r.Run.State, Best: r.Best, Steps: []int64{}, Loss: []*run.Number{}}
			for _, p := range series.Downsample(run.Settled(points, r.Run.Progress.Step), curvePoints/series.PointsPerBucket) {
				v := run.Number(p.Mean)
				c.Steps, c.Loss = append(c.Steps, p.Step), append(c.Loss, &v)
			}
			out[i] = c
			return nil
		})
	}
	return out, g.Wait()
}

// pointLabel formats "lr 3e-4, nodes 2".
func pointLabel(fields, values []string) string {
	var out []string
	for i, field := range fields {
		value := values[i]
		if value == "" {
			value = "default"
		}
		out = append(out, field[strings.LastIndexByte(field, '.')+1:]+" "+page.Text(value, 60))
	}
	return strings.Join(out, ", ")
}
