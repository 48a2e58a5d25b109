package points

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/cotrain/cotrain/internal/series"
	"github.com/cotrain/cotrain/internal/store/db"
)

// reader reads series from rows and chunks, in one snapshot, so that a concurrent seal neither hides nor repeats points.
type reader struct {
	tx   *db.Snapshot
	free []*source // chunk buffers for reuse
}

func (ps *Points) readPoints(ctx context.Context, fn func(*reader) error) error {
	return ps.db.Read(ctx, func(tx *db.Snapshot) error { return fn(&reader{tx: tx}) })
}

// source is where a segment's points come from, in ascending steps: its rows or a chunk.
type source struct {
	of    segment
	point series.Point // current
	kind  kind
	order int64 // breaks ties between kinds; see the migration
	rows  []row // those left; a chunk if order is not that of rows
	chunk series.ChunkReader
}

// rowsOrder is that of rows: after every chunk.
const rowsOrder = math.MaxInt64

// next advances and reports whether there is a point.
func (s *source) next() (bool, error) {
	if s.order != rowsOrder {
		if !s.chunk.Next() {
			return false, s.chunk.Err()
		}
		s.point = s.chunk.Point()
		return !s.of.ends(s.point.Step), nil
	}
	if len(s.rows) == 0 {
		return false, nil
	}
	s.point, s.kind, s.rows = s.rows[0].point, s.rows[0].kind, s.rows[1:]
	return true, nil
}

// wins reports whether s's current point beats o's at the same step.
func (s *source) wins(o *source) bool {
	switch {
	case s.kind.attempt != o.kind.attempt:
		return s.kind.attempt > o.kind.attempt
	case s.kind.exact != o.kind.exact:
		return s.kind.exact
	}
	return s.order > o.order
}

// merge reads one worker's segments. It holds the chunks that span the current step and the next ones.
type merge struct {
	r        *reader
	from, to int64
	open     []*source // each at its current point
	feeds    []*feed
}

// feed is a segment's chunks.
type feed struct {
	of      segment
	waiting []chunk // the next ones
	last    chunk   // the last one read from the database
	whole   bool    // there are no others
}

// chunksAtOnce is how many chunks are read at once, most readers' all.
const chunksAtOnce = 64

// each calls take for a worker's points in a range, each step once, in order, until take returns false.
func (r *reader) each(ctx context.Context, w worker, from, to int64, take func(series.Point) bool) error {
	m := merge{r: r, from: from, to: to}
	for _, of := range w.segments {
		rows, err := r.rows(ctx, of, from, to)
		if err != nil {
			return err
		}
		if len(rows) > 0 {
			m.open = append(m.open, &source{of: of, point: rows[0].point, kind: rows[0].kind, rows: rows[1:], order: rowsOrder})
		}
		m.feeds = append(m.feeds, &feed{of: of, last: chunk{first: math.MinInt64}})
	}
	return m.run(ctx, take)
}

// rows returns a segment's rows in a range.
func (r *reader) rows(ctx context.Context, of segment, from, to int64) ([]row, error) {
	first, last := of.within(from, to)
	return db.Select(ctx, r.tx, scanRow, `SELECT step, value, at, exact, attempt FROM points WHERE series = ? AND step BETWEEN ? AND ?`+wanted("step")+` ORDER BY step`,
		of.series, first, last, of.last)
}

func (m *merge) run(ctx context.Context, take func(series.Point) bool) error {
	for _, f := range m.feeds {
		if err := m.wait(ctx, f); err != nil {
			return err
		}
	}
	for {
		step, any := m.step()
		for entered := true; entered; {
			entered = false
			for _, f := range m.feeds {
				for len(f.waiting) > 0 && (!any || f.waiting[0].first <= step) {
					if err := m.enter(ctx, f); err != nil {
						return err
					}
					step, any = m.step()
					entered = true
				}
			}
		}
		if !any || step > m.to {
			return nil
		}
		p, err := m.take(step)
		if err != nil || !take(p) {
			return err
		}
	}
}

func (m *merge) step() (step int64, any bool) {
	for i, s := range m.open {
		if i == 0 || s.point.Step < step {
			step = s.point.Step
		}
	}
	return step, len(m.open) > 0
}

// take returns the winning point of a step and advances.
func (m *merge) take(step int64) (series.Point, error) {
	var best *source
	var point series.Point
	for _, s := range m.open {
		if s.point.Step == step && (best == nil || s.wins(best)) {
			best, point = s, s.point
		}
	}
	for i := 0; i < len(m.open); i++ {
		s := m.open[i]
		if s.point.Step != step {
			continue
		}
		ok, err := s.next()
		if err != nil {
			return point, err
		}
		if !ok {
			m.open[i] = m.open[len(m.open)-1]
			m.open = m.open[:len(m.open)-1]
			if s.order != rowsOrder {
				m.r.free = append(m.r.free, s)
			}
			i--
		}
	}
	return point, nil
}

// wait reads a feed's next chunks, unless some wait.
func (m *merge) wait(ctx context.Context, f *feed) (err error) {
	if len(f.waiting) > 0 || f.whole {
		return nil
	}
	first, last := f.of.within(m.from, m.to)
	f.waiting, err = db.Select(ctx, m.r.tx, scanChunk, `SELECT `+chunkColumns+` FROM point_chunks INDEXED BY point_chunks_by_first
		WHERE series = ? AND last_step >= ? AND first_step <= ?`+wanted("first_step")+` AND (first_step > ? OR first_step = ? AND id > ?) ORDER BY first_step, id LIMIT ?`,
		f.of.series, first, last, f.of.last, f.last.first, f.last.first, f.last.id, chunksAtOnce)
	if f.whole = len(f.waiting) < chunksAtOnce; !f.whole {
		f.last = f.waiting[chunksAtOnce-1]
	}
	return err
}

// enter starts reading a feed's first waiting chunk at the first wanted step.
func (m *merge) enter(ctx context.Context, f *feed) error {
	c := f.waiting[0]
	f.waiting = f.waiting[1:]
	s := &source{}
	if n := len(m.r.free); n > 0 {
		s, m.r.free = m.r.free[n-1], m.r.free[:n-1]
	}
	s.of, s.kind, s.order = f.of, c.kind, c.id
	from, _ := f.of.within(m.from, m.to)
	err := s.chunk.Open(c.data, c.count)
	for first := true; err == nil; first = false {
		var ok bool
		if ok, err = s.next(); !ok {
			break
		}
		if first && s.point.Step != c.first {
			err = fmt.Errorf("%w: it begins at step %d, not %d", series.ErrDamaged, s.point.Step, c.first)
		} else if s.point.Step >= from {
			m.open = append(m.open, s)
			break
		}
	}
	if errors.Is(err, series.ErrDamaged) {
		return fmt.Errorf("%s: chunk %d: %w", seriesName(ctx, m.r.tx, f.of.series), c.id, err)
	}
	if err != nil {
		return err
	}
	return m.wait(ctx, f)
}
