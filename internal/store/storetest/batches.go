package storetest

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store"
	"github.com/cotrain/cotrain/internal/store/points"
)

// batch is a piece of worker rank's stdout that begins where from ends.
func batch(id run.ID, rank int, from store.Cursor, log string, points ...points.Point) *store.Batch {
	return &store.Batch{
		RunID: id, AllocID: fmt.Sprintf("%s-a%d", id, rank), Stream: "stdout", Rank: rank, Attempt: 1, At: epoch, From: from,
		To:  store.Cursor{File: "f.0", Offset: from.Offset + int64(len(log)), Parser: "{}"},
		Log: []byte(log), Points: points,
	}
}

func testCommit(t *testing.T, s Store) {
	id := create(t, s, "r-0000000001", "a").ID
	b := batch(id, 0, store.Cursor{}, "one\ntwo\n", points.Point{Metric: "loss", Step: 1, Value: 2, Exact: true})
	b.Events = []run.Event{{RunID: id, At: epoch, Kind: "finished", Rank: 0}}
	must(t, s.Commit(t.Context(), []*store.Batch{b, batch(id, 1, store.Cursor{}, "other\n")}))
	cur, err := s.Cursor(t.Context(), b.AllocID, "stdout")
	must(t, err)
	same(t, "cursor", cur, store.Cursor{File: "f.0", Offset: 8, Parser: "{}", At: epoch})
	next := batch(id, 0, cur, "three\n", points.Point{Metric: "loss", Step: 2, Value: 1})
	next.To.Done = true
	must(t, s.Commit(t.Context(), []*store.Batch{next}))
	if err := s.Commit(t.Context(), []*store.Batch{batch(id, 0, next.To, "more\n")}); !errors.Is(err, fault.ErrConflict) {
		t.Errorf("a batch after the end gave %v", err)
	}
	pts, err := AllPoints(t.Context(), s, id, "loss")
	must(t, err)
	same(t, "points", pts, []points.WorkerPoint{{Step: 1, Value: 2, At: epoch.UnixMilli()}, {Step: 2, Value: 1, At: epoch.UnixMilli()}})
	names, err := s.Metrics(t.Context(), id)
	must(t, err)
	same(t, "metrics", names, []string{"loss"})
	lines, err := s.Logs(t.Context(), id, run.LogQuery{Rank: 0, Limit: 10})
	must(t, err)
	same(t, "lines", texts(lines), "one two three")
	same(t, "lines of the batch", texts(b.Lines()), "one two")
	if b.Lines()[1] != lines[1] {
		t.Errorf("a live line %+v differs from the stored one %+v", b.Lines()[1], lines[1])
	}
	evs, err := s.Events(t.Context(), id, 1, 10)
	must(t, err)
	if len(evs) != 1 || evs[0].Kind != "finished" || evs[0].Seq != b.Events[0].Seq {
		t.Errorf("events are %+v", evs)
	}
}

func texts(lines []run.LogLine) string {
	var out []string
	for _, l := range lines {
		out = append(out, l.Text)
	}
	return strings.Join(out, " ")
}

func testStaleCursor(t *testing.T, s Store) {
	id := create(t, s, "r-0000000001", "a").ID
	first := batch(id, 0, store.Cursor{}, "one\n")
	must(t, s.Commit(t.Context(), []*store.Batch{first}))
	good := batch(id, 1, store.Cursor{}, "good\n")
	for _, from := range []store.Cursor{{}, {File: "f.0", Offset: 3}, {File: "f.1", Offset: 4}} {
		err := s.Commit(t.Context(), []*store.Batch{good, batch(id, 0, from, "twice\n", points.Point{Metric: "loss", Step: 1, Value: 9})})
		if !errors.Is(err, fault.ErrConflict) {
			t.Errorf("from %+v: %v, want a conflict", from, err)
		}
	}
	lines, err := s.Logs(t.Context(), id, run.LogQuery{Rank: -1, Limit: 10})
	must(t, err)
	same(t, "lines", texts(lines), "one")
	if pts, err := AllPoints(t.Context(), s, id, "loss"); err != nil || len(pts) != 0 {
		t.Errorf("points %v, %v", pts, err)
	}
}

func testDeletedRun(t *testing.T, s Store) {
	if err := s.Commit(t.Context(), []*store.Batch{batch("r-0000000009", 0, store.Cursor{}, "ghost\n")}); !errors.Is(err, fault.ErrNotFound) {
		t.Errorf("got %v, want not found", err)
	}
}
