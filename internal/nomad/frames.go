package nomad

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path"
	"strconv"
	"strings"

	"github.com/cotrain/cotrain/internal/fault"
)

// maxFrame bounds a frame's JSON: Nomad sends up to 64 KiB of data, 88 KiB in base64.
const maxFrame = 1 << 20

// frame is an element of a log stream. Its Offset is omitted: Nomad reads it after the data.
type frame struct {
	Data      []byte
	File      string
	FileEvent string
}

func (f *frame) heartbeat() bool { return len(f.Data) == 0 && f.File == "" && f.FileEvent == "" }

// frameReader decodes a log stream's concatenated JSON in bounded memory.
type frameReader struct {
	budget budgetReader
	dec    *json.Decoder
}

func newFrameReader(r io.Reader) *frameReader {
	f := &frameReader{budget: budgetReader{r: r}}
	f.dec = json.NewDecoder(&f.budget)
	return f
}

// next returns the next frame, io.EOF, or the error text that Nomad appends to a good answer.
func (f *frameReader) next() (frame, error) {
	f.budget.left = maxFrame
	var fr frame
	err := f.dec.Decode(&fr)
	if err == nil || errors.Is(err, io.EOF) {
		return fr, err
	}
	if errors.Is(err, errFrameTooLong) || !asSyntax(err) {
		return frame{}, err
	}
	text, _ := io.ReadAll(io.LimitReader(f.dec.Buffered(), 512))
	if rest := clean(string(bytes.TrimLeft(text, "\x00"))); rest != "" && !strings.HasPrefix(rest, "{") {
		return frame{}, &answer{code: http.StatusInternalServerError, text: rest}
	}
	return frame{}, fmt.Errorf("log frame that is no JSON: %w", err)
}

var errFrameTooLong = errors.New("a frame is longer than any that Nomad sends")

// budgetReader reads at most left bytes until its owner raises that.
type budgetReader struct {
	r    io.Reader
	left int
}

func (b *budgetReader) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errFrameTooLong
	}
	n, err := b.r.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}

// logFile is a rotated file of a stream.
type logFile struct {
	index int
	size  int64
}

// logName formats "trainer.stdout.3".
func logName(log string, index int) string { return log + "." + strconv.Itoa(index) }

// logIndex returns the number at the end of the name or path of a file of a log, such as "trainer.stdout".
func logIndex(log, name string) (int, error) {
	rest, ok := strings.CutPrefix(path.Base(name), log+".")
	n, err := strconv.Atoi(rest)
	if !ok || err != nil || n < 0 || rest != strconv.Itoa(n) {
		return 0, fmt.Errorf("%q is no log file of %s: %w", clean(name), log, fault.ErrInvalid)
	}
	return n, nil
}
