package webtest

import (
	"context"
	"slices"

	"github.com/cotrain/cotrain/internal/logarchive"
	"github.com/cotrain/cotrain/internal/run"
)

// left are the lines that a filter leaves, each taken as a chunk of its own.
func (f *fake) left(filter run.LogFilter) (out []run.LogLine, err error) {
	m, err := logarchive.NewMatcher(filter)
	if err != nil {
		return nil, err
	}
	for _, l := range f.Log {
		m.Each(logarchive.Chunk{Rank: l.Rank, Stream: l.Stream, At: l.At.UnixMilli(), Data: []byte(l.Text + "\n")}, func(int, []byte) bool {
			out = append(out, l)
			return true
		})
	}
	return out, f.Err
}

func (f *fake) LogMap(_ context.Context, _ run.ID, filter run.LogFilter) (run.LogMap, error) {
	lines, err := f.left(filter)
	m := run.LogMap{Total: int64(len(lines))}
	if len(lines) > 0 {
		m.Pieces = []run.LogPiece{{First: lines[0].Pos, Lines: len(lines), Since: lines[0].At, Until: lines[len(lines)-1].At}}
	}
	return m, err
}

func (f *fake) LogLines(_ context.Context, _ run.ID, filter run.LogFilter, at run.LogSpot, limit int) (run.LogPage, error) {
	lines, err := f.left(filter)
	out := run.LogPage{Total: int64(len(lines)), First: int64(max(0, len(lines)-limit))}
	switch {
	case at.Line != nil:
		out.First = min(*at.Line, out.Total)
	case at.Pos > 0 || !at.At.IsZero():
		n := slices.IndexFunc(lines, func(l run.LogLine) bool { return at.Pos > 0 && l.Pos >= at.Pos || at.Pos == 0 && !l.At.Before(at.At) })
		if n >= 0 {
			out.First, out.Spot = int64(max(0, n-limit/2)), lines[n].Pos
		}
	}
	out.Lines = lines[out.First:min(len(lines), int(out.First)+limit)]
	return out, err
}

func (f *fake) FindLog(_ context.Context, _ run.ID, filter run.LogFilter, from run.LogPos, back bool) (run.LogLine, bool, error) {
	lines, err := f.left(filter)
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

func (f *fake) SearchLog(_ context.Context, _ run.ID, filter run.LogFilter, tell func(run.LogFound) error) error {
	lines, err := f.left(filter)
	if err != nil {
		return err
	}
	return tell(run.LogFound{Hits: len(lines), Lines: lines, Scanned: 1, Of: 1})
}

func (f *fake) EachLog(_ context.Context, _ run.ID, filter run.LogFilter, from run.LogPos, fn func(run.RawLine) error) error {
	lines, err := f.left(filter)
	for _, l := range lines {
		if err == nil && l.Pos >= from {
			err = fn(run.RawLine{Pos: l.Pos, Rank: l.Rank, Stream: l.Stream, At: l.At, Text: []byte(l.Text + "\n")})
		}
	}
	return err
}

func (f *fake) EachLogAround(ctx context.Context, id run.ID, filter run.LogFilter, from run.LogPos, _ int, fn func(run.RawLine) error) error {
	return f.EachLog(ctx, id, filter, from, fn)
}
