package bench

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

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
	comparedRuns  = 200
	comparedSteps = 10_000 // of each run
	browserSends  = 6      // requests to one host at the same time
)

// BenchmarkCompare measures the comparison of 200 runs with 10 000 points each: the answer to its chart beside one request a run, as six
// at a time are what a browser sends; and in Chromium the time to the first picture, and the longest task while rows are pointed at, runs
// hidden, and the chart zoomed.
func BenchmarkCompare(b *testing.B) {
	site, ids := newCompareSite(b)
	all := site + "/compare/series?runs=" + strings.Join(ids, ",") + "&metric=loss&px=1200"
	for range b.N {
		fetch(b, site+"/runs/"+ids[0]+"/series?metric=loss&px=10&to=100") // the database is open
		at := time.Now()
		fetch(b, all+"&to=9999") // ranges of their own: no answer is kept already
		together := time.Since(at)
		at = time.Now()
		work := make(chan string)
		var wg sync.WaitGroup
		for range browserSends {
			wg.Go(func() {
				for id := range work {
					fetch(b, site+"/runs/"+id+"/series?metric=loss&px=1200&to=9998")
				}
			})
		}
		for _, id := range ids {
			work <- id
		}
		close(work)
		wg.Wait()
		b.ReportMetric(together.Seconds()*1000, "ms-series")
		b.ReportMetric(time.Since(at).Seconds()/together.Seconds(), "ratio-one-request-a-run(>1)")
		if chromium, err := exec.LookPath("chromium"); err == nil {
			picture, longest := watchComparison(b, chromium, site+"/compare?runs="+strings.Join(ids, ","))
			b.ReportMetric(picture, "ms-first-picture(<1000)")
			b.ReportMetric(longest, "ms-longest-task(<50)")
		}
	}
}

func fetch(b *testing.B, url string) {
	res, err := http.Get(url) //nolint:gosec,noctx // of this test's own server
	if err != nil {
		b.Error(err)
		return
	}
	defer func() { _ = res.Body.Close() }()
	if _, err := io.Copy(io.Discard, res.Body); err != nil || res.StatusCode != http.StatusOK {
		b.Errorf("%s: %d %v", url[:60], res.StatusCode, err)
	}
}

// openTab starts Chromium for two minutes at most.
func openTab(b *testing.B, chromium string) (ctx context.Context, end func()) {
	b.Helper()
	opts := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(chromium), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.WindowSize(1440, 1000))
	ctx, stop := context.WithTimeout(b.Context(), 2*time.Minute)
	ctx, _ = chromedp.NewExecAllocator(ctx, opts...) // ends with stop
	ctx, _ = chromedp.NewContext(ctx)
	if err := chromedp.Do(ctx, chromedp.Navigate("about:blank")); err != nil {
		stop()
		b.Fatal(err)
	}
	return ctx, stop
}

// watchComparison opens a comparison and acts on it. Both results are in milliseconds.
func watchComparison(b *testing.B, chromium, url string) (picture, longest float64) {
	b.Helper()
	ctx, end := openTab(b, chromium)
	defer end()
	const drawn = `new Promise((done) => { const look = () => Number(document.querySelector("figure[data-curves]")?.dataset.points) > 0 ? requestAnimationFrame(() => done(performance.now())) : setTimeout(look, 5); look(); })`
	const act = `(async () => {
		const tasks = [0];
		new PerformanceObserver((list) => list.getEntries().forEach((e) => tasks.push(e.duration))).observe({type: "longtask"});
		const frame = () => new Promise((done) => requestAnimationFrame(() => setTimeout(done, 30)));
		const rows = [...document.querySelectorAll("#compare-rows > tr")];
		for (const row of rows.slice(0, 20)) { row.dispatchEvent(new Event("pointerover", {bubbles: true})); await frame(); }
		for (const row of rows.slice(0, 5)) { row.querySelector("[data-show]").click(); await frame(); }
		const area = document.querySelector("[data-chart-area]");
		for (const key of ["+", "ArrowRight", "ArrowLeft", "0"]) { area.dispatchEvent(new KeyboardEvent("keydown", {key, bubbles: true})); await frame(); await frame(); }
		const handle = document.querySelector('[data-axis="0"] [data-handle="high"]');
		if (handle) for (let i = 0; i < 5; i++) { handle.dispatchEvent(new KeyboardEvent("keydown", {key: "ArrowDown", bubbles: true})); await frame(); }
		await new Promise((done) => setTimeout(done, 300));
		return Math.max(...tasks);
	})()`
	await := chromedp.EvalAwaitPromise
	if err := chromedp.Do(ctx, chromedp.Navigate(url)); err != nil {
		b.Fatal(err)
	}
	picture, err := chromedp.Run(ctx, chromedp.Evaluate[float64](drawn, await))
	if err != nil {
		b.Fatal(err)
	}
	if longest, err = chromedp.Run(ctx, chromedp.Evaluate[float64](act, await)); err != nil {
		b.Fatal(err)
	}
	return picture, longest
}

// newCompareSite is a console with runs that have ended, a few learning rates among them.
func newCompareSite(b *testing.B) (url string, ids []string) {
	b.Helper()
	s, err := store.Open(b.Context(), b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := s.Close(); err != nil {
			b.Error(err)
		}
	})
	started := time.Now().Add(-comparedSteps * time.Second)
	for i := range comparedRuns {
		r := run.Run{
			ID: run.ID(fmt.Sprintf("r-%010d", i)), Name: fmt.Sprintf("rates #%d", i+1), State: run.Succeeded, Config: fmt.Sprintf("[optim.optim]\nlr = %g\n", 1e-4*float64(1+i%25)),
			Shape: run.Shape{Nodes: 1}, StepsTotal: comparedSteps, StartedAt: started, CreatedAt: started, Attempt: 1,
		}
		if _, _, err := s.CreateRun(b.Context(), r, "", run.Event{RunID: r.ID, At: started, Kind: "state", To: run.Succeeded, Rank: -1}); err != nil {
			b.Fatal(err)
		}
		advance(&r, i, comparedSteps)
		if err := s.SaveProgress(b.Context(), r.ID, r.Progress); err != nil {
			b.Fatal(err)
		}
		bt := &store.Batch{RunID: r.ID, AllocID: fmt.Sprint("a", i), Stream: "stdout", Attempt: 1, At: started, To: store.Cursor{File: "f", Offset: 1}}
		for step := range int64(comparedSteps) {
			bt.Points = append(bt.Points, points.Point{Metric: "loss", Step: step + 1, Value: lossAt(i, step+1), Exact: true})
		}
		if err := s.Commit(b.Context(), []*store.Batch{bt}); err != nil {
			b.Fatal(err)
		}
		for more := true; more; {
			rolled, _, err := s.RollUp(b.Context(), r.ID)
			if err != nil {
				b.Fatal(err)
			}
			more = rolled.More
		}
		ids = append(ids, string(r.ID))
	}
	assets, err := static.New()
	if err != nil {
		b.Fatal(err)
	}
	hub := feed.NewHub(time.Now)
	pages := web.New(web.Deps{
		Store: unguarded{s}, Control: readSweeps{store: s}, Survey: unmeasured{}, Audit: s.Audit, Feed: hub, Stream: streams(hub), Assets: assets, Help: &help.Library{}, Guard: webtest.Open{},
		Secrets: &runtest.Registry{}, Cache: chart.NewCache(64<<20, "bench"), Rounds: rounds.NewCache(), Auth: auth.Local{}, Logger: slog.New(slog.DiscardHandler), Now: time.Now,
	})
	server := httptest.NewServer(pages.Handler())
	b.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := pages.Close(ctx); err != nil {
			b.Error(err)
		}
		server.Close()
	})
	return server.URL, ids
}
