package points

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/series"
	"github.com/cotrain/cotrain/internal/store/db"
)

// What an attempt reported of steps that a later one repeats is kept as a series beside that of the worker: its rank is negative
// and tells the attempt. Such a series is sealed, read, checked, copied and deleted as any other.

const (
	// rankBits is how many bits of such a rank are the worker's.
	rankBits = 20
	// keepReplaced is of how many attempts before the newest they are kept.
	keepReplaced = 8
)

// replacedRank is the rank of a worker's replaced series.
func replacedRank(attempt, rank int) int { return -(attempt<<rankBits + rank + 1) }

// replacedRankSQL is the same of the series s, for an expression of the attempt.
func replacedRankSQL(attempt string) string {
	return fmt.Sprintf(`-(%s * %d + s.rank + 1)`, attempt, 1<<rankBits)
}

// replacedOf undoes [replacedRank].
func replacedOf(rank int) (attempt, worker int) {
	n := -rank - 1
	return n >> rankBits, n & (1<<rankBits - 1)
}

// current are a run's series that are not replaced ones.
const current = `(SELECT id FROM series WHERE run_id = ? AND rank >= 0)`

// replace moves the points of earlier attempts from a step on to their replaced series, and returns those that have rows.
func replace(ctx context.Context, tx *db.Tx, id run.ID, from int64, attempt int) (withRows []int64, err error) {
	if err := makeReplaced(ctx, tx, id, from, attempt); err != nil {
		return nil, err
	}
	for table, step := range map[string]string{"points": "step", "point_chunks": "first_step"} {
		_, err := tx.Exec(ctx, `UPDATE `+table+` SET series = (SELECT t.id FROM series s JOIN series t ON t.run_id = s.run_id AND t.metric = s.metric
			AND t.rank = `+replacedRankSQL(table+`.attempt`)+` WHERE s.id = `+table+`.series) WHERE series IN `+current+` AND `+step+` BETWEEN ? AND ? AND attempt < ?`, id, from, run.MaxStep, attempt)
		if err != nil {
			return nil, err
		}
	}
	if err := cutChunks(ctx, tx, id, from, attempt); err != nil {
		return nil, err
	}
	// Older ones are for Tidy, as those of deleted runs.
	_, err = tx.Exec(ctx, `UPDATE series SET run_id = '', metric = run_id || '/' || metric WHERE run_id = ? AND rank BETWEEN ? AND -1`,
		id, replacedRank(max(attempt-keepReplaced, 0), -1))
	if err != nil {
		return nil, err
	}
	return db.Select(ctx, tx, db.One[int64], `SELECT id FROM series WHERE run_id = ? AND rank < 0 AND EXISTS (SELECT 1 FROM points WHERE series = series.id)`, id)
}

// makeReplaced makes the series that points are moved to.
func makeReplaced(ctx context.Context, tx *db.Tx, id run.ID, from int64, attempt int) error {
	_, err := tx.Exec(ctx, `INSERT INTO series (run_id, metric, rank) SELECT s.run_id, s.metric, `+replacedRankSQL("m.attempt")+` FROM
		(SELECT series, attempt FROM points WHERE series IN `+current+` AND step BETWEEN ? AND ? AND attempt < ?
		UNION SELECT series, attempt FROM point_chunks WHERE series IN `+current+` AND last_step >= ? AND first_step <= ? AND attempt < ?) AS m
		JOIN series s ON s.id = m.series WHERE true ON CONFLICT (run_id, metric, rank) DO NOTHING`,
		id, from, run.MaxStep, attempt, id, from, run.MaxStep, attempt)
	return err
}

// cutChunks cuts chunks that span a step. Damaged ones stay: readers get an error, and writing must not stop.
func cutChunks(ctx context.Context, tx *db.Tx, id run.ID, from int64, attempt int) error {
	type cut struct {
		chunk
		replaced int64
		whole    bool
	}
	scan := func(row db.Scanner) (c cut, err error) {
		err = row.Scan(&c.id, &c.kind.attempt, &c.kind.exact, &c.first, &c.last, &c.count, &c.data, &c.replaced)
		return c, err
	}
	spanning := ` FROM series s JOIN point_chunks c INDEXED BY point_chunks_by_last
		ON c.series = s.id AND c.last_step >= ? AND c.first_step < ? AND c.attempt < ?
		JOIN series t ON t.run_id = s.run_id AND t.metric = s.metric AND t.rank = ` + replacedRankSQL("c.attempt")
	chunks, err := db.Select(ctx, tx, scan, `SELECT c.id, c.attempt, c.exact, c.first_step, c.last_step, c.count, c.data, t.id`+spanning+
		` WHERE s.run_id = ? AND s.rank >= 0`, from, from, attempt, id)
	if err != nil || len(chunks) == 0 {
		return err
	}
	// What a worker reported again is in the later chunk, which must stay the later one of the two.
	later, err := db.Select(ctx, tx, db.One[int64], `SELECT DISTINCT w.id`+spanning+` JOIN point_chunks w ON w.series = t.id AND w.id > c.id AND w.first_step <= c.last_step
		WHERE s.run_id = ? AND s.rank >= 0`, from, from, attempt, id)
	if err != nil {
		return err
	}
	for _, n := range later {
		chunks = append(chunks, cut{chunk: chunk{id: n}, whole: true})
	}
	slices.SortFunc(chunks, func(a, b cut) int { return cmp.Compare(a.id, b.id) })
	for _, c := range chunks {
		if c.whole {
			err = c.insertAgain(ctx, tx)
		} else {
			err = c.cut(ctx, tx, from, c.replaced)
		}
		if err != nil && !errors.Is(err, series.ErrDamaged) {
			return err
		}
	}
	return nil
}

// insertAgain makes a chunk the latest of its series.
func (c chunk) insertAgain(ctx context.Context, tx *db.Tx) error {
	const columns = `series, attempt, exact, first_step, last_step, count, nans, low, high, sum, first_at, last_at, data`
	if _, err := tx.Exec(ctx, `INSERT INTO point_chunks (`+columns+`) SELECT `+columns+` FROM point_chunks WHERE id = ?`, c.id); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, `DELETE FROM point_chunks WHERE id = ?`, c.id)
	return err
}

// cut moves the points from a step on to another series. The chunk's data stays: its count is lowered.
func (c chunk) cut(ctx context.Context, tx *db.Tx, from, to int64) error {
	points, err := series.DecodeChunk(c.data, c.count)
	if err != nil {
		return err
	}
	if points[0].Step != c.first {
		return fmt.Errorf("%w: it begins at step %d, not %d", series.ErrDamaged, points[0].Step, c.first)
	}
	n := slices.IndexFunc(points, func(p series.Point) bool { return p.Step >= from })
	if n < 0 {
		return fmt.Errorf("%w: it ends before step %d", series.ErrDamaged, from)
	}
	st := series.StatsOf(points[:n])
	_, err = tx.Exec(ctx, `UPDATE point_chunks SET last_step = ?, count = ?, nans = ?, low = ?, high = ?, sum = ?, first_at = ?, last_at = ? WHERE id = ?`,
		st.Last, st.Count, st.NaNs, st.Min, st.Max, st.Sum, st.FirstAt, st.LastAt, c.id)
	if err != nil {
		return err
	}
	return insertChunk(ctx, tx, to, c.kind, points[n:])
}

// replacedWorkers returns a metric's replaced series of an attempt, by rank.
func (r *reader) replacedWorkers(ctx context.Context, id run.ID, metric string, attempt int) ([]worker, error) {
	list, err := db.Select(ctx, r.tx, func(row db.Scanner) (w worker, err error) {
		err = row.Scan(&w.series, &w.rank)
		_, w.rank = replacedOf(w.rank)
		return w, err
	}, `SELECT id, rank FROM series WHERE run_id = ? AND metric = ? AND rank BETWEEN ? AND ? ORDER BY rank DESC`,
		id, metric, replacedRank(attempt, 1<<rankBits-1), replacedRank(attempt, 0))
	return list, err
}

// partsOfReplaced are those of what an attempt reported of steps that later ones repeated.
func (r *reader) partsOfReplaced(ctx context.Context, id run.ID, metric string, q ViewQuery) ([]series.Part, error) {
	if q.Replaced < 1 || q.Replaced > math.MaxInt32 {
		return nil, nil
	}
	workers, err := r.replacedWorkers(ctx, id, metric, q.Replaced)
	if err != nil {
		return nil, err
	}
	if q.Worker != AllWorkers {
		workers = slices.DeleteFunc(workers, func(w worker) bool { return w.rank != q.Worker })
	}
	if len(workers) == 1 {
		return r.partsOfSeries(ctx, workers[0].series, math.MinInt64, math.MaxInt64)
	}
	curve, err := r.joinWorkers(ctx, workers, math.MinInt64, math.MaxInt64)
	return series.PartsOf(curve), err
}
