package cli

import (
	"bytes"
	"compress/gzip"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"golang.org/x/text/encoding/unicode"
)

func TestLogsAreReadAsTextAndWhatIsNoneIsRefused(t *testing.T) {
	t.Parallel()
	const log = "Traceback (most recent call last):\nModuleNotFoundError: No module named 'zeroband'\n"
	var zipped bytes.Buffer
	w := gzip.NewWriter(&zipped)
	if _, err := w.Write([]byte(log)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	wide, err := unicode.UTF16(unicode.LittleEndian, unicode.UseBOM).NewEncoder().String(log)
	if err != nil {
		t.Fatal(err)
	}
	noise := make([]byte, 2*headBytes)
	random := rand.NewChaCha8([32]byte{1})
	_, _ = random.Read(noise) // never fails
	noise[0] = 'x'            // no magic by chance
	for name, c := range map[string]struct{ in, want, refused string }{
		"text":             {in: log, want: log},
		"empty":            {},
		"short":            {in: "x\n", want: "x\n"},
		"UTF-16":           {in: wide, want: log},
		"zeros, then text": {in: strings.Repeat("\x00", headBytes+5) + log, want: strings.Repeat("\x00", headBytes+5) + log},
		"some garbage":     {in: strings.Repeat(log, 30) + string(noise), want: strings.Repeat(log, 30) + string(noise)},
		"gzip":             {in: zipped.String(), refused: "FILE is compressed with gzip"},
		"zstd":             {in: "\x28\xb5\x2f\xfd....", refused: "FILE is compressed with zstd"},
		"binary":           {in: string(noise), refused: "FILE is not text"},
	} {
		in, err := asText(strings.NewReader(c.in), "FILE", "diagnose")
		if c.refused != "" {
			if err == nil || !strings.Contains(err.Error(), c.refused) {
				t.Errorf("%s: %v, want %q", name, err, c.refused)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got, err := io.ReadAll(in); err != nil || string(got) != c.want {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
	}
}
