package dcp

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func read(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// What two ranks of PyTorch 1.13 wrote, and what its newest classes are written as by Python 3.11 and by later ones.
func TestTheMetadataOfPyTorchIsRead(t *testing.T) {
	t.Parallel()
	old, err := Parse(read(t, "torch-1.13/.metadata"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]Item{
		{"step", "__0_0.distcp", 0, 431}, {"model.w", "__0_0.distcp", 431, 747}, {"optimizer.state.exp_avg", "__0_0.distcp", 1178, 747},
		{"model.w", "__1_0.distcp", 0, 747}, {"optimizer.state.exp_avg", "__1_0.distcp", 747, 747},
	}, old.Items); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for file, least := range old.Files() {
		if got := int64(len(read(t, "torch-1.13/"+file))); got != least {
			t.Errorf("%s has %d bytes, and its metadata says %d", file, got, least)
		}
	}
	for _, name := range []string{"torch-2.9.metadata", "torch-2.9-python-3.11.metadata"} {
		m, err := Parse(read(t, name))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if diff := cmp.Diff(map[string]int64{"__0_0.distcp": 2*431 + 2*747, "__1_0.distcp": 2 * 747}, m.Files()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		if diff := cmp.Diff([]int{0, 1}, m.Ranks()); diff != "" {
			t.Errorf("%s: ranks (-want +got):\n%s", name, diff)
		}
	}
}

func TestWhatIsWrittenIsReadBack(t *testing.T) {
	t.Parallel()
	want := Metadata{Items: []Item{
		{"state.0", "__0_0.distcp", 0, 1 << 40}, {"state.1", "__11_0.distcp", 7, 0}, {strings.Repeat("ä", 300), "__2_0.distcp", 1, 2},
		{"state.3", "__2_1.distcp", 0, 4},
	}}
	got, err := Parse(want.Encode())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]int{0, 2, 11}, got.Ranks()); diff != "" {
		t.Errorf("ranks (-want +got):\n%s", diff)
	}
}

func TestEveryCutIsRefused(t *testing.T) {
	t.Parallel()
	whole := read(t, "torch-2.9.metadata")
	for n := range whole {
		if _, err := Parse(whole[:n]); !errors.Is(err, ErrFormat) {
			t.Fatalf("%d of %d bytes: %v", n, len(whole), err)
		}
	}
	if _, err := Parse(append(bytes.Clone(whole), 'N', '.')); !errors.Is(err, ErrFormat) {
		t.Errorf("with something behind it: %v", err)
	}
}

func TestWhatIsNoMetadataIsRefused(t *testing.T) {
	t.Parallel()
	item := func(file string, offset, length int64) string {
		return string(Metadata{Items: []Item{{"w", file, offset, length}}}.Encode())
	}
	long := binary.LittleEndian.AppendUint32([]byte("\x80\x04X"), 1<<30)
	for name, tt := range map[string]struct{ in, says string }{
		"nothing":                        {"", "ends early"},
		"text":                           {"{}", "opcode 0x7b"},
		"another value":                  {"\x80\x04N.", "class Metadata"},
		"a command":                      {"\x80\x02cos\nsystem\nX\x02\x00\x00\x00id\x85R.", `"os.system" is not a class`},
		"a command by another opcode":    {"\x80\x04(S'id'\nios\nsystem\n.", "opcode 0x53"},
		"a class that was not asked for": {"\x80\x04\x8c\x05torch\x8c\x04load\x93.", `"torch.load" is not a class`},
		"an attribute of a class":        {"\x80\x04\x8c\x08builtins\x8c\x07getattr\x93\x8c\x05torch\x8c\x04Size\x93\x8c\x08__init__\x86R.", "no enumeration"},
		"a persistent ID":                {"\x80\x04NQ.", "opcode 0x51"},
		"an old protocol":                {"\x80\x01N.", "protocol 1"},
		"what it has not kept":           {"\x80\x04h\x05.", "not kept"},
		"a number too long":              {"\x80\x04\x8a\x09123456789.", "9 bytes"},
		"a text too long":                {string(long), "text of 1073741824 bytes"},
		"a parent's file":                {item("../secret", 0, 1), "no file in its folder"},
		"an absolute path":               {item("/etc/passwd", 0, 1), "no file in its folder"},
		"a negative length":              {item("__0_0.distcp", 0, -1), "-1 bytes"},
		"a place beyond all files":       {item("__0_0.distcp", 1<<62, 1<<62), "bytes at"},
		"no files":                       {string(Metadata{}.Encode()), "names no file"},
	} {
		_, err := Parse([]byte(tt.in))
		if !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What four ranks of PyTorch 1.13 wrote: tensors of every type in shards and whole, empty ones, one with a name of 8000
// bytes, numbers, texts, None and a dict. Files of this kind are read up to the largest, so that a checkpoint is not
// refused for its size.
func TestMemorySufficesForTheLargestFile(t *testing.T) {
	t.Parallel()
	packed, err := gzip.NewReader(bytes.NewReader(read(t, "torch-1.13-four-ranks.metadata.gz")))
	if err != nil {
		t.Fatal(err)
	}
	in, err := io.ReadAll(packed)
	if err != nil {
		t.Fatal(err)
	}
	m, err := Parse(in)
	if err != nil || len(m.Items) != 1250 {
		t.Errorf("%d items, %v", len(m.Items), err)
	}
	if diff := cmp.Diff(map[string]int64{"__0_0.distcp": 1456788, "__1_0.distcp": 250962, "__2_0.distcp": 250962, "__3_0.distcp": 250770}, m.Files()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if _, err := unpickle(in, int(int64(len(in))*maxMemory/MaxBytes)); err != nil {
		t.Errorf("one of %d bytes would be refused: %v", MaxBytes, err)
	}
}

// What a value takes counts, and so does each place that it has on the stack or in the memo.
func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	for name, in := range map[string]string{
		"lists": "\x80\x04(" + strings.Repeat("]", 1<<16), "nothing": "\x80\x04(" + strings.Repeat("N", 1<<17), "kept": "\x80\x04N" + strings.Repeat("\x94", 1<<17),
		"a list of itself": "\x80\x04]\x94" + strings.Repeat("(h\x00h\x00h\x00h\x00e", 1<<15), "texts": "\x80\x04" + strings.Repeat("\x8c\xff"+strings.Repeat("a", 255), 1<<12),
	} {
		if _, err := unpickle([]byte(in), 1<<20); !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), "holds too much") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What grows is copied: the old and the new count, so that all that is ever taken for a file is a few times what it may hold.
func TestWhatGrowsIsCounted(t *testing.T) { //nolint:paralleltest // measures what the process takes
	const most = 16 << 20
	for name, in := range map[string]string{
		"marks": strings.Repeat("(", most), "lists": strings.Repeat("]", most), "kept": "N" + strings.Repeat("\x94", most),
		"a list": "]" + strings.Repeat("Na", most), "a list at once": "](" + strings.Repeat("N", most) + "e", "a dict": "}" + strings.Repeat("NNs", most/2),
	} {
		pickle := []byte("\x80\x02" + in)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := unpickle(pickle, most)
		runtime.ReadMemStats(&after)
		if took := after.TotalAlloc - before.TotalAlloc; !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), "holds too much") || took > 4*most {
			t.Errorf("%s: took %d MiB of %d, %v", name, took>>20, most>>20, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, name := range []string{"torch-1.13/.metadata", "torch-2.9.metadata", "torch-2.9-python-3.11.metadata"} {
		f.Add(read(f, name))
	}
	f.Add(Metadata{Items: []Item{{"w", "__0_0.distcp", 0, 1}}}.Encode())
	f.Fuzz(func(t *testing.T, in []byte) {
		m, err := Parse(in)
		if err != nil {
			if !errors.Is(err, ErrFormat) {
				t.Fatalf("an error of another kind: %v", err)
			}
			return
		}
		for file, least := range m.Files() {
			if !filepath.IsLocal(file) || least < 0 {
				t.Fatalf("%q with %d bytes", file, least)
			}
		}
		again, err := Parse(m.Encode())
		if err != nil || cmp.Diff(m, again) != "" {
			t.Fatalf("written and read again: %v\n%s", err, cmp.Diff(m, again))
		}
	})
}
