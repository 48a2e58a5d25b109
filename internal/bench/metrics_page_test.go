package bench

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/cotrain/cotrain/internal/auth"
	"github.com/cotrain/cotrain/internal/chart"
	"github.com/cotrain/cotrain/internal/feed"
	"github.com/cotrain/cotrain/internal/rounds"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/run/runtest"
	"github.com/cotrain/cotrain/internal/store"
	"github.com/cotrain/cotrain/internal/store/points"
	"github.com/cotrain/cotrain/internal/web"
	"github.com/cotrain/cotrain/internal/web/help"
	"github.com/cotrain/cotrain/internal/web/webtest"
	"github.com/cotrain/cotrain/static"
)

const (
	pageMetrics = 2000
	pageSteps   = 50
)

// BenchmarkMetricsPage measures how long the server takes for the tab Metrics of a run with 2000 metrics. The baseline reads of every
// metric what the page shows of it (last, lowest, highest) from its points.
func BenchmarkMetricsPage(b *testing.B) {
	s, err := store.Open(b.Context(), b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			b.Error(err)
		}
	}()
	id := manyMetricsRun(b, s)
	assets, err := static.New()
	if err != nil {
		b.Fatal(err)
	}
	hub := feed.NewHub(time.Now)
	pages := web.New(web.Deps{
		Store: unguarded{s}, Control: readSweeps{store: s}, Survey: unmeasured{}, Secrets: &runtest.Registry{}, Cache: chart.NewCache(1<<20, "bench"), Rounds: rounds.NewCache(), Audit: s.Audit, Feed: hub, Stream: streams(hub), Assets: assets, Help: &help.Library{}, Guard: webtest.Open{}, Auth: auth.Local{},
		Logger: slog.New(slog.DiscardHandler), Now: time.Now,
	})
	defer func() {
		if err := pages.Close(context.Background()); err != nil {
			b.Error(err)
		}
	}()
	server := httptest.NewServer(pages.Handler())
	defer server.Close()
	var page, read time.Duration
	for b.Loop() {
		began := time.Now()
		resp, err := http.Get(server.URL + "/runs/" + string(id) + "/metrics")
		if err != nil {
			b.Fatal(err)
		}
		if err := resp.Body.Close(); err != nil || resp.StatusCode != http.StatusOK {
			b.Fatalf("%d %v", resp.StatusCode, err)
		}
		page += time.Since(began)
		began = time.Now()
		for i := range pageMetrics {
			v, err := s.View(b.Context(), id, metricName(i), points.ViewQuery{Worker: points.AllWorkers, To: pageSteps, Limit: 1})
			if err != nil || len(v.Columns) != 1 {
				b.Fatalf("%s: %d columns, %v", metricName(i), len(v.Columns), err)
			}
		}
		read += time.Since(began)
	}
	b.ReportMetric(page.Seconds()*1000/float64(b.N), "ms(<50)")
	b.ReportMetric(read.Seconds()*1000/float64(b.N), "ms-baseline-points")
	b.ReportMetric(read.Seconds()/page.Seconds(), "ratio(>=4)")
}

func metricName(i int) string { return fmt.Sprintf("layer%02d/norm%04d", i/40, i) }

func manyMetricsRun(b *testing.B, s *store.Store) run.ID {
	b.Helper()
	at := time.Now().Add(-time.Hour)
	r := run.Run{ID: "r-0000000001", Name: "many", State: run.Running, Config: "[train]\n", Shape: run.Shape{Nodes: 1}, CreatedAt: at, StartedAt: at, Attempt: 1}
	if _, _, err := s.CreateRun(b.Context(), r, "", run.Event{RunID: r.ID, At: at, Kind: "state", To: run.Running, Rank: -1}); err != nil {
		b.Fatal(err)
	}
	batch := &store.Batch{RunID: r.ID, AllocID: "a", Stream: "stdout", Attempt: 1, At: at, To: store.Cursor{File: "f", Offset: 1}}
	for step := range int64(pageSteps) {
		for i := range pageMetrics {
			batch.Points = append(batch.Points, points.Point{Metric: metricName(i), Step: step + 1, Value: float64(i) + 1/float64(step+1), Exact: true})
		}
	}
	if err := s.Commit(b.Context(), []*store.Batch{batch}); err != nil {
		b.Fatal(err)
	}
	if err := s.SaveProgress(b.Context(), r.ID, run.Progress{Step: pageSteps, UpdatedAt: at}); err != nil {
		b.Fatal(err)
	}
	for more := true; more; {
		rolled, _, err := s.RollUp(b.Context(), r.ID)
		if err != nil {
			b.Fatal(err)
		}
		more = rolled.More
	}
	for i := range 10 { // it is due again while points have come
		if _, err := s.Summarize(b.Context(), time.Now().Add(time.Duration(i)*time.Hour)); err != nil {
			b.Fatal(err)
		}
	}
	return r.ID
}
