package points

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store/db"
)

// Point is a value of a worker's metric.
type Point struct {
	Metric string
	Step   int64 // Unix milliseconds for metrics without steps
	Value  float64
	Exact  bool // machine-readable; wins over a printed one
}

// Report is what a worker reported at one time.
type Report struct {
	Run           run.ID
	Attempt, Rank int
	At            time.Time
	Points        []Point
}

// Result is the outcome of a report.
type Result struct {
	Points []Point // those not repeated by a later attempt
	// Gone is the first step repeated by a later attempt, which obsoletes this one's from there on; the greatest number
	// for none.
	Gone int64
	// Rewound is true when the attempt repeats steps from From on, removing earlier reports.
	Rewound bool
	From    int64
	Dropped []string // names beyond [MaxMetrics], sorted; once per run while cached
}

// Writer stores reports in one transaction.
type Writer struct {
	p       *Points
	tx      *db.Tx
	rows    []headRow
	at      map[rowKey]int // their places: a statement must not store one step of a series twice
	fresh   map[seriesKey]int64
	bounds  map[int64]int64          // of the series that were written
	added   map[run.ID]map[int64]int // rows by series
	repeats map[run.ID]repeats
	named   []run.ID // runs whose names were read
	changes map[run.ID]*change
}

// NewWriter returns a writer for a transaction.
func NewWriter(p *Points, tx *db.Tx) *Writer {
	w := &Writer{p: p, tx: tx, at: map[rowKey]int{}, fresh: map[seriesKey]int64{}, bounds: map[int64]int64{}, added: map[run.ID]map[int64]int{}, repeats: map[run.ID]repeats{}, changes: map[run.ID]*change{}}
	tx.OnEnd(w.end)
	return w
}

// end updates the caches after the transaction.
func (w *Writer) end(committed bool) {
	w.p.heads.add(w.added) // in any case: a commit that failed may have succeeded
	for id, c := range w.changes {
		w.p.looked.change(id, c)
	}
	w.p.mu.Lock()
	defer w.p.mu.Unlock()
	for id := range w.repeats {
		w.p.versions.change(id)
	}
	if !committed {
		for n := range w.bounds {
			delete(w.p.bounds, n)
		}
		for _, id := range w.named {
			delete(w.p.names, id)
		}
		return
	}
	maps.Copy(w.p.series, w.fresh)
	for n, bound := range w.bounds { // a later transaction may have ended here before
		if now, ok := w.p.bounds[n]; !ok || bound > now {
			w.p.bounds[n] = bound
		}
	}
}

// Add stores a report; rows may wait for [Writer.Flush].
func (w *Writer) Add(ctx context.Context, r Report) (Result, error) {
	done, ok := w.repeats[r.Run]
	if !ok {
		var err error
		if done, err = readRepeats(ctx, w.tx, r.Run); err != nil {
			return Result{}, err
		}
		w.repeats[r.Run] = done
	}
	out := Result{Gone: done.gone(r.Attempt)}
	out.Points = before(r.Points, out.Gone)
	changed, err := w.change(ctx, r.Run)
	if err != nil {
		return out, err
	}
	if out.From, out.Rewound = done.lowers(r.Attempt, out.Points); out.Rewound {
		if err := done.repeat(ctx, w.tx, r.Run, r.Attempt, out.From); err != nil {
			return out, err
		}
		changed.reset = true
	}
	if err := markStale(ctx, w.tx, r.Run, out.Points); err != nil {
		return out, err
	}
	for _, p := range out.Points {
		if len(p.Metric) > maxMetricName {
			p.Metric = fault.Clip(p.Metric, maxMetricName)
		}
		id, ok, err := w.seriesID(ctx, seriesKey{r.Run, p.Metric, r.Rank, r.Attempt}, &out)
		if err != nil {
			return out, err
		}
		if !ok {
			continue
		}
		if err := w.row(ctx, id, p, r); err != nil {
			return out, err
		}
		w.add(r.Run, id, 1)
		lowerFrom(changed.from, p.Metric, p.Step)
	}
	if len(out.Dropped) > 0 {
		names, err := w.names(ctx, r.Run)
		if err != nil {
			return out, err
		}
		names.told = true
	}
	return out, nil
}

// add counts rows of a series.
func (w *Writer) add(id run.ID, series int64, rows int) {
	if w.added[id] == nil {
		w.added[id] = map[int64]int{}
	}
	w.added[id][series] += rows
}

// change returns what the transaction changes of a run.
func (w *Writer) change(ctx context.Context, id run.ID) (*change, error) {
	if c := w.changes[id]; c != nil {
		return c, nil
	}
	c := &change{from: map[string]int64{}}
	w.changes[id] = c
	return c, w.p.sums.mark(ctx, w.tx, id, c)
}

// before returns points before a step, and those without one.
func before(points []Point, step int64) []Point {
	if step == math.MaxInt64 {
		return points
	}
	var out []Point // a copy: the report is stored again if this transaction fails
	for _, p := range points {
		if p.Step < step || p.Step > run.MaxStep {
			out = append(out, p)
		}
	}
	return out
}

type seriesKey struct {
	run           run.ID
	metric        string
	rank, attempt int
}

// seriesID returns a worker's series of a metric in an attempt; ok is false if dropped.
func (w *Writer) seriesID(ctx context.Context, k seriesKey, out *Result) (id int64, ok bool, err error) {
	w.p.mu.Lock()
	id, ok = w.p.series[k]
	w.p.mu.Unlock()
	if ok {
		return id, true, nil
	}
	if id, ok = w.fresh[k]; ok {
		return id, true, nil
	}
	if ok, err = w.keeps(ctx, k.run, k.metric, out); err != nil || !ok {
		return 0, false, err
	}
	err = w.tx.QueryRow(ctx, `INSERT INTO series (run_id, metric, rank, attempt, until) VALUES (?,?,?,?,?)
		ON CONFLICT (run_id, metric, rank, attempt) DO UPDATE SET rank = excluded.rank RETURNING id`, k.run, k.metric, k.rank, k.attempt, out.Gone).Scan(&id)
	if err != nil {
		return 0, false, fmt.Errorf("series %s of %s: %w", k.metric, k.run, err)
	}
	w.fresh[k] = id
	return id, true, nil
}

// rowsAtOnce is how many points wait for one statement.
const rowsAtOnce = 2048

// upsert lets later attempts win, and within an attempt exact values over printed ones; as [Writer.row] does.
const upsert = ` ON CONFLICT (series, step) DO UPDATE SET value = excluded.value, at = excluded.at, exact = excluded.exact,
	attempt = excluded.attempt WHERE excluded.attempt > points.attempt OR (excluded.attempt = points.attempt AND excluded.exact >= points.exact)`

// rowKey is the key of points.
type rowKey struct{ series, step int64 }

// headRow is a row of points.
type headRow struct {
	rowKey
	value   float64
	at      int64
	exact   int64
	attempt int64
}

// row gathers points into few statements, which must not have one key twice.
func (w *Writer) row(ctx context.Context, series int64, p Point, r Report) error {
	n := headRow{rowKey{series, p.Step}, p.Value, r.At.UnixMilli(), 0, int64(r.Attempt)}
	if p.Exact {
		n.exact = 1
	}
	if i, ok := w.at[n.rowKey]; ok {
		if was := &w.rows[i]; n.attempt > was.attempt || n.attempt == was.attempt && n.exact >= was.exact {
			*was = n
		}
		return nil
	}
	w.at[n.rowKey] = len(w.rows)
	w.rows = append(w.rows, n)
	if len(w.rows) < rowsAtOnce {
		return nil
	}
	return w.Flush(ctx)
}

// Flush stores pending rows; call it before the commit. In the order of their key they are half the work, and those that are
// surely new, which are nearly all, half of that on PostgreSQL.
func (w *Writer) Flush(ctx context.Context) error {
	slices.SortFunc(w.rows, func(a, b headRow) int { return cmp.Or(cmp.Compare(a.series, b.series), cmp.Compare(a.step, b.step)) })
	var added, others []headRow
	for _, r := range w.rows {
		bound, err := w.bound(ctx, r.series)
		if err != nil {
			return err
		}
		if r.step <= bound {
			others = append(others, r)
			continue
		}
		added = append(added, r)
		w.bounds[r.series] = r.step
	}
	w.rows = w.rows[:0]
	clear(w.at)
	if err := w.insert(ctx, added, ""); err != nil {
		return err
	}
	return w.insert(ctx, others, upsert)
}

// bound is at least the greatest step of a series' rows.
func (w *Writer) bound(ctx context.Context, series int64) (int64, error) {
	bound, ok := w.bounds[series]
	if ok {
		return bound, nil
	}
	w.p.mu.Lock()
	bound, ok = w.p.bounds[series]
	delete(w.p.bounds, series) // until the end: whoever comes after the commit must not read the bound before it
	w.p.mu.Unlock()
	if !ok {
		err := w.tx.QueryRow(ctx, `SELECT coalesce(max(step), ?) FROM points WHERE series = ?`, int64(math.MinInt64), series).Scan(&bound)
		if err != nil {
			return 0, err
		}
	}
	w.bounds[series] = bound
	return bound, nil
}

func (w *Writer) insert(ctx context.Context, rows []headRow, then string) error {
	if len(rows) == 0 {
		return nil
	}
	ints := func(name string, of func(headRow) int64) db.Column {
		c := db.Column{Name: name, Ints: make([]int64, len(rows))}
		for i, r := range rows {
			c.Ints[i] = of(r)
		}
		return c
	}
	values := make([]float64, len(rows))
	for i, r := range rows {
		values[i] = r.value
	}
	return w.tx.InsertRows(ctx, "points", []db.Column{
		ints("series", func(r headRow) int64 { return r.series }), ints("step", func(r headRow) int64 { return r.step }), {Name: "value", Floats: values},
		ints("at", func(r headRow) int64 { return r.at }), ints("exact", func(r headRow) int64 { return r.exact }), ints("attempt", func(r headRow) int64 { return r.attempt }),
	}, then)
}
