package store_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
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

// leftovers are the rows of runs that do not exist.
func (r *race) leftovers() {
	r.t.Helper()
	if err := r.Tidy(r.t.Context()); err != nil {
		r.t.Error(err)
	}
	for _, table := range []string{"attempts", "workers", "events", "streams", "log_chunks", "log_blocks", "checkpoints", "curve_blocks", "curve_columns", "stale_curves", "repeats", "series", "run_metrics", "stale_metrics"} {
		if n := r.ask(`SELECT count(*) FROM ` + table + ` WHERE run_id NOT IN (SELECT id FROM runs)`); n > 0 {
			r.t.Errorf("%d rows of %s are of a deleted run", n, table)
		}
	}
	for _, table := range []string{"points", "point_chunks"} {
		if n := r.ask(`SELECT count(*) FROM ` + table + ` WHERE series NOT IN (SELECT id FROM series)`); n > 0 {
			r.t.Errorf("%d rows of %s are of no series", n, table)
		}
	}
}

// lines is a batch of one line of a worker, from a place in its stream.
func lines(rank int, from store.Cursor, text string, pts ...points.Point) *store.Batch {
	return &store.Batch{
		RunID: raced, AllocID: fmt.Sprint("a", rank), Stream: "stdout", Rank: rank, Attempt: 1, At: time.UnixMilli(1e12), From: from,
		To: store.Cursor{File: "f", Offset: from.Offset + int64(len(text)) + 1}, Log: []byte(text + "\n"), Points: pts,
	}
}

func losses(from, to int64) (all []points.Point) {
	for step := from; step <= to; step++ {
		all = append(all, points.Point{Metric: "loss", Step: step, Value: float64(step)})
	}
	return all
}

func (r *race) commit(batches ...*store.Batch) *call {
	return start(func() error { return r.Commit(context.Background(), batches) })
}

func (r *race) committed(batches ...*store.Batch) {
	r.t.Helper()
	if err := r.Commit(r.t.Context(), batches); err != nil {
		r.t.Fatal(err)
	}
}

func (r *race) texts(after run.LogPos) (all []string, last run.LogPos) {
	r.t.Helper()
	found, err := r.Logs(r.t.Context(), raced, run.LogQuery{Rank: -1, After: after, Limit: 1000})
	if err != nil {
		r.t.Fatal(err)
	}
	for _, l := range found {
		all, after = append(all, l.Text), l.Pos
	}
	return all, after
}

// TestNothingComesBackOfADeletedRun stops transactions halfway, deletes the run, and lets them go on.
func TestNothingComesBackOfADeletedRun(t *testing.T) {
	for what, test := range map[string]struct {
		stop string // the statement of another session
		call func(r *race, ctx context.Context) error
	}{
		"a batch": {blocks("series"), func(r *race, ctx context.Context) error {
			b := lines(1, store.Cursor{}, "x", points.Point{Metric: "new", Step: 1})
			b.Events, b.Checkpoints = []run.Event{{RunID: raced}}, []store.Checkpoint{{Step: 1}}
			return r.Commit(ctx, []*store.Batch{b})
		}},
		"an update": {blocks("orders"), func(r *race, ctx context.Context) error {
			_, err := r.Update(ctx, raced, func(u *store.Update) error {
				u.Attempt = run.Attempt{RunID: raced, Number: 1, JobID: "j"}
				u.Workers = append(u.Workers, run.Worker{AllocID: "w", RunID: raced, Attempt: 1})
				u.Events = append(u.Events, run.Event{RunID: raced})
				u.StopJob()
				return nil
			})
			return err
		}},
		"the steps of curves to do": {`INSERT INTO stale_curves VALUES ('` + string(raced) + `', 1, 0, 0)`, func(r *race, ctx context.Context) error {
			_, _, err := r.RollUp(ctx, raced)
			return err
		}},
		"curves":            {blocks("curve_blocks"), func(r *race, ctx context.Context) error { _, _, err := r.RollUp(ctx, raced); return err }},
		"chunks of points":  {blocks("point_chunks"), func(r *race, ctx context.Context) error { return r.sealAll(ctx) }},
		"blocks of the log": {blocks("log_blocks"), func(r *race, ctx context.Context) error { return r.Seal(ctx, raced, 1) }},
	} {
		t.Run(what, func(t *testing.T) {
			r := begin(t)
			r.exec(ended)
			r.committed(lines(0, store.Cursor{}, "line", losses(1, 9)...))
			release := r.hold(test.stop)
			first := start(func() error { return test.call(r, context.Background()) })
			r.waiting(1)
			deleting := start(func() error { return r.DeleteRun(context.Background(), raced) })
			r.blockedOrDone(deleting, 1)
			release()
			if err := r.errors(first)[0]; err != nil && !errors.Is(err, fault.ErrNotFound) { // curves are of two transactions
				t.Error(err)
			}
			r.end(deleting)
			r.leftovers()
		})
	}
}

func (r *race) sealAll(ctx context.Context) error {
	for {
		if more, err := r.SealPoints(ctx); err != nil || !more {
			return err
		}
	}
}

// lateBlobs has the run deleted just before its archive gets a block.
type lateBlobs struct {
	store.Blobs
	delete func()
}

func (b lateBlobs) Put(ctx context.Context, name string, data []byte) error {
	b.delete()
	return b.Blobs.Put(ctx, name, data)
}

func TestALogThatIsSealedWhileItsRunIsDeletedIsGone(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]func() db.Options{
		"SQLite":     func() db.Options { return db.Options{File: filepath.Join(t.TempDir(), "cotrain.db")} },
		"PostgreSQL": func() db.Options { return db.Options{URL: pgtest.URL(t)} },
	} {
		dir := t.TempDir()
		files, err := store.NewFileBlobs(dir)
		if err != nil {
			t.Fatal(err)
		}
		late := &lateBlobs{Blobs: files}
		s, err := store.OpenWith(t.Context(), o(), late)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
		late.delete = func() {
			if err := s.DeleteRun(t.Context(), raced); err != nil {
				t.Error(err)
			}
		}
		if _, _, err := s.CreateRun(t.Context(), newRun(raced), "", run.Event{}); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(s.Commit(t.Context(), []*store.Batch{lines(0, store.Cursor{}, "x")}), s.Seal(t.Context(), raced, 1)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		left, err := os.ReadDir(dir)
		if err != nil || len(left) > 0 {
			t.Errorf("%s: in the archive is %v, %v", name, left, err)
		}
		if found, err := s.Logs(t.Context(), raced, run.LogQuery{Rank: -1, Limit: 10}); err != nil || len(found) > 0 {
			t.Errorf("%s: lines %+v, %v", name, found, err)
		}
	}
}

// TestPagesMissNothing has two transactions add to a run: what a reader has not seen comes after what it has.
func TestPagesMissNothing(t *testing.T) {
	r := begin(t)
	late, quick := lines(0, store.Cursor{}, "late", losses(1, 1)...), lines(1, store.Cursor{}, "quick")
	late.Events, quick.Events = []run.Event{{RunID: raced, Kind: "late"}}, []run.Event{{RunID: raced, Kind: "quick"}}
	release := r.hold(blocks("events"), blocks("series"))
	first := r.commit(late)
	r.waiting(1)
	release()
	release = r.hold(blocks("orders"))
	r.end(first)
	slow := start(func() error {
		_, err := r.Update(context.Background(), raced, func(u *store.Update) error {
			u.Events, u.Orders = append(u.Events, run.Event{RunID: raced, Kind: "slow"}), append(u.Orders, store.Order{JobID: "j"})
			return nil
		})
		return err
	})
	r.waiting(1)
	second := r.commit(quick)
	r.blockedOrDone(second, 1)
	seen, err := r.Events(t.Context(), raced, 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	release()
	r.end(slow, second)
	rest, err := r.Events(t.Context(), raced, seen[len(seen)-1].Seq, 100)
	if err != nil || len(seen)+len(rest) != 4 {
		t.Errorf("events %+v, then %+v: %v", seen, rest, err)
	}

	release = r.hold(blocks("series"))
	first = r.commit(lines(2, store.Cursor{}, "slow", points.Point{Metric: "other", Step: 1}))
	r.waiting(1)
	second = r.commit(lines(3, store.Cursor{}, "fast"))
	r.blockedOrDone(second, 1)
	before, pos := r.texts(0)
	release()
	r.end(first, second)
	after, _ := r.texts(pos)
	if all := strings.Join(append(before, after...), " "); all != "late quick slow fast" {
		t.Errorf("lines %q, then %q", before, after)
	}
}

func TestLatePointsInASealedRangeStay(t *testing.T) {
	r := begin(t)
	r.exec(ended)
	var even []points.Point
	for step := int64(0); step < 20; step += 2 {
		even = append(even, points.Point{Metric: "loss", Step: step, Value: 1})
	}
	first := lines(0, store.Cursor{}, "even", even...)
	r.committed(first)
	release := r.hold(blocks("point_chunks"))
	sealing := start(func() error { return r.sealAll(context.Background()) })
	r.waiting(1)
	late := r.commit(lines(0, first.To, "odd", losses(1, 3)[0], losses(1, 3)[2]))
	r.blockedOrDone(late, 1)
	release()
	r.end(sealing, late)
	stored, err := storetest.AllPoints(t.Context(), r, raced, "loss")
	if err != nil || len(stored) != len(even)+2 {
		t.Errorf("%d points, %v; want %d", len(stored), err, len(even)+2)
	}
	if r.ask(`SELECT count(*) FROM point_chunks`) == 0 {
		t.Error("nothing was sealed")
	}
}

func TestACurveIsOfItsPointsWhenAnAttemptRepeatsStepsMeanwhile(t *testing.T) {
	r := begin(t)
	r.committed(lines(0, store.Cursor{}, "first", losses(0, 9)...))
	release := r.hold(blocks("curve_blocks"))
	rolling := start(func() error { _, _, err := r.RollUp(context.Background(), raced); return err })
	r.waiting(1)
	again := lines(1, store.Cursor{}, "second", points.Point{Metric: "loss", Step: 5, Value: 500})
	again.Attempt = 2
	rewinding := r.commit(again)
	r.blockedOrDone(rewinding, 1)
	release()
	r.end(rolling, rewinding)
	for more := true; more; {
		var err error
		if _, more, err = r.RollUp(t.Context(), raced); err != nil {
			t.Fatal(err)
		}
	}
	curve, err := r.Curve(t.Context(), raced, "loss", 0)
	if err != nil || len(curve) != 6 || curve[4].Mean != 4 || curve[5].Mean != 500 {
		t.Errorf("curve %+v, %v", curve, err)
	}
}
