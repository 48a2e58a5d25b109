package storetest

import (
	"context"
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/series"
	"github.com/cotrain/cotrain/internal/store"
	"github.com/cotrain/cotrain/internal/store/points"
)

// RunPoints does to the points of a run whatever can be done, in random order, and compares what can be read with a
// simple model. reopen opens the store, and the same data again after the one before was closed; it should have chunks
// of a few points, so that there are many. RunPoints closes the last store and leaves nothing in it. It makes at most so
// many checks, for a store that takes long to open.
func RunPoints(t *testing.T, most int, reopen func() (Store, error)) {
	s, err := reopen()
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	rapid.Check(t, func(t *rapid.T) {
		if n++; n > most {
			return
		}
		r := newRun(fmt.Sprintf("r-%010d", n), "random")
		c := &pointsCheck{ctx: context.Background(), s: s, reopen: reopen, id: r.ID, model: newModel(), attempt: 1, cursors: map[string]store.Cursor{}, next: map[int]int64{}, now: epoch}
		defer func() {
			s = c.s
			_ = s.DeleteRun(c.ctx, c.id) // once more, if the check was given up in its middle
		}()
		_, _, err := c.s.CreateRun(c.ctx, r, "", run.Event{RunID: r.ID, At: epoch, To: run.Queued, Rank: -1})
		c.must(t, err)
		t.Repeat(map[string]func(*rapid.T){
			"commit": c.commit, "commit more": c.commit, "seal": c.seal, "seal all": c.sealAll, "kill while sealing": c.kill, "reopen": c.again,
			"roll up": c.rollUp, "retry": c.retry, "end": c.end, "read": c.read, "read pages": c.readPages,
		})
		c.readReplaced(t)
		c.sealAll(t)
		c.read(t)
		c.readReplaced(t)
		c.readPages(t)
		c.rollUp(t)
		c.must(t, c.s.DeleteRun(c.ctx, c.id))
	})
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// pointsCheck is one run beside its model.
type pointsCheck struct {
	ctx     context.Context
	s       Store
	reopen  func() (Store, error)
	id      run.ID
	model   *model
	cursors map[string]store.Cursor // by allocation
	next    map[int]int64           // by rank: the step that it is at
	attempt int                     // the newest
	ended   bool
	now     time.Time // of summaries
}

func (c *pointsCheck) must(t *rapid.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (c *pointsCheck) same(t *rapid.T, what string, got, want any) {
	t.Helper()
	if d := cmp.Diff(want, got, nearly); d != "" {
		t.Fatalf("%s differs (-want +got):\n%s", what, d)
	}
}

// samePoints is same, and many times faster where nothing differs.
func (c *pointsCheck) samePoints(t *rapid.T, what string, got, want []points.WorkerPoint) {
	t.Helper()
	equal := slices.EqualFunc(got, want, func(a, b points.WorkerPoint) bool {
		v, w := float64(a.Value), float64(b.Value)
		return a.Rank == b.Rank && a.Step == b.Step && a.At == b.At && (v == w || (math.IsNaN(v) && math.IsNaN(w)))
	})
	if !equal {
		c.same(t, what, got, want)
	}
}

// pointValue draws losses that are numbers and some that are not.
func pointValue() *rapid.Generator[float64] {
	return rapid.OneOf(rapid.Float64Range(0, 10), rapid.Float64Range(0, 10), rapid.Float64Range(-1e9, 1e9),
		rapid.SampledFrom([]float64{math.NaN(), math.Inf(1), math.Inf(-1), 0}))
}

func (c *pointsCheck) commit(t *rapid.T) {
	var batches []*store.Batch
	for range rapid.IntRange(1, 2).Draw(t, "batches") {
		rank, attempt := rapid.IntRange(0, 2).Draw(t, "rank"), c.attempt
		if rapid.IntRange(0, 4).Draw(t, "late") == 0 {
			attempt = rapid.IntRange(1, c.attempt).Draw(t, "attempt")
		}
		alloc := fmt.Sprintf("%s-%d-%d", c.id, attempt, rank)
		b := batch(c.id, rank, c.cursors[alloc], "x\n", c.points(t, rank)...)
		b.AllocID, b.Attempt = alloc, attempt
		b.At = epoch.Add(time.Duration(rapid.IntRange(0, 5000).Draw(t, "ms")) * time.Millisecond)
		c.cursors[alloc] = b.To
		batches = append(batches, b)
	}
	c.must(t, c.s.Commit(c.ctx, batches))
	for _, b := range batches {
		c.model.commit(b)
	}
}

// points draws what one worker reports at one time: some steps on, or some again; of several metrics, one of which has
// steps and times.
func (c *pointsCheck) points(t *rapid.T, rank int) []points.Point {
	if rapid.IntRange(0, 4).Draw(t, "again") == 0 {
		c.next[rank] = rapid.Int64Range(0, c.next[rank]).Draw(t, "from")
	}
	metrics := rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"loss", "tokens_per_second", "other", "mixed"}), 1, 4, rapid.ID[string]).Draw(t, "metrics")
	exact := rapid.SampledFrom([]string{"all", "none", "some"}).Draw(t, "exact")
	gap := rapid.SampledFrom([]int64{1, 1, 10, 100, 1_000_000_007}).Draw(t, "gap")
	var out []points.Point
	for range rapid.IntRange(1, 12).Draw(t, "steps") {
		for _, m := range metrics {
			p := points.Point{Metric: m, Step: c.next[rank], Value: pointValue().Draw(t, "value")}
			p.Exact = exact == "all" || (exact == "some" && rapid.Bool().Draw(t, "exact one"))
			if m == "mixed" && rapid.Bool().Draw(t, "by time") {
				p.Step = epoch.UnixMilli() + rapid.Int64Range(0, 50).Draw(t, "time")
			}
			out = append(out, p)
		}
		c.next[rank] += gap
	}
	return out
}

func (c *pointsCheck) seal(t *rapid.T) {
	_, err := c.s.SealPoints(c.ctx)
	c.must(t, err)
}

func (c *pointsCheck) sealAll(t *rapid.T) {
	for more := true; more; {
		var err error
		more, err = c.s.SealPoints(c.ctx)
		c.must(t, err)
	}
}

// kill ends a seal somewhere in its middle, and the store with it.
func (c *pointsCheck) kill(t *rapid.T) {
	ctx, cancel := context.WithCancel(c.ctx)
	defer cancel()
	defer time.AfterFunc(time.Duration(rapid.IntRange(0, 1500).Draw(t, "µs"))*time.Microsecond, cancel).Stop()
	for more := true; more; {
		var err error
		if more, err = c.s.SealPoints(ctx); err != nil && ctx.Err() == nil {
			t.Fatal(err)
		}
	}
	c.again(t)
}

func (c *pointsCheck) again(t *rapid.T) {
	c.must(t, c.s.Close())
	s, err := c.reopen()
	c.must(t, err)
	c.s = s
}

// rollUp brings the curves that are kept ready up to date; only then they must be what the points say.
func (c *pointsCheck) rollUp(t *rapid.T) {
	for more := true; more; {
		r, _, err := c.s.RollUp(c.ctx, c.id)
		c.must(t, err)
		more = r.More
	}
	for _, metric := range points.CurveMetrics() {
		from := rapid.Int64Range(0, 300).Draw(t, "from")
		got, err := c.s.Curve(c.ctx, c.id, metric, from)
		c.must(t, err)
		c.same(t, "curve of "+metric, got, c.model.curve(metric, from))
	}
	head, err := c.s.Headline(c.ctx, c.id)
	c.must(t, err)
	c.same(t, "headline", head, c.model.headline())
	c.must(t, c.s.SaveProgress(c.ctx, c.id, head))
	c.model.step = head.Step
	for _, metric := range points.CurveMetrics() {
		c.view(t, metric)
	}
	c.summarize(t)
}

// view looks at a metric, of one worker or of all, in columns, and reads it point by point.
func (c *pointsCheck) view(t *rapid.T, metric string) {
	q := points.ViewQuery{Worker: rapid.IntRange(points.AllWorkers, 3).Draw(t, "worker"), From: math.MinInt64, To: math.MaxInt64, Limit: rapid.IntRange(0, 12).Draw(t, "columns")}
	if rapid.Bool().Draw(t, "a part") {
		q.From, q.To = rapid.Int64Range(-1, 300).Draw(t, "from"), rapid.Int64Range(0, 400).Draw(t, "to")
	}
	curve := c.model.of(metric, q.Worker)
	var in []run.CurvePoint
	for _, p := range curve {
		if p.Step >= q.From && p.Step <= q.To {
			in = append(in, p)
		}
	}
	var each []run.CurvePoint
	c.must(t, c.s.Each(c.ctx, c.id, metric, q.Worker, q.From, q.To, func(p run.CurvePoint) bool {
		each = append(each, p)
		return true
	}))
	c.same(t, "each of "+metric, each, in)
	v, err := c.s.View(c.ctx, c.id, metric, q)
	c.must(t, err)
	if len(v.Columns) > max(q.Limit, 1) || v.Width < 1 || v.Width&(v.Width-1) != 0 || v.Points != int64(len(in)) {
		t.Fatalf("%d of %d points of %s in %d columns of %d steps, %d at most", v.Points, len(in), metric, len(v.Columns), v.Width, q.Limit)
	}
	var want []series.Column
	for _, p := range in {
		if n := len(want); n == 0 || want[n-1].Last&^(v.Width-1) != p.Step&^(v.Width-1) {
			want = append(want, series.ColumnOf([]run.CurvePoint{p}))
		} else {
			of := slices.DeleteFunc(slices.Clone(in), func(o run.CurvePoint) bool { return o.Step < want[n-1].First || o.Step > p.Step })
			want[n-1] = series.ColumnOf(of)
		}
	}
	c.sameColumns(t, fmt.Sprintf("columns of %s for %+v", metric, q), v.Columns, want)
	q.Smooth = rapid.SampledFrom([]series.Smoothing{{Kernel: series.EMA, Amount: 0.7}, {Kernel: series.TimedEMA, Amount: 2}, {Kernel: series.Gaussian, Amount: 1.5}}).Draw(t, "smoothing")
	smoothed := map[int64]float64{}
	m := q.Smooth.Smoother(func(p run.CurvePoint) bool { smoothed[p.Step] = p.Mean; return true })
	for _, p := range curve {
		m.Add(p)
	}
	m.End()
	v, err = c.s.View(c.ctx, c.id, metric, q)
	c.must(t, err)
	for i := range want {
		want[i].Value = smoothed[want[i].Last]
	}
	c.sameColumns(t, fmt.Sprintf("smoothed %s for %+v", metric, q), v.Columns, want)
}

// readReplaced reads what later attempts have repeated, of each worker and attempt.
func (c *pointsCheck) readReplaced(t *rapid.T) {
	found := map[replacedKey]modelPoint{}
	for _, metric := range c.model.metrics() {
		for attempt := 1; attempt <= c.attempt; attempt++ {
			for rank := range 3 {
				v, err := c.s.View(c.ctx, c.id, metric, points.ViewQuery{Worker: rank, From: math.MinInt64, To: math.MaxInt64, Limit: math.MaxInt32, Replaced: attempt})
				c.must(t, err)
				for _, col := range v.Columns {
					key := replacedKey{metric, attempt, rank, col.First}
					if want, ok := c.model.replaced[key]; ok || !c.model.covered[key] {
						value := col.Value
						if col.Odd != 0 {
							value = want.value
						}
						found[key] = modelPoint{value, col.FirstAt, attempt, want.exact}
					}
				}
			}
		}
	}
	if d := cmp.Diff(c.model.replaced, found, cmp.AllowUnexported(replacedKey{}, modelPoint{}), nearly); d != "" {
		t.Fatalf("the replaced points differ (-want +got):\n%s", d)
	}
	c.pageReplaced(t)
}

// pageReplaced reads the same in small pages.
func (c *pointsCheck) pageReplaced(t *rapid.T) {
	const limit = 7
	paged := map[replacedKey]bool{}
	for _, metric := range c.model.metrics() {
		for attempt := 1; attempt <= c.attempt; attempt++ {
			for after := (*points.PageCursor)(nil); ; {
				page, err := c.s.ReplacedPage(c.ctx, c.id, metric, attempt, math.MinInt64, after, limit)
				c.must(t, err)
				for _, p := range page {
					key := replacedKey{metric, attempt, p.Rank, p.Step}
					want, ok := c.model.replaced[key]
					if paged[key] || !ok && !c.model.covered[key] || ok && want.value != float64(p.Value) && !(math.IsNaN(want.value) && math.IsNaN(float64(p.Value))) {
						t.Fatalf("%+v is %v, want %v", key, p.Value, want)
					}
					paged[key] = true
					after = &points.PageCursor{Rank: p.Rank, Step: p.Step}
				}
				if len(page) < limit {
					break
				}
			}
		}
	}
	for key := range c.model.replaced {
		if !paged[key] {
			t.Fatalf("%+v is on no page", key)
		}
	}
}

// sameColumns allows for means in which large values cancel out.
func (c *pointsCheck) sameColumns(t *rapid.T, what string, got, want []series.Column) {
	for i := range min(len(got), len(want)) {
		if a, b := got[i].Value, want[i].Value; math.Abs(a-b) <= 1e-15*1e9*100+1e-12*math.Abs(b) {
			got[i].Value = b
		}
	}
	c.same(t, what, got, want)
}

// summarize brings the summaries up to date, of a live run or an ended one, which must be what the points say.
func (c *pointsCheck) summarize(t *rapid.T) {
	c.now = c.now.Add(time.Hour)
	for more := true; more; {
		var err error
		more, err = c.s.Summarize(c.ctx, c.now)
		c.must(t, err)
	}
	got, err := c.s.RunMetrics(c.ctx, c.id)
	c.must(t, err)
	for i, s := range got {
		columns, err := series.DecodeShape(s.Shape)
		c.must(t, err)
		if want := c.model.shape(s.Metric); len(columns) > 40 || (len(columns) > 0) != want {
			t.Fatalf("the shape of %s has %d columns, want any %v", s.Metric, len(columns), want)
		}
		got[i].Shape = nil
	}
	c.same(t, "summaries", got, c.model.summaries())
}

// retry begins another attempt, which trains some steps again.
func (c *pointsCheck) retry(t *rapid.T) {
	if c.attempt == 6 {
		return
	}
	c.attempt++
	for rank, step := range c.next {
		c.next[rank] = rapid.Int64Range(max(0, step-50), step).Draw(t, "from")
	}
}

// end ends the run; what is printed late is still stored.
func (c *pointsCheck) end(t *rapid.T) {
	if c.ended {
		return
	}
	c.ended = true
	_, err := c.s.Update(c.ctx, c.id, func(u *store.Update) error {
		_, err := u.Run.Transition(run.Failed, "test", "", epoch)
		return err
	})
	c.must(t, err)
}

func (c *pointsCheck) read(t *rapid.T) {
	for _, metric := range c.model.metrics() {
		got, err := AllPoints(c.ctx, c.s, c.id, metric)
		c.must(t, err)
		c.samePoints(t, "points of "+metric, got, c.model.page(metric, math.MinInt64, nil))
	}
	for _, metric := range []string{"other", "mixed"} {
		from := rapid.OneOf(rapid.Int64Range(0, 300), rapid.Just(epoch.UnixMilli()+9)).Draw(t, "from")
		got, err := c.s.Curve(c.ctx, c.id, metric, from)
		c.must(t, err)
		c.same(t, "curve of "+metric, got, c.model.curve(metric, from))
		c.view(t, metric)
	}
}

func (c *pointsCheck) readPages(t *rapid.T) {
	names := c.model.metrics()
	if len(names) == 0 {
		return
	}
	metric := rapid.SampledFrom(names).Draw(t, "metric")
	from := rapid.Int64Range(0, 300).Draw(t, "from")
	limit := rapid.IntRange(1, 40).Draw(t, "limit")
	var after *points.PageCursor
	if rapid.Bool().Draw(t, "after a place") {
		after = &points.PageCursor{Rank: rapid.IntRange(-1, 3).Draw(t, "rank"), Step: rapid.Int64Range(-1, 300).Draw(t, "step")}
	}
	for want := c.model.page(metric, from, after); ; {
		page, err := c.s.PointsPage(c.ctx, c.id, metric, from, after, limit)
		c.must(t, err)
		n := min(limit, len(want))
		c.samePoints(t, fmt.Sprintf("page of %s from %d after %+v", metric, from, after), page, want[:n])
		if want = want[n:]; n == 0 {
			return
		}
		after = &points.PageCursor{Rank: page[n-1].Rank, Step: page[n-1].Step}
	}
}
