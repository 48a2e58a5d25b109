package state

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"sync"

	"github.com/hashicorp/nomad/api"
)

// The kinds of record in the state's log.
const (
	kindJob     = "job"
	kindVersion = "version" // an older version of a job that allocations still refer to
	kindEval    = "eval"
	kindAlloc   = "alloc"
	kindNode    = "node"
	kindService = "service"
	kindVar     = "var"
)

// record is one stored or deleted object.
type record struct {
	Kind    string                   `json:"k"`
	Delete  string                   `json:"d,omitempty"`
	Job     *api.Job                 `json:"j,omitempty"`
	Eval    *api.Evaluation          `json:"e,omitempty"`
	Alloc   *api.Allocation          `json:"a,omitempty"`
	Version uint64                   `json:"v,omitempty"` // of the allocation's job, with Create
	Create  uint64                   `json:"c,omitempty"`
	Node    *api.Node                `json:"n,omitempty"`
	Service *api.ServiceRegistration `json:"s,omitempty"`
	Var     *api.Variable            `json:"x,omitempty"` // in the log without items
	Sealed  []byte                   `json:"z,omitempty"` // which are here
}

// entry is one line of the log: all records of one change, so that a change is there whole or not at all.
type entry struct {
	Index   uint64   `json:"i"`
	Records []record `json:"r"`
}

// compactAt is by how many bytes the log grows before it is rewritten.
const compactAt = 32 << 20

// stateLog is the append-only log of changes. A line is a CRC-32 in hexadecimal, a space and JSON. A change is written, not
// synced, before its caller hears of it: it survives the death of this process, and a power cut loses at most what the
// system had not written back.
type stateLog struct {
	path string
	keys *KeyRing
	log  *slog.Logger
	mu   sync.Mutex
	file *os.File
	size int64
	base int64 // of it, what the last compaction wrote
	buf  bytes.Buffer
	err  error // the last change did not reach the file

	stale bool // it holds variables in plain text, or sealed by an earlier key
}

// openStateLog replays what dir holds into t and opens the log for appending.
func openStateLog(dir string, t *Tables, keys *KeyRing, log *slog.Logger) (*stateLog, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("create state directory: %w", err)
	}
	l := &stateLog{path: filepath.Join(dir, "state.log"), keys: keys, log: log}
	err := l.load(dir, t)
	if err == nil {
		return l, nil
	}
	if l.file != nil {
		err = errors.Join(err, l.file.Close())
	}
	return nil, fmt.Errorf("open state: %w", err)
}

func (l *stateLog) load(dir string, t *Tables) (err error) {
	if l.size, err = l.replay(l.path, t); err != nil {
		return err
	}
	old, err := earlierFiles(dir)
	if err != nil {
		return err
	}
	adopt := l.size == 0 && len(old) > 0
	for _, path := range old {
		if adopt {
			if _, err := l.replay(path, t); err != nil {
				return err
			}
		}
	}
	if l.file, err = os.OpenFile(l.path, os.O_CREATE|os.O_WRONLY, 0o600); err != nil {
		return err
	}
	// What follows the last whole line is the torn end of a change that nobody was told of.
	if err := l.cut(); err != nil {
		return err
	}
	if len(t.lost) > 0 {
		attrs := []any{"key", l.keys.String(), "variables", Keys(t.lost, "")}
		if l.keys.err != nil {
			attrs = append(attrs, "error", l.keys.err)
		}
		l.log.Error("variables cannot be read: they were encrypted with another key; they are kept, and are missing until the agent starts with that key", attrs...)
	}
	if l.stale && l.keys.Ready() != nil {
		l.log.Error("variables are on disk in plain text, and cannot be encrypted", "error", l.keys.Ready())
	} else if adopt || l.stale {
		if err := l.compact(t); err != nil {
			return err
		}
	}
	for _, pattern := range []string{"snapshot-*", "state-*.log"} {
		old, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil {
			return err
		}
		for _, path := range old {
			if err := os.Remove(path); err != nil {
				return err
			}
		}
	}
	return nil
}

// replay applies a file's whole lines and returns how many bytes they are.
func (l *stateLog) replay(path string, t *Tables) (size int64, err error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	defer func() { _ = f.Close() }() // only read
	for r := bufio.NewReaderSize(f, 1<<20); ; {
		line, err := r.ReadBytes('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return size, err
		}
		e, ok := parseEntry(line)
		if !ok {
			if len(line) > 0 {
				l.log.Warn("the state ends in a damaged line; what follows it is dropped", "file", path, "offset", size)
			}
			return size, nil
		}
		l.stale = t.replayEntry(e, l.keys) || l.stale
		size += int64(len(line))
	}
}

// cut makes what was written whole the end of the file.
func (l *stateLog) cut() error {
	_, err := l.file.Seek(l.size, io.SeekStart)
	return errors.Join(l.file.Truncate(l.size), err)
}

func parseEntry(line []byte) (entry, bool) {
	var e entry
	if len(line) < 10 || line[len(line)-1] != '\n' || line[8] != ' ' {
		return e, false
	}
	sum, err := strconv.ParseUint(string(line[:8]), 16, 32)
	body := line[9 : len(line)-1]
	if err != nil || crc32.ChecksumIEEE(body) != uint32(sum) {
		return e, false
	}
	return e, json.Unmarshal(body, &e) == nil
}

// replayEntry puts a logged change into the tables. It reports whether variables must be written anew.
func (t *Tables) replayEntry(e entry, keys *KeyRing) (stale bool) {
	t.index = max(t.index, e.Index)
	for i := range t.marks {
		t.marks[i].index = t.index
	}
	for _, r := range e.Records {
		if r.Var != nil {
			old, ok := keys.open(&r)
			if stale = stale || old; !ok {
				t.lose(r)
				continue
			}
		}
		t.apply(r)
	}
	return stale
}

// apply stores or deletes one object.
func (t *Tables) apply(r record) {
	switch {
	case r.Job != nil && r.Kind == kindVersion:
		t.setVersion(r.Job)
	case r.Job != nil:
		t.setJob(r.Job)
	case r.Eval != nil:
		t.setEval(r.Eval)
	case r.Alloc != nil:
		if r.Alloc.Job == nil { // as read from disk
			r.Alloc.Job = t.versions[r.Alloc.JobID][versionKey{r.Create, r.Version}]
		}
		if r.Alloc.Job != nil {
			t.setAlloc(r.Alloc)
		}
	case r.Node != nil:
		t.Nodes[r.Node.ID] = r.Node
	case r.Service != nil:
		t.Services[r.Service.ID] = r.Service
	case r.Var != nil:
		t.setVar(r.Var)
	default:
		t.drop(r)
	}
}

func (t *Tables) drop(r record) {
	switch r.Kind {
	case kindJob:
		t.dropJob(r.Delete)
	case kindEval:
		t.dropEval(r.Delete)
	case kindAlloc:
		t.dropAlloc(r.Delete)
	case kindNode:
		delete(t.Nodes, r.Delete)
	case kindService:
		delete(t.Services, r.Delete)
	case kindVar:
		t.dropVar(r.Delete)
	}
}

// append writes one change. A failure is remembered: the tables stay the truth in memory, new work is refused, and the next
// compaction makes the disk whole again.
func (l *stateLog) append(index uint64, records []record) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file == nil || l.err != nil {
		return // closed; or a gap, which would make what follows wrong
	}
	l.buf.Reset()
	err := l.encode(&l.buf, index, records)
	if err == nil {
		_, err = l.file.Write(l.buf.Bytes())
	}
	if err != nil {
		l.log.Error("state cannot be written; new jobs are refused until it can", "error", err)
		l.err = err
		_ = l.cut() // replay would drop the torn end too
		return
	}
	l.size += int64(l.buf.Len())
}

// failure returns why the state on disk is behind, or nil.
func (l *stateLog) failure() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

// full reports whether it is time to compact.
func (l *stateLog) full() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.size-l.base > compactAt || l.err != nil
}

// compact replaces the log by one that makes the tables at once. Nothing may change meanwhile.
func (l *stateLog) compact(t *Tables) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	next := l.path + ".new"
	f, err := os.OpenFile(next, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	size := int64(0)
	write := func() error {
		for _, r := range t.dump() {
			l.buf.Reset()
			if err := l.encode(&l.buf, t.index, []record{r}); err != nil {
				return err
			}
			n, err := f.Write(l.buf.Bytes())
			if size += int64(n); err != nil {
				return err
			}
		}
		return errors.Join(f.Sync(), os.Rename(next, l.path))
	}
	if err := write(); err != nil {
		return errors.Join(err, f.Close(), os.Remove(next))
	}
	_ = l.file.Close() // it is gone, whatever was in it
	l.file, l.size, l.base, l.err = f, size, size, nil
	return nil
}

// dump lists all objects, each after what it refers to.
func (t *Tables) dump() []record {
	var out []record
	for _, n := range t.Nodes {
		out = append(out, record{Kind: kindNode, Node: n})
	}
	for id, versions := range t.versions {
		current, used := t.Jobs[id], t.usedVersions(id)
		for v, job := range versions {
			if job != current && used[v] {
				out = append(out, record{Kind: kindVersion, Job: job})
			}
		}
		if current != nil {
			out = append(out, record{Kind: kindJob, Job: current})
		}
	}
	for _, e := range t.Evals {
		out = append(out, record{Kind: kindEval, Eval: e})
	}
	for _, a := range t.Allocs {
		out = append(out, record{Kind: kindAlloc, Alloc: a})
	}
	for _, r := range t.Services {
		out = append(out, record{Kind: kindService, Service: r})
	}
	for _, v := range t.Vars {
		out = append(out, record{Kind: kindVar, Var: v})
	}
	for _, r := range t.lost {
		out = append(out, r)
	}
	return out
}

func (l *stateLog) encode(buf *bytes.Buffer, index uint64, records []record) error {
	start := buf.Len()
	buf.WriteString("00000000 ")
	for i, r := range records {
		var err error
		if records[i], err = l.keys.seal(r); err != nil {
			return fmt.Errorf("encrypt variable %s: %w", r.Var.Path, err)
		}
		if r.Alloc != nil {
			a := *r.Alloc
			key := keyOf(a.Job)
			records[i].Version, records[i].Create = key.version, key.create
			a.Job = nil // large, and stored once per version already
			records[i].Alloc = &a
		}
	}
	if err := json.NewEncoder(buf).Encode(entry{Index: index, Records: records}); err != nil {
		return fmt.Errorf("encode state: %w", err)
	}
	line := buf.Bytes()[start:]
	copy(line, fmt.Sprintf("%08x", crc32.ChecksumIEEE(line[9:len(line)-1])))
	return nil
}

// close syncs and closes the log.
func (l *stateLog) close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file == nil {
		return nil
	}
	err := errors.Join(l.file.Sync(), l.file.Close())
	l.file = nil
	return err
}
