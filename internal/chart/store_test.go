package chart_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cotrain/cotrain/internal/chart"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/series"
	"github.com/cotrain/cotrain/internal/store"
	"github.com/cotrain/cotrain/internal/store/points"
)

var epoch = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func openStore(t testing.TB) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

const config = `[optim]
warmup_steps = 10
total_steps = 100
sched_type = "linear"
[optim.optim]
lr = 1.0
[data]
seq_length = 1024
[train]
`

// fixture is a run of a store.
type fixture struct {
	*store.Store
	id      run.ID
	cursors map[string]store.Cursor
}

// must fails a test, or a check of one.
type must interface {
	Helper()
	Fatal(args ...any)
}

func newFixture(t must, s *store.Store, n, workers int) *fixture {
	t.Helper()
	r := run.Run{
		ID: run.ID(fmt.Sprintf("r-%010d", n)), Project: "default", Name: "run", Config: config, State: run.Queued, CreatedAt: epoch.Add(-time.Minute),
		Shape: run.Shape{Nodes: workers}, StepsTotal: 100,
	}
	f := &fixture{s, r.ID, map[string]store.Cursor{}}
	_, _, err := s.CreateRun(context.Background(), r, "", run.Event{RunID: r.ID, At: epoch, Kind: "state", To: run.Queued, Rank: -1})
	f.check(t, err)
	f.update(t, func(u *store.Update) error {
		u.Run.Attempt = 1
		u.Attempt = run.Attempt{RunID: f.id, Number: 1, ParentJob: "p", JobID: "job " + string(f.id), CreatedAt: epoch}
		return u.Move(run.Dispatching, run.Console, "", epoch)
	})
	f.move(t, run.Pending)
	f.move(t, run.Running)
	return f
}

func (f *fixture) check(t must, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (f *fixture) update(t must, fn func(*store.Update) error) {
	t.Helper()
	_, err := f.Update(context.Background(), f.id, fn)
	f.check(t, err)
}

func (f *fixture) move(t must, to run.State) {
	t.Helper()
	f.update(t, func(u *store.Update) error { return u.Move(to, run.Console, "", epoch) })
}

// report commits what a worker reports at a time.
func (f *fixture) report(t must, attempt, rank int, at time.Time, pts []points.Point, events ...run.Event) {
	t.Helper()
	alloc := fmt.Sprint(f.id, "/", attempt, "/", rank)
	b := &store.Batch{RunID: f.id, AllocID: alloc, Stream: "stdout", Rank: rank, Attempt: attempt, At: at, From: f.cursors[alloc], Points: pts}
	b.To = store.Cursor{File: "f", Offset: b.From.Offset + 1}
	for _, e := range events {
		e.RunID, e.At, e.Attempt, e.Rank, e.Actor = f.id, at, attempt, rank, run.Trainer
		b.Events = append(b.Events, e)
	}
	f.check(t, f.Commit(context.Background(), []*store.Batch{b}))
	b.To.At = at
	f.cursors[alloc] = b.To
}

// settle does what the console does in the background: curves, headline.
func (f *fixture) settle(t must) run.Run {
	t.Helper()
	ctx := context.Background()
	for more := true; more; {
		r, _, err := f.RollUp(ctx, f.id)
		f.check(t, err)
		more = r.More
	}
	p, err := f.Headline(ctx, f.id)
	f.check(t, err)
	f.check(t, f.SaveProgress(ctx, f.id, p))
	r, err := f.Run(ctx, f.id)
	f.check(t, err)
	return r
}

func (f *fixture) answer(t must, q chart.Query) chart.Answer {
	t.Helper()
	a, err := chart.New(f.Store).Answer(context.Background(), f.settle(t), q)
	f.check(t, err)
	return a
}

func query(metrics ...string) chart.Query {
	return chart.Query{Metrics: metrics, X: chart.Step, From: math.Inf(-1), To: math.Inf(1), Pixels: 100, Workers: chart.AllWorkers}
}

func steps(c chart.Curve) (out []int64) {
	for _, column := range c.View.Columns {
		out = append(out, column.First)
	}
	return out
}

func values(c chart.Curve) (out []float64) {
	for _, column := range c.View.Columns {
		out = append(out, column.Value)
	}
	return out
}

func at(metric string, step int64, value float64) points.Point {
	return points.Point{Metric: metric, Step: step, Value: value, Exact: true}
}

func TestALiveRunsCurveEndsWhereItsHeadlineDoes(t *testing.T) {
	t.Parallel()
	f := newFixture(t, openStore(t), 1, 2)
	for rank, until := range []int64{6, 4} {
		var pts []points.Point
		for step := range until {
			pts = append(pts, at("loss", step, float64(step)), at("grad_norm", step, 1), at("system/gpu", epoch.UnixMilli()+step, 50))
		}
		f.report(t, 1, rank, epoch, pts)
	}
	for _, metric := range []string{"loss", "grad_norm", "perplexity", "=loss+grad_norm"} {
		if got := steps(f.answer(t, query(metric)).Curves[0]); !slices.Equal(got, []int64{0, 1, 2, 3}) {
			t.Errorf("%s ends with steps %v", metric, got)
		}
	}
	if got := f.answer(t, query("system/gpu")).Curves[0]; len(got.View.Columns) != 6 || !got.Clock {
		t.Errorf("a metric without steps is %+v", got)
	}
	q := query("loss")
	q.Workers = 0
	if got := steps(f.answer(t, q).Curves[0]); len(got) != 6 {
		t.Errorf("a worker alone has steps %v", got)
	}
	f.move(t, run.Succeeded)
	if got := f.answer(t, query("loss", "grad_norm")).Curves; len(got[0].View.Columns) != 4 || len(got[1].View.Columns) != 6 {
		t.Errorf("of an ended run the headline's metric has steps %v, another %v", steps(got[0]), steps(got[1]))
	}
}

func TestAMetricWithoutHeadlineIsShownWhileLive(t *testing.T) {
	t.Parallel()
	f := newFixture(t, openStore(t), 1, 1)
	f.report(t, 1, 0, epoch, []points.Point{at("accuracy", 5, 0.5)})
	if got := f.answer(t, query("accuracy")).Curves; len(got) != 1 || got[0].View.Points != 1 {
		t.Errorf("accuracy is %+v", got)
	}
}

func TestTheAxisHasTheValueOfTheSameStep(t *testing.T) {
	t.Parallel()
	f := newFixture(t, openStore(t), 1, 1)
	const all = 16_000
	var pts []points.Point
	for step := int64(0); step < all; step++ {
		pts = append(pts, at("loss", step, 1), at("total_tokens", step, float64(1000*step)))
		if step%1000 == 7 {
			pts = append(pts, at("val_loss", step, 2))
		}
		if len(pts) > 5000 {
			f.report(t, 1, 0, epoch.Add(time.Duration(step)*time.Second), pts)
			pts = nil
		}
	}
	f.report(t, 1, 0, epoch.Add(all*time.Second), pts)
	q := query("val_loss", "loss")
	q.X, q.Pixels = chart.Tokens, 8
	for _, c := range f.answer(t, q).Curves {
		for i, column := range c.View.Columns {
			if c.X[i] != float64(1000*column.First) {
				t.Errorf("%s at step %d is at %g tokens", c.Metric, column.First, c.X[i])
			}
		}
	}
	q.From, q.To = 7_006_500, 15_007_000
	for _, c := range f.answer(t, q).Curves {
		columns, want := c.View.Columns, map[string][2]int64{"val_loss": {7007, 15007}, "loss": {7007, 15007}}[c.Metric]
		if got := [2]int64{columns[0].First, columns[len(columns)-1].Last}; got != want {
			t.Errorf("%s has steps %v, want %v", c.Metric, got, want)
		}
	}
}

func TestWhatNobodyReportedIsLeftOut(t *testing.T) {
	t.Parallel()
	f := newFixture(t, openStore(t), 1, 1)
	f.report(t, 1, 0, epoch, []points.Point{at("loss", 1, math.NaN()), at("system/gpu", epoch.UnixMilli(), 1)})
	q := query("nothing", "=loss-nothing", "loss", "perplexity", "`", "DROP TABLE runs", "<script>")
	a := f.answer(t, q)
	if len(a.Curves) != 2 || !math.IsNaN(a.Curves[0].View.Columns[0].Value) || a.Curves[0].View.Columns[0].Odd != series.HasNaN || a.Curves[1].Formula != "exp(loss)" {
		t.Errorf("the answer is %+v", a)
	}
	q.X = chart.Tokens
	if got := f.answer(t, query("system/gpu")).Curves; len(got) != 1 {
		t.Errorf("over time there are %d curves", len(got))
	}
	q.Metrics = []string{"system/gpu"}
	if got := f.answer(t, q).Curves; len(got) != 0 {
		t.Errorf("a metric without steps has a curve over tokens: %+v", got)
	}
}

func TestEachWorkerHasItsCurve(t *testing.T) {
	t.Parallel()
	f := newFixture(t, openStore(t), 1, 3)
	for rank := range 3 {
		f.report(t, 1, rank, epoch, []points.Point{at("loss", 1, float64(rank)), at("tokens_per_second", 1, 100)})
	}
	q := query("loss", "tokens_per_second", "samples_per_second")
	q.Workers = chart.EachWorker
	a := f.answer(t, q)
	if len(a.Curves) != 9 || a.Curves[2].Worker != 2 || a.Curves[2].View.Columns[0].Value != 2 || a.Curves[8].View.Columns[0].Value != 100.0/1024 {
		t.Errorf("the answer is %+v", a)
	}
	q.Workers = chart.AllWorkers
	if got := f.answer(t, q).Curves; got[0].View.Columns[0].Value != 1 || got[1].View.Columns[0].Value != 300 || got[2].View.Columns[0].Value != 300.0/1024 {
		t.Errorf("over all workers it is %+v", got)
	}
}

func TestThePlannedLearningRateIsBesideThePrintedOne(t *testing.T) {
	t.Parallel()
	f := newFixture(t, openStore(t), 1, 1)
	var pts []points.Point
	for step := range int64(40) {
		rate := min(float64(step)/10, (100-float64(step))/90)
		if step >= 30 {
			rate *= 0.95
		}
		pts = append(pts, at("learning_rate", step, rate))
	}
	f.report(t, 1, 0, epoch, pts)
	a := f.answer(t, query("learning_rate", chart.Planned, "=`planned/learning_rate` - learning_rate"))
	if len(a.Curves) != 3 || a.Curves[1].Formula != "linear schedule" {
		t.Fatalf("the answer is %+v", a)
	}
	actual, planned, off := values(a.Curves[0]), values(a.Curves[1]), values(a.Curves[2])
	for i := range planned {
		if i < 30 && planned[i] != actual[i] || i >= 30 && planned[i] <= actual[i] || off[i] != planned[i]-actual[i] {
			t.Errorf("step %d is planned at %g, printed as %g, off by %g", i, planned[i], actual[i], off[i])
		}
	}
	marks, err := chart.New(f.Store).Marks(t.Context(), f.settle(t))
	if err != nil || len(marks) != 1 || marks[0].Kind != chart.OffPlan || marks[0].Step != 30 || marks[0].Text != "Learning rate 0.7389, planned 0.7778" {
		t.Errorf("marks are %+v, %v", marks, err)
	}
}

func TestMarksTellWhatHappenedAtWhichStep(t *testing.T) {
	t.Parallel()
	f := newFixture(t, openStore(t), 1, 2)
	for step := range int64(20) {
		pts := []points.Point{at("loss", step, 1)}
		var events []run.Event
		switch step {
		case 3:
			events = []run.Event{{Kind: "checkpoint_saved", Message: "saved"}, {Kind: "parameters", Message: "no mark"}}
		case 5:
			pts = append(pts, at("sync_seconds", step, 2.5))
		case 7:
			events = []run.Event{{Kind: "evicted", Message: "worker 1 is gone"}}
		case 8:
			pts = append(pts, at("val_loss", step, 3.25))
		}
		f.report(t, 1, 0, epoch.Add(time.Duration(step)*time.Second), pts, events...)
	}
	f.report(t, 2, 0, epoch.Add(time.Minute), []points.Point{at("loss", 12, math.NaN())}, run.Event{Kind: "mesh_ready", Message: "joined"})
	marks, err := chart.New(f.Store).Marks(t.Context(), f.settle(t))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, m := range marks {
		got = append(got, fmt.Sprintf("%d %s %q %v %v", m.Step, m.Kind, m.Text, m.Event > 0, m.Attempt))
	}
	want := []string{
		`3 checkpoint "saved" true 0`, `5 sync "Synced in 2.5 s" false 0`, `7 loss "worker 1 is gone" true 0`,
		`8 evaluation "val_loss 3.25" false 0`, `12 join "joined" true 0`, `12 nan "" true 0`, `12 restart "Attempt 2" true 2`,
	}
	for i := range got {
		if i < len(want) && got[i] != want[i] && i != 5 {
			t.Errorf("mark %d is %s, want %s", i, got[i], want[i])
		}
	}
	if len(got) != len(want) {
		t.Errorf("marks are %q", got)
	}
}

func TestTheColumnsOfAnAnswerAreBounded(t *testing.T) {
	t.Parallel()
	f := newFixture(t, openStore(t), 1, chart.MaxOfEach)
	var pts []points.Point
	for step := range int64(200) {
		pts = append(pts, at("loss", step, 1))
	}
	f.report(t, 1, 0, epoch, pts)
	q := query(slices.Repeat([]string{"loss"}, chart.MaxMetrics)...)
	q.Workers, q.Pixels = chart.EachWorker, chart.MaxWidth
	if got := len(f.answer(t, q).Curves[0].View.Columns); got > chart.MaxWidth/chart.MaxOfEach {
		t.Errorf("each of %d curves may have %d columns", chart.MaxMetrics*chart.MaxOfEach, got)
	}
}

func TestAnAnswerSaysWhatTheRunDoesNotHave(t *testing.T) {
	t.Parallel()
	f := newFixture(t, openStore(t), 1, 2)
	if a := f.answer(t, query("loss", "=nosuch * 2")); len(a.Missing) != 0 {
		t.Errorf("of a run that has reported nothing: %v", a.Missing)
	}
	f.report(t, 1, 0, epoch, []points.Point{at("loss", 1, 4), at("grad_norm", 1, 1), at("layer/one", 1, 1)})
	for _, c := range []struct {
		query chart.Query
		want  string
	}{
		{query("loss", "perplexity", "=loss - `layer/one`"), ""},
		{query("los"), `metric = "los": is not reported by this run; use loss`},
		{query("=zebra - loss"), `metric = "zebra": is not reported by this run; use one that it has, such as grad_norm, layer/one, loss`},
		{chart.Query{Metrics: []string{"loss"}, X: "zebra", Workers: chart.AllWorkers}, `x = "zebra": is not reported by this run; use one`},
		{chart.Query{Metrics: []string{"loss"}, X: chart.Step, Workers: 2}, `workers = "2": is no rank of this run; use all, each, or 0 to 1`},
	} {
		a := f.answer(t, c.query)
		if got := a.Missing.Error(); !strings.HasPrefix(got, c.want) || (got == "") != (c.want == "") {
			t.Errorf("%+v: %q, want %q", c.query, got, c.want)
		}
		var encoded struct{ Missing string }
		if err := json.Unmarshal(a.AppendJSON(nil), &encoded); err != nil || encoded.Missing != a.Missing.Error() {
			t.Errorf("it is sent as %q, %v", encoded.Missing, err)
		}
	}
}
