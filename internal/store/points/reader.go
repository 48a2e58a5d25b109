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

// reader reads series from their rows and chunks. It is one snapshot, so that a seal in between neither hides nor
// repeats a point.
type reader struct {
	tx            *db.Snapshot
	rows, chunked *sql.Stmt
	free          []*source // of chunks that were read: their buffers can be used again
}

// readPoints calls fn with a reader.
func (ps *Points) readPoints(ctx context.Context, fn func(*reader) error) error {
	return ps.db.Read(ctx, func(tx *db.Snapshot) error {
		r := &reader{tx: tx}
		defer r.close()
		return fn(r)
	})
}

// prepare makes the statements of each. Most of what asks for the newest points does not need them.
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
			_ = st.Close() // what it read is read
		}
	}
}

// worker is one worker's series of a metric.
type worker struct {
	series int64
	rank   int
}

// workers returns the series of a metric from a rank on, by rank.
func (r *reader) workers(ctx context.Context, id run.ID, metric string, from int) ([]worker, error) {
	return db.Select(ctx, r.tx, func(row db.Scanner) (w worker, err error) { return w, row.Scan(&w.series, &w.rank) }, `SELECT id, rank FROM series WHERE run_id = ? AND metric = ? AND rank >= ? ORDER BY rank`, id, metric, from)
}

// source is where points of one series come from, in ascending steps: its rows, or one of its chunks.
type source struct {
	point series.Point // the current one
	kind  kind
	order int64 // breaks a tie of two kinds; see the migration
	rows  *sql.Rows
	chunk series.ChunkReader
}

// next goes to the next point and reports whether there is one.
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

// wins reports whether the current point of s is the one to show of its step, rather than that of o.
func (s *source) wins(o *source) bool {
	switch {
	case s.kind.attempt != o.kind.attempt:
		return s.kind.attempt > o.kind.attempt
	case s.kind.exact != o.kind.exact:
		return s.kind.exact
	}
	return s.order > o.order
}

// merge is the reading of one series. It holds the chunks that reach over the current step and the one after them.
type merge struct {
	r       *reader
	from    int64
	open    []*source // each at its current point
	chunks  *sql.Rows
	waiting *chunk // the next of chunks; nil after the last
}

// each calls take for the points of a series from one step to another, each step once, in order, until take returns
// false.
func (r *reader) each(ctx context.Context, id, from, to int64, take func(series.Point) bool) error {
	if err := r.prepare(ctx); err != nil {
		return err
	}
	rows, err := r.rows.QueryContext(ctx, id, from, to)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }() // what it read is read
	chunks, err := r.chunked.QueryContext(ctx, id, from, to)
	if err != nil {
		return err
	}
	defer func() { _ = chunks.Close() }() // as above
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

// step is the lowest current step.
func (m *merge) step() (step int64, any bool) {
	for i, s := range m.open {
		if i == 0 || s.point.Step < step {
			step = s.point.Step
		}
	}
	return step, len(m.open) > 0
}

// take returns the point of a step that wins, and goes on to the next step.
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

// enter begins to read the chunk that was waiting, at the first step that is wanted.
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
