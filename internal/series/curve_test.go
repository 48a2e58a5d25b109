package series_test

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"math"
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/series"
)

func curve(t *rapid.T, from int64) []run.CurvePoint {
	gap := rapid.OneOf(rapid.Int64Range(1, 3), rapid.Int64Range(1, 1<<40))
	at := rapid.Int64Range(-1, 1<<45)
	alone := rapid.Bool().Draw(t, "one worker")
	step := from
	var out []run.CurvePoint
	for range rapid.IntRange(1, 300).Draw(t, "count") {
		p := run.CurvePoint{
			Step: step, Min: value().Draw(t, "min"), Max: value().Draw(t, "max"), Sum: value().Draw(t, "sum"),
			Workers: rapid.IntRange(1, 1<<20).Draw(t, "workers"), At: time.UnixMilli(at.Draw(t, "at")).UTC(),
		}
		if alone {
			p.Max, p.Sum, p.Workers = p.Min, p.Min, 1
		}
		p.Mean = p.Sum / float64(p.Workers)
		out = append(out, p)
		step += gap.Draw(t, "gap")
	}
	return out
}

func TestACurveComesBackAsItWas(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		first := curve(t, 0)
		second := curve(t, first[len(first)-1].Step+1)
		var got []run.CurvePoint
		for _, part := range [][]run.CurvePoint{first, second} {
			data, err := series.EncodeCurve(part)
			if err != nil {
				t.Fatal(err)
			}
			if got, err = series.AppendCurve(got, data); err != nil {
				t.Fatal(err)
			}
		}
		if diff := cmp.Diff(append(first, second...), got, cmpopts.EquateNaNs()); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestACurveOfOneWorkerTakesAsMuchAsItsPoints(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		pts := points(t)
		curve := make([]run.CurvePoint, len(pts))
		for i, p := range pts {
			curve[i] = run.CurvePoint{Step: p.Step, Min: p.Value, Max: p.Value, Sum: p.Value, Workers: 1, At: time.UnixMilli(p.At)}
		}
		data, err := series.EncodeCurve(curve)
		if err != nil {
			t.Fatal(err)
		}
		chunk, err := series.EncodeChunk(pts)
		if err != nil || len(data) > len(chunk)+8 {
			t.Fatalf("%v; %d bytes, of the points %d", err, len(data), len(chunk))
		}
	})
}

func TestACurveThatCannotBeIsNotEncoded(t *testing.T) {
	t.Parallel()
	ok := run.CurvePoint{Step: 5, Workers: 1}
	for name, c := range map[string][]run.CurvePoint{
		"no points": nil, "too many": make([]run.CurvePoint, series.MaxChunkPoints+1), "no workers": {{Step: 1}}, "a step twice": {ok, ok},
		"a step back": {ok, {Step: 4, Workers: 1}},
	} {
		if _, err := series.EncodeCurve(c); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestADamagedCurveIsAnErrorAndAddsNothing(t *testing.T) {
	t.Parallel()
	data, err := series.EncodeCurve([]run.CurvePoint{{Step: 1, Workers: 2, Sum: 3}, {Step: 2, Workers: 1, Sum: math.NaN()}})
	if err != nil {
		t.Fatal(err)
	}
	have := []run.CurvePoint{{Step: 0, Workers: 1}}
	for i := range data {
		for _, bad := range [][]byte{data[:i], append(append([]byte{}, data[:i]...), append([]byte{data[i] ^ 0x10}, data[i+1:]...)...)} {
			got, err := series.AppendCurve(have, bad)
			if !errors.Is(err, series.ErrDamaged) || len(got) != 1 {
				t.Fatalf("byte %d: %d points, %v", i, len(got), err)
			}
		}
	}
}

// FuzzAppendCurve gives the decoder bodies whose checksum is right.
func FuzzAppendCurve(f *testing.F) {
	data, err := series.EncodeCurve([]run.CurvePoint{{Step: 1, Workers: 2, Sum: 3}, {Step: 2, Workers: 1, Sum: math.NaN()}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data[4:])
	if data, err = os.ReadFile("testdata/xor.curve"); err != nil {
		f.Fatal(err)
	}
	f.Add(data[4:])
	f.Fuzz(func(t *testing.T, body []byte) {
		data := binary.BigEndian.AppendUint32(nil, crc32.Checksum(body, crc32.MakeTable(crc32.Castagnoli)))
		curve, err := series.AppendCurve(nil, append(data, body...))
		if err != nil {
			if !errors.Is(err, series.ErrDamaged) || len(curve) > 0 {
				t.Fatalf("%d points, %v", len(curve), err)
			}
			return
		}
		again, err := series.EncodeCurve(curve)
		if err != nil {
			t.Fatal(err)
		}
		back, err := series.AppendCurve(nil, again)
		if diff := cmp.Diff(curve, back, cmpopts.EquateNaNs()); diff != "" || err != nil {
			t.Fatal(diff, err)
		}
	})
}
