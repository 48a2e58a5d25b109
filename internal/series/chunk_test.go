package series_test

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/cotrain/cotrain/internal/series"
)

// value draws numbers of every kind: smooth, printed, of 32 bits, any bits, and what is not a number.
func value() *rapid.Generator[float64] {
	return rapid.OneOf(
		rapid.Float64Range(0, 10), rapid.Float64(),
		rapid.Map(rapid.Uint64(), math.Float64frombits),
		rapid.Map(rapid.IntRange(-1e6, 1e6), func(k int) float64 { return float64(k) / 1e4 }),
		rapid.Map(rapid.Float32(), func(f float32) float64 { return float64(f) }),
		rapid.SampledFrom([]float64{0, math.Copysign(0, -1), math.NaN(), math.Inf(1), math.Inf(-1), math.MaxFloat64, math.SmallestNonzeroFloat64}),
	)
}

func points(t *rapid.T) []series.Point {
	gap := rapid.OneOf(rapid.Int64Range(1, 3), rapid.Int64Range(1, 1<<40))
	at := rapid.OneOf(rapid.Int64Range(1_700_000_000_000, 1_700_000_100_000), rapid.Int64())
	step := rapid.OneOf(rapid.Int64Range(0, 10), rapid.Int64Range(math.MinInt64, math.MaxInt64)).Draw(t, "first step")
	var out []series.Point
	for i := range rapid.IntRange(1, 300).Draw(t, "count") {
		if i > 0 {
			g := gap.Draw(t, "gap")
			if step > math.MaxInt64-g {
				break
			}
			step += g
		}
		out = append(out, series.Point{Step: step, Value: value().Draw(t, "value"), At: at.Draw(t, "at")})
	}
	return out
}

// sameBits takes all NaN for one.
func sameBits(a, b []series.Point) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i].Step != b[i].Step || a[i].At != b[i].At || bits(a[i].Value) != bits(b[i].Value) {
			return false
		}
	}
	return true
}

func bits(v float64) uint64 {
	if math.IsNaN(v) {
		v = math.NaN()
	}
	return math.Float64bits(v)
}

func TestAChunkComesBackAsItWas(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		want := points(t)
		data, err := series.EncodeChunk(want)
		if err != nil {
			t.Fatal(err)
		}
		n := rapid.IntRange(1, len(want)).Draw(t, "wanted")
		got, err := series.DecodeChunk(data, n)
		if err != nil || !sameBits(got, want[:n]) {
			t.Fatalf("%v; got %v, want %v", err, got, want[:n])
		}
	})
}

// kinds are values as trainers report them, by point.
var kinds = map[string]func(rnd *rand.Rand, i int) float64{
	"printed": func(rnd *rand.Rand, i int) float64 { return math.Round((3+rnd.NormFloat64())*1e4) / 1e4 },
	"of few digits, some of more": func(rnd *rand.Rand, i int) float64 {
		return float64(rnd.IntN(1000)) / []float64{10, 10, 10, 1e7}[rnd.IntN(200)/66]
	},
	"32 bits": func(rnd *rand.Rand, i int) float64 { return float64(float32(0.9 + 0.1*rnd.NormFloat64())) },
	"64 bits": func(rnd *rand.Rand, i int) float64 { return rnd.ExpFloat64() * 4e4 },
	"any":     func(rnd *rand.Rand, i int) float64 { return math.Float64frombits(rnd.Uint64()) },
	"counted": func(rnd *rand.Rand, i int) float64 { return float64(i) * 524_288 },
	"cosine":  func(rnd *rand.Rand, i int) float64 { return 2e-4 * (1 + math.Cos(float64(i)/1000)) },
	"zero":    func(rnd *rand.Rand, i int) float64 { return 0 },
	"NaN":     func(rnd *rand.Rand, i int) float64 { return math.NaN() },
	"great and small": func(rnd *rand.Rand, i int) float64 {
		return []float64{math.MaxFloat64, -math.MaxFloat64, math.SmallestNonzeroFloat64, 1 << 53, 1<<53 + 2, -1 << 63, 1e15, 1e-15}[rnd.IntN(8)]
	},
}

// TestLongChunksComeBackAsTheyWere has blocks and exceptions in all places.
func TestLongChunksComeBackAsTheyWere(t *testing.T) {
	t.Parallel()
	odd := []float64{math.NaN(), math.Inf(1), math.Inf(-1), math.Copysign(0, -1), math.SmallestNonzeroFloat64, 1.0 / 3, -1e300}
	rapid.Check(t, func(t *rapid.T) {
		kind := kinds[rapid.SampledFrom(slices.Sorted(maps.Keys(kinds))).Draw(t, "kind")]
		n := rapid.OneOf(rapid.IntRange(1, series.MaxChunkPoints), rapid.SampledFrom([]int{127, 128, 129, 256, series.MaxChunkPoints})).Draw(t, "count")
		rare := rapid.SampledFrom([]int{math.MaxInt, 300, 40, 20}).Draw(t, "one in how many is odd")
		jitter := rapid.SampledFrom([]int64{0, 1, 100, 1 << 40}).Draw(t, "jitter")
		rnd := rand.New(rand.NewPCG(1, rapid.Uint64().Draw(t, "seed")))
		want := make([]series.Point, n)
		for i := range want {
			want[i] = series.Point{Step: int64(10*i) + rnd.Int64N(min(jitter, 9)+1), Value: kind(rnd, i), At: int64(1000*i) + rnd.Int64N(jitter+1)}
			if rnd.IntN(rare) == 0 {
				want[i].Value = odd[rnd.IntN(len(odd))]
			}
		}
		data, err := series.EncodeChunk(want)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := series.DecodeChunk(data, n); err != nil || !sameBits(got, want) {
			t.Fatalf("%v, or other points", err)
		}
	})
}

// TestRegularNumbersTakeFewBytes is of the values; steps and times are regular.
func TestRegularNumbersTakeFewBytes(t *testing.T) {
	t.Parallel()
	for kind, most := range map[string]float64{
		"zero": 0.01, "NaN": 0.01, "counted": 0.01, "printed": 1.95, "32 bits": 3, "cosine": 2.3, "64 bits": 7.3, "any": 8.1,
	} {
		pts := make([]series.Point, series.MaxChunkPoints)
		rnd := rand.New(rand.NewPCG(1, 2))
		for i := range pts {
			pts[i] = series.Point{Step: int64(2 * i), Value: kinds[kind](rnd, i), At: int64(1000 * i)}
		}
		data, err := series.EncodeChunk(pts)
		if err != nil {
			t.Fatal(err)
		}
		if got := float64(len(data)) / float64(len(pts)); got > most {
			t.Errorf("%s: %.3f bytes a point, want at most %g", kind, got, most)
		}
	}
}

func TestAReaderCanBeOpenedAgain(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var r series.ChunkReader
		for range 3 {
			want := points(t)
			data, err := series.EncodeChunk(want)
			if err != nil {
				t.Fatal(err)
			}
			if err := r.Open(data, len(want)); err != nil {
				t.Fatal(err)
			}
			var got []series.Point
			for range rapid.IntRange(0, len(want)).Draw(t, "read") { // not to its end
				if !r.Next() {
					t.Fatal(r.Err())
				}
				got = append(got, r.Point())
			}
			if !sameBits(got, want[:len(got)]) {
				t.Fatalf("got %v, want %v", got, want)
			}
		}
	})
}

func TestWhatIsNoChunkIsNotEncoded(t *testing.T) {
	t.Parallel()
	for name, pts := range map[string][]series.Point{
		"no point":        nil,
		"too many points": make([]series.Point, series.MaxChunkPoints+1),
		"a step twice":    {{Step: 3}, {Step: 3}},
		"steps backwards": {{Step: 3}, {Step: 2}},
	} {
		if _, err := series.EncodeChunk(pts); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// TestEveryChangedByteIsSeen also cuts the chunk everywhere.
func TestEveryChangedByteIsSeen(t *testing.T) {
	t.Parallel()
	want := []series.Point{{Step: 1, Value: 2.5, At: 1000}, {Step: 2, Value: math.NaN(), At: 1001}, {Step: 30, Value: -1, At: 900}}
	data, err := series.EncodeChunk(want)
	if err != nil {
		t.Fatal(err)
	}
	for i := range data {
		bad := append([]byte(nil), data...)
		bad[i] ^= 0x10
		if _, err := series.DecodeChunk(bad, len(want)); !errors.Is(err, series.ErrDamaged) {
			t.Errorf("byte %d changed: %v", i, err)
		}
		if _, err := series.DecodeChunk(data[:i], len(want)); !errors.Is(err, series.ErrDamaged) {
			t.Errorf("cut to %d bytes: %v", i, err)
		}
	}
	for _, count := range []int{-1, 0, len(want) + 1, series.MaxChunkPoints + 1, math.MaxInt} {
		if _, err := series.DecodeChunk(data, count); !errors.Is(err, series.ErrDamaged) {
			t.Errorf("%d points wanted: %v", count, err)
		}
	}
}

func TestStatsAreThoseOfTheNumbers(t *testing.T) {
	t.Parallel()
	nan := math.NaN()
	got := series.StatsOf([]series.Point{{Step: 3, Value: nan, At: 9}, {Step: 4, Value: 2, At: 5}, {Step: 9, Value: -1, At: 30}, {Step: 10, Value: 5, At: 29}})
	want := series.Stats{Count: 4, NaNs: 1, Min: -1, Max: 5, Sum: 6, First: 3, Last: 10, FirstAt: 5, LastAt: 30}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	got = series.StatsOf([]series.Point{{Step: 3, Value: nan, At: 9}})
	want = series.Stats{Count: 1, NaNs: 1, Min: nan, Max: nan, Sum: nan, First: 3, Last: 3, FirstAt: 9, LastAt: 9}
	if d := cmp.Diff(want, got, cmpopts.EquateNaNs()); d != "" {
		t.Error(d)
	}
	got = series.StatsOf([]series.Point{{Value: math.Inf(-1)}, {Step: 1, Value: 1}})
	if !math.IsInf(got.Min, -1) || got.Max != 1 || !math.IsInf(got.Sum, -1) || got.NaNs != 0 {
		t.Errorf("with -Inf: %+v", got)
	}
}

// FuzzDecodeChunk gives the decoder whatever bytes, as they are and behind a right checksum: it must neither panic nor
// return points that a chunk cannot hold.
func FuzzDecodeChunk(f *testing.F) {
	for _, pts := range [][]series.Point{
		{{Step: 1, Value: 2, At: 3}},
		{{Step: 1, Value: math.NaN(), At: 3}, {Step: 2, Value: 0.1, At: 2}, {Step: 1 << 50, Value: math.Inf(1), At: math.MinInt64}, {Step: 1<<50 + 1, Value: 7, At: 5}},
	} {
		data, err := series.EncodeChunk(pts)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data, len(pts))
		f.Add(xorChunk(f, pts), len(pts))
	}
	f.Fuzz(func(t *testing.T, data []byte, count int) {
		if len(data) >= crc32.Size {
			right := append([]byte(nil), data...)
			binary.BigEndian.PutUint32(right, crc32.Checksum(right[crc32.Size:], crc32.MakeTable(crc32.Castagnoli)))
			check(t, right, count)
		}
		check(t, data, count)
	})
}

func check(t *testing.T, data []byte, count int) {
	got, err := series.DecodeChunk(data, count)
	if err != nil {
		if !errors.Is(err, series.ErrDamaged) {
			t.Errorf("not said to be damaged: %v", err)
		}
		return
	}
	if len(got) != count || count > series.MaxChunkPoints {
		t.Fatalf("%d points, want %d", len(got), count)
	}
	again, err := series.EncodeChunk(got) // checks that steps ascend
	if err != nil {
		t.Fatal(err)
	}
	if back, err := series.DecodeChunk(again, count); err != nil || !sameBits(back, got) {
		t.Errorf("%v; %v became %v", err, got, back)
	}
}
