package logfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"sync"
)

// Writer writes one stream of one task. Followers are woken by every write.
type Writer struct {
	dir, base string // base is "<task>.<stdout|stderr>"
	maxFiles  int
	closed    func() // takes it out of its hub
	maxSize   int64
	log       *slog.Logger

	mu      sync.Mutex
	file    *os.File
	index   int
	size    int64
	changed chan struct{} // closed by the next write; nil while nobody waits
	failing bool
	dropped int64
}

// openWriter continues the newest file of the stream, or starts file 0.
func openWriter(dir, base string, maxFiles int, maxSize int64, log *slog.Logger) (*Writer, error) {
	w := &Writer{dir: dir, base: base, maxFiles: max(maxFiles, 1), maxSize: max(maxSize, 1), log: log}
	indexes, err := Indexes(dir, base)
	if err != nil {
		return nil, err
	}
	if len(indexes) > 0 {
		w.index = indexes[len(indexes)-1]
	}
	return w, w.open()
}

func (w *Writer) path(index int) string {
	return filepath.Join(w.dir, w.base+"."+strconv.Itoa(index))
}

func (w *Writer) open() error {
	f, err := os.OpenFile(w.path(w.index), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644) // as Nomad: tasks' users read their logs
	if err != nil {
		return fmt.Errorf("open log: %w", err)
	}
	st, err := f.Stat()
	if err != nil {
		return errors.Join(fmt.Errorf("open log: %w", err), f.Close())
	}
	w.file, w.size = f, st.Size()
	return nil
}

// Write never fails and never blocks for long: a task must not stop because
// its log cannot be kept. What cannot be written is counted and reported.
func (w *Writer) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for rest := p; len(rest) > 0; {
		n := w.room(rest)
		if n == 0 {
			if err := w.rotate(); err != nil {
				w.drop(rest, err)
				break
			}
			continue
		}
		if took, err := w.put(rest[:n]); err != nil {
			w.drop(rest[took:n], err)
		}
		rest = rest[n:]
	}
	w.wake()
	return len(p), nil
}

// room returns how much of p goes to the current file: all of it, or up to the last line that fits, or, when a single line
// is larger than a file, what fits. 0 asks for the next file.
func (w *Writer) room(p []byte) int {
	space := w.maxSize - w.size
	if int64(len(p)) <= space {
		return len(p)
	}
	if space <= 0 {
		return 0
	}
	if i := bytes.LastIndexByte(p[:space], '\n'); i >= 0 {
		return i + 1
	}
	line := bytes.IndexByte(p, '\n') + 1
	if line == 0 {
		line = len(p)
	}
	if w.size > 0 && int64(line) <= w.maxSize {
		return 0 // the line fits the next file whole
	}
	return int(space)
}

// put writes to the current file, and returns how much it took.
func (w *Writer) put(p []byte) (int, error) {
	if w.file == nil {
		if err := w.open(); err != nil {
			return 0, err
		}
	}
	if w.failing { // what comes must not be joined to a line that was cut
		n, err := io.WriteString(w.file, "\n"+LostMark)
		if w.size += int64(n); err != nil {
			return 0, err
		}
		w.failing = false
		w.log.Warn("log is written again", "log", w.base, "bytes_lost", w.dropped)
	}
	n, err := w.file.Write(p)
	w.size += int64(n)
	return n, err
}

// LostMark stands in a log where output could not be written.
const LostMark = "=== cotrain: output is missing here: it could not be written to the node's disk ===\n"

// Lost returns how many bytes could not be written.
func (w *Writer) Lost() int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.dropped
}

func (w *Writer) drop(p []byte, err error) {
	w.dropped += int64(len(p))
	if !w.failing {
		w.failing = true
		w.log.Error("log cannot be written; output is lost until it can", "log", w.base, "error", err)
	}
}

// rotate starts the next file and removes the oldest ones.
func (w *Writer) rotate() error {
	if w.file != nil {
		if err := w.file.Close(); err != nil {
			w.log.Warn("close log", "log", w.base, "error", err)
		}
		w.file = nil
	}
	w.index++
	if err := w.open(); err != nil {
		return err
	}
	indexes, err := Indexes(w.dir, w.base)
	if err != nil {
		return nil // the old ones stay until the next rotation
	}
	for _, i := range indexes {
		if i <= w.index-w.maxFiles {
			_ = os.Remove(w.path(i)) // tried again at the next rotation
		}
	}
	return nil
}

// wake tells the followers. The lock is held.
func (w *Writer) wake() {
	if w.changed != nil {
		close(w.changed)
		w.changed = nil
	}
}

// changes returns a channel that the next write closes. Ask for it before reading, so that no write is missed.
func (w *Writer) changes() <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.changed == nil {
		w.changed = make(chan struct{})
	}
	return w.changed
}

// Close closes the file and wakes the followers a last time.
func (w *Writer) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.wake()
	if w.closed != nil {
		w.closed()
	}
	if w.file == nil {
		return nil
	}
	err := w.file.Close()
	w.file = nil
	return err
}

// Indexes lists the numbers of a stream's files, in order.
func Indexes(dir, base string) ([]int, error) {
	names, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("failed to list entries: %w", err)
	}
	var out []int
	for _, n := range names {
		text, ok := strings.CutPrefix(n.Name(), base+".")
		if !ok || n.IsDir() {
			continue
		}
		if i, err := strconv.Atoi(text); err == nil && i >= 0 {
			out = append(out, i)
		}
	}
	sort.Ints(out)
	return out, nil
}
