package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
)

// script tells the console what to do when a text is printed.
func (c *console) script(steps map[string]func()) {
	var mu sync.Mutex
	c.onOutput = func(s string) {
		mu.Lock()
		defer mu.Unlock()
		for text, do := range steps {
			if strings.Contains(s, text) {
				delete(steps, text)
				do()
			}
		}
	}
}

func (c *console) newest() run.ID {
	runs, err := c.Runs(context.Background(), run.RunFilter{Projects: run.AllProjects(), Limit: 1})
	if err != nil || len(runs) == 0 {
		c.t.Errorf("no run: %v", err)
		return ""
	}
	return runs[0].ID
}

func (c *console) begin(id run.ID) {
	c.Change(id, func(r *run.Run) {
		r.State, r.StepsTotal, r.StartedAt = run.Running, 10, c.now.Add(-60e9)
		r.Progress = run.Progress{Step: 4, Loss: 2.5, HasLoss: true, TokensPerSec: 5120, Participants: 2, UpdatedAt: c.now}
		r.Pace = run.Pace{Low: 15, High: 15}
	})
}

func (c *console) end(id run.ID, s run.State, reason string) {
	c.Change(id, func(r *run.Run) { r.State, r.Reason, r.EndedAt = s, reason, c.now })
}

func TestFollowPrintsProgressAndLogAndEndsWithTheRun(t *testing.T) {
	t.Parallel()
	for state, code := range map[run.State]int{run.Succeeded: exitDone, run.Failed: exitFailed, run.Stopped: exitFailed} {
		t.Run(string(state), func(t *testing.T) {
			t.Parallel()
			c := newConsole(t)
			c.script(map[string]func(){
				"== queued": func() {
					id := c.newest()
					c.begin(id)
					c.Log(id, 0, "one", `COTRAIN {"v":1,"kind":"metrics"}`)
					c.Log(id, 1, "two")
				},
				"== running": func() { id := c.newest(); c.Log(id, 0, "three"); c.end(id, state, "because of this") },
			})
			r := c.cotrain("run", "submit", "--preset", "debug-diloco", "--name", "x", "--follow").want(t, code,
				"== running  step 4/10 (40%)  loss 2.5  5.12 k tok/s  ETA 1m30s  2 of 2 workers", "== "+string(state)+" after 1m0s: because of this")
			var log []string
			for line := range strings.Lines(r.out) {
				if strings.HasPrefix(line, "[") {
					log = append(log, strings.TrimSpace(line))
				}
			}
			if got := strings.Join(log, " "); got != "[0] one [1] two [0] three" {
				t.Errorf("log %q", got)
			}
			if !strings.HasSuffix(strings.TrimSpace(r.out), "loss 2.5") {
				t.Errorf("the end is not last: %s", r.out)
			}
			for line := range strings.Lines(r.errOut) {
				if code == exitDone && !strings.HasPrefix(line, "cotrain: warning: ") {
					t.Errorf("stderr %q", r.errOut)
				}
			}
		})
	}
}

func TestOnATerminalTheProgressIsOneLineAtTheBottom(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	c.terminal = true
	step := func(n int64) func() {
		return func() { c.Change(c.newest(), func(r *run.Run) { r.Progress.Step = n }) }
	}
	c.script(map[string]func(){
		"== queued":          func() { c.begin(c.newest()) },
		"== running  step 4": step(5),
		"step 5/10":          func() { c.Log(c.newest(), 0, "a line", `COTRAIN {"step":5}`); step(6)() },
		"step 6/10":          func() { c.end(c.newest(), run.Succeeded, "") },
	})
	r := c.cotrain("run", "submit", "--preset", "debug-diloco", "--name", "x", "--follow").want(t, exitDone)
	screen := onScreen(r.out)
	var got []string
	for _, line := range screen[1:] { // the first has the ID
		if len([]rune(line)) > liveWidth && !strings.HasPrefix(line, "==") {
			t.Errorf("wraps: %q", line)
		}
		got = append(got, strings.Join(strings.Fields(line)[:2], " "))
	}
	if want := "== queued|== running|[0] a|== succeeded"; strings.Join(got, "|") != want {
		t.Errorf("the screen shows %q", screen)
	}
	if n := strings.Count(r.out, "\r\x1b[Krunning  step 5/10 (50%)  loss 2.5  5.12 k tok/s  ETA 1m15s  2 of 2 workers"); n < 1 {
		t.Errorf("step 5 is not shown: %q", r.out)
	}
}

func TestAThroughputThatIsNotKnownYetIsNoZero(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	c.script(map[string]func(){
		"== queued": func() {
			c.Change(c.newest(), func(r *run.Run) {
				r.State, r.StepsTotal, r.StartedAt = run.Running, 10, c.now.Add(-60e9)
				r.Progress = run.Progress{Step: 4, Loss: 2.5, HasLoss: true}
			})
		},
		"== running": func() { c.end(c.newest(), run.Succeeded, "") },
	})
	r := c.cotrain("run", "submit", "--preset", "debug-diloco", "--name", "x", "--follow").want(t, exitDone, "loss 2.5  -  0 of 2 workers")
	if strings.Contains(r.out, "tok/s") || strings.Contains(r.out, "ETA") {
		t.Errorf("it says %q", r.out)
	}
}

// onScreen is what a terminal shows in the end: a carriage return with an erasure begins its line anew.
func onScreen(out string) []string {
	var lines []string
	for line := range strings.Lines(out) {
		if i := strings.LastIndex(line, "\r\x1b[K"); i >= 0 {
			line = line[i+len("\r\x1b[K"):]
		}
		lines = append(lines, strings.TrimSuffix(line, "\n"))
	}
	return lines
}

func TestLinesForMachinesAreShownWhenAskedFor(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	id := c.Add(run.Run{State: run.Succeeded})
	c.Log(id, 0, "one", `COTRAIN {"step":1}`, "two", `COTRAIN {"step":2}`, `COTRAIN {"step":3}`, "COTRAIN is a name")
	for args, want := range map[string]string{
		"":                  "one|two|COTRAIN is a name",
		"--follow":          "one|two|COTRAIN is a name",
		"--tail 2":          "two|COTRAIN is a name",
		"--tail 9":          "one|two|COTRAIN is a name",
		"--tail 0":          "",
		"--raw":             `one|COTRAIN {"step":1}|two|COTRAIN {"step":2}|COTRAIN {"step":3}|COTRAIN is a name`,
		"--raw --tail 2":    `COTRAIN {"step":3}|COTRAIN is a name`,
		"--raw --follow":    `one|COTRAIN {"step":1}|two|COTRAIN {"step":2}|COTRAIN {"step":3}|COTRAIN is a name`,
		"--follow --tail 1": "COTRAIN is a name",
	} {
		r := c.cotrain(append([]string{"run", "logs", string(id), "--worker", "0"}, strings.Fields(args)...)...).want(t, exitDone)
		if got := strings.ReplaceAll(strings.TrimSpace(r.out), "\n", "|"); got != want {
			t.Errorf("%s: %q, want %q", args, got, want)
		}
	}
	if r := c.cotrain("run", "logs", string(id), "--format", "json").want(t, exitDone); strings.Count(r.out, "\n") != 6 {
		t.Errorf("as JSON: %s", r.out)
	}
}

func TestFollowAsJSONLines(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	c.script(map[string]func(){
		`"state":"queued"`:  func() { id := c.newest(); c.begin(id); c.Log(id, 0, "line \x1b[1m") },
		`"state":"running"`: func() { c.end(c.newest(), run.Succeeded, "") },
	})
	r := c.cotrain("run", "submit", "--preset", "debug", "--name", "x", "-f", "--format", "json").want(t, exitDone)
	var kinds []string
	for line := range strings.Lines(r.out) {
		var ev event
		if err := json.Unmarshal([]byte(line), &ev); err != nil {
			t.Fatalf("%v in %q", err, line)
		}
		if ev.Log != nil {
			kinds = append(kinds, ev.Type+" "+ev.Log.Text)
		} else {
			kinds = append(kinds, ev.Type+" "+string(ev.Run.State))
		}
	}
	if got := strings.Join(kinds, ", "); got != "run queued, log line \x1b[1m, run running, run succeeded" {
		t.Errorf("%q", got)
	}
}

func TestLogsOfOneWorkerAndTheNewestLines(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	id := c.Add(run.Run{State: run.Running})
	c.Log(id, 0, "a")
	c.Log(id, 1, "b", "c")
	for args, want := range map[string]string{
		"":                    "[0] a\n[1] b\n[1] c\n",
		"--worker 1":          "b\nc\n",
		"--worker 1 --tail 1": "c\n",
		"--tail 2":            "[1] b\n[1] c\n",
		"--tail 0":            "",
	} {
		if r := c.cotrain(append([]string{"run", "logs", string(id)}, strings.Fields(args)...)...).want(t, exitDone); r.out != want {
			t.Errorf("%s: %q, want %q", args, r.out, want)
		}
	}
	r := c.cotrain("run", "logs", string(id), "--tail", "1", "--format", "json").want(t, exitDone)
	if l := fromJSON[run.LogLine](t, r); l.Text != "c" || l.Rank != 1 || l.Pos != 30 {
		t.Errorf("%+v", l)
	}
	c.script(map[string]func(){
		"c":     func() { c.Log(id, 1, "later"); c.Log(id, 0, "other") },
		"later": func() { c.Log(id, 1, "last"); c.end(id, run.Failed, "") },
	})
	if r := c.cotrain("run", "logs", string(id), "--worker", "1", "--tail", "1", "--follow").want(t, exitDone); r.out != "c\nlater\nlast\n" {
		t.Errorf("%q", r.out)
	}
}

func TestALongLogIsReadToItsEnd(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	id := c.Add(run.Run{State: run.Succeeded})
	var want strings.Builder
	for i := range 25*followPage + 7 { // more than the pages between two looks
		c.Log(id, 0, fmt.Sprint("line ", i))
		fmt.Fprintln(&want, "line", i)
	}
	for _, follow := range []string{"--follow", "--no-follow"} {
		args := []string{"run", "logs", string(id), "--worker", "0"}
		if follow == "--follow" {
			args = append(args, follow)
		}
		if r := c.cotrain(args...).want(t, exitDone); r.out != want.String() {
			t.Errorf("%s: %d bytes, want %d", follow, len(r.out), want.Len())
		}
	}
}

// flaky loses answers: every third before, and every third after the console has done its work, cut in the middle.
func flaky(next http.Handler) http.Handler {
	var n atomic.Int64
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch n.Add(1) % 3 {
		case 0:
			panic(http.ErrAbortHandler)
		case 1:
			rec := httptest.NewRecorder()
			next.ServeHTTP(rec, r)
			w.Header().Set("Content-Type", rec.Header().Get("Content-Type"))
			w.Header().Set("Content-Length", fmt.Sprint(rec.Body.Len()))
			w.WriteHeader(rec.Code)
			_, _ = w.Write(rec.Body.Bytes()[:rec.Body.Len()/2])
			panic(http.ErrAbortHandler)
		default:
			next.ServeHTTP(w, r)
		}
	})
}

func TestLostAnswersLeaveNoGapAndNoRepeat(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	srv := httptest.NewUnstartedServer(flaky(c.handler()))
	srv.Config.ErrorLog = nil
	srv.Start()
	t.Cleanup(srv.Close)
	c.url = srv.URL
	const lines = 40
	printed := 0
	c.onOutput = func(s string) {
		switch {
		case strings.HasPrefix(s, "== queued"):
			c.begin(c.newest())
			c.Log(c.newest(), 0, "line 0")
		case strings.HasPrefix(s, "[0] line"):
			if printed++; printed < lines {
				c.Log(c.newest(), 0, fmt.Sprint("line ", printed))
			} else {
				c.end(c.newest(), run.Succeeded, "")
			}
		}
	}
	r := c.cotrain("run", "submit", "--preset", "debug", "--name", "x", "--follow").want(t, exitDone, "trying again", "answers again")
	var got []string
	for line := range strings.Lines(r.out) {
		if text, ok := strings.CutPrefix(line, "[0] "); ok {
			got = append(got, strings.TrimSpace(text))
		}
	}
	for i := range lines {
		if len(got) != lines || got[i] != fmt.Sprint("line ", i) {
			t.Fatalf("%d lines: %q", len(got), got)
		}
	}
	if n, err := c.Runs(t.Context(), run.RunFilter{Projects: run.AllProjects(), Limit: 10}); err != nil || len(n) != 1 {
		t.Errorf("%d runs were made, %v", len(n), err)
	}
}

func TestFollowSurvivesARestartOfTheConsole(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	c.url = "http://" + addr
	first := &http.Server{Handler: c.handler()}
	go func() { _ = first.Serve(l) }() // ends with Close
	second := &http.Server{Handler: c.handler()}
	t.Cleanup(func() { _ = first.Close(); _ = second.Close() })

	id := c.Add(run.Run{State: run.Running})
	c.Log(id, 0, "before")
	errs := &output{}
	c.script(map[string]func(){"before": func() {
		_ = first.Close()
	}})
	errs.told = func(s string) {
		if strings.Contains(s, "trying again for up to 5m0s") {
			c.Log(id, 0, "after")
			c.end(id, run.Succeeded, "")
			l, err := net.Listen("tcp", addr)
			if err != nil {
				t.Error(err)
				return
			}
			go func() { _ = second.Serve(l) }() // ends with Close
		}
	}
	r := c.cotrainTo(errs, "run", "logs", string(id), "--follow")
	if r.want(t, exitDone, "answers again after"); r.out != "[0] before\n[0] after\n" {
		t.Errorf("%q", r.out)
	}
}

func TestPatienceEnds(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	id := c.Add(run.Run{State: run.Running})
	c.Log(id, 0, "line")
	c.script(map[string]func(){"line": func() { c.Fail(fault.ErrUnavailable) }})
	c.cotrain("run", "logs", string(id), "--follow", "--patience", "3s").want(t, exitFailed, "trying again for up to 3s", "Not reachable right now")
}

func TestARunThatIsDeletedWhileItIsFollowedIsNotFound(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	id := c.Add(run.Run{State: run.Running})
	c.Log(id, 0, "line")
	c.script(map[string]func(){"line": func() {
		c.end(id, run.Failed, "")
		if err := c.Delete(context.Background(), id); err != nil {
			t.Error(err)
		}
	}})
	c.cotrain("run", "logs", string(id), "--follow").want(t, exitNotFound, "No run has the ID")
}

func TestInterruptingFollowLeavesTheRunAlone(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	ctx, cancel := context.WithCancel(t.Context())
	c.script(map[string]func(){"== queued": cancel})
	c.cotrainContext(ctx, "run", "submit", "--preset", "debug", "--name", "x", "--follow").want(t, exitFailed, "goes on", "run stop", "interrupted")
	if r, err := c.Run(t.Context(), c.newest()); err != nil || r.State != run.Queued {
		t.Errorf("%+v %v", r, err)
	}
}

func TestAClosedPipeEndsTheCommand(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	id := c.Add(run.Run{State: run.Running})
	c.Log(id, 0, "line")
	read, write := io.Pipe()
	if err := read.Close(); err != nil {
		t.Fatal(err)
	}
	var errs output
	p := c.process(write, &errs, "run", "logs", string(id), "--follow")
	if code := p.run(t.Context()); code != exitFailed || !strings.Contains(errs.String(), "write output") {
		t.Errorf("exit code %d, %s", code, errs.String())
	}
}
