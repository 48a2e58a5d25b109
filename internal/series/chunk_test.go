package series_test

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/cotrain/cotrain/internal/series"
)

// value draws numbers of every kind: smooth, any bits, and what is not a number.
func value() *rapid.Generator[float64] {
	return rapid.OneOf(
		rapid.Float64Range(0, 10), rapid.Float64(),
		rapid.Map(rapid.Uint64(), math.Float64frombits),
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

func sameBits(a, b []series.Point) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i].Step != b[i].Step || a[i].At != b[i].At || math.Float64bits(a[i].Value) != math.Float64bits(b[i].Value) {
			return false
		}
	}
	return true
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
