package points

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/series"
	"github.com/cotrain/cotrain/internal/store/db"
)

// reader reads series from rows and chunks, in one snapshot, so that a concurrent seal neither hides nor repeats points.
type reader struct {
	tx            *db.Snapshot
	rows, chunked *sql.Stmt
	free          []*source // chunk buffers for reuse
}

func (ps *Points) readPoints(ctx context.Context, fn func(*reader) error) error {
	return ps.db.Read(ctx, func(tx *db.Snapshot) error {
		r := &reader{tx: tx}
		defer r.close()
		return fn(r)
	})
}

// prepare makes the statements of each; reads of the newest points mostly do without.
func (r *reader) prepare(ctx context.Context) (err error) {
	if r.rows == nil {
		r.rows, err = r.tx.Prepare(ctx, `SELECT step, value, at, exact, attempt FROM points WHERE series = ? AND step BETWEEN ? AND ? ORDER BY step`)
	}
	if err == nil && r.chunked == nil {
		r.chunked, err = r.tx.Prepare(ctx, `SELECT `+chunkColumns+` FROM point_chunks INDEXED BY point_chunks_by_first
			WHERE series = ? AND last_step >= ? AND first_step <= ? ORDER BY first_step`)
	}
	return err
}

func (r *reader) close() {
	for _, st := range []*sql.Stmt{r.rows, r.chunked} {
		if st != nil {
			_ = st.Close() // already read
		}
	}
}

// worker is a worker's series of a metric.
type worker struct {
	series int64
	rank   int
}

// workers returns a metric's series from a rank on.
func (r *reader) workers(ctx context.Context, id run.ID, metric string, from int) ([]worker, error) {
	return db.Select(ctx, r.tx, func(row db.Scanner) (w worker, err error) { return w, row.Scan(&w.series, &w.rank) }, `SELECT id, rank FROM series WHERE run_id = ? AND metric = ? AND rank >= ? ORDER BY rank`, id, metric, from)
}

// source is where a series' points come from, in ascending steps: its rows or a chunk.
type source struct {
	point series.Point // current
	kind  kind
	order int64 // breaks ties between kinds; see the migration
	rows  *sql.Rows
	chunk series.ChunkReader
}

// next advances and reports whether there is a point.
func (s *source) next() (bool, error) {
	if s.rows == nil {
		if !s.chunk.Next() {
			return false, s.chunk.Err()
		}
		s.point = s.chunk.Point()
		return true, nil
	}
	if !s.rows.Next() {
		return false, s.rows.Err()
	}
	var v sql.NullFloat64
	err := s.rows.Scan(&s.point.Step, &v, &s.point.At, &s.kind.exact, &s.kind.attempt)
	s.point.Value = db.FromNull(v)
	return err == nil, err
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

// merge reads one series. It holds the chunks that span the current step and the next one.
type merge struct {
	r       *reader
	from    int64
	open    []*source // each at its current point
	chunks  *sql.Rows
	waiting *chunk // next of chunks; nil after the last
}

// each calls take for a series' points in a range, each step once, in order, until take returns false.
func (r *reader) each(ctx context.Context, id, from, to int64, take func(series.Point) bool) error {
	if err := r.prepare(ctx); err != nil {
		return err
	}
	rows, err := r.rows.QueryContext(ctx, id, from, to)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }() // already read
	chunks, err := r.chunked.QueryContext(ctx, id, from, to)
	if err != nil {
		return err
	}
	defer func() { _ = chunks.Close() }() // already read
	m := merge{r: r, from: from, chunks: chunks}
	if err = m.run(&source{rows: rows, order: math.MaxInt64}, to, take); err == nil {
		err = errors.Join(rows.Err(), chunks.Err())
	}
	if errors.Is(err, series.ErrDamaged) {
		return fmt.Errorf("%s: %w", seriesName(ctx, r.tx, id), err)
	}
	return err
}

func (m *merge) run(rows *source, to int64, take func(series.Point) bool) error {
	ok, err := rows.next()
	if err != nil {
		return err
	}
	if ok {
		m.open = append(m.open, rows)
	}
	if err := m.wait(); err != nil {
		return err
	}
	for {
		step, any := m.step()
		for m.waiting != nil && (!any || m.waiting.first <= step) {
			if err := m.enter(); err != nil {
				return err
			}
			step, any = m.step()
		}
		if !any || step > to {
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
			if s.rows == nil {
				m.r.free = append(m.r.free, s)
			}
			i--
		}
	}
	return point, nil
}

// wait reads the next chunk.
func (m *merge) wait() error {
	m.waiting = nil
	if !m.chunks.Next() {
		return m.chunks.Err()
	}
	c, err := scanChunk(m.chunks)
	m.waiting = &c
	return err
}

// enter starts reading the waiting chunk at the first wanted step.
func (m *merge) enter() error {
	c := m.waiting
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
	return m.wait()
}
