package store_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store"
	"github.com/cotrain/cotrain/internal/store/db"
	"github.com/cotrain/cotrain/internal/store/pgtest"
)

// lostBlocks seals ten blocks of a worker's stdout and takes the second away, damages the fourth, and returns what brings them back.
func lostBlocks(t *testing.T, s *store.Store, b store.Blobs, id run.ID) (restore func()) {
	t.Helper()
	begun(t, s, id)
	texts := make([]string, 10)
	for i := range texts {
		texts[i] = fmt.Sprintf("[ERROR] fox %d", i)
	}
	seals(t, s, id, texts...)
	var names []string
	must(t, b.Each(t.Context(), "", func(name string, _ int64, _ time.Time) error { names = append(names, name); return nil }))
	second, err := b.Get(t.Context(), names[1])
	must(t, err)
	fourth, err := b.Get(t.Context(), names[3])
	must(t, err)
	must(t, errors.Join(b.Delete(t.Context(), names[1]), b.Put(t.Context(), names[3], fourth[:len(fourth)-4])))
	return func() {
		must(t, errors.Join(b.Put(t.Context(), names[1], second), b.Put(t.Context(), names[3], fourth)))
	}
}

// wanting are filters that blocks of [ERROR] fox may have lines for.
func wanting() map[string]run.LogFilter {
	fox := run.LogPattern{Text: "fox"}
	return map[string]run.LogFilter{
		"all":             run.AllLines(),
		"a stream":        {Rank: 0, Stream: "stdout", Machine: true},
		"a level":         {Rank: -1, Level: run.LevelError},
		"a pattern":       {Rank: -1, Find: fox},
		"all of them":     {Rank: 0, Stream: "stdout", Level: run.LevelWarning, Find: fox, Hide: run.LogPattern{Text: "CoTrain"}},
		"a part of times": {Rank: -1, Since: time.UnixMilli(1), Until: time.UnixMilli(9)},
	}
}

// TestALostBlockIsToldUnderEveryFilter by every reader, until it is there again.
func TestALostBlockIsToldUnderEveryFilter(t *testing.T) {
	t.Parallel()
	const id = run.ID("r-0000000001")
	for name, url := range map[string]func() string{"SQLite": func() string { return "" }, "PostgreSQL": func() string { return pgtest.URL(t) }} {
		for what, f := range wanting() {
			t.Run(name+", "+what, func(t *testing.T) {
				t.Parallel()
				s, b := watched(t, db.Options{URL: url(), MaxConns: 4})
				var told []string
				var mu sync.Mutex
				s.Lost = func(_ run.ID, _, how string) { mu.Lock(); told = append(told, how); mu.Unlock() }
				restore := lostBlocks(t, s, b, id)
				for range 2 {
					lostOf(t, s, id, f, 2)
				}
				if slices.Sort(told); !slices.Equal(told, []string{"is damaged", "is missing"}) {
					t.Errorf("the console is told that a block %q", told)
				}
				restore()
				eventually(t, "the blocks are read again", func() bool {
					page, err := s.LogLines(t.Context(), id, f, run.LogSpot{}, 100)
					return err == nil && page.Lost == 0
				})
				lostOf(t, s, id, f, 0)
			})
		}
	}
}

// lostOf reads in every way, and wants so many blocks to be told as lost, each once, and all others to be there.
func lostOf(t *testing.T, s *store.Store, id run.ID, f run.LogFilter, want int) {
	t.Helper()
	all := 10
	if !f.Since.IsZero() {
		all = 8
	}
	count := func(reader string) func(run.RawLine) error {
		lost, others := 0, 0
		return func(l run.RawLine) error {
			if l.Pos == 0 { // the end
				if lost != want || others != all-want {
					t.Errorf("%s: %d lines, %d say that others are lost, want %d", reader, others, lost, want)
				}
				return nil
			}
			if l.Lost != strings.Contains(string(l.Text), "lines of worker 0 are lost here") {
				t.Errorf("%s: %q is lost: %t", reader, l.Text, l.Lost)
			}
			if l.Lost {
				lost++
			} else {
				others++
			}
			return nil
		}
	}
	each := func(reader string, read func(fn func(run.RawLine) error) error) {
		fn := count(reader)
		must(t, errors.Join(read(fn), fn(run.RawLine{})))
	}
	ctx := context.Background()
	each("EachLog", func(fn func(run.RawLine) error) error { return s.EachLog(ctx, id, f, 0, fn) })
	if f.Find.Text != "" {
		each("EachLogAround", func(fn func(run.RawLine) error) error { return s.EachLogAround(ctx, id, f, 0, 1, fn) })
	}
	page, err := s.LogLines(ctx, id, f, run.LogSpot{}, 100)
	must(t, err)
	if page.Lost != want || page.Total != int64(all) || len(page.Lines) != all {
		t.Errorf("LogLines: %d of %d lines, %d blocks are lost, want %d", len(page.Lines), page.Total, page.Lost, want)
	}
	m, err := s.LogMap(ctx, id, f)
	must(t, err)
	if m.Lost != want || m.Total != int64(all) {
		t.Errorf("LogMap: %d lines, %d blocks are lost, want %d", m.Total, m.Lost, want)
	}
	hits, lost := 0, 0
	must(t, s.SearchLog(ctx, id, f, func(p run.LogFound) error {
		if hits += p.Hits; p.Lost {
			lost++
		}
		return nil
	}))
	if hits != all-want || lost != want {
		t.Errorf("SearchLog: %d hits, %d blocks are lost, want %d", hits, lost, want)
	}
	for at, n := run.LogPos(0), 0; ; n++ {
		line, found, err := s.FindLog(ctx, id, f, at, false)
		must(t, err)
		if !found {
			if n != all-want {
				t.Errorf("FindLog: %d lines, want %d", n, all-want)
			}
			break
		}
		at = line.Pos
	}
}

// TestALostBlockIsNotToldToThoseWhomItDoesNotConcern since what is known of it rules it out.
func TestALostBlockIsNotToldToThoseWhomItDoesNotConcern(t *testing.T) {
	t.Parallel()
	const id = run.ID("r-0000000001")
	s, b := watched(t, db.Options{})
	lostBlocks(t, s, b, id)
	for what, f := range map[string]run.LogFilter{
		"another worker":  {Rank: 1},
		"another stream":  {Rank: -1, Stream: "stderr"},
		"other times":     {Rank: -1, Since: time.UnixMilli(4)},
		"another pattern": {Rank: -1, Find: run.LogPattern{Text: "badger"}},
	} {
		must(t, s.EachLog(t.Context(), id, f, 0, func(l run.RawLine) error {
			if l.Lost {
				t.Errorf("%s: %s", what, l.Text)
			}
			return nil
		}))
		if page, err := s.LogLines(t.Context(), id, f, run.LogSpot{}, 100); err != nil || page.Lost != 0 {
			t.Errorf("%s: %d blocks are lost, %v", what, page.Lost, err)
		}
	}
}

// TestAFolderInThePlaceOfABlockCostsItsLinesAlone as a damaged one does.
func TestAFolderInThePlaceOfABlockCostsItsLinesAlone(t *testing.T) {
	t.Parallel()
	const id = run.ID("r-0000000001")
	dir := t.TempDir()
	s := openArchived(t, store.Address{Folder: dir})
	begun(t, s, id)
	seals(t, s, id, "one", "two")
	files, err := filepath.Glob(filepath.Join(dir, "logs", string(id), "*"))
	must(t, err)
	must(t, errors.Join(os.Remove(files[0]), os.Mkdir(files[0], 0o750)))
	if got := textsOf(t, s, id); len(got) != 2 || !strings.Contains(got[0], "is damaged") || got[1] != "two" {
		t.Errorf("the log is %q", got)
	}
}

// TestAFolderThatIsReplacedIsTheArchive as one of a backup is, and nothing is written to the one that it was before.
func TestAFolderThatIsReplacedIsTheArchive(t *testing.T) {
	t.Parallel()
	const id = run.ID("r-0000000001")
	for how, away := range map[string]func(logs, old string) error{
		"moved":   os.Rename,
		"deleted": func(logs, old string) error { return errors.Join(os.CopyFS(old, os.DirFS(logs)), os.RemoveAll(logs)) },
	} {
		dir := t.TempDir()
		logs, old := filepath.Join(dir, "logs"), filepath.Join(dir, "old")
		s := openArchived(t, store.Address{Folder: dir})
		begun(t, s, id)
		seals(t, s, id, "one", "two")
		must(t, away(logs, old))
		batch := &store.Batch{RunID: id, AllocID: "a", Stream: "stdout", Log: []byte("three\n"), To: store.Cursor{File: "f", Offset: 1}}
		must(t, s.Commit(t.Context(), []*store.Batch{batch}))
		if err := errors.Join(s.Seal(t.Context(), id, 1), s.CheckArchive(t.Context())); !errors.Is(err, fault.ErrArchiveUnavailable) {
			t.Errorf("%s: sealed in no folder: %v", how, err)
		}
		must(t, os.CopyFS(logs, os.DirFS(old)))
		must(t, errors.Join(s.CheckArchive(t.Context()), s.Seal(t.Context(), id, 1)))
		if got := textsOf(t, s, id); !slices.Equal(got, []string{"one", "two", "three"}) {
			t.Errorf("%s: the log is %q", how, got)
		}
		files, err := filepath.Glob(filepath.Join(logs, string(id), "*.zst"))
		must(t, err)
		if len(files) != 3 {
			t.Errorf("%s: the folder has %q", how, files)
		}
	}
}
