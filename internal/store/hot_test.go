package store_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store"
	"github.com/cotrain/cotrain/internal/store/db"
	"github.com/cotrain/cotrain/internal/store/pgtest"
	"github.com/cotrain/cotrain/internal/store/points"
)

// trainFor stores a run that reports steps, as ingest does: a batch, the curves, the headline.
func trainFor(t *testing.T, s *store.Store, id run.ID, steps int) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(second(s.CreateRun(t.Context(), run.Run{ID: id, State: run.Running, Config: strings.Repeat("x = 1\n", 200)}, "")))
	var at store.Cursor
	for step := range int64(steps) {
		b := store.Batch{
			RunID: id, AllocID: string(id), Stream: "stdout", Attempt: 1, At: time.UnixMilli(1 + step), From: at, To: store.Cursor{File: "f", Offset: at.Offset + 1, Parser: fmt.Sprintf(`{"line":%d}`, step)},
			Points: []points.Point{{Metric: "loss", Step: step, Value: math.Sqrt(float64(step))}},
		}
		must(s.Commit(t.Context(), []*store.Batch{&b}))
		at = b.To
		must(second(s.RollUp(t.Context(), id)))
		must(s.SaveProgress(t.Context(), id, run.Progress{Step: step, Loss: 1, HasLoss: true, UpdatedAt: time.UnixMilli(1 + step)}))
	}
}

// TestStepsRewriteRowsInPlace holds that PostgreSQL stores what a run that trains changes all the time in the pages where it
// was, and changes no index: heap-only updates, which leave nothing for VACUUM in indexes.
func TestStepsRewriteRowsInPlace(t *testing.T) {
	t.Parallel()
	url := pgtest.URL(t)
	s, err := store.OpenAt(t.Context(), t.TempDir(), db.Options{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	const runs, steps = 20, 30
	for i := range runs {
		trainFor(t, s, run.ID(fmt.Sprintf("r-%010d", i)), steps)
	}
	if err := s.Close(); err != nil { // sessions report when they end
		t.Fatal(err)
	}
	conn := openSQL(t, "pgx", url+"&search_path=cotrain")
	for _, table := range []string{"runs", "streams"} {
		var all, inPlace int
		for deadline := time.Now().Add(time.Minute); all < runs*(steps-1) && time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
			if err := conn.QueryRowContext(t.Context(), `SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE schemaname = 'cotrain' AND relname = $1`, table).Scan(&all, &inPlace); err != nil {
				t.Fatal(err)
			}
		}
		if all < runs*(steps-1) || inPlace < all/2 { // other tests of the server keep versions alive, which fills pages
			t.Errorf("of %d updates of %s %d were in place", all, table, inPlace)
		}
	}
}

// TestAStepTouchesNoIndex holds the same of SQLite, and of both: no column that a step changes is in an index.
func TestAStepTouchesNoIndex(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	trainFor(t, s, "r-0000000001", 1)
	conn := openSQL(t, "sqlite", dir+"/cotrain.db")
	ctx := db.Trace(t.Context(), func(query string, _ []any) {
		set, ok := strings.CutPrefix(query, "UPDATE runs SET ")
		if !ok {
			return
		}
		set, _, _ = strings.Cut(set, " WHERE ")
		rows, err := conn.QueryContext(t.Context(), `SELECT sql FROM sqlite_master WHERE type = 'index' AND tbl_name = 'runs' AND sql IS NOT NULL`)
		if err != nil {
			t.Fatal(err)
		}
		indexes, err := db.Collect(rows, db.One[string])
		if err != nil || len(indexes) < 5 {
			t.Fatal(indexes, err)
		}
		for _, part := range strings.Split(set, ", ") {
			column, _, assigned := strings.Cut(strings.TrimSpace(part), " = ")
			if !assigned {
				t.Fatalf("not understood: %s", part)
			}
			for _, index := range indexes {
				if words := strings.FieldsFunc(index, func(c rune) bool { return c != '_' && (c < 'a' || c > 'z') }); slices.Contains(words, column) {
					t.Errorf("%s is in %s", column, index)
				}
			}
		}
	})
	if err := s.SaveProgress(ctx, "r-0000000001", run.Progress{Step: 2, UpdatedAt: time.UnixMilli(9)}); err != nil {
		t.Fatal(err)
	}
}
