package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/cotrain/cotrain/docs"
	"github.com/cotrain/cotrain/internal/feed"
	"github.com/cotrain/cotrain/internal/run"
)

// cutting passes connections on, and cuts each after a while.
type cutting struct {
	net.Listener
	to   string
	cuts atomic.Int64
	all  sync.WaitGroup
}

// cutAfter is how long a connection lives.
const cutAfter = 150 * time.Millisecond

func newCutting(t *testing.T, to string) *cutting {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &cutting{Listener: l, to: to}
	c.all.Go(func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			c.all.Go(func() { c.pass(near) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		c.all.Wait()
	})
	return c
}

func (c *cutting) pass(near net.Conn) {
	far, err := net.Dial("tcp", c.to) //nolint:noctx // at this machine
	if err != nil {
		_ = near.Close()
		return
	}
	var both sync.WaitGroup
	cut := time.AfterFunc(cutAfter, func() { // in the middle of whatever is under way
		c.cuts.Add(1)
		_, _ = near.Close(), far.Close()
	})
	for _, ends := range [][2]net.Conn{{near, far}, {far, near}} {
		both.Go(func() {
			_, _ = io.Copy(ends[0], ends[1])
			_, _ = near.Close(), far.Close()
		})
	}
	both.Wait()
	cut.Stop()
}

// documented is an example of docs/stream.md in a language.
func documented(t *testing.T, language, with string) string {
	t.Helper()
	text, err := docs.Files().ReadFile("stream.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, block := range regexp.MustCompile("(?s)```"+language+"\n(.*?)```").FindAllStringSubmatch(string(text), -1) {
		if strings.Contains(block[1], with) {
			return block[1]
		}
	}
	t.Fatalf("no example in %s with %s", language, with)
	return ""
}

// TestDocumentedClientsMissAndRepeatNothingHoweverOftenTheyAreCut has the programs of docs/stream.md follow a run over connections
// that are cut all the time, and compares what they print with the stored log.
func TestDocumentedClientsMissAndRepeatNothingHoweverOftenTheyAreCut(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ program, check, language, with, file string }{
		"events in Python":    {"python3", "import json", "python", "urllib.request", "follow.py"},
		"WebSocket in Python": {"/usr/bin/python3", "import websockets", "python", "websockets.connect", "follow.py"},
		"events in Node.js":   {"node", "", "js", "fetch(", "follow.mjs"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := exec.LookPath(c.program); err != nil {
				t.Skip(err)
			}
			if c.check != "" {
				if out, err := exec.CommandContext(t.Context(), c.program, "-c", c.check).CombinedOutput(); err != nil {
					t.Skipf("%s: %s", c.check, out)
				}
			}
			console := devConsole(t, t.TempDir(), "COTRAIN_TRAINER_PACE=20ms")
			proxy := newCutting(t, console.addr)
			id := console.submit("--name", "cut", "--preset", "debug-diloco", "--nodes", "2", "--set", "optim.total_steps=200")
			dir := t.TempDir()
			file := filepath.Join(dir, c.file)
			if err := os.WriteFile(file, []byte(documented(t, c.language, c.with)), 0o600); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute) // in which a client that waits for ever is ended
			defer cancel()
			cmd := exec.CommandContext(ctx, c.program, file, "run:"+string(id))
			u := url.URL{Scheme: "http", Host: proxy.Addr().String()}
			cmd.Env = append(environ(), "COTRAIN_ADDR="+u.String())
			var errs strings.Builder
			cmd.Stderr = &errs
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			lines := follow(t, out)
			cancel()
			_ = cmd.Wait() // it was ended
			if len(lines) == 0 {
				t.Fatalf("no lines: %s", errs.String())
			}
			same(t, console, id, lines)
			t.Logf("%d lines, cut %d times", len(lines), proxy.cuts.Load())
			if proxy.cuts.Load() < 5 {
				t.Errorf("cut only %d times", proxy.cuts.Load())
			}
		})
	}
}

// follow reads what a client prints until the run has ended and all of its lines have come.
func follow(t *testing.T, out io.Reader) (lines []run.LogLine) {
	t.Helper()
	scan := bufio.NewScanner(out)
	scan.Buffer(nil, 16<<20)
	ended := 0
	for scan.Scan() {
		kind, data, _ := strings.Cut(scan.Text(), " ")
		switch kind {
		case feed.Gap:
			t.Error("a gap, although nobody was away for long")
		case feed.LogType:
			var log feed.Log
			if err := json.Unmarshal([]byte(data), &log); err != nil {
				t.Fatal(err)
			}
			if log.Skipped > 0 {
				t.Errorf("%d lines were skipped", log.Skipped)
			}
			lines = append(lines, log.Lines...)
		case feed.State:
			var r run.Run
			if err := json.Unmarshal([]byte(data), &r); err != nil {
				t.Fatal(err)
			}
			if r.State.Terminal() { // after the last line is stored and sent
				ended++
			}
		}
		if ended > 0 {
			return lines
		}
	}
	return lines
}

// same compares the lines that a client got with those that are stored, from its first on.
func same(t *testing.T, c *process, id run.ID, got []run.LogLine) {
	t.Helper()
	position := func(l run.LogLine) string { return fmt.Sprint(l.Pos, " ", l.Text) }
	want, have := []string{}, []string{}
	for _, l := range stored(t, c, id, got[0].Pos) {
		want = append(want, position(l))
	}
	for _, l := range got {
		have = append(have, position(l))
	}
	slices.Sort(have) // workers' lines come in the order of storing, which positions of two streams need not have
	slices.Sort(want)
	if !slices.Equal(have, want) {
		t.Errorf("%d lines came, and %d are stored", len(have), len(want))
	}
}

// stored is a run's log from a line on.
func stored(t *testing.T, c *process, id run.ID, from run.LogPos) (lines []run.LogLine) {
	t.Helper()
	for after := from - 1; ; {
		page, err := getJSON[struct {
			Lines []run.LogLine
			Next  run.LogPos
			More  bool
		}](c, fmt.Sprintf("/api/v1/runs/%s/logs?after=%d&limit=1000", id, after))
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, page.Lines...)
		if after = page.Next; !page.More {
			return lines
		}
	}
}

// TestATrainerWithoutLogsIsSeenByItsStatusFile has a trainer that prints nothing that can be parsed write its progress into a file.
func TestATrainerWithoutLogsIsSeenByItsStatusFile(t *testing.T) {
	t.Parallel()
	dir, storage := t.TempDir(), t.TempDir()
	script := filepath.Join(dir, "train.sh")
	const text = `set -e
f=%s/logs/training/$NOMAD_META_run_id/trainer.json
mkdir -p "$(dirname $f)"
for i in $(seq 1 30); do
  echo "working hard"
  printf '{"step":' > $f
  sleep 0.1
  echo "{\"step\":$i,\"loss\":$((40-i)).5,\"metrics\":{\"accuracy\":0.$i}}" > $f.new
  mv $f.new $f
done
`
	if err := os.WriteFile(script, fmt.Appendf(nil, text, storage), 0o600); err != nil {
		t.Fatal(err)
	}
	c := devConsole(t, dir, "COTRAIN_STORAGE_PATH="+storage, "COTRAIN_JOB_STATUS_FILE=logs/training/{run}/trainer.json", "COTRAIN_JOB_TRAIN_COMMAND=/bin/sh "+script)
	id := c.submit("--name", "quiet", "--preset", "debug", "--nodes", "1", "--gpus", "0", "--set", "optim.total_steps=30")
	c.eventually("its progress is seen while it runs", func() bool { p := c.run(id).Progress; return p.Step > 0 && p.HasLoss })
	c.eventually("its last status is stored", func() bool {
		r := c.run(id)
		return r.State.Terminal() && r.Progress.Step == 30 && r.Progress.Loss == 10.5
	})
	var status struct {
		SessionID string
		State     run.State
		Progress  float64
		Loss      float64
		Metrics   map[string]float64
	}
	c.eventually("status.json tells of the end with all metrics", func() bool {
		b, err := os.ReadFile(filepath.Join(storage, "logs", "training", string(id), "status.json"))
		return err == nil && json.Unmarshal(b, &status) == nil && status.State.Terminal() && status.Metrics["accuracy"] == 0.30
	})
	if status.SessionID != string(id) || status.Progress != 100 || status.Loss != 10.5 {
		t.Errorf("status.json is %+v", status)
	}
}

// TestAPageFollowsARunWithAnEventSource uses what docs/stream.md tells for pages of the console's own origin; connections are cut all the
// time, and the browser resumes by itself.
func TestAPageFollowsARunWithAnEventSource(t *testing.T) {
	t.Parallel()
	c, id, enough := counting(t, "0.1")
	b := openBrowser(t, c)
	proxy := newCutting(t, c.addr)
	far := &browser{t: t, ctx: b.ctx, site: &process{t: t, addr: proxy.Addr().String(), pass: c.pass}, axe: b.axe}
	far.do("open a page of the console's origin", chromedp.Navigate(far.site.url("/api/v1/openapi.json"))) // one without scripts
	far.do("follow", script(strings.Replace(documentedSource(t), "topics=runs", "topics=run:"+string(id), 1)+`
		window.came = []; window.ended = false; window.gaps = 0; window.begun = 0;
		source.addEventListener("subscribed", () => window.begun++);
		source.addEventListener("log", (e) => window.came.push(...JSON.parse(e.data).data.lines));
		source.addEventListener("gap", () => window.gaps++);
		source.addEventListener("state", (e) => { if (JSON.parse(e.data).data.state === "succeeded") { window.ended = true; source.close(); } });`))
	far.waitFor("it has come back five times", `window.begun > 5 && window.came.length > 20`)
	if err := os.WriteFile(enough, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	far.waitFor("it is told of the end", `window.ended`)
	if gaps := eval[int](far, `window.gaps`); gaps > 0 {
		t.Errorf("%d gaps", gaps)
	}
	far.complete(c, id)
}

// documentedSource makes an event source as docs/stream.md does.
func documentedSource(t *testing.T) string {
	t.Helper()
	text, err := docs.Files().ReadFile("stream.md")
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile("`(new EventSource\\([^`]*\\))`").FindSubmatch(text)
	if found == nil {
		t.Fatal("no EventSource in docs/stream.md")
	}
	return "window.source = " + string(found[1]) + ";"
}
