package store

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/cotrain/cotrain/internal/logarchive"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store/db"
)

// maxLogLines bounds a page of lines.
const maxLogLines = 10_000

// filtered is a log as a filter leaves it.
type filtered struct {
	*logView
	match  *logarchive.Matcher
	counts []int // lines of each piece
	lost   int   // pieces that may have some, and cannot be read
}

// filter counts the lines that a filter leaves of each piece: from what is known of the pieces, or else by looking.
func (s *Store) filtered(ctx context.Context, id run.ID, f run.LogFilter) (*filtered, error) {
	v, m, may, err := s.sought(ctx, id, f)
	if err != nil {
		return nil, err
	}
	out := &filtered{logView: v, match: m, counts: make([]int, len(v.pieces))}
	key := f.Values().Encode()
	var unknown []int
	for i, p := range v.pieces {
		n, known := m.Count(p.About)
		switch {
		case !may[i]:
			n, known = 0, true
		case p.lost:
			out.lost++
			n, known = lines(ctx, m, p.chunks), true
		case !known && p.blob != "":
			n, known = v.store.blocks.counts.Get(countKey{p.blob, key})
		}
		if out.counts[i] = n; !known {
			unknown = append(unknown, i)
		}
	}
	return out, inOrder(ctx, len(unknown), func(ctx context.Context, i int) (c counted, err error) {
		p := v.pieces[unknown[i]]
		return c, v.store.scan(ctx, p, func(chunks []logarchive.Chunk, lost bool) error {
			if c = (counted{lines(ctx, m, chunks), lost}); p.blob != "" && !lost && ctx.Err() == nil {
				v.store.blocks.counts.Add(countKey{p.blob, key}, c.lines)
			}
			return ctx.Err()
		})
	}, func(i int, c counted) error {
		if out.counts[unknown[i]] = c.lines; c.lost {
			out.lost++
		}
		return nil
	})
}

// counted is how many lines a piece has, or that it cannot be read.
type counted struct {
	lines int
	lost  bool
}

// lines is how many lines of chunks are wanted.
func lines(ctx context.Context, m *logarchive.Matcher, chunks []logarchive.Chunk) (n int) {
	for _, c := range chunks {
		if ctx.Err() != nil {
			break
		}
		m.Each(c, func(int, []byte) bool { n++; return true })
	}
	return n
}

// sought is a log, a filter, and which pieces may have lines for it.
func (s *Store) sought(ctx context.Context, id run.ID, f run.LogFilter) (v *logView, m *logarchive.Matcher, may []bool, err error) {
	if m, err = logarchive.NewMatcher(f); err != nil {
		return nil, nil, nil, err
	}
	if v, err = s.view(ctx, id); err != nil {
		return nil, nil, nil, err
	}
	may, err = v.may(ctx, m)
	return v, m, may, err
}

// LogMap tells how many lines a filter leaves of a run's log, and where.
func (s *Store) LogMap(ctx context.Context, id run.ID, f run.LogFilter) (out run.LogMap, err error) {
	left, err := s.filtered(ctx, id, f)
	if err != nil {
		return out, err
	}
	out.Lost = left.lost
	for i, p := range left.pieces {
		piece := run.LogPiece{First: logarchive.Pos(p.First, 0), Lines: left.counts[i], Since: millis(p.Since), Until: millis(p.Until), Bytes: p.Bytes()}
		for _, c := range p.Counts {
			if (f.Rank < 0 || f.Rank == c.Rank) && (f.Stream == "" || f.Stream == c.Stream) {
				for level, n := range c.Lines {
					piece.Level[level] += n
				}
			}
		}
		out.Total += int64(piece.Lines)
		out.Pieces = append(out.Pieces, piece)
	}
	return out, nil
}

func millis(at int64) time.Time { return time.UnixMilli(at).UTC() }

// errLost says that a block was counted on which cannot be read. It is known from then on.
var errLost = errors.New("a block of the log cannot be read")

// LogLines returns lines that a filter leaves of a run's log: at most limit, some before and some after a place.
func (s *Store) LogLines(ctx context.Context, id run.ID, f run.LogFilter, at run.LogSpot, limit int) (out run.LogPage, err error) {
	for range lostBlocks {
		if out, err = s.logLines(ctx, id, f, at, limit); !errors.Is(err, errLost) {
			break
		}
	}
	return out, err
}

func (s *Store) logLines(ctx context.Context, id run.ID, f run.LogFilter, at run.LogSpot, limit int) (out run.LogPage, err error) {
	left, err := s.filtered(ctx, id, f)
	if err != nil {
		return out, err
	}
	out.Lost = left.lost
	for _, n := range left.counts {
		out.Total += int64(n)
	}
	limit = min(max(limit, 1), maxLogLines)
	switch {
	case at.Line != nil:
		out.First = *at.Line
	case at.Pos > 0 || !at.At.IsZero():
		number, err := left.number(ctx, at)
		if err != nil {
			return out, err
		}
		out.First = number - int64(limit/2)
		defer func() {
			if i := number - out.First; i >= 0 && i < int64(len(out.Lines)) {
				out.Spot = out.Lines[i].Pos
			}
		}()
	default:
		out.First = out.Total
	}
	out.First = max(0, min(out.First, out.Total-int64(limit)))
	if at.Line != nil { // what is asked for by number is not moved: the caller has a place for it
		out.First = max(0, min(*at.Line, out.Total))
	}
	out.Lines, err = left.read(ctx, out.First, limit)
	return out, err
}

// open returns a piece's chunks, or errLost for one that was not known to be lost: its lines have numbers, and are not there.
func (l *filtered) open(ctx context.Context, p logPiece) ([]logarchive.Chunk, error) {
	chunks, lost, err := l.store.open(ctx, p)
	if err == nil && lost && !p.lost {
		err = errLost
	}
	return chunks, err
}

// number is that of the first line at a place or behind it.
func (l *filtered) number(ctx context.Context, at run.LogSpot) (n int64, err error) {
	before := func(c logarchive.Chunk, i int) bool {
		if at.Pos > 0 {
			return logarchive.Pos(c.ID, i) < at.Pos
		}
		return c.At < at.At.UnixMilli()
	}
	for i, p := range l.pieces {
		if at.Pos > 0 && p.Last < logarchive.ChunkOf(at.Pos) || at.Pos == 0 && p.Until < at.At.UnixMilli() {
			n += int64(l.counts[i])
			continue
		}
		chunks, err := l.open(ctx, p)
		if err != nil {
			return n, err
		}
		for _, c := range chunks {
			if !l.match.Each(c, func(i int, _ []byte) bool {
				if before(c, i) {
					n++
					return true
				}
				return false
			}) {
				return n, nil
			}
		}
	}
	return n, nil
}

// read returns lines from a number on.
func (l *filtered) read(ctx context.Context, from int64, limit int) (out []run.LogLine, err error) {
	text := 0
	for i, p := range l.pieces {
		if from >= int64(l.counts[i]) {
			from -= int64(l.counts[i])
			continue
		}
		chunks, err := l.open(ctx, p)
		if err != nil {
			return nil, err
		}
		for _, c := range chunks {
			if !l.match.Each(c, func(i int, line []byte) bool {
				if from--; from >= 0 {
					return true
				}
				out = append(out, c.Line(i, line))
				text += len(line)
				return len(out) < limit && text < run.MaxLogText
			}) {
				return out, nil
			}
		}
		from = 0
	}
	return out, nil
}

// FindLog returns the next line that a filter leaves behind a position, or the last before it; false if there is none.
func (s *Store) FindLog(ctx context.Context, id run.ID, f run.LogFilter, from run.LogPos, back bool) (line run.LogLine, found bool, err error) {
	v, m, may, err := s.sought(ctx, id, f)
	if err != nil {
		return line, false, err
	}
	pieces := slices.All(v.pieces)
	if back {
		pieces = slices.Backward(v.pieces)
	}
	chunk := logarchive.ChunkOf(from)
	for i, p := range pieces {
		if !may[i] || !back && p.Last < chunk || back && p.First > chunk {
			continue
		}
		err := s.scan(ctx, p, func(chunks []logarchive.Chunk, lost bool) error {
			if lost {
				return nil
			}
			for _, c := range chunks {
				if !m.Each(c, func(i int, text []byte) bool {
					pos := logarchive.Pos(c.ID, i)
					if back && pos >= from {
						return false
					}
					if back || pos > from {
						line, found = c.Line(i, text), true
					}
					return back || !found
				}) || ctx.Err() != nil {
					break
				}
			}
			return ctx.Err()
		})
		if err != nil || found {
			return line, found, err
		}
	}
	return line, false, nil
}

// may says of each piece whether it may have lines that a filter wants, as far as that can be told without opening it.
func (v *logView) may(ctx context.Context, m *logarchive.Matcher) ([]bool, error) {
	out := make([]bool, len(v.pieces))
	sealed := map[int64]int{} // those that only their trigrams can rule out
	for i, p := range v.pieces {
		n, known := m.Count(p.About)
		if out[i] = !known || n > 0 || !p.described; out[i] && m.Finds() && p.described && (p.chunks == nil || p.lost) {
			sealed[p.First] = i
		}
	}
	for piece := range slices.Chunk(v.pieces, indexesAtOnce) {
		if len(sealed) == 0 {
			break
		}
		_, err := db.Select(ctx, v.store.db, func(row db.Scanner) (first int64, err error) {
			var t []byte
			err = row.Scan(&first, &t)
			if i, ok := sealed[first]; ok {
				out[i] = m.May(t)
			}
			return first, err
		}, `SELECT first_chunk, trigrams FROM log_blocks WHERE run_id = ? AND first_chunk BETWEEN ? AND ?`, v.run, piece[0].First, piece[len(piece)-1].First)
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// indexesAtOnce bounds the indexes of blocks in memory: each has some kilobytes.
const indexesAtOnce = 256

// A search tells of the first lines that it finds, in a piece and in all, and so many bytes of each.
const (
	pieceHits  = 50
	searchHits = 1000
	hitText    = 2 << 10
)

// SearchLog calls tell for each piece of a run's log, in order, with how many lines a filter leaves of it, and the first of these.
func (s *Store) SearchLog(ctx context.Context, id run.ID, f run.LogFilter, tell func(run.LogFound) error) error {
	v, m, may, err := s.sought(ctx, id, f)
	if err != nil {
		return err
	}
	progress := run.LogFound{}
	for _, p := range v.pieces {
		progress.Of += int64(p.Bytes())
	}
	told := 0
	key := f.Values().Encode()
	return inOrder(ctx, len(v.pieces), func(ctx context.Context, i int) (found run.LogFound, err error) {
		p := v.pieces[i]
		found.Piece = logarchive.Pos(p.First, 0)
		if !may[i] {
			return found, nil
		}
		return found, s.scan(ctx, p, func(chunks []logarchive.Chunk, lost bool) error {
			if found.Lost = lost; lost {
				return nil
			}
			for _, c := range chunks {
				m.Each(c, func(i int, line []byte) bool {
					if found.Hits++; len(found.Lines) < pieceHits {
						found.Lines = append(found.Lines, c.Line(i, line[:min(len(line), hitText)]))
					}
					return true
				})
				if ctx.Err() != nil {
					return ctx.Err()
				}
			}
			if p.blob != "" {
				s.blocks.counts.Add(countKey{p.blob, key}, found.Hits)
			}
			return nil
		})
	}, func(i int, found run.LogFound) error {
		found.Lines = found.Lines[:min(len(found.Lines), searchHits-told)]
		told += len(found.Lines)
		progress.Scanned += int64(v.pieces[i].Bytes())
		found.Scanned, found.Of = progress.Scanned, progress.Of
		return tell(found)
	})
}

// EachLog calls fn for the lines that a filter leaves of a run's log, from a position on, as they were printed: it must not keep them.
func (s *Store) EachLog(ctx context.Context, id run.ID, f run.LogFilter, from run.LogPos, fn func(run.RawLine) error) error {
	v, m, may, err := s.sought(ctx, id, f)
	if err != nil {
		return err
	}
	for i, p := range v.pieces {
		if !may[i] || p.Last < logarchive.ChunkOf(from) {
			continue
		}
		err := s.pass(ctx, p, func(chunks []logarchive.Chunk, _ bool) (err error) {
			for _, c := range chunks {
				m.Each(c, func(i int, line []byte) bool {
					if logarchive.Pos(c.ID, i) >= from {
						err = fn(c.Raw(i, line))
					}
					return err == nil
				})
				if err != nil || ctx.Err() != nil {
					return cmp.Or(err, ctx.Err())
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}
