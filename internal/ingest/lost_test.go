package ingest_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/ingest"
	"github.com/cotrain/cotrain/internal/nomad"
)

// rotating is a log whose first file is gone when it is opened after rotate.
type rotating struct {
	mu      sync.Mutex
	text    []string // of each file
	first   int      // the oldest that exists
	changed chan struct{}
	removed bool
}

func (r *rotating) print(file int, text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for len(r.text) <= file {
		r.text = append(r.text, "")
	}
	r.text[file] += text
	close(r.changed)
	r.changed = make(chan struct{})
}

func (r *rotating) rotate(first int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.first = first
}

func (r *rotating) TailLog(ctx context.Context, _, stream string, from nomad.Cursor, follow bool, fn func(nomad.LogChunk) error) error {
	if stream != "stdout" {
		if follow {
			<-ctx.Done()
			return ctx.Err()
		}
		return nil
	}
	var file int
	if from.File != "" {
		if _, err := fmt.Sscanf(from.File, "trainer.stdout.%d", &file); err != nil {
			return err
		}
	}
	at, lost := from.Offset, int64(0)
	for {
		r.mu.Lock()
		if r.removed {
			r.mu.Unlock()
			return fmt.Errorf("no such allocation: %w", fault.ErrNotFound)
		}
		if file < r.first {
			lost, file, at = 25_400_000, r.first, 0
		}
		var data string
		if file < len(r.text) {
			data = r.text[file][at:]
		}
		changed, more := r.changed, file+1 < len(r.text)
		r.mu.Unlock()
		switch {
		case data != "":
			if err := fn(nomad.LogChunk{File: fmt.Sprintf("trainer.stdout.%d", file), Offset: at, Data: []byte(data), Lost: lost}); err != nil {
				return err
			}
			at, lost = at+int64(len(data)), 0
		case more:
			file, at = file+1, 0
		case !follow:
			return nil
		default:
			select {
			case <-changed:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
}

func TestOutputThatAFullDiskHasCostIsTold(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.stop()
	log := &rotating{changed: make(chan struct{})}
	r.tailer = log
	r.start()
	r.follow(1)
	log.print(0, metric(1, 3)+"half a li")
	r.eventually("the first is stored", func() bool { return len(r.points("loss")) == 1 })
	r.broken.broken.Store(true)
	log.print(0, "ne\n"+metric(2, 3))
	r.eventually("the trouble is told", func() bool { s, _ := r.health.Load().(string); return strings.Contains(s, "is full") })
	log.print(5, metric(900, 2))
	log.rotate(5)
	r.broken.broken.Store(false) // there is room again
	r.eventually("what comes then is stored", func() bool { return len(r.points("loss")) == 2 })
	log.print(5, "COTRAIN {") // the end of it is removed with the allocation
	log.mu.Lock()
	log.removed = true
	log.mu.Unlock()
	r.end(1)
	evs, err := r.store.Events(t.Context(), r.id, 1, 10)
	if err != nil || len(evs) < 1 || evs[0].Kind != "log_lost" || evs[0].Level != "warning" || evs[0].Rank != 1 {
		t.Fatalf("events are %+v, %v", evs, err)
	}
	from := evs[0].At.UTC().Format("15:04") // nothing takes so long that the minutes would differ, or they differ by one
	said := strings.NewReplacer(evs[0].At.Add(-time.Minute).UTC().Format("15:04"), from).Replace(evs[0].Message)
	if want := "about 25 MB of worker 1's output from " + from + " to " + from + " UTC is missing: the console's disk was full and Nomad rotated the files away"; said != want {
		t.Errorf("it is told as\n%s, want\n%s", evs[0].Message, want)
	}
	lines := r.lines(1)
	if len(lines) < 3 || lines[1] != "=== cotrain: "+evs[0].Message+" ===" || lines[2] != strings.TrimSpace(metric(900, 2)) {
		t.Errorf("the log is %q", lines)
	}
	if len(evs) != 2 || evs[1].Kind != "log_gone" || !strings.HasPrefix(evs[1].Message, "the end of worker 1's output after ") {
		t.Errorf("of the end is told %+v", evs[1:])
	}
}

var _ ingest.Tailer = (*rotating)(nil)

// full is what the store says on a full disk.
func full() error { return fault.ErrFull.Fault() }
