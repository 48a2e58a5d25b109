// Package logtest is a log in memory, for the fakes of tests.
package logtest

import (
	"slices"

	"github.com/cotrain/cotrain/internal/logarchive"
	"github.com/cotrain/cotrain/internal/run"
)

// Lines are a log, in the order of their positions.
type Lines []run.LogLine

// left are the lines that a filter leaves.
func (ls Lines) left(f run.LogFilter) (out Lines, err error) {
	m, err := logarchive.NewMatcher(f)
	if err != nil {
		return nil, err
	}
	for _, l := range ls {
		l.Level = logarchive.LevelOf([]byte(l.Text))
		m.Each(logarchive.Chunk{Rank: l.Rank, Stream: l.Stream, At: l.At.UnixMilli(), Data: []byte(l.Text + "\n"), Lost: l.Lost}, func(int, []byte) bool {
			out = append(out, l)
			return true
		})
	}
	return out, nil
}

// Map is LogMap of the store: one piece.
func (ls Lines) Map(f run.LogFilter) (run.LogMap, error) {
	lines, err := ls.left(f)
	m := run.LogMap{Total: int64(len(lines))}
	if len(lines) > 0 {
		m.Pieces = []run.LogPiece{{First: lines[0].Pos, Lines: len(lines), Since: lines[0].At, Until: lines[len(lines)-1].At}}
	}
	return m, err
}

// Page is LogLines of the store.
func (ls Lines) Page(f run.LogFilter, at run.LogSpot, limit int) (run.LogPage, error) {
	lines, err := ls.left(f)
	out := run.LogPage{Total: int64(len(lines)), First: int64(max(0, len(lines)-limit))}
	switch {
	case at.Line != nil:
		out.First = min(*at.Line, out.Total)
	case at.Pos > 0 || !at.At.IsZero():
		if n := slices.IndexFunc(lines, func(l run.LogLine) bool { return at.Pos > 0 && l.Pos >= at.Pos || at.Pos == 0 && !l.At.Before(at.At) }); n >= 0 {
			out.First, out.Spot = int64(max(0, min(n-limit/2, len(lines)-limit))), lines[n].Pos
		}
	}
	out.Lines = lines[out.First:min(len(lines), int(out.First)+limit)]
	return out, err
}

// Find is FindLog of the store.
func (ls Lines) Find(f run.LogFilter, from run.LogPos, back bool) (run.LogLine, bool, error) {
	lines, err := ls.left(f)
	if back {
		slices.Reverse(lines)
	}
	for _, l := range lines {
		if back && l.Pos < from || !back && l.Pos > from {
			return l, true, err
		}
	}
	return run.LogLine{}, false, err
}

// Search is SearchLog of the store.
func (ls Lines) Search(f run.LogFilter, tell func(run.LogFound) error) error {
	lines, err := ls.left(f)
	if err != nil {
		return err
	}
	return tell(run.LogFound{Hits: len(lines), Lines: lines, Scanned: 1, Of: 1})
}

// Each is EachLog of the store.
func (ls Lines) Each(f run.LogFilter, from run.LogPos, fn func(run.RawLine) error) error {
	lines, err := ls.left(f)
	for _, l := range lines {
		if err == nil && l.Pos >= from {
			err = fn(run.RawLine{Pos: l.Pos, Rank: l.Rank, Stream: l.Stream, At: l.At, Text: []byte(l.Text + "\n"), Lost: l.Lost})
		}
	}
	return err
}

// Around is EachLogAround of the store, where everything is around.
func (ls Lines) Around(f run.LogFilter, from run.LogPos, fn func(run.RawLine) error) error {
	m, err := logarchive.NewMatcher(f)
	if err != nil {
		return err
	}
	f.Find = run.LogPattern{}
	return ls.Each(f, from, func(l run.RawLine) error {
		l.Found = m.Line(l.Text[:len(l.Text)-1])
		return fn(l)
	})
}
