package localnomad

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	// frameSize is the most bytes of data in one frame, as on a Nomad client.
	frameSize = 64 << 10
	// frameHeartbeat is how often an idle stream says {}.
	frameHeartbeat = time.Second
	// missedWake bounds how long a change that nobody announced goes unseen:
	// of files that are not logs, and of logs after their task has ended.
	missedWake = 250 * time.Millisecond

	eventDeleted   = "file deleted"
	eventTruncated = "file truncated"
)

// logHub finds the writer of a running task's stream, to wait for its changes.
type logHub struct {
	mu sync.Mutex
	m  map[string]*logWriter
}

func logKey(alloc, task, kind string) string { return alloc + "/" + task + "/" + kind }

func (h *logHub) add(alloc, task, kind string, w *logWriter) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.m[logKey(alloc, task, kind)] = w
}

func (h *logHub) remove(alloc, task, kind string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.m, logKey(alloc, task, kind))
}

// changes returns a channel that the next write closes, or nil when the
// stream has no writer any more.
func (h *logHub) changes(alloc, task, kind string) <-chan struct{} {
	h.mu.Lock()
	w := h.m[logKey(alloc, task, kind)]
	h.mu.Unlock()
	if w == nil {
		return nil
	}
	return w.changes()
}

// framer writes frames, or only their data with plain, and heartbeats.
type framer struct {
	w     http.ResponseWriter
	rc    *http.ResponseController
	plain bool
	buf   []byte
}

func newFramer(w http.ResponseWriter, plain bool) *framer {
	return &framer{w: w, rc: http.NewResponseController(w), plain: plain}
}

// send writes a frame. offset is where the data ends in the file, as on a
// real agent: it is no place to resume from.
func (f *framer) send(file, event string, data []byte, offset int64) error {
	if f.plain {
		if len(data) == 0 {
			return nil
		}
		return f.write(data)
	}
	b := append(f.buf[:0], '{')
	comma := func() {
		if len(b) > 1 {
			b = append(b, ',')
		}
	}
	if len(data) > 0 {
		b = append(b, `"Data":"`...)
		b = base64.StdEncoding.AppendEncode(b, data)
		b = append(b, '"')
	}
	if file != "" {
		comma()
		b = strconv.AppendQuoteToASCII(append(b, `"File":`...), file)
	}
	if event != "" {
		comma()
		b = strconv.AppendQuoteToASCII(append(b, `"FileEvent":`...), event)
	}
	if offset != 0 {
		comma()
		b = strconv.AppendInt(append(b, `"Offset":`...), offset, 10)
	}
	b = append(b, '}')
	f.buf = b
	return f.write(b)
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

// logRequest is a validated request for a task's log.
type logRequest struct {
	alloc, task, kind string
	follow            bool
	end               bool // origin=end
	offset            int64
}

// streamLog writes a task's log from where the request says, file after file,
// and follows it when asked to. It returns an error only before the first byte.
func (s *Server) streamLog(ctx context.Context, f *framer, dir string, req logRequest) error {
	index, offset, err := locate(dir, req)
	if err != nil {
		return err
	}
	beat := time.NewTicker(frameHeartbeat)
	defer beat.Stop()
	for {
		next, err := s.streamLogFile(ctx, f, dir, req, index, offset, beat)
		if err != nil || next < 0 {
			return nil //nolint:nilerr // the reader is gone, or all has been said
		}
		index, offset = next, 0
	}
}

// locate finds the file and the offset in it where a request begins.
func locate(dir string, req logRequest) (index int, offset int64, err error) {
	base := req.task + "." + req.kind
	indexes, err := logIndexes(dir, base)
	if err != nil {
		return 0, 0, err
	}
	if len(indexes) == 0 {
		return 0, 0, codedError{http.StatusNotFound, fmt.Sprintf("log entry for task %q and log type %q not found", req.task, req.kind)}
	}
	size := func(i int) int64 {
		st, err := os.Stat(filepath.Join(dir, base+"."+strconv.Itoa(indexes[i])))
		if err != nil {
			return 0 // rotated away: the stream starts with the next
		}
		return st.Size()
	}
	if req.end {
		return fromEnd(indexes, size, req.offset)
	}
	left := max(req.offset, 0)
	for i := range indexes {
		n := size(i)
		if left <= n || i == len(indexes)-1 {
			return indexes[i], min(left, n), nil
		}
		left -= n
	}
	return indexes[0], 0, nil
}

// fromEnd counts back from the end. Offset 0 is the beginning of the newest
// file: Nomad's quirk.
func fromEnd(indexes []int, size func(int) int64, offset int64) (int, int64, error) {
	last := len(indexes) - 1
	if offset <= 0 {
		return indexes[last], 0, nil
	}
	left := offset
	for i := last; i >= 0; i-- {
		n := size(i)
		if left <= n {
			return indexes[i], n - left, nil
		}
		left -= n
	}
	return indexes[0], 0, nil
}

// streamLogFile writes one file from the offset on. It returns the next
// file's number, or -1 at the end of a request that does not follow.
func (s *Server) streamLogFile(ctx context.Context, f *framer, dir string, req logRequest, index int, offset int64, beat *time.Ticker) (int, error) {
	base := req.task + "." + req.kind
	name := base + "." + strconv.Itoa(index)
	file, err := os.Open(filepath.Join(dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return nextLog(dir, base, index), nil // rotated away under us
	}
	if err != nil {
		return 0, err
	}
	defer func() { _ = file.Close() }() // only read
	if _, err := file.Seek(offset, io.SeekStart); err != nil {
		return 0, err
	}
	shown := "alloc/logs/" + name
	buf := make([]byte, frameSize)
	for {
		// Ask before reading, or a write in between would be missed.
		changed := s.logs.changes(req.alloc, req.task, req.kind)
		next := nextLog(dir, base, index)
		n, err := copyFrames(f, file, buf, shown, &offset)
		if err != nil {
			return 0, err
		}
		if n > 0 && changed != nil {
			continue // more may have come meanwhile
		}
		if next >= 0 {
			return next, nil // the file was complete when its successor was there
		}
		if !req.follow {
			return -1, nil
		}
		if err := s.waitChange(ctx, f, changed, beat); err != nil {
			return 0, err
		}
	}
}

// copyFrames sends what the file has, to its end, and returns how much.
func copyFrames(f *framer, file *os.File, buf []byte, shown string, offset *int64) (int64, error) {
	var total int64
	for {
		n, err := file.Read(buf)
		if n > 0 {
			*offset += int64(n)
			total += int64(n)
			if err := f.send(shown, "", buf[:n], *offset); err != nil {
				return total, err
			}
		}
		if errors.Is(err, io.EOF) {
			return total, nil
		}
		if err != nil {
			return total, err
		}
	}
}

// waitChange waits for a write, saying {} meanwhile. Without a writer it only
// looks again after a while: the task may start once more.
func (s *Server) waitChange(ctx context.Context, f *framer, changed <-chan struct{}, beat *time.Ticker) error {
	var poll <-chan time.Time
	if changed == nil {
		t := time.NewTimer(missedWake)
		defer t.Stop()
		poll = t.C
	}
	for {
		select {
		case <-changed:
			return nil
		case <-poll:
			return nil
		case <-beat.C:
			if err := f.heartbeat(); err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		case <-s.closing:
			return net.ErrClosed
		}
	}
}

// nextLog returns the number of the file after index, or -1.
func nextLog(dir, base string, index int) int {
	indexes, err := logIndexes(dir, base)
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

// streamFile streams any file of an allocation, as fs/stream, readat and cat do.
func (s *Server) streamFile(ctx context.Context, f *framer, path, shown string, offset, limit int64, follow bool) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }() // only read
	if _, err := file.Seek(offset, io.SeekStart); err != nil {
		return err
	}
	if limit <= 0 {
		limit = math.MaxInt64
	}
	beat := time.NewTicker(frameHeartbeat)
	defer beat.Stop()
	buf := make([]byte, frameSize)
	for limit > 0 {
		n, err := file.Read(buf[:min(limit, frameSize)])
		if n > 0 {
			offset, limit = offset+int64(n), limit-int64(n)
			if err := f.send(shown, "", buf[:n], offset); err != nil {
				return nil //nolint:nilerr // the reader is gone
			}
			continue
		}
		if err != nil && !errors.Is(err, io.EOF) || !follow {
			return nil //nolint:nilerr // the answer has begun: nothing can be said any more
		}
		if err := s.waitChange(ctx, f, nil, beat); err != nil {
			return nil //nolint:nilerr // the reader is gone
		}
		if done := s.fileChanged(f, file, path, shown, &offset); done {
			return nil
		}
	}
	return nil
}

// fileChanged tells the reader when the file was deleted or cut.
func (s *Server) fileChanged(f *framer, file *os.File, path, shown string, offset *int64) (done bool) {
	st, err := os.Stat(path)
	if err != nil {
		_ = f.send(shown, eventDeleted, nil, *offset) // the last thing there is to say
		return true
	}
	if st.Size() < *offset {
		*offset = 0
		if _, err := file.Seek(0, io.SeekStart); err != nil {
			return true
		}
		return f.send(shown, eventTruncated, nil, 0) != nil
	}
	return false
}

// splitIDPath cuts the allocation's ID from the end of a client/fs path.
func splitIDPath(r *http.Request, prefix string) string {
	return strings.TrimPrefix(r.URL.Path, "/v1/client/fs/"+prefix+"/")
}
