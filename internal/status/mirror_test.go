package status

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cotrain/cotrain/internal/run"
)

// disk is shared storage in memory, and logs is a store of one run.
type disk struct {
	mu      sync.Mutex
	files   map[string]string
	failing string // name of a file that cannot be written
}

func (d *disk) Replace(_ context.Context, _, name string, content []byte) error {
	return d.change(name, func(string) string { return string(content) })
}

func (d *disk) Extend(_ context.Context, _, name string, offset int64, content []byte) error {
	return d.change(name, func(old string) string { return old[:offset] + string(content) })
}

func (d *disk) change(name string, fn func(string) string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.failing != "" && strings.HasSuffix(name, d.failing) {
		return errors.New("no space left")
	}
	d.files[name] = fn(d.files[name])
	return nil
}

func (d *disk) fail(name string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.failing = name
}

func (d *disk) Read(_ context.Context, _, name string, _ time.Time, _ int64) ([]byte, time.Time, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if content, ok := d.files[name]; ok {
		return []byte(content), time.Time{}, nil
	}
	return nil, time.Time{}, fs.ErrNotExist
}

func (d *disk) Where(string, string) string { return "/nowhere" }

func (d *disk) file(worker int) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.files[fmt.Sprintf("logs/training/%s/worker-%d.log", id, worker)]
}

type logs struct {
	world
	lines []run.LogLine
}

func (l *logs) Logs(_ context.Context, _ run.ID, q run.LogQuery) (out []run.LogLine, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, line := range l.lines {
		if line.Pos > q.After && len(out) < q.Limit {
			out = append(out, line)
		}
	}
	return out, nil
}

// print stores lines of both workers.
func (l *logs) print(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for range n {
		i := len(l.lines)
		l.lines = append(l.lines, run.LogLine{Pos: run.LogPos(i + 1), Rank: i % 2, Text: fmt.Sprint("line ", i)})
	}
}

// whole is the file that a worker's lines make.
func (l *logs) whole(worker int) (out string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, line := range l.lines {
		if line.Rank == worker {
			out += line.Text + "\n"
		}
	}
	return out
}

func TestALogIsMirroredOnceWhateverFailsOnTheWay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := &disk{files: map[string]string{}}
		l := &logs{world: world{runs: map[run.ID]run.Run{id: training(1)}}}
		var log strings.Builder
		console := func() (stop func()) {
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error)
			m := NewMirror(MirrorOptions{Store: l, Files: d, Usual: true, Logger: slog.New(slog.NewTextHandler(&log, nil))})
			go func() { done <- m.Run(ctx) }()
			return func() {
				cancel()
				if err := <-done; err != nil {
					t.Error(err)
				}
			}
		}
		stop := console()
		for _, failing := range []string{"", "worker-1.log", "", placeFile, ""} {
			d.fail(failing)
			l.print(2500)
			time.Sleep(5 * mirrorEvery)
			stop() // in the middle of that
			l.print(3)
			stop = console()
		}
		stop()
		l.print(3) // while no console is there, as is the end
		r := training(2)
		r.State = run.Succeeded
		l.mu.Lock()
		l.runs[id] = r
		l.mu.Unlock()
		stop = console()
		time.Sleep(5 * mirrorEvery)
		stop()
		for worker := range 2 {
			if got, want := d.file(worker), l.whole(worker); got != want {
				t.Errorf("worker %d: %d bytes, want %d", worker, len(got), len(want))
			}
		}
		if n := strings.Count(log.String(), "no space left"); n != 2 {
			t.Errorf("logged %d times: %s", n, log.String())
		}
	})
}

func TestARunDecidesWhetherItsLogIsMirrored(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		usual  bool
		option string
		want   bool
	}{
		{false, "", false}, {false, run.MirrorOn, true}, {false, run.MirrorOff, false}, {true, "", true}, {true, run.MirrorOn, true}, {true, run.MirrorOff, false},
	} {
		synctest.Test(t, func(t *testing.T) {
			d := &disk{files: map[string]string{}}
			r := training(1)
			r.Options.MirrorLogs = tt.option
			l := &logs{world: world{runs: map[run.ID]run.Run{id: r}}}
			l.print(4)
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error)
			m := NewMirror(MirrorOptions{Store: l, Files: d, Usual: tt.usual, Logger: slog.New(slog.DiscardHandler)})
			go func() { done <- m.Run(ctx) }()
			time.Sleep(3 * mirrorEvery)
			cancel()
			if err := <-done; err != nil {
				t.Error(err)
			}
			if got := d.file(0) != ""; got != tt.want {
				t.Errorf("usual %t, mirror_logs = %q: mirrored %t", tt.usual, tt.option, got)
			}
		})
	}
}
