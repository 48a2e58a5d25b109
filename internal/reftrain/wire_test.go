package reftrain

import (
	"bytes"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func mustEncode(t testing.TB, f frame) []byte {
	t.Helper()
	b, err := encodeFrame(f)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestFramesSurviveTheWire(t *testing.T) {
	t.Parallel()
	want := frame{kind: frameAverage, header: header{Round: 7, Rank: 2, Members: []string{"a", "b"}, SendTo: []int{2}}, blob: []byte("xyz")}
	got, err := readFrame(bytes.NewReader(mustEncode(t, want)), 3)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(frame{})); diff != "" {
		t.Errorf("frame (-sent +received):\n%s", diff)
	}
}

func TestDamagedFramesAreRefused(t *testing.T) {
	t.Parallel()
	good := mustEncode(t, frame{kind: frameVector, header: header{Round: 1}, blob: make([]byte, 64)})
	for i := range good {
		bad := bytes.Clone(good)
		bad[i] ^= 0x40
		if f, err := readFrame(bytes.NewReader(bad), 64); err == nil && i != 4 { // byte 4 is the type, checked by who reads
			t.Errorf("a changed byte %d was accepted: %+v", i, f)
		}
	}
	for n := range good {
		if _, err := readFrame(bytes.NewReader(good[:n]), 64); !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("cut after %d bytes: error %v", n, err)
		}
	}
	if _, err := readFrame(bytes.NewReader(good), 63); !errors.Is(err, errFrame) {
		t.Errorf("a blob over the limit: error %v", err)
	}
}

func TestVectorsKeepTheirPrecision(t *testing.T) {
	t.Parallel()
	r := counterRand{seed: 3}
	v := make([]float64, 5000)
	for i := range v {
		v[i] = 1e-3 * r.normal()
	}
	for encoding, within := range map[string]float64{encodingF64: 0, encodingF32: 1e-9, encodingUint8: 1e-3 * uint8Range / uint8Levels * 1.1} {
		got := make([]float64, len(v))
		if err := decodeVector(encoding, encodeVector(encoding, v), got); err != nil {
			t.Fatal(err)
		}
		for i := range v {
			// Values beyond the range of the 8-bit encoding share its outermost level; 2.9 deviations are within.
			if math.Abs(v[i]) < 2.9e-3 && math.Abs(got[i]-v[i]) > within {
				t.Fatalf("%s: value %d is %v, was %v", encoding, i, got[i], v[i])
			}
		}
	}
}

func TestUint8KeepsTheSumAndStandsZeros(t *testing.T) {
	t.Parallel()
	for _, v := range [][]float64{{0, 0, 0}, {5}, {1, 2, 3, 100, -7}} {
		got := make([]float64, len(v))
		if err := decodeVector(encodingUint8, encodeVector(encodingUint8, v), got); err != nil {
			t.Fatal(err)
		}
		sum, want := 0.0, 0.0
		for i := range v {
			sum += got[i]
			want += v[i]
		}
		if math.Abs(sum-want) > 1e-4 {
			t.Errorf("%v came back as %v", v, got)
		}
	}
}

func TestVectorsThatAreNotFiniteAreRefused(t *testing.T) {
	t.Parallel()
	for _, x := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		for _, encoding := range []string{encodingF64, encodingF32} {
			if err := decodeVector(encoding, encodeVector(encoding, []float64{1, x}), make([]float64, 2)); !errors.Is(err, errVector) {
				t.Errorf("%s of %v: error %v", encoding, x, err)
			}
		}
	}
}

func FuzzReadFrame(f *testing.F) {
	f.Add([]byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"))
	f.Add(mustEncode(f, frame{kind: frameHello, header: header{Protocol: 1, ID: "a"}}))
	f.Add(mustEncode(f, frame{kind: frameVector, blob: []byte("abc")}))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := readFrame(bytes.NewReader(b), 1<<16)
		if err != nil {
			return
		}
		if len(got.blob) > 1<<16 {
			t.Fatalf("a blob of %d bytes passed a limit of %d", len(got.blob), 1<<16)
		}
		again, err := readFrame(bytes.NewReader(mustEncode(t, got)), 1<<16)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(got.header, again.header); diff != "" || !bytes.Equal(got.blob, again.blob) {
			t.Fatalf("a frame changed on its second way:\n%s", diff)
		}
	})
}

func FuzzDecodeVector(f *testing.F) {
	f.Add(encodingF64, encodeVector(encodingF64, []float64{1, 2}))
	f.Add(encodingF32, encodeVector(encodingF32, []float64{1, 2}))
	f.Add(encodingUint8, encodeVector(encodingUint8, []float64{1, 2}))
	f.Fuzz(func(t *testing.T, encoding string, b []byte) {
		out := make([]float64, 2)
		if decodeVector(encoding, b, out) == nil && (math.IsNaN(out[0]+out[1]) || math.IsInf(out[0], 0)) {
			t.Fatalf("%v was accepted", out)
		}
	})
}

func FuzzDecodeArrays(f *testing.F) {
	good, err := encodeArrays(progress{Step: 3}, []float64{1, 2}, nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte(arraysMagic))
	f.Fuzz(func(t *testing.T, b []byte) {
		// The checksum would stop almost everything: try the bytes also with a right one.
		for _, in := range [][]byte{b, sealed(b)} {
			var p progress
			arrays, err := decodeArrays(in, &p)
			n := 0
			for _, a := range arrays {
				n += 8 * len(a)
			}
			if err == nil && n > len(in) {
				t.Fatalf("%d bytes gave %d bytes of values", len(in), n)
			}
		}
	})
}

// FuzzResume gives a whole checkpoint folder arbitrary metadata and one arbitrary file.
func FuzzResume(f *testing.F) {
	files, err := checkpointFiles("m", someState(true), 1)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(files[1].content, files[0].content)
	f.Add(files[1].content, []byte(""))
	f.Fuzz(func(t *testing.T, md, shard []byte) {
		dir := t.TempDir()
		for name, b := range map[string][]byte{metadataName: md, shardName(0): shard} {
			if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		m, err := readMetadata(dir)
		if err != nil {
			return
		}
		if err := m.readInto(dir, m.Model, newState([]float64{1, 2}, true)); err == nil {
			t.Fatal("a checkpoint without its data state was accepted")
		}
	})
}
