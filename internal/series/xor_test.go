package series_test

import (
	"encoding/binary"
	"hash/crc32"
	"math"
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"pgregory.net/rapid"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/series"
)

// oldPoints are those of testdata/xor.chunk, which an earlier CoTrain encoded.
func oldPoints() []series.Point {
	out := make([]series.Point, 300)
	for i := range out {
		out[i] = series.Point{Step: int64(i), Value: float64(20000-i*i%977) / 1e4, At: 1_700_000_000_000 + int64(1000*i+i*i%89)}
	}
	for i, v := range []float64{math.NaN(), math.Inf(1), math.Inf(-1), math.Copysign(0, -1), math.SmallestNonzeroFloat64, math.MaxFloat64, 1.0 / 3} {
		out[40+10*i].Value = v
	}
	for i := range 100 {
		out[200+i].Step += int64(i) << 40
		out[200+i].At -= int64(i) << 50
	}
	return out
}

// oldCurve is that of testdata/xor.curve.
func oldCurve() []run.CurvePoint {
	out := make([]run.CurvePoint, 300)
	for i, p := range oldPoints() {
		n := 1 + i/100
		out[i] = run.CurvePoint{Step: p.Step, Min: p.Value, Max: p.Value + float64(i/100), Sum: p.Value * float64(n), Workers: n, At: time.UnixMilli(p.At).UTC()}
		out[i].Mean = out[i].Sum / float64(n)
	}
	return out
}

func TestWhatAnEarlierConsoleStoredIsRead(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("testdata/xor.chunk")
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{1, 2, 128, 129, 300} {
		if got, err := series.DecodeChunk(data, n); err != nil || !sameBits(got, oldPoints()[:n]) {
			t.Errorf("%d points: %v, or other ones", n, err)
		}
	}
	if data, err = os.ReadFile("testdata/xor.curve"); err != nil {
		t.Fatal(err)
	}
	curve, err := series.AppendCurve(nil, data)
	if diff := cmp.Diff(oldCurve(), curve, cmpopts.EquateNaNs()); err != nil || diff != "" {
		t.Error(err, diff)
	}
}

func xorChunk(t interface{ Fatal(args ...any) }, points []series.Point) []byte {
	values, times := chunkenc.NewXORChunk(), chunkenc.NewXORChunk()
	value, err := values.Appender()
	if err != nil {
		t.Fatal(err)
	}
	at, err := times.Appender()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range points {
		value.Append(p.Step, p.Value)
		at.Append(p.At, 0)
	}
	out := binary.AppendUvarint(make([]byte, crc32.Size), uint64(len(values.Bytes())))
	out = append(append(out, values.Bytes()...), times.Bytes()...)
	binary.BigEndian.PutUint32(out, crc32.Checksum(out[crc32.Size:], crc32.MakeTable(crc32.Castagnoli)))
	return out
}

// TestPrometheusChunksAreRead also alternates old chunks and new ones in one reader.
func TestPrometheusChunksAreRead(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		want := points(t)
		fresh, err := series.EncodeChunk(want)
		if err != nil {
			t.Fatal(err)
		}
		var r series.ChunkReader
		for _, data := range [][]byte{xorChunk(t, want), fresh, xorChunk(t, want)} {
			n := rapid.IntRange(1, len(want)).Draw(t, "wanted")
			if err := r.Open(data, n); err != nil {
				t.Fatal(err)
			}
			var got []series.Point
			for r.Next() {
				got = append(got, r.Point())
			}
			if r.Err() != nil || !sameBits(got, want[:n]) {
				t.Fatalf("%v; got %v, want %v", r.Err(), got, want[:n])
			}
		}
	})
}
