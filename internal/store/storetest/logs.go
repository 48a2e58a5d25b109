package storetest

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store"
	"github.com/cotrain/cotrain/internal/store/points"
)

func testLogs(t *testing.T, s Store) {
	id := create(t, s, "r-0000000001", "a").ID
	cur := map[int]store.Cursor{}
	var all, zero []string
	for i := range 30 {
		rank := i % 3
		text := ""
		for j := range i%4 + 1 {
			line := fmt.Sprintf("w%d-%d-%d", rank, i, j)
			text += line + "\n"
			all = append(all, line)
			if rank == 0 {
				zero = append(zero, line)
			}
		}
		b := batch(id, rank, cur[rank], text)
		must(t, s.Commit(t.Context(), []*store.Batch{b}))
		cur[rank] = b.To
		if i == 20 { // the rest of the test sees a sealed and an unsealed part
			must(t, s.Seal(t.Context(), id, 1))
		}
	}
	check := func(when string) {
		t.Helper()
		query := func(q run.LogQuery) []run.LogLine {
			t.Helper()
			lines, err := s.Logs(t.Context(), id, q)
			must(t, err)
			return lines
		}
		same(t, when+": everything", texts(query(run.LogQuery{Rank: -1, Limit: 10000})), strings.Join(all, " "))
		same(t, when+": one worker", texts(query(run.LogQuery{Rank: 0, Limit: 10000})), strings.Join(zero, " "))
		same(t, when+": the newest", texts(query(run.LogQuery{Rank: -1, Tail: true, Limit: 7})), strings.Join(all[len(all)-7:], " "))
		same(t, when+": the newest of one worker", texts(query(run.LogQuery{Rank: 0, Tail: true, Limit: 15})), strings.Join(zero[len(zero)-15:], " "))
		var forward, backward []string
		for after := run.LogPos(0); ; {
			page := query(run.LogQuery{Rank: -1, After: after, Limit: 5})
			if len(page) == 0 {
				break
			}
			after = page[len(page)-1].Pos
			forward = append(forward, strings.Fields(texts(page))...)
		}
		for before := run.LogPos(0); ; {
			page := query(run.LogQuery{Rank: -1, Tail: true, Before: before, Limit: 5})
			if len(page) == 0 {
				break
			}
			before = page[0].Pos
			backward = append(strings.Fields(texts(page)), backward...)
		}
		same(t, when+": paged forward", forward, all)
		same(t, when+": paged backward", backward, all)
		if got := query(run.LogQuery{Rank: 9, Limit: 10}); len(got) != 0 {
			t.Errorf("%s: a worker that does not exist has lines: %v", when, got)
		}
	}
	check("half sealed")
	must(t, s.Seal(t.Context(), id, 1))
	check("sealed")
	odd := batch(id, 0, cur[0], "\xff\xfe\x00 binary\r\n\nlast without newline")
	must(t, s.Commit(t.Context(), []*store.Batch{odd}))
	lines, err := s.Logs(t.Context(), id, run.LogQuery{Rank: 0, Tail: true, Limit: 3})
	must(t, err)
	if len(lines) != 3 || lines[0].Text != "\uFFFD\x00 binary" || lines[1].Text != "" || lines[2].Text != "last without newline" {
		t.Errorf("odd lines are %+v", lines)
	}
}

func testSeal(t *testing.T, s Store) {
	a, b := create(t, s, "r-0000000001", "a").ID, create(t, s, "r-0000000002", "b").ID
	big := strings.Repeat(strings.Repeat("x", 99)+"\n", 6000)
	cur := store.Cursor{}
	for range 10 { // 6 MB: more than one block
		bt := batch(a, 0, cur, big)
		must(t, s.Commit(t.Context(), []*store.Batch{bt, batchSmall(b, bt)}))
		cur = bt.To
	}
	ids, err := s.UnsealedRuns(t.Context(), store.SealBytes)
	must(t, err)
	same(t, "runs to seal", ids, []run.ID{a})
	must(t, s.Seal(t.Context(), a, store.SealBytes))
	must(t, s.Seal(t.Context(), b, store.SealBytes)) // too little: stays
	ids, err = s.UnsealedRuns(t.Context(), 1)
	must(t, err)
	if len(ids) != 2 {
		t.Errorf("unsealed runs are %v, want a rest of both", ids)
	}
	if _, err := s.Update(t.Context(), b, func(u *store.Update) error { return u.Move(run.Stopped, "ann", "", epoch) }); err != nil {
		t.Fatal(err)
	}
	for before, want := range map[time.Time][]run.ID{epoch: {b}, epoch.Add(-time.Second): nil} {
		ids, err = s.LeftUnsealed(t.Context(), before)
		must(t, err)
		same(t, fmt.Sprintf("left of runs that ended by %v", before), ids, want)
	}
	must(t, s.Seal(t.Context(), a, 1))
	n, after := 0, run.LogPos(0)
	for {
		lines, err := s.Logs(t.Context(), a, run.LogQuery{Rank: -1, After: after, Limit: 10000})
		must(t, err)
		if len(lines) == 0 {
			break
		}
		n, after = n+len(lines), lines[len(lines)-1].Pos
	}
	same(t, "lines after sealing", n, 60000)
	lines, err := s.Logs(t.Context(), b, run.LogQuery{Rank: -1, Limit: 100})
	must(t, err)
	same(t, "lines of the other run", len(lines), 10)
}

// batchSmall is one line of another run, in step with bt.
func batchSmall(id run.ID, bt *store.Batch) *store.Batch {
	b := batch(id, 0, store.Cursor{File: bt.From.File, Offset: bt.From.Offset}, "small\n")
	b.To.Offset = bt.To.Offset
	return b
}

func testConcurrent(t *testing.T, s Store) {
	id := create(t, s, "r-0000000001", "a").ID
	const workers, each = 8, 25
	var wg sync.WaitGroup
	for rank := range workers {
		wg.Go(func() {
			cur := store.Cursor{}
			for i := range each {
				b := batch(id, rank, cur, fmt.Sprintf("%d %d\n", rank, i), points.Point{Metric: "loss", Step: int64(i), Value: float64(rank)})
				if err := s.Commit(t.Context(), []*store.Batch{b}); err != nil {
					t.Error(err)
					return
				}
				cur = b.To
				if _, err := s.Curve(t.Context(), id, "loss", 0); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	pts, err := AllPoints(t.Context(), s, id, "loss")
	must(t, err)
	lines, err := s.Logs(t.Context(), id, run.LogQuery{Rank: -1, Limit: 1000})
	must(t, err)
	if len(pts) != workers*each || len(lines) != workers*each {
		t.Errorf("%d points and %d lines, want %d of each", len(pts), len(lines), workers*each)
	}
}

func testDelete(t *testing.T, s Store) {
	a, b := create(t, s, "r-0000000001", "a").ID, create(t, s, "r-0000000002", "b").ID
	for _, id := range []run.ID{a, b} {
		first := batch(id, 0, store.Cursor{}, "sealed\n", points.Point{Metric: "loss", Step: 1, Value: 1})
		must(t, s.Commit(t.Context(), []*store.Batch{first}))
		must(t, s.Seal(t.Context(), id, 1))
		must(t, s.Commit(t.Context(), []*store.Batch{batch(id, 0, first.To, "open\n", points.Point{Metric: "loss", Step: 2, Value: 1})}))
	}
	must(t, s.DeleteRun(t.Context(), a))
	if _, err := s.Run(t.Context(), a); err == nil {
		t.Error("the deleted run is still there")
	}
	for id, want := range map[run.ID]int{a: 0, b: 2} {
		pts, err := AllPoints(t.Context(), s, id, "loss")
		must(t, err)
		lines, err := s.Logs(t.Context(), id, run.LogQuery{Rank: -1, Limit: 10})
		must(t, err)
		if len(pts) != want || len(lines) != want {
			t.Errorf("%s has %d points and %d lines, want %d", id, len(pts), len(lines), want)
		}
	}
	if err := s.DeleteRun(t.Context(), a); err == nil {
		t.Error("deleting twice is no error")
	}
	must(t, s.Tidy(t.Context()))
	// The same ID and metric may live again; nothing of the old one comes back.
	create(t, s, string(a), "again")
	must(t, s.Commit(t.Context(), []*store.Batch{batch(a, 0, store.Cursor{}, "new\n", points.Point{Metric: "loss", Step: 9, Value: 1})}))
	pts, err := AllPoints(t.Context(), s, a, "loss")
	must(t, err)
	same(t, "points of the new run", len(pts), 1)
}
