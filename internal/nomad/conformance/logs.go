package conformance

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/nomad"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/jobs"
)

type ctx = context.Context

var errEnough = errors.New("enough")

func testLogs(t *testing.T, target Target) {
	b := newBench(t, target, nil)
	child := b.dispatch("echo out; echo err >&2\nwhile ! [ -e go ]; do sleep 0.05; [ $((n=n+1)) -lt 600 ] || exit 1; if [ $n -eq 20 ]; then echo second; fi; done")
	w := b.workers(child, 1, "a running worker", func(w run.Worker) bool { return w.State == run.WorkerRunning })[0]
	b.printed(w.AllocID, "stderr", "err\n")
	first := b.printed(w.AllocID, "stdout", "out\n")

	t.Run("following shows what is printed later, once", func(t *testing.T) {
		ctx, cancel := context.WithCancel(b.context())
		defer cancel()
		var got bytes.Buffer
		end := nomad.Cursor{}
		err := b.client.TailLog(ctx, w.AllocID, "stdout", nomad.Cursor{}, true, func(c nomad.LogChunk) error {
			if c.File != "trainer.stdout.0" || c.Offset != int64(got.Len()) || c.Lost != 0 {
				t.Errorf("chunk at %s:%d lost %d after %d bytes", c.File, c.Offset, c.Lost, got.Len())
			}
			got.Write(c.Data)
			end = c.End()
			if strings.Contains(got.String(), "second\n") {
				return errEnough
			}
			return nil
		})
		if !errors.Is(err, errEnough) {
			t.Fatalf("TailLog: %v", err)
		}
		if !strings.HasPrefix(got.String(), first) || strings.Count(got.String(), "second\n") != 1 {
			t.Errorf("stdout is %q", got.String())
		}
		// From a cursor in the middle comes the rest and nothing else.
		rest := ""
		from := nomad.Cursor{File: end.File, Offset: end.Offset - 3}
		if err := b.client.TailLog(ctx, w.AllocID, "stdout", from, false, func(c nomad.LogChunk) error {
			rest += string(c.Data)
			return nil
		}); err != nil || rest != got.String()[got.Len()-3:] {
			t.Errorf("from %+v comes %q, %v", from, rest, err)
		}
		if err := b.client.TailLog(ctx, w.AllocID, "stdout", end, false, func(c nomad.LogChunk) error {
			return fmt.Errorf("unexpected %q", c.Data)
		}); err != nil {
			t.Errorf("from the end: %v", err)
		}
	})
	t.Run("following ends with the context", func(t *testing.T) {
		ctx, cancel := context.WithCancel(b.context())
		err := b.client.TailLog(ctx, w.AllocID, "stderr", nomad.Cursor{}, true, func(nomad.LogChunk) error {
			cancel()
			return nil
		})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("TailLog gives %v", err)
		}
	})
	t.Run("a cursor that cannot be of this log is refused", func(t *testing.T) {
		for _, from := range []nomad.Cursor{{File: "trainer.stdout.7"}, {File: "trainer.stdout.0", Offset: 1 << 40}, {File: "../passwd"}} {
			err := b.client.TailLog(b.context(), w.AllocID, "stdout", from, false, func(nomad.LogChunk) error { return nil })
			if !errors.Is(err, fault.ErrInvalid) {
				t.Errorf("from %+v: %v", from, err)
			}
		}
	})
}

// burst prints numbered lines of 100 bytes.
func burst(from, to int) string {
	return fmt.Sprintf("awk 'BEGIN{for(i=%d;i<%d;i++) printf \"%%09d %%089d\\n\", i, 0}'\n", from, to)
}

func testLogRotation(t *testing.T, target Target) {
	b := newBench(t, target, nil) // 3 files of 1 MiB
	// Five files' worth, with pauses so that a follower keeps up, then the end.
	const lines = 52000
	script := ""
	for i := 0; i < lines; i += 4000 {
		script += burst(i, min(lines, i+4000)) + "sleep 0.7\n"
	}
	child := b.dispatch(script)
	w := b.workers(child, 1, "a started worker", func(w run.Worker) bool { return w.Started })[0]
	b.printed(w.AllocID, "stdout", "\n")

	var all bytes.Buffer
	var at nomad.Cursor
	files := map[string]int64{}
	last := fmt.Sprintf("%09d ", lines-1)
	take := func(stopAt int) func(nomad.LogChunk) error {
		return func(c nomad.LogChunk) error {
			if c.Lost != 0 {
				t.Errorf("lost %d bytes before %s:%d", c.Lost, c.File, c.Offset)
			}
			if c.Offset != files[c.File] {
				t.Errorf("%s:%d after %d bytes of it", c.File, c.Offset, files[c.File])
			}
			all.Write(c.Data)
			files[c.File] += int64(len(c.Data))
			at = c.End()
			tail := all.Bytes()[max(0, all.Len()-200):]
			if all.Len() >= stopAt || bytes.Contains(tail, []byte(last)) && tail[len(tail)-1] == '\n' {
				return errEnough
			}
			return nil
		}
	}
	// Interrupted again and again, to resume from cursors in each of the files.
	for stop := 300_000; !bytes.Contains(all.Bytes(), []byte(last)); stop += 450_000 {
		if err := b.client.TailLog(b.context(), w.AllocID, "stdout", at, true, take(stop)); !errors.Is(err, errEnough) {
			t.Fatalf("TailLog at %+v: %v", at, err)
		}
	}
	got := all.String()
	got = got[strings.Index(got, "000000000 "):] // after launch.sh's own lines
	for i, line := range strings.Split(strings.TrimSuffix(got, "\n"), "\n") {
		if want := fmt.Sprintf("%09d %089d", i, 0); line != want {
			t.Fatalf("line %d is %q", i, line)
		}
	}
	if n := strings.Count(got, "\n"); n != lines {
		t.Errorf("%d lines, want %d", n, lines)
	}
	if len(files) < 4 {
		t.Errorf("the log was in files %v, want several", files)
	}

	t.Run("what was rotated away is counted as lost", func(t *testing.T) {
		b.ended(child)
		lost, n, first := int64(0), 0, ""
		err := b.client.TailLog(b.context(), w.AllocID, "stdout", nomad.Cursor{File: "trainer.stdout.0", Offset: 1000}, false,
			func(c nomad.LogChunk) error {
				if n == 0 {
					first = c.File
				}
				lost += c.Lost
				n += len(c.Data)
				return nil
			})
		if err != nil {
			t.Fatal(err)
		}
		whole := int64(all.Len())
		if first == "trainer.stdout.0" || lost == 0 || max(lost+int64(n)+1000-whole, whole-lost-int64(n)-1000) > 3<<20/10 {
			t.Errorf("began at %s with %d lost and %d read, of %d printed", first, lost, n, whole)
		}
	})
}

func testLogRefusals(t *testing.T, target Target) {
	b := newBench(t, target, nil)
	const unknown = "11111111-2222-3333-4444-555555555555"
	err := b.client.TailLog(b.context(), unknown, "stdout", nomad.Cursor{}, true, func(nomad.LogChunk) error { return nil })
	if !errors.Is(err, fault.ErrNotFound) {
		t.Errorf("unknown allocation gives %v", err)
	}
	b.expect(b.raw("GET", "/v1/client/fs/logs/"+unknown+"?task=trainer&type=stdout", nil), 404, `Unknown allocation "`+unknown+`"`)
	b.expect(b.raw("GET", "/v1/client/fs/ls/"+unknown+"?path=alloc/logs", nil), 404, `Unknown allocation "`+unknown+`"`)

	w := b.ended(b.dispatch("echo x"))
	logs := "/v1/client/fs/logs/" + w.AllocID
	b.expect(b.raw("GET", logs+"?task=other&type=stdout", nil), 400, `unknown task name "other"`)
	b.expect(b.raw("GET", logs+"?task=trainer&type=other", nil), 400, "must provide log type")
	b.expect(b.raw("GET", logs+"?task=trainer&type=stdout&origin=middle", nil), 400, "origin must be start or end")
	b.expect(b.raw("GET", logs+"?task=trainer&type=stdout&offset=x", nil), 400, "error parsing offset")
	b.expect(b.raw("GET", logs+"?type=stdout", nil), 400, "must provide task name")
	if r := b.raw("GET", logs+"?task=trainer&type=stdout&offset=100000", nil); r.Code != 200 || r.Body != "" {
		t.Errorf("beyond the end: %d %q, want 200 and nothing", r.Code, r.Body)
	}
	r := b.raw("GET", logs+"?task=trainer&type=stdout&origin=end&offset=2", nil)
	if frame := decode[struct {
		Data []byte
		File string
	}](b, r); string(frame.Data) != "x\n" || frame.File != "alloc/logs/trainer.stdout.0" {
		t.Errorf("the last two bytes come as %+v", frame)
	}
	if r := b.raw("GET", logs+"?task=trainer&type=stdout&plain=true&origin=end&offset=2", nil); r.Code != 200 || r.Body != "x\n" {
		t.Errorf("plain: %d %q", r.Code, r.Body)
	}

	t.Run("a task that never started has no log", func(t *testing.T) {
		b := newBench(t, target, func(j *nomad.JobSettings) {
			j.File = jobFile(t, strings.Replace(jobs.CotrainCore, `command = "/bin/sh"`, `command = "/no/such/shell"`, 1))
		})
		w := b.workers(b.dispatch("x"), 1, "the failure", func(w run.Worker) bool { return w.State == run.WorkerFailed })[0]
		b.expect(b.raw("GET", "/v1/client/fs/logs/"+w.AllocID+"?task=trainer&type=stdout", nil), 404,
			`task "trainer" not started yet. No logs available`)
		err := b.client.TailLog(b.context(), w.AllocID, "stdout", nomad.Cursor{}, true, func(nomad.LogChunk) error { return nil })
		if !errors.Is(err, nomad.ErrNotStarted) {
			t.Errorf("TailLog gives %v", err)
		}
	})
}
