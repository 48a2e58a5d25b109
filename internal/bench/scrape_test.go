package bench

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/cotrain/cotrain/internal/metrics"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store"
)

// scrapedRuns is how many live runs have metrics of their own.
const scrapedRuns = 1000

// BenchmarkScrape measures a scrape of /metrics with 1,000 live runs among 10,000, with all that it writes. The baseline reads the same
// runs with a query each and writes nothing.
func BenchmarkScrape(b *testing.B) {
	s := openSQLite(b)
	ids := fillForScrapes(b, s)
	var failed error
	m := metrics.New(metrics.Options{Version: "bench", Logger: slog.New(slog.DiscardHandler), State: func(ctx context.Context) (out metrics.State) {
		out.Runs, failed = metrics.ReadRuns(ctx, s, run.AllProjects(), scrapedRuns, time.Now())
		return out
	}})
	var size int
	scrape := func() {
		w := httptest.NewRecorder()
		err := m.Answer(w, httptest.NewRequestWithContext(b.Context(), http.MethodGet, "/metrics", nil))
		if n := strings.Count(w.Body.String(), "cotrain_run_info{"); err != nil || failed != nil || n != scrapedRuns {
			b.Fatalf("a scrape has %d runs: %v", n, failed)
		}
		size = w.Body.Len()
	}
	each := func() {
		for _, id := range ids {
			if _, err := s.Run(b.Context(), id); err != nil {
				b.Fatal(err)
			}
		}
	}
	scrape() // the catalog is read
	for b.Loop() {
		one, single := medianOf(b, scrape), medianOf(b, each)
		b.ReportMetric(one.Seconds()*1000, "ms-scrape(<100)")
		b.ReportMetric(single.Seconds()*1000, "ms-baseline-single-queries")
		b.ReportMetric(float64(size)/scrapedRuns, "bytes-a-run(<2000)")
	}
}

// fillForScrapes stores runs, of which one in ten is live.
func fillForScrapes(b *testing.B, s *store.Store) (live []run.ID) {
	b.Helper()
	config := strings.Repeat("# as long as configurations are\n", 60)
	for i := range scrapedRuns * 10 {
		r := run.Run{
			ID: run.NewID(time.Unix(1_750_000_000+int64(i), 0)), Project: "default", Name: fmt.Sprintf("a run of some name %d", i), Config: config, State: run.Succeeded,
			Shape: run.Shape{Nodes: 8}, StepsTotal: 1000, Attempt: 1, CreatedAt: time.Unix(1_750_000_000+int64(i), 0), StartedAt: time.Unix(1_750_000_000, 0),
			Notices: []run.Notice{{Kind: run.NoticeSlow, Text: "worker 3 is slower than the others"}},
		}
		if i%10 == 0 {
			r.State = run.Running
			live = append(live, r.ID)
		}
		if _, _, err := s.CreateRun(b.Context(), r, ""); err != nil {
			b.Fatal(err)
		}
		if r.State == run.Running {
			p := run.Progress{Step: int64(i), Loss: 2.5, HasLoss: true, TokensPerSec: 12345.6, Participants: 8, UpdatedAt: time.Now()}
			if err := s.SaveProgress(b.Context(), r.ID, p); err != nil {
				b.Fatal(err)
			}
		}
	}
	return live
}
