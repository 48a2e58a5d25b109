package chart_test

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/cotrain/cotrain/internal/chart"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/series"
	"github.com/cotrain/cotrain/internal/store/points"
)

// printed are the points of a metric by rank and step.
type printed map[string]map[int]map[int64]value

type value struct {
	v  float64
	at time.Time
}

// curve is a metric over all workers or of one, worked out in the simplest way.
func (m printed) curve(metric string, worker int) map[int64]run.CurvePoint {
	out := map[int64]run.CurvePoint{}
	for rank, steps := range m[metric] {
		if worker >= 0 && rank != worker {
			continue
		}
		for step, v := range steps {
			p, ok := out[step]
			if !ok {
				p = run.CurvePoint{Step: step, Min: math.Inf(1), Max: math.Inf(-1)}
			}
			p.Workers++
			p.Min, p.Max, p.Sum = min(p.Min, v.v), max(p.Max, v.v), p.Sum+v.v
			if v.at.After(p.At) {
				p.At = v.at
			}
			out[step] = p
		}
	}
	for step, p := range out {
		if math.IsNaN(p.Min) {
			p.Sum = math.NaN()
		}
		if p.Mean = p.Sum / float64(p.Workers); metric == "tokens_per_second" {
			p.Mean, p.Min, p.Max = p.Sum, p.Sum, p.Sum
		}
		out[step] = p
	}
	return out
}

// asked are metrics and formulas with what they are computed from.
var computed = map[string]struct {
	of    []string
	value func(v ...float64) float64
}{
	"loss":                       {[]string{"loss"}, nil},
	"grad_norm":                  {[]string{"grad_norm"}, nil},
	"tokens_per_second":          {[]string{"tokens_per_second"}, nil},
	"perplexity":                 {[]string{"loss"}, func(v ...float64) float64 { return math.Exp(v[0]) }},
	"samples_per_second":         {[]string{"tokens_per_second"}, func(v ...float64) float64 { return v[0] / 1024 }},
	"=loss":                      {[]string{"loss"}, nil},
	"=(`grad_norm`)":             {[]string{"grad_norm"}, nil},
	"=grad_norm - loss":          {[]string{"grad_norm", "loss"}, func(v ...float64) float64 { return v[0] - v[1] }},
	"=loss/tokens_per_second":    {[]string{"loss", "tokens_per_second"}, func(v ...float64) float64 { return v[0] / v[1] }},
	"=perplexity * `grad_norm`":  {[]string{"loss", "grad_norm"}, func(v ...float64) float64 { return math.Exp(v[0]) * v[1] }},
	"=max(loss, loss+grad_norm)": {[]string{"loss", "grad_norm"}, func(v ...float64) float64 { return math.Max(v[0], v[0]+v[1]) }},
}

// answer is what a query must answer for one metric and worker, and where the columns stand on the axis.
func (m printed) answer(r run.Run, q chart.Query, metric string, worker int) (series.View, []float64) {
	c := computed[metric]
	operands := make([]map[int64]run.CurvePoint, len(c.of))
	for i, name := range c.of {
		operands[i] = m.curve(name, worker)
	}
	axis := m.curve(string(q.X), worker)
	var all, in []run.CurvePoint
	for _, step := range slices.Sorted(maps.Keys(operands[0])) {
		p, v, whole := operands[0][step], []float64{}, true
		for _, o := range operands {
			other, ok := o[step]
			v, whole = append(v, other.Mean), whole && ok
		}
		headline := worker < 0 && step > r.Progress.Step
		if !whole || headline {
			continue
		}
		if c.value != nil {
			p.Mean = c.value(v...)
			p.Min, p.Max = p.Mean, p.Mean
		}
		all = append(all, p)
	}
	place := func(p run.CurvePoint) float64 {
		switch q.X {
		case chart.Step:
			return float64(p.Step)
		case chart.Time:
			return float64(p.At.UnixMilli()) / 1000
		case chart.Elapsed:
			return float64(p.At.UnixMilli()-r.StartedAt.UnixMilli()) / 1000
		}
		if x, ok := axis[p.Step]; ok {
			return x.Mean
		}
		return math.NaN()
	}
	smooth := map[int64]float64{}
	s := q.Smooth.Smoother(func(p run.CurvePoint) bool { smooth[p.Step] = p.Mean; return true })
	for _, p := range all {
		s.Add(p)
		if x := place(p); math.IsInf(q.From, -1) || x >= q.From && x <= q.To {
			in = append(in, p)
		}
	}
	s.End()
	v := series.Columns(in, q.Pixels)
	x := make([]float64, len(v.Columns))
	for i, column := range v.Columns {
		at := slices.IndexFunc(in, func(p run.CurvePoint) bool { return p.Step == column.First })
		x[i] = place(in[at])
		if q.X == chart.Time || q.X == chart.Elapsed { // of the earliest, should the clock have jumped
			for _, p := range in[at : at+column.Points] {
				x[i] = min(x[i], place(p))
			}
		}
		if q.Smooth.Kernel != "" {
			v.Columns[i].Value = smooth[column.Last]
		}
	}
	return v, x
}

func near(a, b float64) bool {
	return a == b || math.IsNaN(a) && math.IsNaN(b) || math.Abs(a-b) <= 1e-9*max(1, math.Abs(a), math.Abs(b))
}

func sameColumn(a, b series.Column) bool {
	return a.First == b.First && a.Last == b.Last && a.FirstAt == b.FirstAt && a.LastAt == b.LastAt && a.Points == b.Points &&
		near(a.Min, b.Min) && near(a.Max, b.Max) && near(a.Value, b.Value) && a.Odd == b.Odd
}

func TestAnAnswerIsThatOfASimpleModel(t *testing.T) {
	s := openStore(t)
	n := 0
	rapid.Check(t, func(t *rapid.T) {
		n++
		f := newFixture(t, s, n, 3)
		m := draw(t, f)
		r := f.settle(t)
		if rapid.Bool().Draw(t, "sealed") {
			for more := true; more; {
				var err error
				if more, err = s.SealPoints(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
		}
		for range 8 {
			compare(t, f, m, r)
		}
		f.move(t, run.Failed)
		if err := s.DeleteRun(t.Context(), f.id); err != nil {
			t.Fatal(err)
		}
	})
}

// draw makes what workers print: metrics at steps of their own, times that ascend or not.
func draw(t *rapid.T, f *fixture) printed {
	m := printed{}
	number := rapid.OneOf(rapid.Float64Range(0, 10), rapid.Float64Range(-5, 5), rapid.SampledFrom([]float64{math.NaN(), math.Inf(1), math.Inf(-1), 0}))
	jumps := rapid.Bool().Draw(t, "clock jumps")
	for rank := range rapid.IntRange(1, 3).Draw(t, "workers") {
		at := epoch.Add(time.Duration(rank) * time.Second)
		for part := range rapid.IntRange(1, 4).Draw(t, "reports") {
			var pts []points.Point
			for _, metric := range []string{"loss", "grad_norm", "tokens_per_second", "total_tokens"} {
				every := rapid.Int64Range(1, 7).Draw(t, "every")
				for step := int64(part) * 10; step < int64(part)*10+10; step += every {
					v := float64(step*100 + int64(rank))
					if metric != "total_tokens" {
						v = number.Draw(t, "value")
					}
					pts = append(pts, at1(m, metric, rank, step, v, at))
				}
			}
			f.report(t, 1, rank, at, pts)
			at = at.Add(20 * time.Second)
			if jumps {
				at = at.Add(time.Duration(rapid.Int64Range(-40, 40).Draw(t, "jump")) * time.Second)
			}
		}
	}
	return m
}

func at1(m printed, metric string, rank int, step int64, v float64, when time.Time) points.Point {
	if m[metric] == nil {
		m[metric] = map[int]map[int64]value{}
	}
	if m[metric][rank] == nil {
		m[metric][rank] = map[int64]value{}
	}
	m[metric][rank][step] = value{v, when}
	return at(metric, step, v)
}

// compare asks something.
func compare(t *rapid.T, f *fixture, m printed, r run.Run) {
	q := chart.Query{
		Metrics: rapid.SliceOfN(rapid.SampledFrom(slices.Sorted(maps.Keys(computed))), 1, 3).Draw(t, "metrics"),
		X:       rapid.SampledFrom([]chart.Axis{chart.Step, chart.Time, chart.Elapsed, "total_tokens", "grad_norm"}).Draw(t, "x"),
		From:    math.Inf(-1), To: math.Inf(1), Pixels: rapid.SampledFrom([]int{1, 2, 5, 1000}).Draw(t, "px"),
		Workers: chart.Workers(rapid.IntRange(-2, 3).Draw(t, "workers of the query")),
		Smooth:  rapid.SampledFrom([]series.Smoothing{{}, {}, {Kernel: series.EMA, Amount: 0.5}, {Kernel: series.TimedEMA, Amount: 30}, {Kernel: series.Gaussian, Amount: 2}}).Draw(t, "smoothing"),
	}
	if rapid.Bool().Draw(t, "range") {
		scale := map[chart.Axis]float64{chart.Step: 1, chart.Time: 1, chart.Elapsed: 2, "total_tokens": 100, "grad_norm": 0.1}[q.X]
		q.From = rapid.Float64Range(-5, 60).Draw(t, "from") * scale
		q.To = q.From + rapid.SampledFrom([]float64{0, 5, 30}).Draw(t, "length")*scale
		if q.X == chart.Time {
			q.From, q.To = q.From+float64(epoch.Unix()), q.To+float64(epoch.Unix())
		}
	}
	bounded := !math.IsInf(q.From, -1)
	if onMetric := q.X == "total_tokens" || q.X == "grad_norm"; onMetric && bounded {
		q.Pixels = 1000 // else columns hold points that are nowhere on the axis
	}
	a, err := chart.New(f.Store).Answer(t.Context(), r, q)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]chart.Curve{}
	for _, c := range a.Curves {
		got[fmt.Sprint(c.Metric, " of ", c.Worker)] = c
	}
	workers := []int{int(q.Workers)}
	if q.Workers == chart.EachWorker {
		workers = []int{0, 1, 2}
	}
	for _, metric := range q.Metrics {
		for _, worker := range workers {
			want, x := m.answer(r, q, metric, worker)
			name := fmt.Sprint(metric, " of ", worker)
			same(t, q, name, got[name], want, x)
		}
	}
}

func same(t *rapid.T, q chart.Query, name string, got chart.Curve, want series.View, x []float64) {
	if got.X != nil && !math.IsInf(q.From, -1) { // what is nowhere on the axis is not drawn
		var columns []series.Column
		var at []float64
		for i, c := range got.View.Columns {
			if !math.IsNaN(got.X[i]) {
				columns, at = append(columns, c), append(at, got.X[i])
			}
		}
		got.View.Columns, got.X = columns, at
	}
	if len(want.Columns) > 0 && len(got.View.Columns) > 0 && got.View.Width != want.Width {
		t.Fatalf("%+v: %s has columns of %d steps, want %d", q, name, got.View.Width, want.Width)
	}
	if !slices.EqualFunc(got.View.Columns, want.Columns, sameColumn) {
		t.Fatalf("%+v: %s is\n%+v, want\n%+v", q, name, got.View.Columns, want.Columns)
	}
	if got.X != nil && !slices.EqualFunc(got.X, x, near) {
		t.Fatalf("%+v: %s stands at %v, want %v", q, name, got.X, x)
	}
}
