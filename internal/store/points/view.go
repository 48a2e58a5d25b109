package points

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/series"
	"github.com/cotrain/cotrain/internal/store/db"
)

// AllWorkers asks for the curve over all workers.
const AllWorkers = -1

// ViewQuery selects what [Points.View] summarizes.
type ViewQuery struct {
	Worker   int   // its rank, or [AllWorkers]
	From, To int64 // steps, inclusive
	Limit    int   // columns at most
	Width    int64 // of the columns: a power of two, 0 for the narrowest that Limit allows
	Smooth   series.Smoothing
	Before   int64 // the step at which the curve ends, for smoothing too; 0 for none
	Total    bool  // over [AllWorkers], their sum instead of their mean, lowest and highest
	Replaced int   // an attempt: what it reported of steps that later ones repeated; 0 for the curve
}

// View summarizes a metric between two steps. A NaN of any worker makes the step NaN. [CurveMetrics] over all workers are as of
// the last [Points.RollUp]. It decodes only the chunks that a column does not wholly contain.
func (ps *Points) View(ctx context.Context, id run.ID, metric string, q ViewQuery) (v series.View, err error) {
	many, err := ps.isJoined(ctx, id, metric, q)
	if err == nil && many {
		var parts []series.Part
		if parts, err = ps.looked.parts(ctx, ps, id, metric); err == nil {
			v, err = q.summarize(parts)
		}
	} else if err == nil {
		err = ps.readPoints(ctx, func(r *reader) error {
			parts, err := r.parts(ctx, id, metric, q)
			if err == nil {
				v, err = q.summarize(parts)
			}
			return err
		})
	}
	if err != nil {
		return series.View{}, fmt.Errorf("curve of %s: %w", id, err)
	}
	return v, nil
}

func (q ViewQuery) summarize(parts []series.Part) (series.View, error) {
	if q.Total && q.Worker == AllWorkers {
		parts = totals(parts)
	}
	if q.Before != 0 && q.Smooth != (series.Smoothing{}) {
		parts = series.Clip(parts, math.MinInt64, q.Before-1)
	}
	return series.Summarize(parts, q.From, q.To, q.Limit, q.Width, q.Smooth)
}

// totals are parts of sums over workers. Their columns do not know them, but those of one worker.
func totals(parts []series.Part) []series.Part {
	out := slices.Clone(parts)
	for i, p := range parts {
		if p.Workers == 1 && !p.Unknown {
			continue
		}
		out[i].Unknown, out[i].Blocks = true, nil
		out[i].Each = func(take func(run.CurvePoint) bool) error {
			return p.Each(func(p run.CurvePoint) bool {
				p.Mean, p.Min, p.Max = p.Sum, p.Sum, p.Sum
				return take(p)
			})
		}
	}
	return out
}

// isJoined reports whether a view is of a curve that must be joined of many workers.
func (ps *Points) isJoined(ctx context.Context, id run.ID, metric string, q ViewQuery) (many bool, err error) {
	if q.Worker != AllWorkers || q.Replaced != 0 || slices.Contains(CurveMetrics(), metric) {
		return false, nil
	}
	err = ps.db.QueryRow(ctx, `SELECT count(DISTINCT rank) > 1 FROM series WHERE run_id = ? AND metric = ?`, id, metric).Scan(&many)
	return many, err
}

// parts are those of a view.
func (r *reader) parts(ctx context.Context, id run.ID, metric string, q ViewQuery) ([]series.Part, error) {
	from, to := q.From, q.To
	if q.Smooth != (series.Smoothing{}) { // which depends on points outside
		from, to = math.MinInt64, math.MaxInt64
	}
	switch {
	case q.Replaced != 0:
		return r.partsOfReplaced(ctx, id, metric, q)
	case q.Worker == AllWorkers && slices.Contains(CurveMetrics(), metric):
		return r.partsOfStored(ctx, id, metric, from, to)
	}
	workers, err := r.workers(ctx, id, metric, q.Worker)
	if err != nil || len(workers) == 0 || q.Worker != AllWorkers && workers[0].rank != q.Worker {
		return nil, err
	}
	return r.partsOfWorker(ctx, workers[0], from, to)
}

// partsOfWorker are the chunks of a worker's segments, each a part if it is whole and no other and no row has steps in it, and what is
// between them.
func (r *reader) partsOfWorker(ctx context.Context, w worker, from, to int64) ([]series.Part, error) {
	var chunks []chunkPart
	var rows []row
	for _, of := range w.segments {
		some, err := r.chunksOf(ctx, of, from, to)
		if err != nil {
			return nil, err
		}
		more, err := r.rows(ctx, of, from, to)
		if err != nil {
			return nil, err
		}
		chunks, rows = append(chunks, some...), append(rows, more...)
	}
	if len(w.segments) > 1 {
		slices.SortStableFunc(chunks, func(a, b chunkPart) int { return cmp.Compare(a.First, b.First) })
		rows = winners(rows)
	}
	var out []series.Part
	for len(chunks) > 0 || len(rows) > 0 {
		if len(chunks) == 0 || len(rows) > 0 && rows[0].point.Step < chunks[0].First {
			n := len(rows)
			if len(chunks) > 0 {
				n = slices.IndexFunc(rows, func(w row) bool { return w.point.Step >= chunks[0].First })
			}
			if n < 0 {
				n = len(rows)
			}
			curve := make([]run.CurvePoint, n)
			for i, w := range rows[:n] {
				curve[i] = alone(w.point)
			}
			out, rows = append(out, series.PartsOf(curve)...), rows[n:]
			continue
		}
		part := chunks[0].Part
		n, late := 1, 0
		for grown := true; grown; { // with what overlaps
			grown = false
			for ; n < len(chunks) && chunks[n].First <= part.Last; n++ {
				part.Last, part.Points, part.Unknown, grown = max(part.Last, chunks[n].Last), part.Points+chunks[n].Points, true, true
			}
			for ; late < len(rows) && rows[late].point.Step <= part.Last; late++ {
				part.Points, part.Unknown, grown = part.Points+1, true, true
			}
		}
		if n == 1 && late == 0 && !chunks[0].cut {
			r.readChunk(ctx, &part, chunks[0])
		} else {
			first, last := part.First, part.Last
			part.Each = func(take func(run.CurvePoint) bool) error {
				return r.each(ctx, w, first, last, func(p series.Point) bool { return take(alone(p)) })
			}
		}
		out, chunks, rows = append(out, part), chunks[n:], rows[late:]
	}
	return out, nil
}

// chunksOf returns a segment's chunks in a range. Of one that it cuts only the steps are known.
func (r *reader) chunksOf(ctx context.Context, of segment, from, to int64) ([]chunkPart, error) {
	first, last := of.within(from, to)
	chunks, err := db.Select(ctx, r.tx, scanPart, `SELECT id, first_step, last_step, count, nans, low, high, sum, first_at, last_at FROM point_chunks INDEXED BY point_chunks_by_first
		WHERE series = ? AND last_step >= ? AND first_step <= ?`+wanted("first_step")+` ORDER BY first_step, id`, of.series, first, last, of.last)
	for i := range chunks {
		c := &chunks[i]
		c.series = of.series
		if c.First < of.first {
			c.First, c.cut = of.first, true
		}
		if of.ends(c.Last) {
			c.Last, c.cut = of.last, true
		}
		c.Unknown = c.Unknown || c.cut
	}
	return chunks, err
}

// winners sorts rows of several attempts and leaves one of each step.
func winners(rows []row) []row {
	slices.SortStableFunc(rows, func(a, b row) int {
		return cmp.Or(cmp.Compare(a.point.Step, b.point.Step), cmp.Compare(b.kind.attempt, a.kind.attempt))
	})
	return slices.CompactFunc(rows, func(a, b row) bool { return a.point.Step == b.point.Step })
}

// readChunk has a part read by its chunk alone.
func (r *reader) readChunk(ctx context.Context, part *series.Part, c chunkPart) {
	open := func() (*source, error) {
		var data []byte
		if err := r.tx.QueryRow(ctx, `SELECT data FROM point_chunks WHERE id = ?`, c.id).Scan(&data); err != nil {
			return nil, err
		}
		s := &source{}
		if n := len(r.free); n > 0 {
			s, r.free = r.free[n-1], r.free[:n-1]
		}
		return s, s.chunk.Open(data, c.Points)
	}
	read := func(take func(*source) error) error {
		s, err := open()
		if err == nil {
			err = take(s)
			r.free = append(r.free, s)
		}
		if errors.Is(err, series.ErrDamaged) {
			return fmt.Errorf("chunk %d of %s: %w", c.id, seriesName(ctx, r.tx, c.series), err)
		}
		return err
	}
	part.Each = func(take func(run.CurvePoint) bool) error {
		return read(func(s *source) error {
			for s.chunk.Next() && take(alone(s.chunk.Point())) {
			}
			return s.chunk.Err()
		})
	}
	part.Blocks = func(take func(series.Block)) error {
		return read(func(s *source) error {
			for b, ok := s.chunk.Block(); ok; b, ok = s.chunk.Block() {
				take(b)
			}
			return s.chunk.Err()
		})
	}
}

// chunkPart is a chunk as a part.
type chunkPart struct {
	series.Part
	id, series int64
	cut        bool // some of its points are not wanted
}

// scanPart reads a chunk's columns. Infinities, which they do not count, leave it unknown.
func scanPart(row db.Scanner) (p chunkPart, err error) {
	var nans int
	var low, high, sum sql.NullFloat64
	if err := row.Scan(&p.id, &p.First, &p.Last, &p.Points, &nans, &low, &high, &sum, &p.FirstAt, &p.LastAt); err != nil {
		return p, err
	}
	p.Workers, p.Means = 1, p.Points-nans
	p.Min, p.Max, p.Value = db.FromNull(low), db.FromNull(high), db.FromNull(sum)/float64(p.Means)
	if nans > 0 {
		p.Odd = series.HasNaN
	}
	p.Unknown = p.Means > 0 && (math.IsInf(p.Min, 0) || math.IsInf(p.Max, 0) || math.IsInf(p.Value, 0) || math.IsNaN(p.Value))
	return p, nil
}

// Each calls take for a metric's points between two steps, inclusive, in order, until it returns false: one worker's, or the
// curve over [AllWorkers]. Its memory does not grow with the curve.
func (ps *Points) Each(ctx context.Context, id run.ID, metric string, worker int, from, to int64, take func(run.CurvePoint) bool) error {
	err := ps.readPoints(ctx, func(r *reader) error {
		if worker == AllWorkers {
			return r.eachOfAll(ctx, id, metric, from, to, take)
		}
		return r.eachOf(ctx, id, metric, worker, from, to, take)
	})
	if err != nil {
		return fmt.Errorf("curve of %s: %w", id, err)
	}
	return nil
}

// eachOf reads one worker's points.
func (r *reader) eachOf(ctx context.Context, id run.ID, metric string, rank int, from, to int64, take func(run.CurvePoint) bool) error {
	workers, err := r.workers(ctx, id, metric, rank)
	if err != nil || len(workers) == 0 || workers[0].rank != rank {
		return err
	}
	return r.each(ctx, workers[0], from, to, func(p series.Point) bool { return take(alone(p)) })
}

// alone is the curve of one worker.
func alone(p series.Point) run.CurvePoint {
	return run.CurvePoint{Step: p.Step, Mean: p.Value, Min: p.Value, Max: p.Value, Sum: p.Value, Workers: 1, At: db.FromMillis(p.At)}
}

// joinSteps is how many steps are joined at a time: what one call of Each holds.
const joinSteps = 1 << 16

// eachOfAll reads a stored curve, or joins that of the workers, some steps at a time.
func (r *reader) eachOfAll(ctx context.Context, id run.ID, metric string, from, to int64, take func(run.CurvePoint) bool) error {
	if slices.Contains(CurveMetrics(), metric) {
		return r.eachStored(ctx, id, metric, from, to, take)
	}
	workers, err := r.workers(ctx, id, metric, math.MinInt)
	if err != nil {
		return err
	}
	for {
		first, found, err := r.firstStep(ctx, workers, from)
		if err != nil || !found || first > to {
			return err
		}
		last := to
		if first < to-joinSteps {
			last = first + joinSteps - 1
		}
		curve, err := r.joined(ctx, id, metric, first, last)
		if err != nil {
			return err
		}
		for _, p := range curve {
			if !take(p) {
				return nil
			}
		}
		if last == to {
			return nil
		}
		if from = last + 1; len(curve) == 0 { // a chunk spans a gap, which may be of any size
			if from, found, err = r.nextStep(ctx, workers, from); err != nil || !found {
				return err
			}
		}
	}
}

// nextStep returns the first step from one on that a worker has.
func (r *reader) nextStep(ctx context.Context, workers []worker, from int64) (next int64, found bool, err error) {
	next = math.MaxInt64
	for _, w := range workers {
		err := r.each(ctx, w, from, next, func(p series.Point) bool {
			next, found = p.Step, true
			return false
		})
		if err != nil {
			return 0, false, err
		}
	}
	return next, found, nil
}

// firstStep returns the first step from one on that a worker may have.
func (r *reader) firstStep(ctx context.Context, workers []worker, from int64) (first int64, found bool, err error) {
	first = math.MaxInt64
	for _, w := range workers {
		for _, of := range w.segments {
			at := max(from, of.first)
			for _, query := range []string{
				`SELECT min(step) FROM points WHERE series = ? AND step >= ?` + wanted("step"),
				`SELECT min(first_step) FROM point_chunks INDEXED BY point_chunks_by_last WHERE series = ? AND last_step >= ?` + wanted("first_step"),
			} {
				var step sql.NullInt64
				if err := r.tx.QueryRow(ctx, query, of.series, at, of.last).Scan(&step); err != nil {
					return 0, false, err
				}
				if step.Valid && max(step.Int64, at) <= first {
					first, found = max(step.Int64, at), true
				}
			}
		}
	}
	return first, found, nil
}
