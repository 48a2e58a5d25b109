// Package logfile sends lines of a log as a file: as text, as they were printed, or as JSON lines; whole, a range of bytes, or compressed.
package logfile

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"net/url"
	"strconv"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/logarchive"
	"github.com/cotrain/cotrain/internal/run"
)

// Source reads logs.
type Source interface {
	EachLog(ctx context.Context, id run.ID, f run.LogFilter, from run.LogPos, fn func(run.RawLine) error) error
	EachLogAround(ctx context.Context, id run.ID, f run.LogFilter, from run.LogPos, lines int, fn func(run.RawLine) error) error
}

// MaxContext is the most lines before and after each that is found.
const MaxContext = 100

// File says which lines to send, and how.
type File struct {
	Filter   run.LogFilter
	From, To run.LogPos // the first and the last; 0 for the ends
	Context  int        // lines around those that hold the filter's pattern
	Format   string     // text, ansi or jsonl
	Compress string     // gzip, zstd or ""
}

// formats are the kinds of files, with their media types and the ends of their names.
var formats = map[string]struct{ media, end string }{
	"text": {"text/plain; charset=utf-8", ".log"}, "ansi": {"text/plain; charset=utf-8", ".ansi.log"}, "jsonl": {"application/jsonl", ".jsonl"},
}

// compressions are how a file may be compressed, with the ends of its name.
var compressions = map[string]struct{ media, end string }{"": {}, "gzip": {"application/gzip", ".gz"}, "zstd": {"application/zstd", ".zst"}}

// Parse reads a file from a URL's query: a filter as [run.ParseLogFilter] does, and first, last, context, format and compress. Lines for the
// console are in it unless machine=0 or a level says otherwise. Errors are [run.FieldErrors].
func Parse(q url.Values) (f File, err error) {
	if f.Filter, err = run.ParseLogFilter(q); err != nil {
		return f, err
	}
	f.Filter.Machine = f.Filter.Machine || !q.Has("machine") && !q.Has("level")
	var errs run.FieldErrors
	number := func(name string, most int64) int64 {
		text := q.Get(name)
		if text == "" {
			return 0
		}
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil || n < 0 || n > most {
			errs = append(errs, run.FieldError{Field: name, Value: fault.Quote(text), Rule: fmt.Sprintf("is not a whole number from 0 to %d", most), Fix: "leave it out"})
		}
		return n
	}
	f.From, f.To = run.LogPos(number("first", 1<<62)), run.LogPos(number("last", 1<<62))
	f.Context = int(number("context", MaxContext))
	if f.Format = q.Get("format"); f.Format == "" {
		f.Format = "text"
	}
	if _, ok := formats[f.Format]; !ok {
		errs = append(errs, run.FieldError{Field: "format", Value: fault.Quote(f.Format), Rule: "is no format of a log", Fix: "use text, ansi (as printed) or jsonl"})
	}
	f.Compress = q.Get("compress")
	if _, ok := compressions[f.Compress]; !ok {
		errs = append(errs, run.FieldError{Field: "compress", Value: fault.Quote(f.Compress), Rule: "is no compression", Fix: "use gzip or zstd, or leave it out"})
	}
	if len(errs) > 0 {
		return f, errs
	}
	return f, nil
}

// Name is the file's name for a run.
func (f File) Name(id run.ID) string {
	name := string(id)
	if f.Filter.Rank >= 0 {
		name += "-worker-" + strconv.Itoa(f.Filter.Rank)
	}
	if f.Filter.Stream != "" {
		name += "-" + f.Filter.Stream
	}
	if f.Filter.Find.Text != "" {
		name += "-found"
	}
	return name + formats[f.Format].end + compressions[f.Compress].end
}

// media is the file's type.
func (f File) media() string {
	if c := compressions[f.Compress].media; c != "" {
		return c
	}
	return formats[f.Format].media
}

// tag is the entity tag of what is sent of a run's log. A log only grows at its end, so a file that is continued is the same so far.
func (f File) tag(id run.ID) string {
	h := fnv.New64a()
	_, _ = fmt.Fprint(h, id, f.Filter.Values().Encode(), f.From, f.To, f.Context, f.Format) // a hash takes everything
	return fmt.Sprintf(`"log-%x"`, h.Sum64())
}

// Write writes the file, and returns how many of its lines say that others are lost there.
func (f File) Write(ctx context.Context, from Source, id run.ID, w io.Writer) (lost int, err error) {
	switch f.Compress {
	case "gzip":
		z, err := gzip.NewWriterLevel(w, gzip.BestSpeed)
		return closing(z, err, func() (int, error) { return f.lines(ctx, from, id, z) })
	case "zstd":
		z, err := zstd.NewWriter(w, zstd.WithEncoderConcurrency(1))
		return closing(z, err, func() (int, error) { return f.lines(ctx, from, id, z) })
	}
	return f.lines(ctx, from, id, w)
}

// closing calls write and closes what it writes to, unless it fails.
func closing(z io.Closer, err error, write func() (int, error)) (lost int, _ error) {
	if err == nil {
		lost, err = write()
	}
	if err != nil {
		return lost, err
	}
	return lost, z.Close()
}

// pieceBytes is how much is written at once.
const pieceBytes = 64 << 10

// errDone ends reading behind the last line.
var errDone = errors.New("the last line is written")

func (f File) lines(ctx context.Context, from Source, id run.ID, w io.Writer) (lost int, err error) {
	out := make([]byte, 0, 2*pieceBytes)
	take := func(l run.RawLine) error {
		if f.To > 0 && l.Pos > f.To {
			return errDone
		}
		if l.Lost {
			lost++
		}
		out = f.appendLine(out, l)
		if len(out) < pieceBytes {
			return nil
		}
		_, err := w.Write(out)
		out = out[:0]
		return err
	}
	if f.Context > 0 && f.Filter.Find.Text != "" {
		err = from.EachLogAround(ctx, id, f.Filter, f.From, f.Context, take)
	} else {
		err = from.EachLog(ctx, id, f.Filter, f.From, take)
	}
	if err != nil && !errors.Is(err, errDone) {
		return lost, err
	}
	_, err = w.Write(out)
	return lost, err
}

// jsonLine is a line of the format jsonl.
type jsonLine struct {
	run.LogLine
	// Where lines around those that hold the pattern are sent too: it is one of these, and some before it are left out.
	Found bool `json:"found,omitempty"`
	Gap   bool `json:"gap,omitempty"`
}

// appendLine appends a line.
func (f File) appendLine(out []byte, l run.RawLine) []byte {
	if f.Format == "jsonl" {
		c := logarchive.Chunk{ID: logarchive.ChunkOf(l.Pos), Rank: l.Rank, Stream: l.Stream, At: l.At.UnixMilli(), Lost: l.Lost}
		line, _ := json.Marshal(jsonLine{c.Line(logarchive.LineOf(l.Pos), bytes.TrimSuffix(l.Text, []byte("\n"))), l.Found, l.Gap}) // text and numbers
		return append(append(out, line...), '\n')
	}
	if l.Gap {
		out = append(out, "--\n"...) // as grep does
	}
	text := l.Text
	if f.Format == "text" {
		text = logarchive.Visible(text)
	}
	if f.Filter.Rank < 0 {
		out = append(strconv.AppendInt(append(out, '['), int64(l.Rank), 10), "] "...)
	}
	out = append(out, text...)
	// As printed, one stream of a worker is exactly its bytes; a line of several must end before the next begins.
	if (f.Format == "text" || f.Filter.Rank < 0) && !bytes.HasSuffix(text, []byte("\n")) {
		out = append(out, '\n')
	}
	return out
}

// writeTimeout bounds each piece, so that a reader who stops reading ends it.
const writeTimeout = time.Minute
