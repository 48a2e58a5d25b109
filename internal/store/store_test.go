package store_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store"
	"github.com/cotrain/cotrain/internal/store/db"
	"github.com/cotrain/cotrain/internal/store/points"
	"github.com/cotrain/cotrain/internal/store/storetest"
)

func open(t *testing.T, dir string) *store.Store {
	t.Helper()
	return opened(t, dir, db.Options{})
}

func opened(t *testing.T, dir string, o db.Options) *store.Store {
	t.Helper()
	s, err := store.OpenAt(t.Context(), dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestSQLite(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) storetest.Store { return open(t, t.TempDir()) })
}

// TestTransactionsCanBeRepeated undoes each once.
func TestTransactionsCanBeRepeated(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) storetest.Store { return openAt(t, db.Options{Twice: true}) })
}

func TestANewerSchemaIsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, err := store.Open(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	raw, err := sql.Open("sqlite", filepath.Join(dir, "cotrain.db"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := raw.ExecContext(t.Context(), `INSERT INTO goose_db_version (version_id, is_applied) VALUES (99999, 1)`); err != nil {
		t.Fatal(err)
	}
	if err := raw.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Open(t.Context(), dir); err == nil || !strings.Contains(err.Error(), "start a newer cotrain") {
		t.Errorf("got %v", err)
	}
}

func TestTwoConsolesCannotShareAFolder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first, err := store.Open(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := store.Open(t.Context(), dir); !errors.Is(err, store.ErrInUse) {
		t.Errorf("the second got %v", err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	open(t, dir)
}

// TestAFolderIsFreeWhileAProcessIsBeingStarted has the lock's file open elsewhere, as a child has between fork and exec.
func TestAFolderIsFreeWhileAProcessIsBeingStarted(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first, err := store.Open(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	childs, err := syscall.Dup(int(first.Lock().Fd()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Close(childs) })
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	open(t, dir)
}

func TestAFolderThatCannotBeWrittenIsSaidSo(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Open(t.Context(), filepath.Join(file, "data")); err == nil || !strings.Contains(err.Error(), "data folder") {
		t.Errorf("got %v", err)
	}
}

// fullBlobs is an archive on a full disk.
type fullBlobs struct{ store.Blobs }

func (fullBlobs) Close() error { return nil }

func (fullBlobs) Put(context.Context, string, []byte) error {
	return errors.New("no space left on device")
}

func TestAFullArchiveLosesNoLines(t *testing.T) {
	t.Parallel()
	s, err := store.OpenWith(t.Context(), db.Options{File: filepath.Join(t.TempDir(), "cotrain.db")}, fullBlobs{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	id := run.ID("r-0000000001")
	if _, _, err := s.CreateRun(t.Context(), run.Run{ID: id, State: run.Queued}, "", run.Event{RunID: id}); err != nil {
		t.Fatal(err)
	}
	b := &store.Batch{RunID: id, AllocID: "a", Stream: "stdout", Log: []byte("kept\n"), To: store.Cursor{File: "f", Offset: 5}}
	if err := s.Commit(t.Context(), []*store.Batch{b}); err != nil {
		t.Fatal(err)
	}
	if err := s.Seal(t.Context(), id, 1); err == nil {
		t.Error("sealing into a full archive is no error")
	}
	lines, err := s.Logs(t.Context(), id, run.LogQuery{Rank: -1, Limit: 10})
	if err != nil || len(lines) != 1 {
		t.Errorf("lines %v, %v", lines, err)
	}
}

func TestADamagedDatabaseIsSaidWithItsFileAndWhatToDo(t *testing.T) {
	t.Parallel()
	for name, damage := range map[string]func([]byte) []byte{
		"no database":  func(b []byte) []byte { return bytes.Repeat([]byte("no database "), 1000) },
		"cut short":    func(b []byte) []byte { return b[:5000] },
		"overwritten":  func(b []byte) []byte { return append(b[:200:200], bytes.Repeat([]byte{0xa5}, len(b)-200)...) },
		"of one block": func(b []byte) []byte { return b[:100] },
	} {
		dir := t.TempDir()
		s, err := store.Open(t.Context(), dir)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(dir, "cotrain.db")
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, damage(b), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err = store.Open(t.Context(), dir)
		if told := fault.Of(err); told.Kind != fault.ErrDamaged || !strings.Contains(told.What, file) || !strings.Contains(told.Fix, "sqlite3 "+file+" .recover") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestNoRoomAtTheStartIsSaidWithTheFolderAndWhatToDo(t *testing.T) {
	t.Parallel()
	err := store.CannotOpen("/data", fmt.Errorf("data folder /data: %w", &os.PathError{Op: "mkdir", Path: "/data", Err: syscall.ENOSPC}))
	if told := fault.Of(err); told.Kind != fault.ErrFull || !strings.Contains(told.What, "/data") || !strings.Contains(told.Fix, "COTRAIN_DATA_DIR") {
		t.Errorf("%v", err)
	}
	if err := store.CannotOpen("/data", os.ErrPermission); !errors.Is(err, os.ErrPermission) {
		t.Errorf("another error became %v", err)
	}
}

func TestAFullDiskIsSaidSoAndLosesNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	id := run.ID("r-0000000001")
	if _, _, err := s.CreateRun(t.Context(), run.Run{ID: id, State: run.Queued}, "", run.Event{RunID: id}); err != nil {
		t.Fatal(err)
	}
	if err := s.LimitPages(t.Context(), 1); err != nil { // SQLite makes that the present size
		t.Fatal(err)
	}
	cur, lines := store.Cursor{}, 0
	write := func() error {
		b := &store.Batch{
			RunID: id, AllocID: "a", Stream: "stdout", From: cur, Log: []byte(strings.Repeat("x", 9999) + "\n"),
			To: store.Cursor{File: "f", Offset: cur.Offset + 10000}, Points: []points.Point{{Metric: "loss", Step: cur.Offset, Value: 1}},
		}
		err := s.Commit(t.Context(), []*store.Batch{b})
		if err == nil {
			cur, lines = b.To, lines+1
		}
		return err
	}
	var err error
	for range 50 {
		if err = write(); err != nil {
			break
		}
	}
	if !errors.Is(err, fault.ErrUnavailable) || fault.Of(err).Kind != fault.ErrFull {
		t.Fatalf("a full disk gave %v", err)
	}
	if said := fault.Of(err).Text(); !strings.Contains(said, "data folder "+dir+" is full") || !strings.Contains(said, "Free space") {
		t.Errorf("a full disk is said as %q", said)
	}
	if err := s.Ping(t.Context()); !errors.Is(err, fault.ErrFull) {
		t.Errorf("on a full disk the store says of itself: %v", err)
	}
	if _, err := s.Run(t.Context(), id); err != nil {
		t.Errorf("reading from a full disk: %v", err)
	}
	if err := s.LimitPages(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := s.Ping(t.Context()); err != nil {
			t.Errorf("with room again the store says of itself: %v", err)
		}
	}
	if err := write(); err != nil {
		t.Fatal(err)
	}
	pts, err := storetest.AllPoints(t.Context(), s, id, "loss")
	if err != nil || len(pts) != lines {
		t.Errorf("%d points, %v; want %d", len(pts), err, lines)
	}
	got, err := s.Logs(t.Context(), id, run.LogQuery{Rank: -1, Limit: 1000})
	if err != nil || len(got) != lines {
		t.Errorf("%d lines, %v; want %d", len(got), err, lines)
	}
}

// TestALostBlockOfALogIsALineThatSaysSo leaves all other lines of the run as they are.
func TestALostBlockOfALogIsALineThatSaysSo(t *testing.T) {
	t.Parallel()
	for how, damage := range map[string]func(file string) error{
		"is missing": os.Remove,
		"is damaged": func(file string) error { return os.Truncate(file, 20) },
	} {
		dir := t.TempDir()
		s := open(t, dir)
		id := run.ID("r-0000000001")
		if _, _, err := s.CreateRun(t.Context(), run.Run{ID: id, State: run.Queued}, "", run.Event{RunID: id}); err != nil {
			t.Fatal(err)
		}
		cur := store.Cursor{}
		for _, text := range []string{"first\n", "second\n", "third\n"} {
			b := &store.Batch{RunID: id, AllocID: "a", Stream: "stdout", Rank: 1, From: cur, Log: []byte(text), To: store.Cursor{File: "f", Offset: cur.Offset + int64(len(text))}}
			if err := s.Commit(t.Context(), []*store.Batch{b}); err != nil {
				t.Fatal(err)
			}
			cur = b.To
			if text != "third\n" {
				if err := s.Seal(t.Context(), id, 1); err != nil {
					t.Fatal(err)
				}
			}
		}
		files, err := filepath.Glob(filepath.Join(dir, "logs", string(id), "*.zst"))
		if err != nil || len(files) != 2 {
			t.Fatalf("files %v, %v", files, err)
		}
		if err := damage(files[0]); err != nil {
			t.Fatal(err)
		}
		for _, q := range []run.LogQuery{{Rank: -1, Limit: 10}, {Rank: 1, Limit: 10}, {Rank: -1, Tail: true, Limit: 10}} {
			lines, err := s.Logs(t.Context(), id, q)
			if err != nil || len(lines) != 3 || !strings.Contains(lines[0].Text, "lost") || !strings.Contains(lines[0].Text, how) || lines[0].Rank != 1 || lines[1].Text != "second" || lines[2].Text != "third" {
				t.Errorf("%s: %+v: %+v, %v", how, q, lines, err)
				continue
			}
			if rest, err := s.Logs(t.Context(), id, run.LogQuery{Rank: -1, After: lines[0].Pos, Limit: 10}); err != nil || len(rest) != 2 {
				t.Errorf("%s: after it there are %+v, %v", how, rest, err)
			}
		}
	}
}
