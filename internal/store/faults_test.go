package store_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store"
	"github.com/cotrain/cotrain/internal/store/db"
	"github.com/cotrain/cotrain/internal/store/pgtest"
	"github.com/cotrain/cotrain/internal/store/points"
	"github.com/cotrain/cotrain/internal/store/storetest"
)

// on is a store that waits for a busy machine, too.
func on(url string) db.Options { return db.Options{URL: url} }

// quick is a store that has not long to wait for a server that never answers.
func quick(url string) db.Options {
	return db.Options{URL: url, ConnectTimeout: 3 * time.Second, Timeout: 3 * time.Second}
}

// told expects an error of a kind, with words.
func told(t *testing.T, what string, err error, kind fault.Kind, words string) {
	t.Helper()
	if f := fault.Of(err); f.Kind != kind || !strings.Contains(f.Text(), words) {
		t.Errorf("%s: %v; want %s with %q", what, err, kind, words)
	}
}

func unavailable(err error) bool { return errors.Is(err, fault.ErrStoreUnavailable) }

// ingest stores n numbered lines of a worker, each with a point, as ingest does: after an error it looks where it is.
func ingest(ctx context.Context, s *store.Store, id run.ID, rank, n int, failed, stored *atomic.Int64) error {
	for ctx.Err() == nil {
		cur, err := s.Cursor(ctx, string(id)+strconv.Itoa(rank), "stdout")
		for err == nil {
			next := cur.Offset
			if next == int64(n) {
				return nil
			}
			b := &store.Batch{
				RunID: id, AllocID: string(id) + strconv.Itoa(rank), Stream: "stdout", Rank: rank, Attempt: 1, From: cur, To: store.Cursor{File: "f", Offset: next + 1},
				Log: fmt.Appendf(nil, "%d\n", next), Points: []points.Point{{Metric: "loss", Step: next, Value: float64(next)}}, Events: []run.Event{{RunID: id, Rank: rank}},
			}
			if err = s.Commit(ctx, []*store.Batch{b}); err == nil {
				cur = b.To
				stored.Add(1)
			}
		}
		if !unavailable(err) && !errors.Is(err, fault.ErrConflict) {
			return err
		}
		failed.Add(1)
		time.Sleep(5 * time.Millisecond) // so as not to spin
	}
	return ctx.Err()
}

func TestIngestOutlivesItsDatabase(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t)
	network := pgtest.NewProxy(t, server.URL())
	s := openAt(t, quick(network.URL()))
	if _, _, err := s.CreateRun(t.Context(), newRun(raced), "", run.Event{}); err != nil {
		t.Fatal(err)
	}
	const workers, n = 3, 400
	var failed, stored atomic.Int64
	var streams sync.WaitGroup
	for rank := range workers {
		streams.Go(func() {
			if err := ingest(t.Context(), s, raced, rank, n, &failed, &stored); err != nil {
				t.Errorf("worker %d: %v", rank, err)
			}
		})
	}
	more := func(counter *atomic.Int64, what string) {
		before := counter.Load()
		eventually(t, what, func() bool {
			return counter.Load() > before+workers || counter == &stored && counter.Load() == workers*n
		})
	}
	for what, trouble := range map[string][2]func(){
		"a restart":               {server.Restart, func() {}},
		"an end":                  {func() { server.Stop(); more(&failed, "it is noticed") }, server.Restart},
		"a cut":                   {func() { network.Cut(); more(&failed, "it is noticed") }, network.Restore},
		"a server that hangs":     {func() { network.Hang(); more(&failed, "it is noticed") }, network.Restore},
		"a paused server":         {func() { server.Pause(); more(&failed, "it is noticed") }, server.Resume},
		"an administrator's kill": {func() { kill(t, server.URL()) }, func() {}},
	} {
		more(&stored, "lines are stored before "+what)
		trouble[0]()
		trouble[1]()
		more(&stored, "lines are stored after "+what)
	}
	streams.Wait()
	found, err := s.Logs(t.Context(), raced, run.LogQuery{Rank: -1, Limit: 10_000})
	if err != nil || len(found) != workers*n {
		t.Errorf("%d lines are stored, want %d: %v", len(found), workers*n, err)
	}
	next := make([]int, workers)
	for _, l := range found {
		if l.Text != strconv.Itoa(next[l.Rank]) {
			t.Fatalf("line %d of worker %d is %q", next[l.Rank], l.Rank, l.Text)
		}
		next[l.Rank]++
	}
	pts, err := storetest.AllPoints(t.Context(), s, raced, "loss")
	evs, err2 := s.Events(t.Context(), raced, 0, 10_000)
	if err := errors.Join(err, err2); err != nil || len(pts) != workers*n || len(evs) != workers*n {
		t.Errorf("%d points, %d events: %v", len(pts), len(evs), err)
	}
	select {
	case err := <-s.Gone():
		t.Error(err)
	default:
	}
}

// kill ends all other sessions of a database.
func kill(t *testing.T, url string) {
	t.Helper()
	raw := session(t, url)
	if _, err := raw.ExecContext(context.Background(), `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()`); err != nil {
		t.Error(err)
	}
}

// TestEveryCallOfADatabaseThatHangsEnds has a short time-out for each. What never ends fails by the limit of all tests.
func TestEveryCallOfADatabaseThatHangsEnds(t *testing.T) {
	t.Parallel()
	network := pgtest.NewProxy(t, pgtest.URL(t))
	s := openAt(t, quick(network.URL()))
	if _, _, err := s.CreateRun(t.Context(), newRun(raced), "", run.Event{}); err != nil {
		t.Fatal(err)
	}
	calls := map[string]func(context.Context) error{
		"CreateRun": func(ctx context.Context) error {
			_, _, err := s.CreateRun(ctx, newRun("r-0000000002"), "", run.Event{})
			return err
		},
		"Update": func(ctx context.Context) error {
			_, err := s.Update(ctx, raced, func(*store.Update) error { return nil })
			return err
		},
		"Commit":       func(ctx context.Context) error { return s.Commit(ctx, []*store.Batch{lines(0, store.Cursor{}, "x")}) },
		"SaveProgress": func(ctx context.Context) error { return s.SaveProgress(ctx, raced, run.Progress{}) },
		"Run":          func(ctx context.Context) error { _, err := s.Run(ctx, raced); return err },
		"Runs": func(ctx context.Context) error {
			_, err := s.Runs(ctx, run.RunFilter{Projects: run.AllProjects()})
			return err
		},
		"Logs": func(ctx context.Context) error { _, err := s.Logs(ctx, raced, run.LogQuery{}); return err },
		"Seal": func(ctx context.Context) error { return s.Seal(ctx, raced, 1) },
		"Ping": s.Ping,
	}
	network.Hang()
	var all sync.WaitGroup
	for name, do := range calls {
		all.Go(func() { told(t, name, do(context.Background()), fault.ErrStoreUnavailable, "PostgreSQL") })
	}
	all.Wait()
	network.Restore()
	eventually(t, "it works again", func() bool { return calls["Update"](context.Background()) == nil })
	network.Hang()
	_ = s.Close() // it cannot say good-bye
}

// TestACommitWhoseAnswerIsLostIsToldAndDoneOnceMore cuts the connection before the server gets the COMMIT, and before its answer is
// there. The caller does the same again, and all is stored once.
func TestACommitWhoseAnswerIsLostIsToldAndDoneOnceMore(t *testing.T) {
	t.Parallel()
	url := pgtest.URL(t)
	network := pgtest.NewProxy(t, url)
	s, raw := openAt(t, on(network.URL())), session(t, url)
	if _, _, err := s.CreateRun(t.Context(), newRun(raced), "", run.Event{}); err != nil {
		t.Fatal(err)
	}
	count := func(query string) (n int) {
		if err := raw.QueryRowContext(t.Context(), query).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	calls := map[string]struct {
		do    func() error
		count string // 1 for each time
	}{
		"CreateRun": {func() error {
			_, _, err := s.CreateRun(t.Context(), newRun("r-0000000002"), "k", run.Event{})
			return err
		}, `SELECT count(*) FROM runs WHERE submit_key = 'default/k'`},
		"Commit": {func() error {
			var failed, stored atomic.Int64
			if err := ingest(t.Context(), s, raced, 0, 1, &failed, &stored); err != nil || failed.Load() == 0 {
				return err
			}
			return fault.New(fault.ErrStoreUnavailable, "it may be stored or not", "") // ingest has got over it
		}, `SELECT count(*) FROM log_chunks`},
		"Update": {func() error {
			_, err := s.Update(t.Context(), raced, func(u *store.Update) error {
				if u.Run.State != run.Queued {
					return nil // the run says that it is done
				}
				return u.Stop("me", run.StopByPerson, time.Now())
			})
			return err
		}, `SELECT count(*) FROM events WHERE to_state = 'stopped'`},
		"SaveTemplate": {func() error {
			_, err := s.SaveTemplate(t.Context(), run.Template{Project: "default", Name: "t", Config: "x"}, run.AnyVersion)
			return err
		}, `SELECT count(*) FROM templates`},
	}
	commit := func(message []byte) bool { return message[0] == 'Q' && bytes.HasPrefix(message[5:], []byte("commit")) }
	for name, c := range calls {
		for _, cut := range []func(func([]byte) bool) <-chan struct{}{network.CutBefore, network.CutAfter} {
			for _, table := range []string{"runs WHERE submit_key = 'default/k'", "run_texts WHERE id = 'r-0000000002'", "log_chunks", "streams", "points", "events", "templates"} {
				if _, err := raw.ExecContext(t.Context(), "DELETE FROM "+table); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := raw.ExecContext(t.Context(), `UPDATE runs SET state = 'queued', stop_requested = 0`); err != nil {
				t.Fatal(err)
			}
			sprung := cut(commit)
			told(t, name, c.do(), fault.ErrStoreUnavailable, "it may be stored or not")
			select {
			case <-sprung:
			case <-time.After(patience):
				t.Errorf("%s was not cut", name)
			}
			if err := c.do(); err != nil {
				t.Errorf("%s again: %v", name, err)
			}
			if n := count(c.count); n != 1 {
				t.Errorf("%s is stored %d times", name, n)
			}
		}
	}
}

func TestACancelledStatementIsSaidSoAndLosesNothing(t *testing.T) {
	r := begin(t)
	update := func() error {
		_, err := r.Update(context.Background(), raced, func(*store.Update) error { return nil })
		return err
	}
	release := r.hold(lockRun)
	waits := start(update)
	r.waiting(1)
	r.exec(`SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`)
	told(t, "cancelled", r.errors(waits)[0], fault.ErrStoreUnavailable, "cancelled this")
	release()
	r.end(start(update))
}

func TestAStatementThatTakesTooLongIsSaidSo(t *testing.T) {
	t.Parallel()
	url := pgtest.URL(t)
	r := &race{Store: openAt(t, quick(url)), t: t, raw: session(t, url)}
	r.create(raced)
	release := r.hold(lockRun)
	_, err := r.Update(t.Context(), raced, func(*store.Update) error { return nil })
	told(t, "a lock that is held", err, fault.ErrStoreUnavailable, "it took too long")
	release()
	if err := r.Ping(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestAFullDiskOfTheServerIsSaidSoAndLosesNothing(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t, pgtest.Disk(64))
	s := openAt(t, on(server.URL()))
	if _, _, err := s.CreateRun(t.Context(), newRun(raced), "", run.Event{}); err != nil {
		t.Fatal(err)
	}
	server.FillDisk()
	var cur store.Cursor
	stored := 0
	write := func() error {
		b := lines(0, cur, strings.Repeat("x", 100_000))
		err := s.Commit(t.Context(), []*store.Batch{b})
		if err == nil {
			cur, stored = b.To, stored+1
		}
		return err
	}
	var err error
	for range 100 {
		if err = write(); err != nil {
			break
		}
	}
	told(t, "a full disk", err, fault.ErrFull, "The disk of the PostgreSQL server is full")
	told(t, "the store of itself", s.Ping(t.Context()), fault.ErrFull, "PostgreSQL server")
	if _, err := s.Run(t.Context(), raced); err != nil {
		t.Errorf("reading from a full disk: %v", err)
	}
	server.FreeDisk()
	eventually(t, "it works again", func() bool { return s.Ping(t.Context()) == nil })
	if err := write(); err != nil {
		t.Error(err)
	}
	if found, err := s.Logs(t.Context(), raced, run.LogQuery{Rank: -1, Limit: 1000}); err != nil || len(found) != stored {
		t.Errorf("%d lines, %v; want %d", len(found), err, stored)
	}
}

// TestAServerThatOnlyReadsIsSaidSo is what a failover looks like while the address still leads to the old primary.
func TestAServerThatOnlyReadsIsSaidSo(t *testing.T) {
	t.Parallel()
	url := pgtest.URL(t)
	s, raw := openAt(t, on(url)), session(t, url+"&default_transaction_read_only=off")
	if _, _, err := s.CreateRun(t.Context(), newRun(raced), "", run.Event{}); err != nil {
		t.Fatal(err)
	}
	set := func(to string) {
		if _, err := raw.ExecContext(t.Context(), `DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET default_transaction_read_only = `+to+`', current_database()); END $$`); err != nil {
			t.Fatal(err)
		}
	}
	set("on")
	kill(t, url)
	eventually(t, "the store tells", func() bool {
		err := s.Ping(t.Context())
		return unavailable(err) && strings.Contains(fault.Of(err).What, "only allows reading")
	})
	if _, err := s.Run(t.Context(), raced); err != nil {
		t.Errorf("reading: %v", err)
	}
	set("off") // for new connections, as when the address leads to the new primary
	eventually(t, "it works again", func() bool { return s.Ping(t.Context()) == nil })
}
