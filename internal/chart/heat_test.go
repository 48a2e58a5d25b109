package chart_test

import (
	"testing"
	"time"

	"github.com/cotrain/cotrain/internal/chart"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store/points"
)

func TestAHeatMapHasWhatEachGPUDid(t *testing.T) {
	t.Parallel()
	s := openStore(t)
	f := newFixture(t, s, 1, 3)
	// Worker 1 has two GPUs, worker 2 one, of worker 0 nothing is known. Ten minutes, every ten seconds.
	began := epoch.Add(time.Hour)
	for i := range 60 {
		at := began.Add(time.Duration(i) * 10 * time.Second)
		point := func(gpu int, what string, v float64) points.Point {
			return points.Point{Metric: run.GPUMetric(gpu, what), Step: at.UnixMilli(), Value: v, Exact: true}
		}
		reports := []points.Report{
			{Run: f.id, Attempt: 1, Rank: 1, At: at, Points: []points.Point{point(0, run.GPUUtilization, 90), point(1, run.GPUUtilization, float64(i)), point(1, run.GPUPower, 300)}},
			{Run: f.id, Attempt: 1, Rank: 2, At: at, Points: []points.Point{point(0, run.GPUUtilization, 50)}},
		}
		if i >= 30 && i < 36 {
			reports = reports[:1] // it did not answer for a minute
		}
		if err := s.AddUsage(t.Context(), reports); err != nil {
			t.Fatal(err)
		}
	}
	r, err := s.Run(t.Context(), f.id)
	if err != nil {
		t.Fatal(err)
	}
	read := func(metric string, from time.Time, columns int) chart.Heat {
		t.Helper()
		h, err := chart.New(s).Heat(t.Context(), r, metric, from, began.Add(10*time.Minute), columns)
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	h := read(run.GPUUtilization, began, 1000)
	if len(h.Rows) != 3 || h.Rows[0].Rank != 1 || h.Rows[1].GPU != 1 || h.Rows[2].Rank != 2 {
		t.Fatalf("rows are %+v", h.Rows)
	}
	if h.Width != 1<<14 || h.Columns < 36 || h.Columns > 39 || h.Start > began.UnixMilli() || h.Start+h.Width <= began.UnixMilli() {
		t.Errorf("%d columns of %d from %d on", h.Columns, h.Width, h.Start)
	}
	missing, last := 0, -1.0
	for i, v := range h.Rows[1].Values {
		if v == nil {
			continue
		}
		if *v < last {
			t.Errorf("column %d is %v after %v", i, *v, last)
		}
		last = *v
	}
	for _, v := range h.Rows[2].Values[1 : h.Columns-2] {
		if v == nil {
			missing++
		} else if *v != 50 {
			t.Errorf("a column is %v, want 50", *v)
		}
	}
	if missing < 2 || missing > 5 {
		t.Errorf("%d columns are without a value, of a minute", missing)
	}
	if got := read(run.GPUUtilization, began, 10); got.Columns > 11 {
		t.Errorf("%d columns, 10 were asked for", got.Columns)
	}
	if got := read(run.GPUPower, began, 100); len(got.Rows) != 1 || got.Rows[0].Rank != 1 || got.Rows[0].GPU != 1 {
		t.Errorf("of power there are the rows %+v", got.Rows)
	}
	if got := read(run.GPUTemperature, began, 100); len(got.Rows) != 0 {
		t.Errorf("of temperature, which nobody measured, there are the rows %+v", got.Rows)
	}
}

func TestWhatIsUsedNowIsTheNewestOfEachMetric(t *testing.T) {
	t.Parallel()
	s := openStore(t)
	f := newFixture(t, s, 1, 2)
	now := epoch.Add(time.Hour)
	report := func(rank int, at time.Time, metric string, v float64) {
		t.Helper()
		if err := s.AddUsage(t.Context(), []points.Report{{Run: f.id, Attempt: 1, Rank: rank, At: at, Points: []points.Point{{Metric: metric, Step: at.UnixMilli(), Value: v}}}}); err != nil {
			t.Fatal(err)
		}
	}
	report(0, now.Add(-20*time.Second), run.TaskCPU, 100)
	report(0, now.Add(-10*time.Second), run.TaskCPU, 200)
	report(0, now.Add(-time.Minute), run.TaskMemory, 5) // long ago
	report(1, now.Add(-10*time.Second), run.GPUMetric(7, run.GPUPower), 312)
	used, err := s.Used(t.Context(), f.id, now.Add(-run.UsedFor))
	if err != nil {
		t.Fatal(err)
	}
	if v, ok := used.GPU(1, 7, run.GPUPower); len(used) != 2 || len(used[0]) != 1 || used[0]["task_cpu_percent"] != 200 || !ok || v != 312 {
		t.Errorf("used is %v", used)
	}
}
