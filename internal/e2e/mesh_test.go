package e2e

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/cotrain/cotrain/internal/client"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store"
	"github.com/cotrain/cotrain/internal/store/points"
)

// meshOf reads all rounds of a run by the command line.
func (p *process) meshOf(id run.ID) client.Mesh {
	p.t.Helper()
	var m client.Mesh
	out, errs, code := p.cli("run", "mesh", string(id), "--rounds", "1000", "--syncs", "--format", "json")
	if err := json.Unmarshal([]byte(out), &m); err != nil || code != 0 {
		p.t.Fatalf("mesh of %s: code %d, %v\n%s", id, code, err, errs)
	}
	return m
}

// TestTheMeshTellsWhatWasInjected has a worker become slow whose clock is four minutes ahead, and another killed and started again by Nomad.
func TestTheMeshTellsWhatWasInjected(t *testing.T) {
	t.Parallel()
	const pace, inner, slower, ahead, slowFrom, steps = 0.05, 5, 4, 240, 50, 400
	c, agent, _, _ := agentConsole(t, fmt.Sprintf("COTRAIN_TRAINER_PACE=%gms", pace*1000))
	id := c.submit("--name", "mesh", "--preset", "debug-diloco", "--nodes", "3", "--gpus", "0", "--set", fmt.Sprintf("optim.total_steps=%d", steps),
		"--set", fmt.Sprintf("env=TRAINER_FAULT=slow=%d@%d:1,clock=%d@1:1", slower, slowFrom, ahead))
	c.eventually("the slow worker is slow", func() bool { return c.run(id).Progress.Step > 2*slowFrom })
	restartWorker(c, agent, id, 2)
	c.becomes(id, run.Succeeded)
	m := c.meshOf(id)
	if m.Total != steps/inner || m.Receipt || len(m.Workers) != 3 {
		t.Fatalf("%d rounds of %d workers, by receipt: %v", m.Total, len(m.Workers), m.Receipt)
	}
	others := 0 // rounds of others, times slow rounds
	for _, r := range m.Rounds {
		if r.Step <= slowFrom+inner {
			continue
		}
		others += r.Workers - 1
		if r.Straggler != 1 {
			t.Errorf("step %d: %+v, and worker 1 was slow", r.Step, r)
		}
		if least := pace * inner * (slower - 1) * float64(r.Workers-1) * 0.8; r.Cost < least {
			t.Errorf("step %d cost %.2f s, and the slow worker takes %.2f s more than %d others", r.Step, r.Cost, least, r.Workers-1)
		}
	}
	slow, lost := m.Workers[1], m.Workers[2]
	if want := pace * inner * (slower - 1) * float64(others); slow.Cost < 0.9*want || slow.Cost > 3*want {
		t.Errorf("worker 1 cost the others %.1f s, and was made to cost %.1f s", slow.Cost, want)
	}
	if slow.Offset == nil || math.Abs(*slow.Offset-ahead) > 1 || slow.OffsetError > 0.5 {
		t.Errorf("the clock of worker 1: %+v, want %d s ahead", slow, ahead)
	}
	if o := lost.Offset; o == nil || math.Abs(*o) > 1 {
		t.Errorf("the clock of worker 2: %v", o)
	}
	absent := 0
	for _, r := range m.Rounds {
		if r.Syncs[2] == nil {
			absent++
			if r.Workers != 2 {
				t.Errorf("step %d: %d workers, and worker 2 is absent", r.Step, r.Workers)
			}
		}
	}
	if absent == 0 || absent > steps/inner/2 || lost.Rounds != m.Total-absent || lost.Recovery <= 0 || m.Rounds[0].Syncs[2] == nil {
		t.Errorf("worker 2 was away for %d rounds and came back: %+v", absent, lost)
	}
	c.showsMesh(id)
}

// restartWorker has the agent end a worker and start it again.
func restartWorker(c, agent *process, id run.ID, rank int) {
	c.t.Helper()
	page, err := getJSON[struct{ Items []run.Worker }](c, "/api/v1/runs/"+string(id)+"/workers")
	if err != nil {
		c.t.Fatal(err)
	}
	for _, w := range page.Items {
		if w.Rank != rank {
			continue
		}
		req, err := http.NewRequestWithContext(c.t.Context(), http.MethodPut, agent.url("/v1/client/allocation/"+w.AllocID+"/restart"), strings.NewReader(`{"AllTasks":true}`))
		if err != nil {
			c.t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			c.t.Fatal(err)
		}
		if err := resp.Body.Close(); err != nil || resp.StatusCode != http.StatusOK {
			c.t.Fatalf("restart worker %d: %d, %v", rank, resp.StatusCode, err)
		}
		return
	}
	c.t.Fatalf("no worker %d in %+v", rank, page)
}

// showsMesh reads the timeline by keyboard, and its links.
func (p *process) showsMesh(id run.ID) {
	b := openBrowser(p.t, p)
	b.open("/runs/" + string(id) + "/mesh")
	b.waitFor("the timeline is drawn", `document.querySelector("[data-lanes][data-drawn]")`)
	b.do("go to the newest round", chromedp.Focus("[data-lanes-view]"), chromedp.KeyEvent(kb.End), chromedp.KeyEvent(kb.ArrowDown))
	if got := b.text("[data-lanes-read]"); !strings.Contains(got, "Worker 1") || !strings.Contains(got, "Straggler: worker 1") || !strings.Contains(got, "round 80 of 80") {
		p.t.Errorf("the newest round reads %q", got)
	}
	whole := b.text("[data-lanes-range]")
	b.do("zoom in", chromedp.KeyEvent("+"), chromedp.KeyEvent("+"))
	b.waitFor("the window is narrower", fmt.Sprintf(`document.querySelector("[data-lanes-range]").innerText !== %q`, whole))
	b.accessible("the mesh")
	b.do("be narrow", chromedp.EmulateViewport(390, 900))
	if got := eval[int64](b, `document.scrollingElement.scrollWidth`); got > 390 {
		p.t.Errorf("the tab is %d wide on a screen of 390", got)
	}
	b.do("open its log", chromedp.Focus("[data-lanes-view]"), chromedp.KeyEvent(kb.Enter), chromedp.WaitVisible(".log-line"))
	b.waitFor("the log is at the step", `location.pathname.endsWith("/logs") && new URLSearchParams(location.search).get("worker") === "1"`)
}

// Size of the mesh that must stay fluid.
const (
	manyWorkers = 300
	manyRounds  = 1000
)

// TestATimelineOfManyWorkersStaysFluid draws 300 workers in 1,000 rounds, and moves in them. The tasks of the page that took over 50 ms are
// in its log: how long one takes depends on what else the machine does.
func TestATimelineOfManyWorkersStaysFluid(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	const id = run.ID("r-0000000300")
	fillMesh(t, dir, id)
	b := openBrowser(t, devConsole(t, dir))
	b.open("/")
	b.open("/runs/" + string(id) + "/mesh")
	b.waitFor("the timeline is drawn", `document.querySelector("[data-lanes][data-drawn]")`)
	if got := b.text(`[data-mesh-worker="7"] [data-label="Last in"]`); got != "1,000" {
		t.Errorf("worker 7 came last in %s rounds", got)
	}
	t.Logf("long tasks while moving: %v ms", b.moves())
	if n := eval[int](b, `document.querySelectorAll("[data-lanes] *").length`); n > 200 {
		t.Errorf("the timeline has %d elements: it is to be drawn", n)
	}
	if size := eval[int](b, `fetch(location.pathname + "/timeline?columns=1200").then((r) => r.text()).then((t) => t.length)`, chromedp.EvalAwaitPromise); size > 1<<20 {
		t.Errorf("a window has %d bytes", size)
	}
}

// moves zooms and moves in the timeline, and returns how many milliseconds long tasks of the page took.
func (b *browser) moves() []int {
	b.t.Helper()
	b.do("watch long tasks", script(`window.long = []; window.watch?.disconnect(); window.watch = new PerformanceObserver((l) => l.getEntries().forEach((e) => window.long.push(Math.round(e.duration)))); window.watch.observe({ type: "longtask" })`), chromedp.Focus("[data-lanes-view]"))
	for _, key := range []string{"+", "+", kb.ArrowRight, kb.ArrowRight, kb.ArrowDown, "+", "+", "+", "+", "-", "-", kb.ArrowLeft, "0", kb.End, kb.Home} {
		b.do("press a key", chromedp.KeyEvent(key), chromedp.Sleep(250*time.Millisecond))
	}
	return eval[[]int](b, `window.long`)
}

// fillMesh stores what the workers of a big run would have reported.
func fillMesh(t *testing.T, dir string, id run.ID) {
	t.Helper()
	s, err := store.Open(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	const inner = 100
	began := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	r := run.Run{
		ID: id, Name: "large", Project: "default", State: run.Succeeded, InnerSteps: inner, StepsTotal: manyRounds * inner, Attempt: 1, CreatedAt: began, StartedAt: began,
		EndedAt: began.Add(manyRounds * time.Minute), Shape: run.Shape{Nodes: manyWorkers}, Config: "[diloco]\ninner_steps = 100\n[train]\nmicro_bs = 1\n",
	}
	if _, _, err := s.CreateRun(t.Context(), r, ""); err != nil {
		t.Fatal(err)
	}
	for rank := range manyWorkers {
		b := &store.Batch{RunID: id, Attempt: 1, Rank: rank, AllocID: fmt.Sprint("a", rank), Stream: "stdout", At: r.EndedAt, To: store.Cursor{Offset: 1}}
		for k := range int64(manyRounds) {
			sync := 3 + float64((int64(rank)*7+k*13)%20)
			if rank == 7 {
				sync = 2
			}
			end := began.Add(time.Duration(k+1) * time.Minute)
			b.Points = append(b.Points, points.Point{Metric: "sync_seconds", Step: (k + 1) * inner, Value: sync}, points.Point{Metric: "time", Step: (k + 1) * inner, Value: float64(end.Unix()) - sync, Exact: true})
		}
		if err := s.Commit(t.Context(), []*store.Batch{b}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.SaveProgress(t.Context(), id, run.Progress{Step: manyRounds * inner, UpdatedAt: r.EndedAt}); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}
