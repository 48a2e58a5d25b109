package series

import (
	"math"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/cotrain/cotrain/internal/run"
)

var nearly = cmp.Options{cmpopts.EquateNaNs(), cmpopts.EquateApprox(1e-12, 1e-300)}

// drawCurve draws a curve with gaps, values that are no numbers, and a clock that jumps.
func drawCurve(t *rapid.T, most int) []run.CurvePoint {
	value := rapid.OneOf(rapid.Float64Range(1, 10), rapid.Float64Range(1, 10), rapid.Float64Range(1, 1e9), rapid.SampledFrom([]float64{math.NaN(), math.Inf(1), math.Inf(-1)}))
	gap := rapid.SampledFrom([]int64{1, 1, 1, 1, 1, 1, 2, 10, 1000, 1 << 40}).Draw(t, "gap")
	step := rapid.SampledFrom([]int64{0, 0, -1000, 1 << 41, math.MinInt64}).Draw(t, "first step")
	at := time.UnixMilli(1_700_000_000_000).UTC()
	var out []run.CurvePoint
	for range rapid.IntRange(0, most).Draw(t, "points") {
		v := value.Draw(t, "value")
		out = append(out, run.CurvePoint{Step: step, Mean: v, Min: v - 1, Max: v + 1, Sum: 2 * v, Workers: rapid.IntRange(1, 3).Draw(t, "workers"), At: at})
		step += gap * rapid.SampledFrom([]int64{1, 1, 1, 1, 1, 1, 1, 7, 100}).Draw(t, "steps")
		at = at.Add(time.Duration(rapid.SampledFrom([]int64{100, 1000, 1000, 1000, 0, -5000, 1_000_000}).Draw(t, "ms")) * time.Millisecond)
	}
	return out
}

// ofOneWorker makes a curve that of a worker alone.
func ofOneWorker(curve []run.CurvePoint) []run.CurvePoint {
	for i, p := range curve {
		curve[i] = run.CurvePoint{Step: p.Step, Mean: p.Mean, Min: p.Mean, Max: p.Mean, Sum: p.Mean, Workers: 1, At: p.At}
	}
	return curve
}

// inBlocks has parts of one worker read in blocks, too.
func inBlocks(t *rapid.T, parts []Part) {
	for i := range parts {
		each := parts[i].Each
		parts[i].Blocks = func(take func(Block)) error {
			var all Block
			err := each(func(p run.CurvePoint) bool {
				all = Block{append(all.Steps, p.Step), append(all.Times, p.At.UnixMilli()), append(all.Values, p.Mean)}
				return true
			})
			for len(all.Steps) > 0 {
				n := rapid.IntRange(1, len(all.Steps)).Draw(t, "block")
				take(all.head(n))
				all = all.tail(n)
			}
			return err
		}
	}
}

// drawParts splits a curve, and counts how many of its points are read.
func drawParts(t *rapid.T, curve []run.CurvePoint, read *int) (parts []Part) {
	for len(curve) > 0 {
		n := rapid.IntRange(1, min(len(curve), 60)).Draw(t, "part")
		p := inMemory(curve[:n])
		each := p.Each
		p.Each = func(take func(run.CurvePoint) bool) error {
			return each(func(p run.CurvePoint) bool { *read++; return take(p) })
		}
		if rapid.IntRange(0, 7).Draw(t, "unknown") == 0 {
			p.Column, p.Unknown = Column{First: p.First, Last: p.Last, Points: p.Points + 3}, true
		}
		parts, curve = append(parts, p), curve[n:]
	}
	return parts
}

func between(curve []run.CurvePoint, from, to int64) (out []run.CurvePoint) {
	for _, p := range curve {
		if p.Step >= from && p.Step <= to {
			out = append(out, p)
		}
	}
	return out
}

// columnsOf are the columns of a width, in the plainest way.
func columnsOf(curve []run.CurvePoint, width int64) (out []Column) {
	for _, p := range curve {
		n := len(out) - 1
		if n < 0 || floor(out[n].Last, width) != floor(p.Step, width) {
			out = append(out, Column{First: p.Step, FirstAt: p.At.UnixMilli(), LastAt: p.At.UnixMilli(), Min: math.NaN(), Max: math.NaN()})
			n++
		}
		c := &out[n]
		c.Last, c.FirstAt, c.LastAt = p.Step, min(c.FirstAt, p.At.UnixMilli()), max(c.LastAt, p.At.UnixMilli())
		c.Points++
		c.Workers = max(c.Workers, p.Workers)
		for _, v := range []float64{p.Min, p.Max, p.Mean} {
			switch {
			case math.IsNaN(v):
				c.Odd |= HasNaN
			case math.IsInf(v, 1):
				c.Odd |= HasInf
			case math.IsInf(v, -1):
				c.Odd |= HasNegativeInf
			}
		}
		if finite(p.Min) && !(c.Min <= p.Min) {
			c.Min = p.Min
		}
		if finite(p.Max) && !(c.Max >= p.Max) {
			c.Max = p.Max
		}
		if finite(p.Mean) {
			c.Means++
			c.Value += p.Mean
		}
	}
	for i := range out {
		out[i].Value /= float64(out[i].Means)
	}
	return out
}

func floor(step, width int64) int64 { return step &^ (width - 1) }

func TestAViewOfPartsIsThatOfTheirPoints(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		curve := drawCurve(t, 400)
		read := 0
		alone := rapid.Bool().Draw(t, "one worker")
		if alone {
			curve = ofOneWorker(curve)
		}
		parts := drawParts(t, curve, &read)
		if alone {
			inBlocks(t, parts)
		}
		from, to := int64(math.MinInt64), int64(math.MaxInt64)
		if len(curve) > 0 && rapid.Bool().Draw(t, "a part") {
			from = curve[rapid.IntRange(0, len(curve)-1).Draw(t, "from")].Step
			to = curve[rapid.IntRange(0, len(curve)-1).Draw(t, "to")].Step + 1
		}
		limit := rapid.IntRange(0, 20).Draw(t, "limit")
		in := between(curve, from, to)
		v, err := Summarize(parts, from, to, limit, 0, Smoothing{})
		if err != nil {
			t.Fatal(err)
		}
		if v.Points != int64(len(in)) || len(v.Columns) > max(limit, 1) || v.Width < 1 || v.Width&(v.Width-1) != 0 {
			t.Fatalf("%d of %d points in %d columns of %d steps", v.Points, len(in), len(v.Columns), v.Width)
		}
		want := columnsOf(in, v.Width)
		if d := cmp.Diff(want, v.Columns, nearly); d != "" && v.Width < 1<<62 {
			t.Fatalf("columns of %d steps (-want +got):\n%s", v.Width, d)
		}
		wide := int64(1) << rapid.IntRange(0, 40).Draw(t, "width")
		if wv, err := Summarize(parts, from, to, limit, wide, Smoothing{}); err != nil || wv.Width != wide || !cmp.Equal(columnsOf(in, wide), wv.Columns, nearly) {
			t.Fatalf("%d columns of %d steps, %v", len(wv.Columns), wide, err)
		}
		s := drawSmoothing().Draw(t, "smoothing")
		smoothed := map[int64]float64{}
		m := s.Smoother(func(p run.CurvePoint) bool { smoothed[p.Step] = p.Mean; return true })
		for _, p := range curve {
			m.Add(p)
		}
		m.End()
		sv, err := Summarize(parts, from, to, limit, 0, s)
		if err != nil || sv.Width != v.Width || len(sv.Columns) != len(v.Columns) {
			t.Fatalf("smoothed there are %d columns of %d steps, %v", len(sv.Columns), sv.Width, err)
		}
		for i, c := range sv.Columns {
			if got, want := c.Value, smoothed[c.Last]; got != want && !(math.IsNaN(got) && math.IsNaN(want)) && !(math.Abs(got-want) <= 1e-12*math.Abs(want)) {
				t.Fatalf("%v is %v at step %d, want %v", s, got, c.Last, want)
			}
			if c.Value = v.Columns[i].Value; !cmp.Equal(c, v.Columns[i], nearly) {
				t.Fatalf("more than the value is smoothed: %+v, %+v", c, v.Columns[i])
			}
		}
	})
}

// regular is a curve of as many steps, with one spike.
func regular(steps int, spike int) []run.CurvePoint {
	out := make([]run.CurvePoint, steps)
	for i := range out {
		out[i] = run.CurvePoint{Step: int64(i), Mean: 1, Min: 1, Max: 1, Workers: 1, At: time.UnixMilli(int64(i))}
	}
	out[spike].Max = 1e9
	return out
}

func TestFewPartsOfALongCurveAreRead(t *testing.T) {
	t.Parallel()
	const steps, spike = 1 << 20, 777_777
	curve := regular(steps, spike)
	read := 0
	var parts []Part
	for some := range slices.Chunk(curve, 1500) {
		p := inMemory(some)
		each := p.Each
		p.Each = func(take func(run.CurvePoint) bool) error {
			return each(func(p run.CurvePoint) bool { read++; return take(p) })
		}
		parts = append(parts, p)
	}
	for _, tc := range []struct {
		from, to int64
		limit    int
		s        Smoothing
		most     int
	}{
		{0, steps, 100, Smoothing{}, 100 * 1500}, {700_001, 800_000, 100, Smoothing{}, 103_000}, {777_000, 778_000, 500, Smoothing{}, 3000},
		{0, steps, 100, Smoothing{EMA, 0.9}, 400 * 1500}, {0, steps, 20, Smoothing{Gaussian, 50}, 80 * 1500},
	} {
		read = 0
		v, err := Summarize(parts, tc.from, tc.to, tc.limit, 0, tc.s)
		if err != nil || read > tc.most {
			t.Errorf("%+v: %d points were read, %v", tc, read, err)
		}
		if !slices.ContainsFunc(v.Columns, func(c Column) bool { return c.First <= spike && spike <= c.Last && c.Max == 1e9 }) {
			t.Errorf("%+v: the spike is not seen", tc)
		}
		if len(v.Columns) < tc.limit/2-1 {
			t.Errorf("%+v: only %d columns", tc, len(v.Columns))
		}
	}
}

func TestColumnsComeBackAsTheyWere(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		columns := columnsOf(drawCurve(t, 300), 4)
		if len(columns) == 0 {
			return
		}
		data, err := EncodeColumns(columns)
		if err != nil {
			t.Fatal(err)
		}
		got, err := AppendColumns(nil, data)
		if d := cmp.Diff(columns, got, cmpopts.EquateNaNs()); err != nil || d != "" {
			t.Fatalf("%v, %s", err, d)
		}
		data[rapid.IntRange(0, len(data)-1).Draw(t, "byte")] ^= 1
		if got, err := AppendColumns(nil, data); err == nil || len(got) > 0 {
			t.Fatalf("damaged there are %d columns, %v", len(got), err)
		}
	})
}

func TestABlockIsSummarizedAsItsPoints(t *testing.T) {
	t.Parallel()
	value := rapid.OneOf(rapid.Float64Range(-10, 10), rapid.Float64(), rapid.SampledFrom([]float64{math.NaN(), math.Inf(1), math.Inf(-1), math.MaxFloat64}))
	rapid.Check(t, func(t *rapid.T) {
		var points []Point
		step := rapid.Int64Range(-100, 100).Draw(t, "first step")
		for range rapid.IntRange(1, 400).Draw(t, "points") {
			points = append(points, Point{Step: step, Value: value.Draw(t, "value"), At: rapid.Int64Range(0, 1000).Draw(t, "at")})
			step += rapid.Int64Range(1, 9).Draw(t, "gap")
		}
		data, err := EncodeChunk(points)
		if err != nil {
			t.Fatal(err)
		}
		shift := uint(rapid.IntRange(0, 12).Draw(t, "shift")) //nolint:gosec // small
		whole, single := Builder{shift: shift}, Builder{shift: shift}
		var r ChunkReader
		if err := r.Open(data, len(points)); err != nil {
			t.Fatal(err)
		}
		for b, ok := r.Block(); ok; b, ok = r.Block() {
			whole.block(b)
		}
		if r.Err() != nil {
			t.Fatal(r.Err())
		}
		for _, p := range points {
			single.Add(run.CurvePoint{Step: p.Step, Mean: p.Value, Min: p.Value, Max: p.Value, Workers: 1, At: time.UnixMilli(p.At)})
		}
		a, b := single.View(), whole.View()
		for i, c := range a.Columns { // large values may cancel out
			if i < len(b.Columns) && math.Abs(c.Value-b.Columns[i].Value) <= 1e-13*max(math.Abs(c.Min), math.Abs(c.Max)) {
				b.Columns[i].Value = c.Value
			}
		}
		if d := cmp.Diff(a, b, cmpopts.EquateNaNs()); d != "" {
			t.Fatal(d)
		}
	})
}
