package ingest_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/ingest"
	"github.com/cotrain/cotrain/internal/nomad"
	"github.com/cotrain/cotrain/internal/run"
)

// printed is what three workers print in an hour, each every ten seconds, and one of them nothing but lines without a time.
func printed(from time.Time, minutes int) (texts map[int]string, inOrder []string) {
	texts = map[int]string{}
	for at := range 60 * minutes {
		if rank := at % 10; rank < 2 {
			line := fmt.Sprintf("%s [INFO] line %d of worker %d", from.Add(time.Duration(at)*time.Second).Format(time.TimeOnly), at, rank)
			texts[rank] += line + "\n"
			inOrder = append(inOrder, line)
		}
	}
	return texts, inOrder
}

func (r *rig) all() (out []run.LogLine) {
	r.t.Helper()
	for after := run.LogPos(0); ; after = out[len(out)-1].Pos {
		page, err := r.store.Logs(r.t.Context(), r.id, run.LogQuery{Rank: -1, After: after, Limit: 10000})
		if err != nil {
			r.t.Fatal(err)
		}
		if out = append(out, page...); len(page) == 0 {
			return out
		}
	}
}

// awayTailer does not reach Nomad while away is true, nor a worker for good.
type awayTailer struct {
	ingest.Tailer
	away   atomic.Bool
	broken string
}

func (a *awayTailer) TailLog(ctx context.Context, allocID, stream string, from nomad.Cursor, follow bool, fn func(nomad.LogChunk) error) error {
	if a.away.Load() || allocID == a.broken {
		return fault.ErrNomadUnreachable.Fault()
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		for ctx.Err() == nil && !a.away.Load() {
			time.Sleep(time.Millisecond)
		}
		cancel()
	}()
	err := a.Tailer.TailLog(ctx, allocID, stream, from, follow, fn)
	if a.away.Load() {
		return fault.ErrNomadUnreachable.Fault()
	}
	return err
}

// TestWhatWasPrintedWhileNobodyReadItIsMergedByTime has the console away, or Nomad, for an hour. A worker that is away for good is waited
// for, and then no more.
func TestWhatWasPrintedWhileNobodyReadItIsMergedByTime(t *testing.T) {
	t.Parallel()
	for _, what := range []string{"the console", "Nomad", "a worker for good"} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			for try := 1; !merges(t, what, try == tries); try++ { // a stream that the machine holds up for longer than others wait is late
			}
		})
	}
}

// tries is how often the lines may be out of order; without merging they always are.
const tries = 4

// merges reports whether what was printed meanwhile is stored in order; at last it must be.
func merges(t *testing.T, what string, last bool) bool {
	t.Helper()
	r := newRig(t)
	r.stop()
	began := time.Now().UTC().Truncate(time.Second).Add(-2 * time.Hour)
	var now atomic.Int64
	now.Store(began.Add(2 * time.Second).UnixNano())
	tailer, all := &awayTailer{Tailer: r.cluster}, 3
	if r.patience = 3 * time.Second; what == "a worker for good" {
		tailer.broken, all, r.patience = r.worker(3).AllocID, 4, 50*time.Millisecond
	}
	r.tailer, r.now = tailer, func() time.Time { return time.Unix(0, now.Load()) }
	r.start()
	workers := func() {
		for rank := range all {
			w := r.worker(rank)
			w.StartedAt = began
			r.in.Follow(w)
		}
	}
	workers()
	for rank := range 3 {
		r.cluster.Print(r.child, rank, began.Format(time.TimeOnly)+" [INFO] begun\n")
	}
	r.eventually("all have begun", func() bool { return len(r.all()) == 3 })

	if what == "Nomad" {
		tailer.away.Store(true)
	} else {
		r.stop()
	}
	texts, want := printed(began.Add(time.Minute), 60)
	for rank, text := range texts {
		r.cluster.Print(r.child, rank, text)
	}
	now.Store(began.Add(62 * time.Minute).UnixNano())
	if what == "Nomad" {
		tailer.away.Store(false)
	} else {
		r.start()
		workers()
	}
	r.eventually("all is stored", func() bool { return len(r.all()) == 3+len(want) })
	var got []string
	for _, l := range r.all()[3:] {
		got = append(got, l.Text)
		if late := began.Add(62 * time.Minute).Sub(l.At); late > time.Minute && l.At.Format(time.TimeOnly) != l.Text[:8] {
			t.Errorf("%q is of %s", l.Text, l.At)
		}
	}
	if what != "a worker for good" && !slices.Equal(got, want) {
		if !last {
			return false
		} // they wait too short a time to be in order
		for i := range got {
			if got[i] != want[i] {
				t.Fatalf("line %d is %q, want %q\n%s", i, got[i], want[i], strings.Join(got[max(0, i-5):min(len(got), i+6)], "\n"))
			}
		}
	}
	// What comes as it is printed waits for nobody.
	r.cluster.Print(r.child, 2, "live\n")
	r.eventually("a live line is stored", func() bool { return len(r.all()) == 4+len(want) })
	return true
}
