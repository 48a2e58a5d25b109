package points

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/cotrain/cotrain/internal/run"
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

// worker is a worker's series of a metric.
type worker struct {
	series int64
	rank   int
}

// workers returns a metric's series from a rank on, without replaced ones.
func (r *reader) workers(ctx context.Context, id run.ID, metric string, from int) ([]worker, error) {
	return db.Select(ctx, r.tx, func(row db.Scanner) (w worker, err error) { return w, row.Scan(&w.series, &w.rank) }, `SELECT id, rank FROM series WHERE run_id = ? AND metric = ? AND rank >= ? ORDER BY rank`, id, metric, max(from, 0))
}

// source is where a series' points come from, in ascending steps: its rows or a chunk.
type source struct {
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
		return true, nil
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

// merge reads one series. It holds the chunks that span the current step and the next ones.
type merge struct {
	r        *reader
	series   int64
	from, to int64
	open     []*source // each at its current point
	waiting  []chunk   // the next ones
	last     chunk     // the last one read from the database
	whole    bool      // there are no others
}

// chunksAtOnce is how many chunks are read at once, most readers' all.
const chunksAtOnce = 64

// each calls take for a series' points in a range, each step once, in order, until take returns false.
func (r *reader) each(ctx context.Context, id, from, to int64, take func(series.Point) bool) error {
	rows, err := db.Select(ctx, r.tx, scanRow, `SELECT step, value, at, exact, attempt FROM points WHERE series = ? AND step BETWEEN ? AND ? ORDER BY step`, id, from, to)
	if err != nil {
		return err
	}
	m := merge{r: r, series: id, from: from, to: to, last: chunk{first: math.MinInt64}}
	if err = m.run(ctx, &source{rows: rows, order: rowsOrder}, take); errors.Is(err, series.ErrDamaged) {
		return fmt.Errorf("%s: %w", seriesName(ctx, r.tx, id), err)
	}
	return err
}

func (m *merge) run(ctx context.Context, rows *source, take func(series.Point) bool) error {
	if ok, err := rows.next(); err != nil {
		return err
	} else if ok {
		m.open = append(m.open, rows)
	}
	if err := m.wait(ctx); err != nil {
		return err
	}
	for {
		step, any := m.step()
		for len(m.waiting) > 0 && (!any || m.waiting[0].first <= step) {
			if err := m.enter(ctx); err != nil {
				return err
			}
			step, any = m.step()
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

// wait reads the next chunks, unless some wait.
func (m *merge) wait(ctx context.Context) (err error) {
	if len(m.waiting) > 0 || m.whole {
		return nil
	}
	m.waiting, err = db.Select(ctx, m.r.tx, scanChunk, `SELECT `+chunkColumns+` FROM point_chunks INDEXED BY point_chunks_by_first
		WHERE series = ? AND last_step >= ? AND first_step <= ? AND (first_step > ? OR first_step = ? AND id > ?) ORDER BY first_step, id LIMIT ?`,
		m.series, m.from, m.to, m.last.first, m.last.first, m.last.id, chunksAtOnce)
	if m.whole = len(m.waiting) < chunksAtOnce; !m.whole {
		m.last = m.waiting[chunksAtOnce-1]
	}
	return err
}

// enter starts reading the first waiting chunk at the first wanted step.
func (m *merge) enter(ctx context.Context) error {
	c := m.waiting[0]
	m.waiting = m.waiting[1:]
	s := &source{}
	if n := len(m.r.free); n > 0 {
		s, m.r.free = m.r.free[n-1], m.r.free[:n-1]
	}
	s.kind, s.order = c.kind, c.id
	err := s.chunk.Open(c.data, c.count)
	for first := true; err == nil; first = false {
		var ok bool
		if ok, err = s.next(); !ok {
			break
		}
		if first && s.point.Step != c.first {
			err = fmt.Errorf("%w: it begins at step %d, not %d", series.ErrDamaged, s.point.Step, c.first)
		} else if s.point.Step >= m.from {
			m.open = append(m.open, s)
			break
		}
	}
	if err != nil {
		return fmt.Errorf("chunk %d: %w", c.id, err)
	}
	return m.wait(ctx)
}
