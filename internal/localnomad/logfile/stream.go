package logfile

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"
)

const (
	// FrameSize is the most bytes of data in one frame, as on a Nomad client.
	FrameSize = 64 << 10
	// heartbeat is how often an idle stream says {}.
	heartbeat = time.Second
	// MissedWake bounds how long output goes unseen that nobody announced: of a task that has ended and may start again.
	MissedWake = 250 * time.Millisecond
)

// Stream names one stream of one task.
type Stream struct{ Alloc, Task, Kind string }

func (s Stream) base() string { return s.Task + "." + s.Kind }

// Hub knows the writers of running tasks, so that readers can wait for what they write.
type Hub struct {
	mu sync.Mutex
	m  map[Stream]*Writer
}

// NewHub returns an empty hub.
func NewHub() *Hub { return &Hub{m: map[Stream]*Writer{}} }

// Open continues a stream's newest file in dir, or starts file 0. It keeps files of size bytes.
func (h *Hub) Open(dir string, s Stream, files int, size int64, log *slog.Logger) (*Writer, error) {
	w, err := openWriter(dir, s.base(), files, size, log)
	if err != nil {
		return nil, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.m[s] = w
	w.closed = func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		delete(h.m, s)
	}
	return w, nil
}

// changes returns a channel that the next write closes, or nil when the stream has no writer any more.
func (h *Hub) changes(s Stream) <-chan struct{} {
	h.mu.Lock()
	w := h.m[s]
	h.mu.Unlock()
	if w == nil {
		return nil
	}
	return w.changes()
}

// Request is what a reader wants of a stream.
type Request struct {
	Stream
	// Dir holds the files.
	Dir string
	// Follow waits for more at the end; Plain leaves the frames out.
	Follow, Plain bool
	// Offset is where to begin, in bytes of all files; with End it is counted from the end.
	Offset int64
	End    bool
}

// Serve writes a log from where the request says, file after file, and follows it when asked to. It returns an error only
// before the first byte: fs.ErrNotExist when there is no log.
func (h *Hub) Serve(ctx context.Context, w http.ResponseWriter, req Request) error {
	index, offset, err := locate(req)
	if err != nil {
		return err
	}
	r := &reader{hub: h, req: req, out: newFramer(w, req.Plain), beat: time.NewTicker(heartbeat)}
	defer r.beat.Stop()
	for {
		next, err := r.file(ctx, index, offset)
		if err != nil || next < 0 {
			return nil //nolint:nilerr // the reader is gone, or all has been said
		}
		index, offset = next, 0
	}
}

// locate finds the file and the offset in it where a request begins.
func locate(req Request) (index int, offset int64, err error) {
	indexes, err := Indexes(req.Dir, req.base())
	if err != nil {
		return 0, 0, err
	}
	if len(indexes) == 0 {
		return 0, 0, fmt.Errorf("log of task %q: %w", req.Task, fs.ErrNotExist)
	}
	size := func(i int) int64 {
		st, err := os.Stat(filepath.Join(req.Dir, req.base()+"."+strconv.Itoa(indexes[i])))
		if err != nil {
			return 0 // rotated away: the stream starts with the next
		}
		return st.Size()
	}
	left, last := max(req.Offset, 0), len(indexes)-1
	if req.End {
		if left == 0 {
			return indexes[last], 0, nil // the beginning of the newest file: Nomad's quirk
		}
		for i := last; i >= 0; i-- {
			n := size(i)
			if left <= n {
				return indexes[i], n - left, nil
			}
			left -= n
		}
		return indexes[0], 0, nil
	}
	for i := range last {
		n := size(i)
		if left <= n {
			return indexes[i], left, nil
		}
		left -= n
	}
	return indexes[last], min(left, size(last)), nil
}

// reader serves one request.
type reader struct {
	hub  *Hub
	req  Request
	out  *framer
	beat *time.Ticker
}

// file writes one file from the offset on. It returns the next file's number, or -1 at the end of a request that does not
// follow.
func (r *reader) file(ctx context.Context, index int, offset int64) (int, error) {
	name := r.req.base() + "." + strconv.Itoa(index)
	file, err := os.Open(filepath.Join(r.req.Dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return r.after(index), nil // rotated away under us
	}
	if err != nil {
		return 0, err
	}
	defer func() { _ = file.Close() }() // only read
	if _, err := file.Seek(offset, io.SeekStart); err != nil {
		return 0, err
	}
	buf := make([]byte, FrameSize)
	for {
		// Ask before reading, or a write in between would be missed.
		changed := r.hub.changes(r.req.Stream)
		next := r.after(index)
		n, err := r.out.copy(file, buf, "alloc/logs/"+name, &offset)
		switch {
		case err != nil:
			return 0, err
		case n > 0 && changed != nil:
			continue // more may have come meanwhile
		case next >= 0:
			return next, nil // the file was complete when its successor was there
		case !r.req.Follow:
			return -1, nil
		}
		if err := r.wait(ctx, changed); err != nil {
			return 0, err
		}
	}
}

// after returns the number of the file after index, or -1.
func (r *reader) after(index int) int {
	indexes, err := Indexes(r.req.Dir, r.req.base())
	if err != nil {
		return -1
	}
	for _, i := range indexes {
		if i > index {
			return i
		}
	}
	return -1
}

// wait waits for a write, saying {} meanwhile. Without a writer it only looks again after a while: the task may start once
// more.
func (r *reader) wait(ctx context.Context, changed <-chan struct{}) error {
	var poll <-chan time.Time
	if changed == nil {
		t := time.NewTimer(MissedWake)
		defer t.Stop()
		poll = t.C
	}
	for {
		select {
		case <-changed:
			return nil
		case <-poll:
			return nil
		case <-r.beat.C:
			if err := r.out.heartbeat(); err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// framer writes frames, or only their data with plain.
type framer struct {
	w     http.ResponseWriter
	rc    *http.ResponseController
	plain bool
	buf   []byte
}

func newFramer(w http.ResponseWriter, plain bool) *framer {
	return &framer{w: w, rc: http.NewResponseController(w), plain: plain}
}

// send writes a frame. offset is where the data ends in the file, as on a real agent: it is no place to resume from.
func (f *framer) send(file string, data []byte, offset int64) error {
	if f.plain {
		return f.write(data)
	}
	b := base64.StdEncoding.AppendEncode(append(f.buf[:0], `{"Data":"`...), data)
	b = strconv.AppendQuoteToASCII(append(b, `","File":`...), file)
	f.buf = append(strconv.AppendInt(append(b, `,"Offset":`...), offset, 10), '}')
	return f.write(f.buf)
}

func (f *framer) write(b []byte) error {
	// A reader that takes nothing for this long is gone. A connection without deadlines has its reader in this process.
	_ = f.rc.SetWriteDeadline(time.Now().Add(time.Minute))
	if _, err := f.w.Write(b); err != nil {
		return err
	}
	return f.rc.Flush()
}

func (f *framer) heartbeat() error {
	if f.plain {
		return nil
	}
	return f.write([]byte("{}"))
}

// copy sends what the file has, to its end, and returns how much.
func (f *framer) copy(file *os.File, buf []byte, name string, offset *int64) (int64, error) {
	start := *offset
	for {
		n, err := file.Read(buf)
		if n > 0 {
			*offset += int64(n)
			if err := f.send(name, buf[:n], *offset); err != nil {
				return *offset - start, err
			}
		}
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = nil
			}
			return *offset - start, err
		}
	}
}
