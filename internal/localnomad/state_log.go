package localnomad

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
	"sort"
	"strconv"
	"strings"
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
	Var     *api.Variable            `json:"x,omitempty"`
}

// entry is one line of the log: all records of one change, so that a change
// is there whole or not at all.
type entry struct {
	Index   uint64   `json:"i"`
	Records []record `json:"r"`
}

// compactAt is the size in bytes at which the log is rewritten as a snapshot.
const compactAt = 32 << 20

// stateLog is the append-only log of changes: state-<n>.log files, each
// started by the compaction that wrote snapshot-<n>. A line is a CRC-32 in
// hexadecimal, a space and JSON. A change is written, not synced, before its
// caller hears of it: it survives the death of this process, and a power cut
// loses at most what the system had not written back.
type stateLog struct {
	dir  string
	log  *slog.Logger
	mu   sync.Mutex
	gen  uint64
	file *os.File
	size int64
	buf  bytes.Buffer
	err  error // the last append did not reach the file
}

func (l *stateLog) snapshotPath(gen uint64) string {
	return filepath.Join(l.dir, fmt.Sprintf("snapshot-%d", gen))
}

func (l *stateLog) logPath(gen uint64) string {
	return filepath.Join(l.dir, fmt.Sprintf("state-%d.log", gen))
}

// openStateLog replays what dir holds into s and opens the log for appending.
func openStateLog(dir string, s *store, log *slog.Logger) (*stateLog, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("create state directory: %w", err)
	}
	l := &stateLog{dir: dir, log: log}
	gens, snap, err := l.generations()
	if err != nil {
		return nil, err
	}
	if snap > 0 {
		if _, err := l.replay(l.snapshotPath(snap), s); err != nil {
			return nil, fmt.Errorf("read %s: %w", l.snapshotPath(snap), err)
		}
	}
	l.gen = snap
	for _, gen := range gens {
		if gen < snap {
			continue
		}
		good, err := l.replay(l.logPath(gen), s)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", l.logPath(gen), err)
		}
		l.gen, l.size = gen, good
	}
	l.file, err = os.OpenFile(l.logPath(l.gen), os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open state log: %w", err)
	}
	// What follows the last whole line is the torn end of a change that nobody was told of.
	if err := l.file.Truncate(l.size); err != nil {
		return nil, errors.Join(fmt.Errorf("truncate state log: %w", err), l.file.Close())
	}
	if _, err := l.file.Seek(l.size, io.SeekStart); err != nil {
		return nil, errors.Join(fmt.Errorf("seek state log: %w", err), l.file.Close())
	}
	return l, nil
}

// generations returns the log files' numbers in order, and the newest snapshot's.
func (l *stateLog) generations() (gens []uint64, snap uint64, err error) {
	names, err := os.ReadDir(l.dir)
	if err != nil {
		return nil, 0, fmt.Errorf("list state directory: %w", err)
	}
	for _, n := range names {
		if text, ok := strings.CutPrefix(n.Name(), "snapshot-"); ok {
			if g, err := strconv.ParseUint(text, 10, 64); err == nil {
				snap = max(snap, g)
			}
		}
		if text, ok := strings.CutPrefix(n.Name(), "state-"); ok {
			if g, err := strconv.ParseUint(strings.TrimSuffix(text, ".log"), 10, 64); err == nil {
				gens = append(gens, g)
			}
		}
	}
	sort.Slice(gens, func(i, j int) bool { return gens[i] < gens[j] })
	return gens, snap, nil
}

// replay applies a file's whole lines and returns how many bytes they are.
func (l *stateLog) replay(path string, s *store) (int64, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	defer func() { _ = f.Close() }() // only read
	r := bufio.NewReaderSize(f, 1<<20)
	var good int64
	for {
		line, err := r.ReadBytes('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return good, err
		}
		e, ok := parseEntry(line)
		if !ok {
			if len(line) > 0 {
				l.log.Warn("state log ends in a damaged line; what follows it is dropped", "file", path, "offset", good)
			}
			return good, nil
		}
		s.apply(e)
		good += int64(len(line))
	}
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

// apply puts a logged change into the tables, without events.
func (s *store) apply(e entry) {
	s.index = max(s.index, e.Index)
	for i := range s.tables {
		s.tables[i].index = s.index
	}
	for _, r := range e.Records {
		switch {
		case r.Kind == kindJob && r.Job != nil:
			s.applyJob(r.Job)
		case r.Kind == kindJob:
			s.dropJob(r.Delete)
		case r.Kind == kindVersion && r.Job != nil:
			if s.versions[*r.Job.ID] == nil {
				s.versions[*r.Job.ID] = map[versionKey]*api.Job{}
			}
			s.versions[*r.Job.ID][keyOf(r.Job)] = r.Job
		case r.Kind == kindEval && r.Eval != nil:
			s.applyEval(r.Eval)
		case r.Kind == kindEval:
			s.dropEval(r.Delete)
		case r.Kind == kindAlloc && r.Alloc != nil:
			r.Alloc.Job = s.versions[r.Alloc.JobID][versionKey{r.Create, r.Version}]
			if r.Alloc.Job != nil {
				s.applyAlloc(r.Alloc)
			}
		case r.Kind == kindAlloc:
			s.dropAlloc(r.Delete)
		case r.Kind == kindNode && r.Node != nil:
			s.nodes[r.Node.ID] = r.Node
		case r.Kind == kindNode:
			delete(s.nodes, r.Delete)
		case r.Kind == kindService && r.Service != nil:
			s.services[r.Service.ID] = r.Service
		case r.Kind == kindService:
			delete(s.services, r.Delete)
		case r.Kind == kindVar && r.Var != nil:
			s.vars[r.Var.Path] = r.Var
		case r.Kind == kindVar:
			delete(s.vars, r.Delete)
		}
	}
}

// append writes one change. A failure is remembered: the tables stay the
// truth in memory, new work is refused, and the next compaction makes the
// disk whole again.
func (l *stateLog) append(index uint64, records []record) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file == nil {
		return
	}
	l.buf.Reset()
	if err := encodeEntry(&l.buf, index, records); err != nil {
		l.fail(err)
		return
	}
	if l.err != nil {
		return // a gap would make what follows wrong: only a snapshot helps
	}
	n, err := l.file.Write(l.buf.Bytes())
	if err != nil {
		l.fail(err)
		_ = l.file.Truncate(l.size) // drop the torn end; replay would drop it too
		_, _ = l.file.Seek(l.size, io.SeekStart)
		return
	}
	l.size += int64(n)
}

func (l *stateLog) fail(err error) {
	if l.err == nil {
		l.log.Error("state cannot be written; new jobs are refused until it can", "error", err)
	}
	l.err = err
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
	return l.size > compactAt || l.err != nil
}

func encodeEntry(buf *bytes.Buffer, index uint64, records []record) error {
	start := buf.Len()
	buf.WriteString("00000000 ")
	for i, r := range records {
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
