package ingest_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/ingest"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store"
	"github.com/cotrain/cotrain/internal/store/points"
)

// fullStore is a store on a disk that may be full: nothing of it can be written then.
type fullStore struct {
	*store.Store
	full atomic.Bool
}

func (s *fullStore) err() error {
	if s.full.Load() {
		return full()
	}
	return nil
}

func (s *fullStore) Commit(ctx context.Context, batches []*store.Batch) error {
	if err := s.err(); err != nil {
		return err
	}
	return s.Store.Commit(ctx, batches)
}

func (s *fullStore) RollUp(ctx context.Context, id run.ID) (points.RollUp, bool, error) {
	if err := s.err(); err != nil {
		return points.RollUp{}, false, err
	}
	return s.Store.RollUp(ctx, id)
}

func (s *fullStore) UnsealedRuns(ctx context.Context, atLeast int) ([]run.ID, error) {
	if err := s.err(); err != nil {
		return nil, err
	}
	return s.Store.UnsealedRuns(ctx, atLeast)
}

func (s *fullStore) SealPoints(ctx context.Context) (bool, error) {
	if err := s.err(); err != nil {
		return false, err
	}
	return s.Store.SealPoints(ctx)
}

func TestAFullDiskIsLoggedOnceUntilItIsWellAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.stop()
		var mu sync.Mutex
		var log bytes.Buffer
		lock := func(p []byte) (int, error) {
			mu.Lock()
			defer mu.Unlock()
			return log.Write(p)
		}
		s := &fullStore{Store: r.store}
		s.full.Store(true)
		in := ingest.New(ingest.Options{
			Tailer: goneTailer{}, Store: s, Publisher: r.hub, Logger: slog.New(slog.NewTextHandler(writer(lock), nil)), Now: time.Now, Health: func(error) {},
		})
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { _ = in.Run(ctx) })
		defer wg.Wait()
		defer cancel()
		w := r.worker(0)
		w.State = run.WorkerLost
		in.Follow(w)
		times := func(when string, each int) {
			t.Helper()
			time.Sleep(time.Minute) // of the bubble's clock
			mu.Lock()
			defer mu.Unlock()
			for what, want := range map[string]int{"seal logs": each, "seal points": each, "progress": 1, "finish log": 2} { // of two streams
				if n := strings.Count(log.String(), `msg="`+what+`"`) + strings.Count(log.String(), "msg="+what+" "); n != want {
					t.Errorf("%s: %q is logged %d times, want %d", when, what, n, want)
				}
			}
		}
		times("full", 1)
		s.full.Store(false)
		times("well", 1)
		if !in.Drained(w.AllocID) {
			t.Error("the streams have not ended")
		}
		s.full.Store(true)
		times("full again", 2)
	})
}

type writer func([]byte) (int, error)

func (w writer) Write(p []byte) (int, error) { return w(p) }

// damagedStore cannot seal the log of one run.
type damagedStore struct {
	*store.Store
	sealed chan run.ID
}

func (s damagedStore) UnsealedRuns(context.Context, int) ([]run.ID, error) {
	return []run.ID{"r-0000000001", "r-0000000002"}, nil
}

func (s damagedStore) Seal(ctx context.Context, id run.ID, _ int) error {
	if id == "r-0000000001" {
		return errors.New("the database disk image is malformed")
	}
	select {
	case s.sealed <- id:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func TestALogThatCannotBeSealedKeepsNoOtherFromIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.stop()
		var log bytes.Buffer // written between the seals that are received
		s := damagedStore{Store: r.store, sealed: make(chan run.ID)}
		in := ingest.New(ingest.Options{Tailer: goneTailer{}, Store: s, Publisher: r.hub, Logger: slog.New(slog.NewTextHandler(&log, nil)), Now: time.Now, Health: func(error) {}})
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { _ = in.Run(ctx) })
		for range 3 {
			if id := <-s.sealed; id != "r-0000000002" {
				t.Errorf("%s is sealed", id)
			}
		}
		cancel()
		wg.Wait()
		if n := strings.Count(log.String(), "malformed"); n != 1 {
			t.Errorf("the damage is logged %d times: %s", n, log.String())
		}
	})
}

// awayStore has logs to seal, and an archive that does not answer until it is told to. It counts how often it is asked.
type awayStore struct {
	*store.Store
	mu    sync.Mutex
	here  bool
	asked int
	left  []run.ID
}

func (s *awayStore) UnsealedRuns(context.Context, int) ([]run.ID, error) { return nil, nil }

func (s *awayStore) LeftUnsealed(context.Context, time.Time) ([]run.ID, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.left), nil
}

func (s *awayStore) Seal(_ context.Context, id run.ID, _ int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
	if !s.here {
		return fault.ErrArchiveUnavailable.Fault()
	}
	s.left = slices.DeleteFunc(s.left, func(other run.ID) bool { return other == id })
	return nil
}

// TestAnArchiveThatIsAwayIsToldAndWaitedFor for an hour.
func TestAnArchiveThatIsAwayIsToldAndWaitedFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		s := &awayStore{Store: r.store, left: []run.ID{"r-0000000002", "r-0000000003", "r-0000000004"}}
		var told []bool // by one goroutine
		in := ingest.New(ingest.Options{Tailer: goneTailer{}, Store: s, Publisher: r.hub, Logger: slog.New(slog.DiscardHandler), Now: time.Now, Health: func(error) {}, Archive: func(err error) {
			if ok := err == nil; len(told) == 0 || told[len(told)-1] != ok {
				told = append(told, ok)
			}
		}})
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { _ = in.Run(ctx) })
		time.Sleep(time.Hour)
		s.mu.Lock()
		if s.asked < 1000 || s.asked > 2000 {
			t.Errorf("it is asked %d times in an hour, not once for all runs every two seconds", s.asked)
		}
		s.here = true
		s.mu.Unlock()
		time.Sleep(10 * time.Second)
		cancel()
		wg.Wait()
		if len(s.left) > 0 || !slices.Equal(told, []bool{false, true}) {
			t.Errorf("not sealed after its return: %v; told %v", s.left, told)
		}
	})
}

// TestALogIsSealedAfterItsEnd has a run end.
func TestALogIsSealedAfterItsEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		b := &store.Batch{RunID: r.id, AllocID: "a", Stream: "stdout", Log: []byte("its last line\n"), To: store.Cursor{File: "f", Offset: 14}}
		if err := r.store.Commit(t.Context(), []*store.Batch{b}); err != nil {
			t.Fatal(err)
		}
		unsealed := func() int {
			ids, err := r.store.UnsealedRuns(t.Context(), 1)
			if err != nil {
				t.Fatal(err)
			}
			return len(ids)
		}
		time.Sleep(5 * time.Minute)
		if unsealed() != 1 {
			t.Error("the log of a live run is sealed")
		}
		if _, err := r.store.Update(t.Context(), r.id, func(u *store.Update) error { return u.Move(run.Stopped, "ann", "", time.Now()) }); err != nil {
			t.Fatal(err)
		}
		time.Sleep(4 * time.Second)
		if unsealed() != 1 {
			t.Error("it is sealed while its last lines may be on their way")
		}
		time.Sleep(5 * time.Minute)
		if unsealed() != 0 {
			t.Error("the log of a run that ended is never sealed")
		}
	})
}
