package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store"
)

// written is a log of three workers: blocks, and a rest that is in none.
func written(t *testing.T, s Store) (id run.ID, all []run.LogLine) {
	id = create(t, s, "r-0000000001", "a").ID
	cur := map[int]store.Cursor{}
	for i := range 40 {
		rank := i % 3
		text := fmt.Sprintf("step: %d, loss: %d.5\n[ERROR] worker %d\nCOTRAIN {\"step\":%d}\n", i, i%7, rank, i)
		if i%4 == 0 {
			text += fmt.Sprintf("[WARNING] \x1b[31mrare\x1b[0m%d thing\n", i)
		}
		b := batch(id, rank, cur[rank], text)
		b.At = epoch.Add(time.Duration(i) * time.Second)
		must(t, s.Commit(t.Context(), []*store.Batch{b}))
		cur[rank] = b.To
		if i%15 == 14 {
			must(t, s.Seal(t.Context(), id, 1))
		}
	}
	all, err := s.Logs(t.Context(), id, run.LogQuery{Rank: -1, Limit: 10000})
	must(t, err)
	return id, all
}

func testLogLines(t *testing.T, s Store) {
	id, all := written(t, s)
	for name, f := range map[string]struct {
		filter run.LogFilter
		wants  func(l run.LogLine) bool
	}{
		"all":        {run.AllLines(), func(run.LogLine) bool { return true }},
		"no machine": {run.LogFilter{Rank: -1}, func(l run.LogLine) bool { return l.Level != run.LevelMachine }},
		"one worker": {run.LogFilter{Rank: 2, Machine: true}, func(l run.LogLine) bool { return l.Rank == 2 }},
		"errors":     {run.LogFilter{Rank: -1, Level: run.LevelError}, func(l run.LogLine) bool { return l.Level == run.LevelError }},
		"warnings": {run.LogFilter{Rank: 1, Level: run.LevelWarning}, func(l run.LogLine) bool {
			return l.Rank == 1 && l.Level != run.LevelMachine && l.Level >= run.LevelWarning
		}},
		"a time": {run.LogFilter{Rank: -1, Since: epoch.Add(7 * time.Second), Until: epoch.Add(20 * time.Second)}, func(l run.LogLine) bool {
			return l.Level != run.LevelMachine && !l.At.Before(epoch.Add(7*time.Second)) && l.At.Before(epoch.Add(20*time.Second))
		}},
		"a text": {run.LogFilter{Rank: -1, Find: run.LogPattern{Text: "RARE2"}}, func(l run.LogLine) bool { return strings.Contains(l.Text, "rare\x1b[0m2") }},
		"an expression": {run.LogFilter{Rank: -1, Find: run.LogPattern{Text: `loss: [34]\.`, Regexp: true}}, func(l run.LogLine) bool {
			return strings.Contains(l.Text, "loss: 3.") || strings.Contains(l.Text, "loss: 4.")
		}},
		"hidden": {run.LogFilter{Rank: -1, Hide: run.LogPattern{Text: "loss|worker", Regexp: true}}, func(l run.LogLine) bool {
			return l.Level != run.LevelMachine && !strings.Contains(l.Text, "loss") && !strings.Contains(l.Text, "worker")
		}},
		"nothing": {run.LogFilter{Rank: -1, Find: run.LogPattern{Text: "absent"}}, func(run.LogLine) bool { return false }},
		"nobody":  {run.LogFilter{Rank: 9}, func(run.LogLine) bool { return false }},
	} {
		want := slices.DeleteFunc(slices.Clone(all), func(l run.LogLine) bool { return !f.wants(l) })
		for range 2 { // the second time counts are known
			checkLines(t, s, id, name, f.filter, all, want)
		}
	}
	if _, err := s.LogMap(t.Context(), id, run.LogFilter{Find: run.LogPattern{Text: "(", Regexp: true}}); !errors.Is(err, fault.ErrInvalid) {
		t.Errorf("a bad expression: %v", err)
	}
}

// checkLines compares every way to read what a filter leaves.
func checkLines(t *testing.T, s Store, id run.ID, name string, f run.LogFilter, all, want []run.LogLine) {
	t.Helper()
	ctx := t.Context()
	places := func(lines []run.LogLine) (out []run.LogPos) {
		for _, l := range lines {
			out = append(out, l.Pos)
		}
		return out
	}
	m, err := s.LogMap(ctx, id, f)
	must(t, err)
	sum := 0
	for i, p := range m.Pieces {
		next := run.LogPos(1 << 62)
		if i+1 < len(m.Pieces) {
			next = m.Pieces[i+1].First
		}
		n := len(slices.DeleteFunc(slices.Clone(want), func(l run.LogLine) bool { return l.Pos < p.First || l.Pos >= next }))
		same(t, fmt.Sprintf("%s: lines of piece %d", name, i), p.Lines, n)
		sum += p.Lines
	}
	same(t, name+": the map's total", []int{int(m.Total), sum}, []int{len(want), len(want)})
	for from := int64(0); from <= int64(len(want)); from += 7 {
		page, err := s.LogLines(ctx, id, f, run.LogSpot{Line: &from}, 5)
		must(t, err)
		same(t, fmt.Sprintf("%s: from %d of %d", name, page.First, page.Total), places(page.Lines), places(want[from:min(len(want), int(from)+5)]))
	}
	page, err := s.LogLines(ctx, id, f, run.LogSpot{}, 6)
	must(t, err)
	same(t, name+": the end", places(page.Lines), places(want[max(0, len(want)-6):]))
	for i := 0; i < len(all); i += 11 {
		at := all[i]
		n := slices.IndexFunc(want, func(l run.LogLine) bool { return l.Pos >= at.Pos })
		page, err := s.LogLines(ctx, id, f, run.LogSpot{Pos: at.Pos}, 9)
		must(t, err)
		switch {
		case n < 0 && page.Spot != 0, n >= 0 && page.Spot != want[n].Pos:
			t.Errorf("%s: at %v the page is at %v", name, at.Pos, page.Spot)
		case n >= 0:
			same(t, name+": around a line", places(page.Lines), places(want[page.First:min(len(want), int(page.First)+9)]))
		}
		next, found, err := s.FindLog(ctx, id, f, at.Pos, false)
		must(t, err)
		after := slices.IndexFunc(want, func(l run.LogLine) bool { return l.Pos > at.Pos })
		if found != (after >= 0) || found && next.Pos != want[after].Pos {
			t.Errorf("%s: after %v comes %v %t", name, at.Pos, next, found)
		}
		last, found, err := s.FindLog(ctx, id, f, at.Pos, true)
		must(t, err)
		before := slices.IndexFunc(want, func(l run.LogLine) bool { return l.Pos >= at.Pos })
		if before < 0 {
			before = len(want)
		}
		if found != (before > 0) || found && last.Pos != want[before-1].Pos {
			t.Errorf("%s: before %v comes %v %t", name, at.Pos, last, found)
		}
	}
	var found, printed []run.LogPos
	hits := 0
	must(t, s.SearchLog(ctx, id, f, func(p run.LogFound) error {
		hits += p.Hits
		found = append(found, places(p.Lines)...)
		if p.Scanned > p.Of || p.Of == 0 {
			t.Errorf("%s: %d of %d bytes", name, p.Scanned, p.Of)
		}
		return nil
	}))
	same(t, name+": hits", hits, len(want))
	same(t, name+": found", found, places(want))
	for _, n := range []int{0, 1, 3, 50} {
		checkAround(t, s, id, name, f, n)
	}
	middle := all[len(all)/2].Pos
	must(t, s.EachLog(ctx, id, f, middle, func(l run.RawLine) error {
		printed = append(printed, l.Pos)
		return nil
	}))
	same(t, name+": from the middle", printed, places(slices.DeleteFunc(slices.Clone(want), func(l run.LogLine) bool { return l.Pos < middle })))
}

// checkAround compares lines with those around them with what the lines say that the filter leaves without its pattern.
func checkAround(t *testing.T, s Store, id run.ID, name string, f run.LogFilter, n int) {
	t.Helper()
	type told struct {
		Pos        run.LogPos
		Found, Gap bool
	}
	collect := func(f run.LogFilter) (out []told) {
		t.Helper()
		must(t, s.EachLog(t.Context(), id, f, 0, func(l run.RawLine) error { out = append(out, told{Pos: l.Pos}); return nil }))
		return out
	}
	found := collect(f)
	rest := f
	rest.Find = run.LogPattern{}
	lines := collect(rest)
	keep := make([]bool, len(lines))
	for i, l := range lines {
		if lines[i].Found = slices.Contains(found, l); lines[i].Found {
			for j := max(0, i-n); j <= min(len(lines)-1, i+n); j++ {
				keep[j] = true
			}
		}
	}
	var want, got []told
	for i, l := range lines {
		if keep[i] {
			l.Gap = i > 0 && !keep[i-1] && len(want) > 0
			want = append(want, l)
		}
	}
	must(t, s.EachLogAround(t.Context(), id, f, 0, n, func(l run.RawLine) error { got = append(got, told{l.Pos, l.Found, l.Gap}); return nil }))
	same(t, fmt.Sprintf("%s: %d lines around", name, n), got, want)
}

func testLogSearchEnds(t *testing.T, s Store) {
	id, _ := written(t, s)
	stop := errors.New("enough")
	told := 0
	if err := s.SearchLog(t.Context(), id, run.AllLines(), func(run.LogFound) error { told++; return stop }); !errors.Is(err, stop) || told != 1 {
		t.Errorf("%v after %d pieces", err, told)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.SearchLog(ctx, id, run.AllLines(), func(run.LogFound) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("abandoned: %v", err)
	}
}
