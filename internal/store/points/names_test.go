package points_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/cotrain/cotrain/internal/store"
	"github.com/cotrain/cotrain/internal/store/points"
)

// TestOnlySoManyMetricsOfARunAreKept reports more names than that from two workers, by pieces, over a restart of the console.
func TestOnlySoManyMetricsOfARunAreKept(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, err := store.Open(t.Context(), dir)
	must(t, err)
	must(t, createPointsRun(t.Context(), s))
	at := map[int]store.Cursor{}
	report := func(rank, from, to int) *store.Batch {
		b := &store.Batch{RunID: pointsRun, AllocID: fmt.Sprint("a", rank), Stream: "stdout", Rank: rank, Attempt: 1, From: at[rank], To: store.Cursor{File: "f", Offset: at[rank].Offset + 1}}
		for i := from; i < to; i++ {
			b.Points = append(b.Points, points.Point{Metric: fmt.Sprintf("name_%04d", i), Step: b.To.Offset, Value: 1})
		}
		b.Points = append(b.Points, points.Point{Metric: "loss", Step: b.To.Offset, Value: 1})
		return b
	}
	commit := func(batches ...*store.Batch) {
		t.Helper()
		must(t, s.Commit(t.Context(), batches))
		for _, b := range batches {
			at[b.Rank] = b.To
		}
	}
	const most = points.MaxMetrics
	commit(report(0, 0, most-100))
	stale := report(0, 0, 1)
	stale.From = store.Cursor{File: "elsewhere", Offset: 1}
	if err := s.Commit(t.Context(), []*store.Batch{report(1, most+400, most+499), stale}); err == nil { // they never came to be
		t.Error("a stale cursor is taken")
	}
	over := report(1, most-200, most+100)
	commit(report(0, most-100, most-50), over)
	if len(over.Events) != 1 || over.Events[0].Seq == 0 || !strings.Contains(over.Events[0].Message, "the first 4000 metrics of a run are kept; worker 1 reports 100 more, which are dropped: name_4000, name_4001, name_4002") {
		t.Errorf("the worker's events are %+v", over.Events)
	}
	commit(report(0, most+100, most+200), report(1, most-50, most-40))
	must(t, s.Close())
	s = open(t, place{dir: dir})
	commit(report(0, most+100, most+200), report(1, 0, 10))
	names, err := s.Metrics(t.Context(), pointsRun)
	if err != nil || len(names) != most+1 || names[0] != "loss" || names[most] != fmt.Sprintf("name_%04d", most-1) {
		t.Errorf("%d metrics, %v", len(names), err)
	}
	events, err := s.Events(t.Context(), pointsRun, 0, 100)
	must(t, err)
	told := 0
	for _, ev := range events {
		if ev.Kind == "metrics_dropped" {
			told++
		}
	}
	if told != 1 {
		t.Errorf("it is told %d times: %+v", told, events)
	}
	curve, err := s.PointsPage(t.Context(), pointsRun, "name_0005", 0, &points.PageCursor{Rank: 1}, 10)
	if err != nil || len(curve) != 1 {
		t.Errorf("a metric that is kept has %d values of worker 1, %v", len(curve), err)
	}
	must(t, s.DeleteRun(t.Context(), pointsRun))
	if names, err := s.Metrics(t.Context(), pointsRun); err != nil || len(names) != 0 {
		t.Errorf("deleted it has %d metrics, %v", len(names), err)
	}
}
