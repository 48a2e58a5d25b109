package store

import (
	"bytes"
	"context"
	"slices"

	"github.com/cotrain/cotrain/internal/logarchive"
	"github.com/cotrain/cotrain/internal/run"
)

// EachLogAround is [Store.EachLog] with the lines around those that hold the filter's pattern: so many before and after, of those that the
// rest of the filter leaves. Lines that hold it have Found set.
func (s *Store) EachLogAround(ctx context.Context, id run.ID, f run.LogFilter, from run.LogPos, lines int, fn func(run.RawLine) error) error {
	v, found, may, err := s.sought(ctx, id, f)
	if err != nil {
		return err
	}
	f.Find = run.LogPattern{}
	rest, err := logarchive.NewMatcher(f)
	if err != nil {
		return err
	}
	w := surroundings{logView: v, rest: rest, found: found, n: lines, tell: fn, told: from - 1, whole: true}
	for i, p := range v.pieces {
		if p.Last < logarchive.ChunkOf(from) || !may[i] && w.after == 0 {
			w.before, w.whole = nil, false
			continue
		}
		if err := s.pass(ctx, p, func(chunks []logarchive.Chunk, _ bool) error { return w.piece(ctx, i, chunks) }); err != nil {
			return err
		}
	}
	return nil
}

// surroundings walks through pieces and tells lines with those around them.
type surroundings struct {
	*logView
	rest, found *logarchive.Matcher
	n           int
	tell        func(run.RawLine) error

	told   run.LogPos    // the last line that was told
	some   bool          // there is one
	after  int           // how many lines to tell after it
	before []run.RawLine // the last lines after it, at most n
	whole  bool          // before has all that there are, or n: no piece was left out since
	gap    bool          // there are lines between told and before
}

func (w *surroundings) piece(ctx context.Context, i int, chunks []logarchive.Chunk) (err error) {
	for _, c := range chunks {
		w.rest.Each(c, func(n int, line []byte) bool {
			l := c.Raw(n, line)
			if l.Found = !c.Lost && w.found.Line(line); l.Found || c.Lost {
				if err = w.backlog(ctx, i); err != nil {
					return false
				}
				w.after = w.n + 1
			}
			switch {
			case w.after > 0 && l.Pos > w.told:
				w.after--
				err = w.pass(l)
			case l.Pos > w.told:
				w.before = append(w.before, kept(l))
				if len(w.before) > w.n {
					w.before, w.whole, w.gap = slices.Delete(w.before, 0, 1), true, true
				}
			}
			return err == nil
		})
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// pass tells a line.
func (w *surroundings) pass(l run.RawLine) error {
	l.Gap, w.gap, w.told = w.gap && w.some, false, l.Pos
	w.some = true
	return w.tell(l)
}

// kept is a line with a copy of its text.
func kept(l run.RawLine) run.RawLine {
	l.Text = bytes.Clone(l.Text)
	return l
}

// backlog tells the lines before one in piece i.
func (w *surroundings) backlog(ctx context.Context, i int) error {
	if !w.whole {
		earlier, err := w.endOf(ctx, i, w.n-len(w.before)+1) // one more tells whether there is a gap
		if err != nil {
			return err
		}
		w.before = append(earlier, w.before...)
		if len(w.before) > w.n {
			w.before, w.gap = w.before[1:], true
		}
	}
	for _, l := range w.before {
		if err := w.pass(l); err != nil {
			return err
		}
	}
	w.before, w.whole = w.before[:0], true
	return nil
}

// endOf returns the last lines of the pieces before i that were not told.
func (w *surroundings) endOf(ctx context.Context, i, n int) (out []run.RawLine, err error) {
	for _, p := range slices.Backward(w.pieces[:i]) {
		if len(out) >= n || p.Last < logarchive.ChunkOf(w.told) {
			break
		}
		chunks, _, err := w.store.open(ctx, p)
		if err != nil {
			return nil, err
		}
		var lines []run.RawLine
		for _, c := range chunks {
			w.rest.Each(c, func(n int, line []byte) bool {
				if l := c.Raw(n, line); l.Pos > w.told {
					lines = append(lines, l)
				}
				return true
			})
		}
		out = append(slices.Clone(lines[max(0, len(lines)-(n-len(out))):]), out...)
	}
	return out, nil
}
