package points

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/bits"
	"slices"
	"strings"
	"sync"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/series"
	"github.com/cotrain/cotrain/internal/store/db"
)

const (
	// sealRows is about the rows of one transaction: a few milliseconds in which nobody else can write.
	sealRows = 2000
	// scanSeries is the series one call scans for an earlier console's rows.
	scanSeries = 200
)

// SealPoints moves rows into chunks, a few thousand per transaction, and reports whether there is more to do now. It
// leaves the newest rows of a live run, which are read, repeated and corrected, and none of an ended one. Readers see no
// difference, nor does a kill matter.
func (ps *Points) SealPoints(ctx context.Context) (more bool, err error) {
	ps.sealing.Lock()
	defer ps.sealing.Unlock()
	if !ps.sealer.scanned {
		err = ps.scanHeads(ctx)
		more = true
	} else {
		if len(ps.sealer.due) == 0 {
			err = ps.findDue(ctx)
		}
		if err == nil && len(ps.sealer.due) > 0 {
			err = ps.sealDue(ctx)
		}
		more = len(ps.sealer.due) > 0
	}
	if err != nil {
		return false, fmt.Errorf("seal points: %w", err)
	}
	return more, nil
}

// sealer is the state between calls of SealPoints.
type sealer struct {
	perChunk int   // points
	keep     int   // rows of a live run's series
	after    int64 // last series scanned
	scanned  bool  // all were
	due      []dueSeries
}

type dueSeries struct {
	run    run.ID
	series int64
	keep   int // newest rows that stay
}

// heads counts each series' rows, to find those with many. A count may be too high, never too low, and is complete once
// SealPoints has scanned all series.
type heads struct {
	mu   sync.Mutex
	runs map[run.ID]map[int64]int
}

func (h *heads) add(added map[run.ID]map[int64]int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for id, counts := range added {
		if h.runs[id] == nil {
			h.runs[id] = make(map[int64]int, len(counts))
		}
		for n, count := range counts {
			h.runs[id][n] += count
		}
	}
}

func (h *heads) forget(id run.ID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.runs, id)
}

func (h *heads) count(id run.ID, n int64) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.runs[id][n]
}

func (h *heads) sub(id run.ID, n int64, count int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	counts := h.runs[id]
	if left := counts[n] - count; left > 0 {
		counts[n] = left
		return
	}
	if delete(counts, n); len(counts) == 0 {
		delete(h.runs, id)
	}
}

// scanHeads counts rows of series that an earlier console may have left, skipping along the key of points.
func (ps *Points) scanHeads(ctx context.Context) error {
	rows, err := ps.db.Query(ctx, `WITH RECURSIVE heads (series, n) AS (SELECT min(series), 1 FROM points WHERE series > ?
		UNION ALL SELECT (SELECT min(series) FROM points WHERE series > heads.series), n + 1 FROM heads WHERE series IS NOT NULL AND n < ?)
		SELECT h.series, s.run_id, (SELECT count(*) FROM (SELECT 1 FROM points WHERE series = h.series LIMIT ?) AS newest)
		FROM heads h LEFT JOIN series s ON s.id = h.series WHERE h.series IS NOT NULL`, ps.sealer.after, scanSeries, ps.sealer.keep+ps.sealer.perChunk)
	if err != nil {
		return err
	}
	type head struct {
		series int64
		run    sql.NullString
		count  int
	}
	found, err := db.Collect(rows, func(row db.Scanner) (h head, err error) { return h, row.Scan(&h.series, &h.run, &h.count) })
	if err != nil {
		return err
	}
	for _, h := range found {
		ps.sealer.after = h.series
		if h.run.String != "" { // deleted runs' are for Tidy
			ps.heads.add(map[run.ID]map[int64]int{run.ID(h.run.String): {h.series: h.count}})
		}
	}
	ps.sealer.scanned = len(found) < scanSeries
	return nil
}

// findDue lists the series with enough rows, and all of ended runs.
func (ps *Points) findDue(ctx context.Context) error {
	ps.heads.mu.Lock()
	ids := make([]run.ID, 0, len(ps.heads.runs))
	for id := range ps.heads.runs {
		ids = append(ids, id)
	}
	ps.heads.mu.Unlock()
	if len(ids) == 0 {
		return nil
	}
	states, err := ps.states(ctx, ids)
	if err != nil {
		return err
	}
	for _, id := range ids {
		state, ok := states[id]
		if !ok { // deleted while its last batch was stored
			ps.heads.forget(id)
			continue
		}
		atLeast, keep := ps.sealer.keep+ps.sealer.perChunk, ps.sealer.keep
		if state.Terminal() {
			atLeast, keep = 1, 0
		}
		ps.heads.mu.Lock()
		for n, count := range ps.heads.runs[id] {
			if count >= atLeast {
				ps.sealer.due = append(ps.sealer.due, dueSeries{id, n, keep})
			}
		}
		ps.heads.mu.Unlock()
	}
	// In key order, which also makes tests deterministic.
	slices.SortFunc(ps.sealer.due, func(a, b dueSeries) int { return cmp.Or(cmp.Compare(a.run, b.run), cmp.Compare(a.series, b.series)) })
	return nil
}

// statesAtOnce bounds a statement's parameters.
const statesAtOnce = 500

// states returns the states of existing runs.
func (ps *Points) states(ctx context.Context, ids []run.ID) (map[run.ID]run.State, error) {
	states := make(map[run.ID]run.State, len(ids))
	for some := range slices.Chunk(ids, statesAtOnce) {
		args := make([]any, len(some))
		for i, id := range some {
			args[i] = id
		}
		rows, err := ps.db.Query(ctx, `SELECT id, state FROM runs WHERE id IN (?`+strings.Repeat(",?", len(some)-1)+`)`, args...)
		if err != nil {
			return nil, err
		}
		_, err = db.Collect(rows, func(sc db.Scanner) (none struct{}, err error) {
			var id run.ID
			var state run.State
			err = sc.Scan(&id, &state)
			states[id] = state
			return none, err
		})
		if err != nil {
			return nil, err
		}
	}
	return states, nil
}

// sealDue seals series of one run until the transaction is long enough. The next call finds failed ones again.
func (ps *Points) sealDue(ctx context.Context) error {
	all := ps.sealer.due
	ps.sealer.due = nil
	type gone struct {
		dueSeries
		rows int
	}
	id := all[0].run
	var due []dueSeries
	var done []gone
	err := ps.db.Write(ctx, func(tx *db.Tx) error {
		due, done = all, nil
		switch err := tx.Require(ctx, "runs", string(id)); {
		case errors.Is(err, fault.ErrNotFound): // its points are for Tidy
			due = slices.DeleteFunc(slices.Clone(all), func(d dueSeries) bool { return d.run == id })
			return nil
		case err != nil:
			return err
		}
		whole := true
		for work := 0; whole && len(due) > 0 && due[0].run == id && work < sealRows; {
			d := due[0]
			counted := ps.heads.count(d.run, d.series) // in the transaction: later rows add to it
			limit := d.keep + max(1, sealRows/ps.sealer.perChunk)*ps.sealer.perChunk
			rows, err := oldestRows(ctx, tx, d.series, limit)
			if err != nil {
				return err
			}
			whole = len(rows) < limit
			n := 0
			for left := len(rows) - d.keep; left > 0 && (left >= ps.sealer.perChunk || whole && d.keep == 0); left = len(rows) - d.keep - n {
				cut := n + cutAt(rows[n:], ps.sealer.perChunk)
				if err := sealOldest(ctx, tx, d.series, rows[n:cut]); err != nil {
					return fmt.Errorf("%s: %w", seriesName(ctx, tx, d.series), err)
				}
				n = cut
			}
			work += len(rows) + perSeries
			if whole {
				due = due[1:]
				n = counted - (len(rows) - n) // so that exactly the remaining rows stay counted
			}
			done = append(done, gone{d, n})
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, g := range done {
		ps.heads.sub(g.run, g.series, g.rows)
	}
	ps.sealer.due = due
	return nil
}

// perSeries is how many rows take as long as storing a chunk.
const perSeries = 20

type row struct {
	point series.Point
	kind  kind
}

func scanRow(sc db.Scanner) (row, error) {
	var r row
	var v sql.NullFloat64
	err := sc.Scan(&r.point.Step, &v, &r.point.At, &r.kind.exact, &r.kind.attempt)
	r.point.Value, r.kind.times = db.FromNull(v), r.point.Step > run.MaxStep
	return r, err
}

// oldestRows returns a series' rows with the lowest steps.
func oldestRows(ctx context.Context, tx *db.Tx, id int64, limit int) ([]row, error) {
	return db.Select(ctx, tx, scanRow, `SELECT step, value, at, exact, attempt FROM points WHERE series = ? ORDER BY step LIMIT ?`, id, limit)
}

// cutAt returns how many of the oldest rows become a chunk: more than half of most where there are as many, up to the step with the
// most zeros at its end. So the columns of a view, whose bounds have many, contain whole chunks.
func cutAt(rows []row, most int) int {
	if len(rows) < most {
		return len(rows)
	}
	cut, zeros := most, 0
	for n := min(most, len(rows)-1); n > most/2; n-- {
		if z := bits.Len64(uint64(rows[n-1].point.Step ^ rows[n].point.Step)); z > zeros {
			cut, zeros = n, z
		}
	}
	return cut
}

// sealOldest replaces a series' oldest rows by chunks, one of each kind.
func sealOldest(ctx context.Context, tx *db.Tx, id int64, rows []row) error {
	byKind := map[kind][]series.Point{}
	var kinds []kind // in order of occurrence
	for _, r := range rows {
		if byKind[r.kind] == nil {
			kinds = append(kinds, r.kind)
		}
		byKind[r.kind] = append(byKind[r.kind], r.point)
	}
	for _, k := range kinds {
		if err := insertChunk(ctx, tx, id, k, byKind[k]); err != nil {
			return err
		}
	}
	_, err := tx.Exec(ctx, `DELETE FROM points WHERE series = ? AND step BETWEEN ? AND ?`, id, rows[0].point.Step, rows[len(rows)-1].point.Step)
	return err
}
