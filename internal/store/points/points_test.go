package points_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/series"
	"github.com/cotrain/cotrain/internal/store"
	"github.com/cotrain/cotrain/internal/store/db"
	"github.com/cotrain/cotrain/internal/store/pgtest"
	"github.com/cotrain/cotrain/internal/store/points"
	"github.com/cotrain/cotrain/internal/store/storetest"
)

// place is where a store is; without url its database is in the folder.
type place struct{ dir, url string }

func (p place) open(ctx context.Context) (*store.Store, error) {
	return store.OpenAt(ctx, p.dir, db.Options{URL: p.url, MaxConns: 4})
}

// onBoth runs a test on an empty place with SQLite and on one with PostgreSQL.
func onBoth(t *testing.T, test func(*testing.T, place)) {
	t.Helper()
	t.Parallel()
	t.Run("SQLite", func(t *testing.T) {
		t.Parallel()
		test(t, place{t.TempDir(), ""})
	})
	t.Run("PostgreSQL", func(t *testing.T) {
		t.Parallel()
		test(t, place{t.TempDir(), pgtest.URL(t)})
	})
}

func open(t *testing.T, p place) *store.Store {
	t.Helper()
	s, err := p.open(t.Context())
	must(t, err)
	t.Cleanup(func() { must(t, s.Close()) })
	return s
}

func TestPoints(t *testing.T) {
	onBoth(t, func(t *testing.T, p place) {
		most := 60
		if p.url != "" {
			most = 8
		}
		storetest.RunPoints(t, most, func() (storetest.Store, error) {
			s, err := p.open(t.Context())
			if err == nil {
				s.SetPointsPerChunk(5)
			}
			return s, err
		})
		s := open(t, p)
		if rows, chunks, err := s.CountPoints(t.Context()); err != nil || rows != 0 || chunks != 0 {
			t.Errorf("deleted runs have left %d rows and %d chunks, %v", rows, chunks, err)
		}
	})
}

const pointsRun = run.ID("r-0000000001")

// train makes a worker report steps of two metrics: each value is its step.
func train(ctx context.Context, s *store.Store, rank int, from, to int64) error {
	b := &store.Batch{
		RunID: pointsRun, AllocID: fmt.Sprint("a", rank), Stream: "stdout", Rank: rank, Attempt: 1, At: time.UnixMilli(1_700_000_000_000 + from),
		From: store.Cursor{File: "f", Offset: from}, To: store.Cursor{File: "f", Offset: to},
	}
	if from == 0 {
		b.From = store.Cursor{}
	}
	for step := from; step < to; step++ {
		for _, m := range []string{"loss", "other"} {
			b.Points = append(b.Points, points.Point{Metric: m, Step: step, Value: float64(step), Exact: true})
		}
	}
	return s.Commit(ctx, []*store.Batch{b})
}

// again makes a second attempt report a step.
func again(ctx context.Context, s *store.Store, step int64) error {
	return s.Commit(ctx, []*store.Batch{{
		RunID: pointsRun, AllocID: "again", Stream: "stdout", Attempt: 2, At: time.UnixMilli(1_800_000_000_000), To: store.Cursor{File: "f", Offset: 1},
		Points: []points.Point{{Metric: "loss", Step: step, Value: 1}},
	}})
}

func sealAll(ctx context.Context, s *store.Store) error {
	for more := true; more; {
		var err error
		if more, err = s.SealPoints(ctx); err != nil {
			return err
		}
	}
	return nil
}

func createPointsRun(ctx context.Context, s *store.Store) error {
	_, _, err := s.CreateRun(ctx, run.Run{ID: pointsRun, State: run.Queued}, "", run.Event{RunID: pointsRun})
	return err
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// counts checks how many rows and chunks there are.
func counts(t *testing.T, s *store.Store, when string, wantRows, wantChunks int) {
	t.Helper()
	rows, chunks, err := s.CountPoints(t.Context())
	if err != nil || rows != wantRows || chunks != wantChunks {
		t.Errorf("%s: %d rows and %d chunks, %v; want %d and %d", when, rows, chunks, err, wantRows, wantChunks)
	}
}

func TestTheNewestPointsStayRowsUntilTheRunHasEnded(t *testing.T) {
	onBoth(t, newestPointsStayRows)
}

func newestPointsStayRows(t *testing.T, p place) {
	s := open(t, p)
	s.SetPointsPerChunk(100)
	must(t, createPointsRun(t.Context(), s))
	must(t, train(t.Context(), s, 0, 0, 199))
	must(t, sealAll(t.Context(), s))
	counts(t, s, "199 steps", 2*199, 0)
	must(t, train(t.Context(), s, 0, 199, 200))
	must(t, sealAll(t.Context(), s))
	counts(t, s, "200 steps", 2*136, 2)          // chunks end at multiples of 64
	must(t, train(t.Context(), s, 0, 200, 5250)) // more of a series than one call does
	must(t, train(t.Context(), s, 1, 0, 50))
	must(t, sealAll(t.Context(), s))
	counts(t, s, "5250 steps", 2*(194+50), 2*79)
	_, err := s.Update(t.Context(), pointsRun, func(u *store.Update) error {
		_, err := u.Run.Transition(run.Failed, "test", "", time.UnixMilli(9000))
		return err
	})
	must(t, err)
	must(t, sealAll(t.Context(), s))
	counts(t, s, "ended", 0, 2*(82+1))
	must(t, train(t.Context(), s, 1, 50, 51)) // late
	must(t, sealAll(t.Context(), s))
	counts(t, s, "later", 0, 2*(82+2))
	must(t, again(t.Context(), s, 150))
	counts(t, s, "repeated from step 150 on", 1, 2*(82+2)) // what is replaced stays where it is
	must(t, s.DeleteRun(t.Context(), pointsRun))
	counts(t, s, "deleted", 0, 0)
}

// TestTheLaterOfTwoReportsIsTheOneThatIsReplaced has a worker report a sealed step again, and an attempt repeat both.
func TestTheLaterOfTwoReportsIsTheOneThatIsReplaced(t *testing.T) {
	onBoth(t, func(t *testing.T, p place) {
		s := open(t, p)
		s.SetPointsPerChunk(5)
		must(t, createPointsRun(t.Context(), s))
		report := func(file string, attempt int, steps map[int64]float64) {
			b := &store.Batch{RunID: pointsRun, AllocID: fmt.Sprint("a", attempt), Stream: file, Attempt: attempt, At: time.UnixMilli(1_700_000_000_000), To: store.Cursor{File: file, Offset: 1}}
			for step, v := range steps {
				b.Points = append(b.Points, points.Point{Metric: "loss", Step: step, Value: v})
			}
			must(t, s.Commit(t.Context(), []*store.Batch{b}))
			must(t, sealAll(t.Context(), s))
		}
		first := map[int64]float64{}
		for step := range int64(200) {
			first[step] = 1
		}
		report("first", 1, first)
		_, err := s.Update(t.Context(), pointsRun, func(u *store.Update) error {
			_, err := u.Run.Transition(run.Failed, "test", "", time.UnixMilli(9000))
			return err
		})
		must(t, err)
		must(t, sealAll(t.Context(), s))
		report("again", 1, map[int64]float64{3: 2})
		report("next", 2, map[int64]float64{2: 3})
		v, err := s.View(t.Context(), pointsRun, "loss", points.ViewQuery{To: 1000, Limit: 1000, Replaced: 1})
		must(t, err)
		for _, c := range v.Columns {
			if want := map[bool]float64{true: 2, false: 1}[c.First == 3]; c.Value != want {
				t.Errorf("step %d of the replaced attempt is %v, want %v", c.First, c.Value, want)
			}
		}
		if len(v.Columns) != 198 {
			t.Errorf("%d replaced steps, want 198", len(v.Columns))
		}
	})
}

// TestReplacedPartsAreKept has each attempt repeat half of the one before.
func TestReplacedPartsAreKept(t *testing.T) {
	onBoth(t, func(t *testing.T, p place) {
		s := open(t, p)
		s.SetPointsPerChunk(20)
		must(t, createPointsRun(t.Context(), s))
		const attempts = 12
		for attempt := 1; attempt <= attempts; attempt++ {
			for rank := range 2 {
				b := &store.Batch{RunID: pointsRun, AllocID: fmt.Sprint(attempt, "/", rank), Stream: "stdout", Rank: rank, Attempt: attempt, At: time.UnixMilli(1), To: store.Cursor{File: "f", Offset: 1}}
				for step := int64(50 * (attempt - 1)); step < int64(50*(attempt+1)); step++ {
					for _, m := range []string{"loss", "other"} {
						b.Points = append(b.Points, points.Point{Metric: m, Step: step, Value: float64(attempt + 100*rank)})
					}
				}
				must(t, s.Commit(t.Context(), []*store.Batch{b}))
			}
			must(t, sealAll(t.Context(), s))
		}
		must(t, s.Tidy(t.Context()))
		joins, err := s.Joins(t.Context(), pointsRun)
		if err != nil || len(joins) != attempts-1 || joins[0] != (points.Join{Attempt: 2, From: 50}) {
			t.Errorf("joins %+v, %v", joins, err)
		}
		for attempt := 1; attempt <= attempts; attempt++ {
			for _, metric := range []string{"loss", "other"} {
				for _, worker := range []int{points.AllWorkers, 1} {
					v, err := s.View(t.Context(), pointsRun, metric, points.ViewQuery{Worker: worker, To: 1000, Limit: 1, Replaced: attempt})
					must(t, err)
					want := int64(50)
					if attempt == attempts {
						want = 0
					}
					if v.Points != want || want > 0 && (v.Columns[0].First != int64(50*attempt) || v.Columns[0].Max != float64(attempt+100)) {
						t.Errorf("attempt %d, %s of worker %d: %+v", attempt, metric, worker, v)
					}
				}
			}
		}
		must(t, s.DeleteRun(t.Context(), pointsRun))
		counts(t, s, "deleted", 0, 0)
	})
}

// TestRowsOfAnEarlierConsoleAreSealed has more series than one look at them takes in.
func TestRowsOfAnEarlierConsoleAreSealed(t *testing.T) {
	onBoth(t, earlierRowsAreSealed)
}

func earlierRowsAreSealed(t *testing.T, p place) {
	s, err := p.open(t.Context())
	must(t, err)
	must(t, createPointsRun(t.Context(), s))
	for rank := range 300 {
		must(t, train(t.Context(), s, rank, 0, int64(rank%20)+1))
	}
	rows, _, err := s.CountPoints(t.Context())
	must(t, err)
	must(t, s.Close())
	s = open(t, p)
	s.SetPointsPerChunk(5)
	must(t, sealAll(t.Context(), s))
	chunks, left := 0, 0
	for rank := range 300 {
		n := max(0, (rank%20+1-10)/4+1) // 4 steps at a time, while there are 10
		if rank%20+1 < 10 {
			n = 0
		}
		chunks, left = chunks+2*n, left+2*(rank%20+1-4*n)
	}
	if left == rows {
		t.Fatal("nothing to seal")
	}
	counts(t, s, "sealed", left, chunks)
}

// execute runs statements on the database of an open store.
func execute(t *testing.T, dir string, queries ...string) {
	t.Helper()
	raw, err := sql.Open("sqlite", filepath.Join(dir, "cotrain.db"))
	must(t, err)
	for _, q := range queries {
		if _, err := raw.ExecContext(t.Context(), q); err != nil {
			t.Errorf("%s: %v", q, err)
		}
	}
	must(t, raw.Close())
}

// TestADamagedChunkIsSaidSoAndOnlyByWhatReadsIt also shows how little a page reads.
func TestADamagedChunkIsSaidSoAndOnlyByWhatReadsIt(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, place{dir: dir})
	s.SetPointsPerChunk(100)
	must(t, createPointsRun(t.Context(), s))
	for rank := range 3 {
		must(t, train(t.Context(), s, rank, 0, 1050))
	}
	must(t, sealAll(t.Context(), s))
	page := func(after int64, limit int) ([]points.WorkerPoint, error) {
		return s.PointsPage(t.Context(), pointsRun, "other", 0, &points.PageCursor{Rank: 1, Step: after}, limit)
	}
	said := func(what string, err error) {
		t.Helper()
		if !errors.Is(err, series.ErrDamaged) || !strings.Contains(err.Error(), "series other of worker 1 of "+string(pointsRun)) {
			t.Errorf("%s: %v", what, err)
		}
	}
	// The chunk of steps 320 to 383 of worker 1.
	execute(t, dir, `CREATE TABLE kept AS SELECT * FROM point_chunks WHERE first_step = 320 AND series = (SELECT id FROM series WHERE metric = 'other' AND rank = 1)`)
	for _, set := range []string{
		`data = x'00'`, `data = x''`, `data = substr(data, 1, length(data) - 1)`, `data = zeroblob(length(data))`, `count = 65`, `count = 0`, `count = -1`, `count = 1 << 40`, `first_step = 321`,
	} {
		execute(t, dir, `UPDATE point_chunks SET `+set+` WHERE id = (SELECT id FROM kept)`)
		said(set+": all points", errorOf(storetest.AllPoints(t.Context(), s, pointsRun, "other")))
		said(set+": a page of it", errorOf(page(350, 1)))
		said(set+": the curve", errorOf(s.Curve(t.Context(), pointsRun, "other", 0)))
		for what, after := range map[string]int64{"before": -1, "after": 383} {
			if pts, err := page(after, 300); err != nil || len(pts) != 300 {
				t.Errorf("%s: the page %s it has %d points, %v", set, what, len(pts), err)
			}
		}
		execute(t, dir, `UPDATE point_chunks SET data = kept.data, count = kept.count, first_step = kept.first_step FROM kept WHERE point_chunks.id = kept.id`)
		if pts, err := storetest.AllPoints(t.Context(), s, pointsRun, "other"); err != nil || len(pts) != 3*1050 {
			t.Errorf("%s: repaired there are %d points, %v", set, len(pts), err)
		}
	}
	execute(t, dir, `UPDATE point_chunks SET first_step = 321 WHERE id = (SELECT id FROM kept)`)
	must(t, again(t.Context(), s, 350)) // nobody waits for it
	said("once steps are repeated", errorOf(page(350, 1)))
}

func errorOf[T any](_ T, err error) error { return err }

func TestSealingWhileOthersReadAndWriteHidesNothing(t *testing.T) {
	onBoth(t, sealingHidesNothing)
}

func sealingHidesNothing(t *testing.T, p place) {
	s := open(t, p)
	s.SetPointsPerChunk(7)
	must(t, createPointsRun(t.Context(), s))
	const steps = 1500
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		for ctx.Err() == nil {
			if _, err := s.SealPoints(ctx); err != nil && ctx.Err() == nil {
				t.Error(err)
			}
		}
	})
	wg.Go(func() {
		before := 0
		for ctx.Err() == nil {
			pts, err := storetest.AllPoints(ctx, s, pointsRun, "loss")
			if err != nil && ctx.Err() == nil {
				t.Error(err)
			}
			if err == nil && !whole(pts, before) {
				t.Errorf("of at least %d points %d can be read", before, len(pts))
			}
			before = len(pts)
		}
	})
	for step := int64(0); step < steps; step += 5 {
		if err := train(ctx, s, 0, step, step+5); err != nil {
			t.Error(err)
			break
		}
	}
	cancel()
	wg.Wait()
	pts, err := storetest.AllPoints(t.Context(), s, pointsRun, "loss")
	if err != nil || !whole(pts, steps) {
		t.Errorf("%d points, %v", len(pts), err)
	}
}

// whole reports whether one worker's points are those of train up to some step, and at least n.
func whole(pts []points.WorkerPoint, n int) bool {
	for i, p := range pts {
		if p.Step != int64(i) || float64(p.Value) != float64(i) || p.At > 1_700_000_000_000+p.Step {
			return false
		}
	}
	return len(pts) >= n
}
