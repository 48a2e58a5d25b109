package logfile

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/cotrain/cotrain/internal/run"
)

// Serve answers a request with a file. What is not compressed can be continued: a range of bytes is made anew and the bytes before it left
// out. It takes as long as the reader goes on reading; an error in the middle cuts the connection.
func (f File) Serve(w http.ResponseWriter, r *http.Request, from Source, id run.ID) error {
	h := w.Header()
	tag := f.tag(id)
	window := &window{w: w, c: http.NewResponseController(w), until: -1}
	status := http.StatusOK
	if f.Compress == "" {
		h.Set("Accept-Ranges", "bytes")
		h.Set("ETag", tag)
		if begin, end, ok := byteRange(r, tag); ok {
			size := &counter{}
			lost, err := f.Write(r.Context(), from, id, size)
			if err != nil {
				return err
			}
			h.Set(run.LostLines, strconv.Itoa(lost))
			if begin >= size.n {
				h.Set("Content-Range", "bytes */"+strconv.FormatInt(size.n, 10))
				h.Set("Content-Type", "text/plain; charset=utf-8") // as [http.ServeContent] answers
				w.WriteHeader(http.StatusRequestedRangeNotSatisfiable)
				_, _ = fmt.Fprintf(w, "The file has %d bytes.\n", size.n) // the client may have gone
				return nil
			}
			end = min(end, size.n-1)
			window.skip, window.until, status = begin, end-begin+1, http.StatusPartialContent
			h.Set("Content-Range", "bytes "+strconv.FormatInt(begin, 10)+"-"+strconv.FormatInt(end, 10)+"/"+strconv.FormatInt(size.n, 10))
			h.Set("Content-Length", strconv.FormatInt(window.until, 10))
		}
	}
	window.begin = func() {
		h.Set("Content-Type", f.media())
		h.Set("Content-Disposition", `attachment; filename="`+f.Name(id)+`"`)
		h.Set("Cache-Control", "no-store")
		h.Set("No-Gzip-Compression", "1")         // it is compressed as asked for
		_ = window.c.SetReadDeadline(time.Time{}) // which also ends the request; in-memory connections have none
		if status == http.StatusOK {
			h.Set("Trailer", run.LostLines)
		}
		w.WriteHeader(status)
	}
	lost, err := f.Write(r.Context(), from, id, window)
	switch {
	case err == nil:
		_, _ = window.Write(nil) // an empty file has a head too
		h.Set(run.LostLines, strconv.Itoa(lost))
	case window.begin != nil:
		return err
	case !errors.Is(err, io.ErrShortWrite): // or else all of the range is sent
		panic(http.ErrAbortHandler)
	}
	return nil
}

// byteRange reads a request for one range of bytes that has a beginning: a download that is continued.
func byteRange(r *http.Request, tag string) (begin, end int64, ok bool) {
	text, isBytes := strings.CutPrefix(r.Header.Get("Range"), "bytes=")
	first, last, isOne := strings.Cut(text, "-")
	if given := r.Header.Get("If-Range"); !isBytes || !isOne || given != "" && given != tag {
		return 0, 0, false
	}
	begin, err := strconv.ParseInt(first, 10, 64)
	if err != nil || begin < 0 {
		return 0, 0, false
	}
	end = 1<<63 - 1
	if last != "" {
		if end, err = strconv.ParseInt(last, 10, 64); err != nil || end < begin {
			return 0, 0, false
		}
	}
	return begin, end, true
}

type counter struct{ n int64 }

func (c *counter) Write(b []byte) (int, error) {
	c.n += int64(len(b))
	return len(b), nil
}

// window sends some of what is written to it, and gives each piece its own time.
type window struct {
	w     http.ResponseWriter
	c     *http.ResponseController
	begin func() // before the first byte; nil once called
	skip  int64  // bytes
	until int64  // bytes to send, -1 for all
}

// Write sends a piece. [io.ErrShortWrite] says that the last byte of the range is sent.
func (p *window) Write(b []byte) (int, error) {
	if p.begin != nil {
		p.begin()
		p.begin = nil
	}
	n := len(b)
	left := min(p.skip, int64(len(b)))
	p.skip -= left
	b = b[left:]
	if p.until >= 0 {
		b = b[:min(p.until, int64(len(b)))]
		p.until -= int64(len(b))
	}
	if len(b) > 0 {
		_ = p.c.SetWriteDeadline(time.Now().Add(writeTimeout)) // in-memory connections have none
		if _, err := p.w.Write(b); err != nil {
			return 0, err
		}
	}
	if p.until == 0 {
		return n, io.ErrShortWrite
	}
	return n, nil
}
