package chart

import (
	"context"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/series"
	"github.com/cotrain/cotrain/internal/store/points"
)

// curves are the metrics of runs, in memory.
type curves map[run.ID]map[string][]run.CurvePoint

func (c curves) Metrics(_ context.Context, id run.ID) ([]string, error) {
	return slices.Sorted(maps.Keys(c[id])), nil
}

func (c curves) View(ctx context.Context, id run.ID, metric string, q points.ViewQuery) (series.View, error) {
	var in []run.CurvePoint
	err := c.Each(ctx, id, metric, q.Worker, q.From, q.To, func(p run.CurvePoint) bool {
		in = append(in, p)
		return true
	})
	return series.Columns(in, q.Limit), err
}

func (c curves) Each(_ context.Context, id run.ID, metric string, _ int, from, to int64, take func(run.CurvePoint) bool) error {
	for _, p := range c[id][metric] {
		if p.Step >= from && p.Step <= to && !take(p) {
			break
		}
	}
	return nil
}

func (curves) EventsBefore(context.Context, run.ID, int64, int) ([]run.Event, error) { return nil, nil }
func (curves) Joins(context.Context, run.ID) ([]points.Join, error)                  { return nil, nil }

var epoch = time.UnixMilli(1_700_000_000_000)

// line is a curve with a value every so many steps, a second each.
func straight(steps, every int64, value func(step int64) float64) (out []run.CurvePoint) {
	for step := int64(0); step < steps; step += every {
		v := value(step)
		out = append(out, run.CurvePoint{Step: step, Mean: v, Min: v, Max: v, Sum: v, Workers: 1, At: epoch.Add(time.Duration(step) * time.Second)})
	}
	return out
}

func runsOf(c curves) (out []run.Run) {
	for _, id := range slices.Sorted(maps.Keys(c)) {
		out = append(out, run.Run{ID: id, StartedAt: epoch.Add(-time.Second)})
	}
	return out
}

func bandOf(t *testing.T, c curves, q Query) Curve {
	t.Helper()
	if q.Pixels == 0 {
		q.Pixels = 100
	}
	if q.X == "" {
		q.X = Step
	}
	if q.From == 0 && q.To == 0 {
		q.From, q.To = math.Inf(-1), math.Inf(1)
	}
	a, err := New(c).Band(t.Context(), runsOf(c), q)
	if err != nil || len(a.Curves) != 1 {
		t.Fatalf("%d curves, %v", len(a.Curves), err)
	}
	return a.Curves[0]
}

func TestABandIsTheMeanAndTheExtremesOfTheRunsThatHaveAStep(t *testing.T) {
	t.Parallel()
	c := curves{
		"r-1": {"loss": straight(4, 1, func(int64) float64 { return 1 })},
		"r-2": {"loss": straight(6, 2, func(int64) float64 { return 4 })},
		"r-3": {"loss": straight(1, 1, func(int64) float64 { return math.NaN() })},
		"r-4": {},
	}
	v := bandOf(t, c, Query{Metrics: []string{"loss"}}).View
	var got [][]float64
	for _, c := range v.Columns {
		got = append(got, []float64{float64(c.First), c.Value, c.Min, c.Max, float64(c.Workers), float64(c.Odd)})
	}
	want := [][]float64{{0, 2.5, 1, 4, 3, float64(series.HasNaN)}, {1, 1, 1, 1, 1, 0}, {2, 2.5, 1, 4, 2, 0}, {3, 1, 1, 1, 1, 0}, {4, 4, 4, 4, 1, 0}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestABandIsOfAllPointsAtAnyWidth(t *testing.T) {
	t.Parallel()
	const steps = 3*bandBlock + 17
	spike := int64(2*bandBlock + 5)
	c := curves{
		"r-1": {"loss": straight(steps, 1, func(int64) float64 { return 1 })},
		"r-2": {"loss": straight(steps, 1, func(s int64) float64 {
			if s == spike {
				return 1001
			}
			return 3
		})},
		"r-3": {"loss": straight(steps, 1000, func(int64) float64 { return 2 })},
	}
	v := bandOf(t, c, Query{Metrics: []string{"loss"}}).View
	if v.Points != steps || len(v.Columns) > 100 {
		t.Errorf("%d points in %d columns", v.Points, len(v.Columns))
	}
	found := false
	for _, c := range v.Columns {
		found = found || c.First <= spike && spike <= c.Last && c.Max == 1001 && c.Value > 2 && c.Value < 10
	}
	if !found {
		t.Error("the spike of a single step is lost")
	}
}

func TestABandOfSparseRunsIsNoWiderThanItsColumns(t *testing.T) {
	t.Parallel()
	c := curves{ // one has few points, at any width 100 columns: the other has many
		"r-1": {"loss": straight(100_000, 2000, func(int64) float64 { return 1 })},
		"r-2": {"loss": straight(60_000, 1, func(int64) float64 { return 2 })},
	}
	runs := runsOf(c)
	runs[0].Progress.Step = 100_000
	a, err := New(c).Band(t.Context(), runs, Query{Metrics: []string{"loss"}, X: Step, From: math.Inf(-1), To: math.Inf(1), Pixels: 100})
	if err != nil || len(a.Curves) != 1 || len(a.Curves[0].View.Columns) > bandSlack*100 || a.Curves[0].View.Points != 60_020 {
		t.Errorf("%v %+v", err, a.Curves)
	}
}

func TestABandIsSmoothedOverAllItsPoints(t *testing.T) {
	t.Parallel()
	value := func(s int64) float64 { return float64(s % 7) }
	c := curves{"r-1": {"loss": straight(500, 1, value)}, "r-2": {"loss": straight(500, 1, func(s int64) float64 { return value(s) + 2 })}}
	smooth := series.Smoothing{Kernel: series.EMA, Amount: 0.9}
	whole := bandOf(t, c, Query{Metrics: []string{"loss"}, Smooth: smooth, Pixels: 1000}).View
	part := bandOf(t, c, Query{Metrics: []string{"loss"}, Smooth: smooth, Pixels: 1000, From: 300, To: 310}).View
	if len(part.Columns) != 11 || part.Columns[0].Value != whole.Columns[300].Value || part.Columns[10].Value != whole.Columns[310].Value {
		t.Errorf("%d columns from %v, want %v", len(part.Columns), part.Columns[0].Value, whole.Columns[300].Value)
	}
}

func TestABandStandsAtTheMeanOfItsRunsOnAnyAxis(t *testing.T) {
	t.Parallel()
	c := curves{
		"r-1": {"loss": straight(3, 1, func(int64) float64 { return 1 }), "total_tokens": straight(3, 1, func(s int64) float64 { return float64(s) * 100 })},
		"r-2": {"loss": straight(3, 1, func(int64) float64 { return 2 }), "total_tokens": straight(3, 1, func(s int64) float64 { return float64(s) * 300 })},
		"r-3": {"loss": straight(3, 1, func(int64) float64 { return 3 })},
	}
	for axis, want := range map[Axis][]float64{Tokens: {0, 200, 400}, Elapsed: {1, 2, 3}, "none": {math.NaN(), math.NaN(), math.NaN()}} {
		if diff := cmp.Diff(want, bandOf(t, c, Query{Metrics: []string{"=loss * 2"}, X: axis}).X, cmpopts.EquateNaNs()); diff != "" {
			t.Errorf("over %s: %s", axis, diff)
		}
	}
}

func TestABandSaysWhatAllOfItsRunsLack(t *testing.T) {
	t.Parallel()
	one := straight(3, 1, func(int64) float64 { return 1 })
	c := curves{"r-1": {"loss": one, "mfu": one}, "r-2": {"loss": one}, "r-3": {"loss": one}}
	for x, want := range map[Axis]string{"zebra": `x = "zebra": is not reported by this run`, "mfu": "", Step: ""} {
		a, err := New(c).Band(t.Context(), runsOf(c), Query{Metrics: []string{"loss"}, X: x, From: math.Inf(-1), To: math.Inf(1), Pixels: 100, Workers: AllWorkers})
		if got := a.Missing.Error(); err != nil || !strings.HasPrefix(got, want) || (got == "") != (want == "") {
			t.Errorf("over %s: %q, %v", x, got, err)
		}
	}
}
