package localnomad

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// compact writes the tables as a new snapshot and starts a new log.
func (l *stateLog) compact(s *store) error {
	// A change holds the store's lock while it appends, so that under it the tables and the log agree.
	s.mu.RLock()
	entries, index := s.dump(), s.index
	l.mu.Lock()
	gen := l.gen + 1
	file, err := os.OpenFile(l.logPath(gen), os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	var old *os.File
	hadGap := l.err != nil
	if err == nil {
		old, l.file, l.gen, l.size = l.file, file, gen, 0
		l.err = nil
	}
	l.mu.Unlock()
	s.mu.RUnlock()
	if err != nil {
		return fmt.Errorf("start state log: %w", err)
	}
	err = errors.Join(old.Close(), writeSnapshot(l.snapshotPath(gen), index, entries))
	if err != nil {
		if hadGap {
			// The older logs miss a change and there is no snapshot to cover it.
			l.mu.Lock()
			l.err = err
			l.mu.Unlock()
		}
		return fmt.Errorf("write snapshot: %w", err)
	}
	l.removeBefore(gen)
	return nil
}

func (l *stateLog) removeBefore(gen uint64) {
	names, err := os.ReadDir(l.dir)
	if err != nil {
		l.log.Warn("list state directory", "error", err)
		return
	}
	for _, n := range names {
		text := strings.TrimPrefix(strings.TrimPrefix(strings.TrimSuffix(n.Name(), ".log"), "state-"), "snapshot-")
		if g, err := strconv.ParseUint(text, 10, 64); err == nil && g < gen {
			if err := os.Remove(filepath.Join(l.dir, n.Name())); err != nil {
				l.log.Warn("remove old state", "error", err)
			}
		}
	}
}

func writeSnapshot(path string, index uint64, records []record) error {
	tmp := path + ".tmp"
	f, err := os.OpenFile(tmp, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	var buf bytes.Buffer
	write := func() error {
		for _, r := range records {
			buf.Reset()
			if err := encodeEntry(&buf, index, []record{r}); err != nil {
				return err
			}
			if _, err := f.Write(buf.Bytes()); err != nil {
				return err
			}
		}
		return f.Sync()
	}
	if err := errors.Join(write(), f.Close()); err != nil {
		_ = os.Remove(tmp) // best effort: it is only a temporary file
		return err
	}
	return os.Rename(tmp, path)
}

// dump lists all objects, each after what it refers to. The lock is held.
func (s *store) dump() []record {
	var out []record
	for _, n := range s.nodes {
		out = append(out, record{Kind: kindNode, Node: n})
	}
	for id, versions := range s.versions {
		current := s.jobs[id]
		used := s.usedVersions(id)
		for v, job := range versions {
			if job != current && used[v] {
				out = append(out, record{Kind: kindVersion, Job: job})
			}
		}
		if current != nil {
			out = append(out, record{Kind: kindJob, Job: current})
		}
	}
	for _, e := range s.evals {
		out = append(out, record{Kind: kindEval, Eval: e})
	}
	for _, a := range s.allocs {
		out = append(out, record{Kind: kindAlloc, Alloc: a})
	}
	for _, r := range s.services {
		out = append(out, record{Kind: kindService, Service: r})
	}
	for _, v := range s.vars {
		out = append(out, record{Kind: kindVar, Var: v})
	}
	return out
}
