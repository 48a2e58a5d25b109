package bench

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/performance"
	"github.com/chromedp/chromedp"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/auth"
	"github.com/cotrain/cotrain/internal/chart"
	"github.com/cotrain/cotrain/internal/feed"
	"github.com/cotrain/cotrain/internal/rounds"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/run/runtest"
	"github.com/cotrain/cotrain/internal/store"
	"github.com/cotrain/cotrain/internal/store/points"
	"github.com/cotrain/cotrain/internal/web"
	"github.com/cotrain/cotrain/internal/web/cluster"
	"github.com/cotrain/cotrain/internal/web/help"
	"github.com/cotrain/cotrain/internal/web/webtest"
	"github.com/cotrain/cotrain/static"
)

const (
	sweepSteps   = 400              // of each run when the page is opened
	watchedFor   = 25 * time.Second // of main thread
	sweepPageRun = run.MaxSweepRuns
)

// rereading does what a page can do that does not follow its runs one by one: it reads the whole page again, and again.
const rereading = `(async () => {
	for (window.reads = 0;; window.reads++) {
		const fresh = new DOMParser().parseFromString(await (await fetch(location.href)).text(), "text/html");
		Idiomorph.morph(document.getElementById("main"), fresh.getElementById("main"));
		await new Promise((done) => setTimeout(done, 1000));
	}
})(), 0`

// BenchmarkSweepPage measures the main thread of Chromium while it shows a sweep of 500 runs, each of which tells of its
// progress once a second. The baseline reads the same page whole, once a second.
func BenchmarkSweepPage(b *testing.B) {
	chromium, err := exec.LookPath("chromium")
	if err != nil {
		b.Skip("chromium is not installed")
	}
	for range b.N {
		site := newSweepSite(b)
		live, _ := site.busy(b, chromium, true, `Number(document.querySelector("#sweep-chart").dataset.points) > 0`, "0")
		whole, reads := site.busy(b, chromium, false, `document.querySelector("#sweep-rows")`, rereading)
		whole *= watchedFor.Seconds() / reads // as if the machine had been fast enough for one a second
		b.ReportMetric(live*100, "%-core(<5)")
		b.ReportMetric(whole*100, "%-core-baseline-reread")
		b.ReportMetric(whole/live, "ratio(>=4)")
	}
}

// sweepSite is a console whose only sweep has runs that train.
type sweepSite struct {
	url      string
	scripted atomic.Bool // the page gets its scripts
}

// unguarded is a store that shows everything to everybody.
type unguarded struct{ *store.Store }

func (u unguarded) CheckpointKeepers(ctx context.Context, f run.RunFilter) ([]run.Run, error) {
	return u.Runs(ctx, f)
}

// Layout is for [web.Store].
func (u unguarded) Layout(ctx context.Context, project string, page run.LayoutPage) (string, error) {
	return u.Store.Layout(ctx, project, access.From(ctx).User, page)
}

// SetLayout is for [web.Store].
func (u unguarded) SetLayout(context.Context, string, run.LayoutPage, string) error { return nil }

// SetProjectLayout is for [web.Store].
func (u unguarded) SetProjectLayout(context.Context, string, run.LayoutPage, string) error {
	return nil
}

func newSweepSite(b *testing.B) *sweepSite {
	b.Helper()
	s, err := store.Open(b.Context(), b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	assets, err := static.New()
	if err != nil {
		b.Fatal(err)
	}
	sweep := run.Sweep{ID: "s-0000000001", Name: "rates", Fields: []string{"optim.optim.lr", "optim.warmup_steps"}, CreatedAt: time.Now(), Actor: "bench"}
	runs := trainingRuns(b, s, sweep)
	hub := feed.NewHub(time.Now)
	pages := web.New(web.Deps{
		Store: unguarded{s}, Control: readSweeps{store: s}, Survey: unmeasured{}, Secrets: &runtest.Registry{}, Cache: chart.NewCache(1<<20, "bench"), Rounds: rounds.NewCache(), Audit: s.Audit, Feed: hub, Stream: streams(hub), Assets: assets, Help: &help.Library{}, Guard: webtest.Open{}, Auth: auth.Local{}, Logger: slog.New(slog.DiscardHandler), Now: time.Now,
	})
	site := &sweepSite{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !site.scripted.Load() && strings.HasSuffix(r.URL.Path, "/js/main.js") {
			http.NotFound(w, r)
			return
		}
		pages.Handler().ServeHTTP(w, r)
	}))
	site.url = server.URL + "/sweeps/" + string(sweep.ID)
	ctx, cancel := context.WithCancel(b.Context())
	var wg sync.WaitGroup
	wg.Go(func() { train(ctx, hub, runs) })
	b.Cleanup(func() {
		cancel()
		wg.Wait()
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := pages.Close(ctx); err != nil {
			b.Error(err)
		}
		server.Close()
		if err := s.Close(); err != nil {
			b.Error(err)
		}
	})
	return site
}

// readSweeps is what the page needs of control.
type readSweeps struct {
	web.Control
	store *store.Store
}

func (r readSweeps) Sweep(ctx context.Context, id run.SweepID) (run.Sweep, error) {
	return r.store.Sweep(ctx, id)
}

func lossAt(i int, step int64) float64 {
	return 2 + float64(i%50)/100 + 3*math.Exp(-float64(step)/float64(200+i)) + 0.02*math.Sin(float64(step)*1.7+float64(i))
}

// trainingRuns stores a sweep of runs that train, of which those with the lowest loss have a curve.
func trainingRuns(b *testing.B, s *store.Store, sweep run.Sweep) []run.Run {
	b.Helper()
	started := time.Now().Add(-sweepSteps * time.Second)
	runs, evs := make([]run.Run, sweepPageRun), make([]run.Event, sweepPageRun)
	for i := range runs {
		runs[i] = run.Run{
			ID: run.ID(fmt.Sprintf("r-%010d", i)), Name: fmt.Sprintf("rates #%d", i+1), State: run.Running, Config: "[train]\n", Shape: run.Shape{Nodes: 1},
			StepsTotal: 100_000, StartedAt: started, CreatedAt: started, Attempt: 1,
			Origin: run.Origin{Sweep: sweep.ID, Point: map[string]string{"optim.optim.lr": fmt.Sprintf("%.3g", 1e-4*float64(1+i%25)), "optim.warmup_steps": fmt.Sprint(10 * (i / 25))}},
		}
		evs[i] = run.Event{RunID: runs[i].ID, At: started, Kind: "state", To: run.Running, Rank: -1}
	}
	if _, _, err := s.CreateSweep(b.Context(), sweep, "", runs, evs); err != nil {
		b.Fatal(err)
	}
	for i := range runs {
		advance(&runs[i], i, sweepSteps)
		if err := s.SaveProgress(b.Context(), runs[i].ID, runs[i].Progress); err != nil {
			b.Fatal(err)
		}
		if i%50 > 1 { // its loss is not among the lowest
			continue
		}
		bt := &store.Batch{RunID: runs[i].ID, AllocID: fmt.Sprint("a", i), Stream: "stdout", Attempt: 1, At: started, To: store.Cursor{File: "f", Offset: 1}}
		for step := range int64(sweepSteps) {
			bt.Points = append(bt.Points, points.Point{Metric: "loss", Step: step + 1, Value: lossAt(i, step+1), Exact: true})
		}
		if err := s.Commit(b.Context(), []*store.Batch{bt}); err != nil {
			b.Fatal(err)
		}
		for more := true; more; {
			rolled, _, err := s.RollUp(b.Context(), runs[i].ID)
			if err != nil {
				b.Fatal(err)
			}
			more = rolled.More
		}
	}
	return runs
}

func advance(r *run.Run, i int, step int64) {
	r.Progress = run.Progress{Step: step, Loss: lossAt(i, step), HasLoss: true, TokensPerSec: 4000 + 100*math.Sin(float64(step+int64(i))), Participants: 1, UpdatedAt: time.Now()}
}

// train tells of every run once a second, evenly.
func train(ctx context.Context, hub *feed.Hub, runs []run.Run) {
	const share = 20
	tick := time.NewTicker(time.Second / share)
	defer tick.Stop()
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for i := n % share; i < len(runs); i += share {
			advance(&runs[i], i, runs[i].Progress.Step+1)
			hub.PublishRun(runs[i])
		}
	}
}

// busy is the share of a core that the page's main thread takes, once it is ready, after a script; and how often the script
// says that it has read the page.
func (s *sweepSite) busy(b *testing.B, chromium string, scripted bool, ready, script string) (share, reads float64) {
	b.Helper()
	s.scripted.Store(scripted)
	opts := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(chromium), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.WindowSize(1440, 1000))
	ctx, cancel := chromedp.NewExecAllocator(b.Context(), opts...)
	defer cancel()
	ctx, cancel = chromedp.NewContext(ctx)
	defer cancel()
	ctx, stop := context.WithTimeout(ctx, watchedFor+time.Minute)
	defer stop()
	busy := 0.0
	task := chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		m, err := chromedp.Call(ctx, performance.GetMetrics, cdp.Empty{})
		if err != nil {
			return err
		}
		for _, v := range m.Metrics {
			if v.Name == "TaskDuration" {
				busy = v.Value - busy
			}
		}
		return nil
	})
	if err := chromedp.Do(ctx, chromedp.Navigate(s.url), chromedp.WaitReady("#sweep-rows"), chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		_, err := chromedp.Call(ctx, performance.Enable, performance.EnableParams{TimeDomain: performance.EnableTimeDomainThreadTicks})
		return err
	})); err != nil {
		b.Fatal(err)
	}
	for done := false; !done; time.Sleep(50 * time.Millisecond) {
		var err error
		if done, err = chromedp.Run(ctx, chromedp.Evaluate[bool]("Boolean("+ready+")")); err != nil {
			b.Fatal(err)
		}
	}
	if err := chromedp.Do(ctx, chromedp.Evaluate[chromedp.Void](script), chromedp.Sleep(2*time.Second), chromedp.Evaluate[chromedp.Void](`window.reads = 0`), task, chromedp.Sleep(watchedFor), task); err != nil {
		b.Fatal(err)
	}
	reads, err := chromedp.Run(ctx, chromedp.Evaluate[float64](`Math.max(1, window.reads || 0)`))
	if err != nil {
		b.Fatal(err)
	}
	return busy / watchedFor.Seconds(), reads
}

// unmeasured is a cluster of which nothing was measured.
type unmeasured struct{ cluster.Survey }
