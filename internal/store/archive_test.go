package store_test

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/s3"
	"github.com/cotrain/cotrain/internal/s3/s3test"
	"github.com/cotrain/cotrain/internal/store"
	"github.com/cotrain/cotrain/internal/store/blobtest"
	"github.com/cotrain/cotrain/internal/store/check"
	"github.com/cotrain/cotrain/internal/store/db"
	"github.com/cotrain/cotrain/internal/store/pgtest"
)

func TestAFolderIsAnArchive(t *testing.T) {
	t.Parallel()
	b, err := store.NewFileBlobs(t.TempDir())
	must(t, err)
	defer func() { must(t, b.Close()) }()
	blobtest.Test(t, b)
}

func bucket(t *testing.T, f *s3test.Store) *s3.Bucket {
	t.Helper()
	b, err := s3.New(s3.Config{Endpoint: f.URL, Region: "x", Bucket: s3test.Bucket, Prefix: "c", Addressing: "path", AccessKey: "k", SecretKey: "s", Timeout: 2 * time.Second})
	must(t, err)
	return b
}

func openArchived(t *testing.T, a store.Address) *store.Store {
	t.Helper()
	s, err := store.OpenAddress(t.Context(), a)
	must(t, err)
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// textsOf are the lines of a run.
func textsOf(t *testing.T, s *store.Store, id run.ID) (out []string) {
	t.Helper()
	lines, err := s.Logs(t.Context(), id, run.LogQuery{Rank: -1, Limit: 10000})
	must(t, err)
	for _, l := range lines {
		out = append(out, l.Text)
	}
	return out
}

// seals seals a block for each of the lines.
func seals(t *testing.T, s *store.Store, id run.ID, texts ...string) {
	t.Helper()
	for i, text := range texts {
		b := &store.Batch{RunID: id, AllocID: string(id) + text, Stream: "stdout", At: time.UnixMilli(int64(i)), Log: []byte(text + "\n"), To: store.Cursor{File: "f", Offset: 1}}
		must(t, errors.Join(s.Commit(t.Context(), []*store.Batch{b}), s.Seal(t.Context(), id, 1)))
	}
}

func begun(t *testing.T, s *store.Store, ids ...run.ID) {
	t.Helper()
	for _, id := range ids {
		_, _, err := s.CreateRun(t.Context(), run.Run{ID: id, State: run.Queued}, "", run.Event{RunID: id})
		must(t, err)
	}
}

// TestADamagedBlockCostsItsLinesAlone in a folder and in a bucket.
func TestADamagedBlockCostsItsLinesAlone(t *testing.T) {
	t.Parallel()
	const id = run.ID("r-0000000001")
	for name, open := range map[string]func() (store.Address, store.Blobs){
		"folder": func() (store.Address, store.Blobs) {
			dir := t.TempDir()
			b, err := store.NewFileBlobs(filepath.Join(dir, "logs"))
			must(t, err)
			return store.Address{Folder: dir}, b
		},
		"bucket": func() (store.Address, store.Blobs) {
			b := bucket(t, s3test.New(t))
			return store.Address{Folder: t.TempDir(), Archive: b}, b
		},
	} {
		a, blobs := open()
		s := openArchived(t, a)
		begun(t, s, id)
		seals(t, s, id, "one", "two", "three", "four", "five")
		var names []string
		must(t, blobs.Each(t.Context(), "", func(name string, _ int64, _ time.Time) error { names = append(names, name); return nil }))
		third, err := blobs.Get(t.Context(), names[2])
		must(t, err)
		fourth, err := blobs.Get(t.Context(), names[3])
		must(t, err)
		must(t, errors.Join(blobs.Delete(t.Context(), names[0]), blobs.Put(t.Context(), names[1], third[:len(third)/2]),
			blobs.Put(t.Context(), names[2], fourth))) // which is a good block, of other lines
		got := textsOf(t, s, id)
		if len(got) != 5 || !strings.Contains(got[0], "is missing") || !strings.Contains(got[1], "is damaged") || !strings.Contains(got[2], "is damaged") || got[3] != "four" || got[4] != "five" {
			t.Errorf("%s: %q", name, got)
		}
		must(t, blobs.Put(t.Context(), "r-0000000001/stray.zst", []byte("x")))
		must(t, s.Close())
	}
}

// TestAnArchiveThatIsAwayLosesNothing neither of what is sealed nor of what is deleted meanwhile.
func TestAnArchiveThatIsAwayLosesNothing(t *testing.T) {
	t.Parallel()
	const id, other = run.ID("r-0000000001"), run.ID("r-0000000002")
	for name, url := range map[string]func() string{"SQLite": func() string { return "" }, "PostgreSQL": func() string { return pgtest.URL(t) }} {
		f := s3test.New(t)
		b := bucket(t, f)
		s := openArchived(t, store.Address{Folder: t.TempDir(), Database: db.Options{URL: url()}, Archive: b})
		begun(t, s, id, other)
		seals(t, s, id, "sealed")
		seals(t, s, other, "other")
		for what, bad := range map[string]s3test.Between{"500": s3test.Refuse(500, "InternalError"), "a revoked key": s3test.Refuse(403, "InvalidAccessKeyId"), "hangs": s3test.Hang, "cut": s3test.Cut} {
			f.Set(bad)
			batch := &store.Batch{RunID: id, AllocID: what, Stream: "stdout", Log: []byte(what + "\n"), To: store.Cursor{File: "f", Offset: 1}}
			must(t, s.Commit(t.Context(), []*store.Batch{batch}))
			if err := s.Seal(t.Context(), id, 1); !errors.Is(err, fault.ErrArchiveUnavailable) {
				t.Errorf("%s: %s: sealed: %v", name, what, err)
			}
			if _, err := s.Logs(t.Context(), id, run.LogQuery{Rank: -1, Limit: 10}); !errors.Is(err, fault.ErrArchiveUnavailable) {
				t.Errorf("%s: %s: a block that cannot be read now is taken for lost: %v", name, what, err)
			}
		}
		must(t, s.DeleteRun(t.Context(), other)) // what is in the archive waits
		if err := s.TidyLogs(t.Context()); !errors.Is(err, fault.ErrArchiveUnavailable) {
			t.Errorf("%s: %v", name, err)
		}
		f.Set(nil)
		must(t, errors.Join(s.Seal(t.Context(), id, 1), s.TidyLogs(t.Context())))
		got := textsOf(t, s, id)
		slices.Sort(got)
		if want := []string{"500", "a revoked key", "cut", "hangs", "sealed"}; !slices.Equal(got, want) {
			t.Errorf("%s: %q, not %q", name, got, want)
		}
		var left []string
		must(t, b.Each(t.Context(), "", func(name string, _ int64, _ time.Time) error { left = append(left, name); return nil }))
		if slices.ContainsFunc(left, func(name string) bool { return !strings.HasPrefix(name, string(id)) }) || len(left) != 2 {
			t.Errorf("%s: in the archive are %q", name, left)
		}
	}
}

// TestLogsMoveToABucketAndBack with a console at work, interrupted, and with old blocks that have no checksum.
func TestLogsMoveToABucketAndBack(t *testing.T) {
	t.Parallel()
	const id = run.ID("r-0000000001")
	dir, f := t.TempDir(), s3test.New(t)
	s := openArchived(t, store.Address{Folder: dir})
	begun(t, s, id)
	seals(t, s, id, "one", "two", "three")
	must(t, s.Exec(t.Context(), `UPDATE log_blocks SET sum = '' WHERE first_chunk = 1`))
	at := func() store.Address { return store.Address{Folder: dir, Archive: bucket(t, f)} }
	move := func(back, remove bool) (*store.LogsMigrated, error) {
		return store.MigrateLogs(t.Context(), at(), back, remove, func(store.LogsCopied) {})
	}

	var puts int
	f.Set(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if r.Method == http.MethodPut {
			if puts++; puts > 1 {
				s3test.Refuse(503, "SlowDown")(w, r, next)
				return
			}
		}
		next.ServeHTTP(w, r)
	})
	if _, err := move(false, false); !errors.Is(err, fault.ErrArchiveUnavailable) {
		t.Errorf("interrupted: %v", err)
	}
	f.Set(nil)
	m, err := move(false, false)
	must(t, err)
	if m.Blocks != 3 || m.Copied != 2 || !m.InUse || !m.Clean() || !strings.Contains(m.String(), "A console is running") {
		t.Errorf("resumed: %+v: %s", m, m)
	}
	if _, err := move(false, true); !errors.Is(err, fault.ErrInUse) {
		t.Errorf("deleted beside a console: %v", err)
	}
	seals(t, s, id, "four")
	must(t, s.Close())
	m, err = move(false, true)
	must(t, err)
	if m.Copied != 1 || m.Deleted != 4 || m.InUse {
		t.Errorf("finished: %+v", m)
	}
	if files, err := filepath.Glob(filepath.Join(dir, "logs", "*", "*")); err != nil || len(files) > 0 {
		t.Errorf("in the folder are %q, %v", files, err)
	}

	s = openArchived(t, at())
	if lacks, err := s.LacksOldLogs(t.Context()); err != nil || lacks {
		t.Errorf("it lacks %v, %v", lacks, err)
	}
	seals(t, s, id, "five")
	if got := textsOf(t, s, id); !slices.Equal(got, []string{"one", "two", "three", "four", "five"}) {
		t.Errorf("from the bucket: %q", got)
	}
	must(t, s.Close())
	s = openArchived(t, store.Address{Folder: dir})
	if lacks, err := s.LacksOldLogs(t.Context()); err != nil || !lacks {
		t.Errorf("with the folder that it left it lacks %v, %v", lacks, err)
	}
	must(t, s.Close())
	m, err = move(true, false)
	must(t, err)
	if m.Copied != 5 || !m.Clean() {
		t.Errorf("back: %+v", m)
	}
	must(t, os.Truncate(firstBlock(t, dir), 3))
	if m, err = move(true, false); err != nil || m.Copied != 1 {
		t.Errorf("what was damaged there is copied again: %+v, %v", m, err)
	}
	s = openArchived(t, store.Address{Folder: dir})
	if got := textsOf(t, s, id); len(got) != 5 || got[0] != "one" {
		t.Errorf("from the folder: %q", got)
	}
}

func firstBlock(t *testing.T, dir string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "logs", "*", "*"))
	must(t, err)
	return files[0]
}

// TestLogsAreVerified finds each thing that can be wrong, in a bucket, and nothing where nothing is.
func TestLogsAreVerified(t *testing.T) {
	t.Parallel()
	const id = run.ID("r-0000000001")
	a := store.Address{Folder: t.TempDir(), Archive: bucket(t, s3test.New(t))}
	s := openArchived(t, a)
	begun(t, s, id)
	seals(t, s, id, "one", "two", "three")
	verify := func() *check.Report {
		t.Helper()
		in, err := store.Inspect(t.Context(), a, false)
		must(t, err)
		r, err := check.Logs(t.Context(), in, func(int) {})
		must(t, errors.Join(err, in.DB.Close()))
		return r
	}
	if r := verify(); !r.Clean() || r.Blocks != 3 || !strings.Contains(r.String(), "s3://logs/c at http://") {
		t.Error(r)
	}
	var names []string
	must(t, a.Archive.Each(t.Context(), "", func(name string, _ int64, _ time.Time) error { names = append(names, name); return nil }))
	first, err := a.Archive.Get(t.Context(), names[0])
	must(t, err)
	must(t, errors.Join(a.Archive.Delete(t.Context(), names[2]), a.Archive.Put(t.Context(), names[1], first)))
	r := verify()
	if r.Clean() || len(r.Found) != 2 || r.Found[0].Kind != check.LogMissing || r.Found[0].Count != 1 || r.Found[1].Kind != check.LogDamaged || !strings.Contains(r.Found[1].Examples[0].What, "checksum") {
		t.Error(r)
	}
}
