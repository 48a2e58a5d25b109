package store_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store"
	"github.com/cotrain/cotrain/internal/store/db"
	"github.com/cotrain/cotrain/internal/store/pgtest"
)

// watchedBlobs tells of each blob that is read before it is.
type watchedBlobs struct {
	store.Blobs
	get func(ctx context.Context, name string) error
	put func() error
}

func (b *watchedBlobs) Put(ctx context.Context, name string, data []byte) error {
	if b.put != nil {
		if err := b.put(); err != nil {
			return err
		}
	}
	return b.Blobs.Put(ctx, name, data)
}

func (b *watchedBlobs) Get(ctx context.Context, name string) ([]byte, error) {
	if b.get != nil {
		if err := b.get(ctx, name); err != nil {
			return nil, err
		}
	}
	return b.Blobs.Get(ctx, name)
}

// watched opens a store whose archive is watched.
func watched(t *testing.T, o db.Options) (*store.Store, *watchedBlobs) {
	t.Helper()
	dir := t.TempDir()
	files, err := store.NewFileBlobs(filepath.Join(dir, "logs"))
	must(t, err)
	if o.URL == "" {
		o.File = filepath.Join(dir, "cotrain.db")
	}
	b := &watchedBlobs{Blobs: files}
	s, err := store.OpenWith(t.Context(), o, b)
	must(t, err)
	t.Cleanup(func() { must(t, s.Close()) })
	return s, b
}

// readers are all ways to read a log.
func readers(s *store.Store, id run.ID) map[string]func(context.Context) error {
	loss := run.LogFilter{Rank: -1, Find: run.LogPattern{Text: "l"}}
	each := func(run.RawLine) error { return nil }
	return map[string]func(context.Context) error{
		"Logs": func(ctx context.Context) error { return last(s.Logs(ctx, id, run.LogQuery{Rank: -1, Limit: 100})) },
		"the tail": func(ctx context.Context) error {
			return last(s.Logs(ctx, id, run.LogQuery{Rank: 0, Tail: true, Limit: 100}))
		},
		"LogLines": func(ctx context.Context) error { return last(s.LogLines(ctx, id, run.AllLines(), run.LogSpot{}, 100)) },
		"FindLog": func(ctx context.Context) error {
			_, _, err := s.FindLog(ctx, id, loss, 0, false)
			return err
		},
		"SearchLog": func(ctx context.Context) error {
			return s.SearchLog(ctx, id, loss, func(run.LogFound) error { return nil })
		},
		"EachLog":       func(ctx context.Context) error { return s.EachLog(ctx, id, run.AllLines(), 0, each) },
		"EachLogAround": func(ctx context.Context) error { return s.EachLogAround(ctx, id, loss, 0, 2, each) },
	}
}

// TestAnArchiveThatHangsHoldsUpNoDatabase has more readers wait for it than the database has connections. They end when it gives up.
func TestAnArchiveThatHangsHoldsUpNoDatabase(t *testing.T) {
	t.Parallel()
	const id = run.ID("r-0000000001")
	for name, url := range map[string]func() string{"SQLite": func() string { return "" }, "PostgreSQL": func() string { return pgtest.URL(t) }} {
		s, b := watched(t, db.Options{URL: url(), MaxConns: 4})
		begun(t, s, id)
		seals(t, s, id, "l1", "l2")
		var all sync.WaitGroup
		var waiting atomic.Int64
		gaveUp := make(chan struct{})
		b.get = func(context.Context, string) error {
			waiting.Add(1)
			<-gaveUp
			return fault.ErrArchiveUnavailable.Fault()
		}
		for what, read := range readers(s, id) {
			for range 5 {
				all.Go(func() {
					if err := read(context.Background()); !errors.Is(err, fault.ErrArchiveUnavailable) {
						t.Errorf("%s: %s: %v", name, what, err)
					}
				})
			}
		}
		eventually(t, name+": readers wait for the archive", func() bool { return waiting.Load() >= 20 }) // those that look through blocks take turns
		limited, cancel := context.WithTimeout(t.Context(), patience)
		for i := range 20 {
			batch := &store.Batch{RunID: id, AllocID: fmt.Sprint(i), Stream: "stdout", Log: []byte("more\n"), To: store.Cursor{File: "f", Offset: 1}}
			must(t, s.Commit(limited, []*store.Batch{batch}))
			must(t, last(s.Run(limited, id)))
			if got, err := s.Logs(limited, id, run.LogQuery{Rank: -1, Tail: true, Limit: i + 1}); err != nil || len(got) != i+1 { // needs no archive
				t.Errorf("%s: the end of the log is %v, %v", name, got, err)
			}
		}
		cancel()
		close(gaveUp)
		all.Wait()
		b.get = nil
		if got := textsOf(t, s, id); len(got) != 22 || got[0] != "l1" {
			t.Errorf("%s: afterwards the log is %q", name, got)
		}
	}
}

// TestAnAbandonedSearchReadsNoFurther neither before nor after its first result.
func TestAnAbandonedSearchReadsNoFurther(t *testing.T) {
	t.Parallel()
	const id, blocks = run.ID("r-0000000001"), 200
	s, b := watched(t, db.Options{})
	begun(t, s, id)
	texts := make([]string, blocks)
	for i := range texts {
		texts[i] = fmt.Sprintf("loss %d", i)
	}
	seals(t, s, id, texts...)
	most := int64(2*runtime.GOMAXPROCS(0) + 2) // those under way, and those that are begun while the first result is told
	for what, read := range map[string]func(ctx context.Context, leave func() error) error{
		"a search": func(ctx context.Context, leave func() error) error {
			return s.SearchLog(ctx, id, run.LogFilter{Rank: -1, Find: run.LogPattern{Text: "loss"}}, func(run.LogFound) error { return leave() })
		},
		"a download": func(ctx context.Context, leave func() error) error {
			return s.EachLog(ctx, id, run.AllLines(), 0, func(run.RawLine) error { return leave() })
		},
	} {
		for how, leave := range map[string]func(cancel func()) error{
			"who reads goes":         func(cancel func()) error { cancel(); return nil },
			"who is told has enough": func(func()) error { return errors.ErrUnsupported },
		} {
			var reads atomic.Int64
			b.get = func(context.Context, string) error { reads.Add(1); return nil }
			ctx, cancel := context.WithCancel(t.Context())
			if err := read(ctx, func() error { return leave(cancel) }); !errors.Is(err, context.Canceled) && !errors.Is(err, errors.ErrUnsupported) {
				t.Errorf("%s, %s: %v", what, how, err)
			}
			cancel()
			if n := reads.Load(); n == 0 || n > most {
				t.Errorf("%s, %s: %d of %d blocks were read, want at most %d", what, how, n, blocks, most)
			}
		}
	}
	// One that waits for a block that does not come ends, too.
	ctx, cancel := context.WithCancel(t.Context())
	b.get = func(ctx context.Context, _ string) error { cancel(); <-ctx.Done(); return ctx.Err() }
	for what, read := range readers(s, id) {
		if err := read(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("%s that waits: %v", what, err)
		}
	}
}

// TestALogThatIsDeletedWhileItIsReadIsNotTakenForLost whichever way, and whoever reads it.
func TestALogThatIsDeletedWhileItIsReadIsNotTakenForLost(t *testing.T) {
	t.Parallel()
	for name, remove := range map[string]struct {
		do   func(s *store.Store, id run.ID) error
		want fault.Kind
	}{
		"with its run": {func(s *store.Store, id run.ID) error { return s.DeleteRun(context.Background(), id) }, fault.ErrNoRun},
		"by a limit": {func(s *store.Store, id run.ID) error {
			_, _, err := s.DeleteLog(context.Background(), id, run.DeletedLog{At: time.Now()})
			return errors.Join(err, s.TidyLogs(context.Background()))
		}, fault.ErrConflict},
	} {
		s, b := watched(t, db.Options{})
		ids := map[string]run.ID{}
		for what := range readers(s, "") {
			id := run.ID(fmt.Sprintf("r-%010d", len(ids)+1))
			ids[what] = id
			begun(t, s, id)
			seals(t, s, id, "l1", "l2", "l3")
			must(t, last(s.Update(t.Context(), id, func(u *store.Update) error { return u.Move(run.Stopped, "ann", "", time.Now()) })))
		}
		for what, id := range ids {
			var once sync.Once
			b.get = func(context.Context, string) error { // when the rows of the log have been read
				once.Do(func() { must(t, remove.do(s, id)) })
				return nil
			}
			if err := readers(s, id)[what](t.Context()); !errors.Is(err, remove.want) {
				t.Errorf("%s %s: %v, want %v", what, name, err, remove.want)
			}
		}
	}
}

// TestAMillionHitsAreCountedAndFewAreTold in bounded pieces.
func TestAMillionHitsAreCountedAndFewAreTold(t *testing.T) {
	t.Parallel()
	const id, batches, each = run.ID("r-0000000001"), 20, 50_000
	s, _ := watched(t, db.Options{})
	begun(t, s, id)
	text := []byte(strings.Repeat("hit\n", each))
	var at store.Cursor
	for range batches {
		b := &store.Batch{RunID: id, AllocID: "a", Stream: "stdout", From: at, Log: text, To: store.Cursor{File: "f", Offset: at.Offset + int64(len(text))}}
		must(t, errors.Join(s.Commit(t.Context(), []*store.Batch{b}), s.Seal(t.Context(), id, 1)))
		at = b.To
	}
	hits, told, most := 0, 0, 0
	must(t, s.SearchLog(t.Context(), id, run.LogFilter{Rank: -1, Find: run.LogPattern{Text: "HIT"}}, func(f run.LogFound) error {
		hits, told, most = hits+f.Hits, told+len(f.Lines), max(most, len(f.Lines))
		return nil
	}))
	if hits != batches*each || told == 0 || told > 1000 || most > 50 {
		t.Errorf("%d lines are found, %d told, at most %d at once", hits, told, most)
	}
	page, err := s.LogLines(t.Context(), id, run.LogFilter{Rank: -1, Find: run.LogPattern{Text: "hit"}}, run.LogSpot{}, 1<<30)
	if err != nil || page.Total != batches*each || len(page.Lines) != 10_000 || page.First != batches*each-10_000 {
		t.Errorf("a page of all has %d of %d lines from %d: %v", len(page.Lines), page.Total, page.First, err)
	}
}

// TestAPageOfLongLinesEndsEarly either way, and the next goes on behind it.
func TestAPageOfLongLinesEndsEarly(t *testing.T) {
	t.Parallel()
	const id, n = run.ID("r-0000000001"), 300
	s, _ := watched(t, db.Options{})
	begun(t, s, id)
	for i := range n {
		b := &store.Batch{RunID: id, AllocID: fmt.Sprint(i), Stream: "stdout", Log: []byte(strings.Repeat("x", 60_000) + "\n"), To: store.Cursor{File: "f", Offset: 1}}
		must(t, s.Commit(t.Context(), []*store.Batch{b}))
		if i == n/2 {
			must(t, s.Seal(t.Context(), id, 1))
		}
	}
	for _, tail := range []bool{false, true} {
		q := run.LogQuery{Rank: -1, Limit: 10_000, Tail: tail}
		lines, pages := 0, 0
		for {
			page, err := s.Logs(t.Context(), id, q)
			must(t, err)
			if len(page) == 0 {
				break
			}
			if text := 60_000 * len(page); text > run.MaxLogText+60_000 {
				t.Errorf("a page has %d bytes", text)
			}
			lines, pages = lines+len(page), pages+1
			q.After, q.Before = page[len(page)-1].Pos, page[0].Pos
		}
		if lines != n || pages != 3 {
			t.Errorf("from the end %t: %d lines on %d pages, want %d on 3", tail, lines, pages, n)
		}
	}
}

// TestAFullArchiveKeepsNobodyFromTheirLog is of the disk that holds the blocks, with a database that has room.
func TestAFullArchiveKeepsNobodyFromTheirLog(t *testing.T) {
	t.Parallel()
	const id = run.ID("r-0000000001")
	files, err := store.NewFileBlobs(t.TempDir())
	must(t, err)
	defer func() { must(t, files.Close()) }()
	for name, url := range map[string]func() string{"SQLite": func() string { return "" }, "PostgreSQL": func() string { return pgtest.URL(t) }} {
		s, b := watched(t, db.Options{URL: url(), MaxConns: 4})
		begun(t, s, id)
		seals(t, s, id, "sealed")
		b.put = func() error {
			return files.Failed("archive x", &os.PathError{Op: "write", Path: "x", Err: syscall.ENOSPC})
		}
		var at store.Cursor
		for i := range 3 {
			batch := &store.Batch{RunID: id, AllocID: "a", Stream: "stdout", From: at, Log: fmt.Appendf(nil, "full %d\n", i), To: store.Cursor{File: "f", Offset: int64(i + 1)}}
			must(t, s.Commit(t.Context(), []*store.Batch{batch}))
			at = batch.To
			if err := s.Seal(t.Context(), id, 1); !errors.Is(err, fault.ErrArchiveUnavailable) || !strings.Contains(fault.Of(err).Text(), "no room on the disk that holds the archive of logs") {
				t.Errorf("%s: sealed on a full disk: %v", name, err)
			}
		}
		want := []string{"sealed", "full 0", "full 1", "full 2"}
		if got := textsOf(t, s, id); !slices.Equal(got, want) {
			t.Errorf("%s: while the disk is full the log is %q", name, got)
		}
		b.put = nil
		must(t, errors.Join(s.CheckArchive(t.Context()), s.Seal(t.Context(), id, 1)))
		if open, err := s.UnsealedRuns(t.Context(), 1); err != nil || len(open) > 0 {
			t.Errorf("%s: with room again %v are not sealed, %v", name, open, err)
		}
		if got := textsOf(t, s, id); !slices.Equal(got, want) {
			t.Errorf("%s: then the log is %q", name, got)
		}
	}
}

// TestTwoDeleteARunThatOthersReadAndItsLimitDeletesItsLog all at once: one of the two is told that it is gone, and nobody reads anything
// but its lines.
func TestTwoDeleteARunThatOthersReadAndItsLimitDeletesItsLog(t *testing.T) {
	t.Parallel()
	for name, url := range map[string]func() string{"SQLite": func() string { return "" }, "PostgreSQL": func() string { return pgtest.URL(t) }} {
		s, _ := watched(t, db.Options{URL: url(), MaxConns: 16})
		for i := range 10 {
			id := run.ID(fmt.Sprintf("r-%010d", i))
			begun(t, s, id)
			seals(t, s, id, "l1", "l2", "l3", "l4", "l5", "l6")
			must(t, last(s.Update(t.Context(), id, func(u *store.Update) error { return u.Move(run.Stopped, "ann", "", time.Now()) })))
			var all sync.WaitGroup
			var deleted, gone atomic.Int64
			begin := make(chan struct{})
			for range 2 {
				all.Go(func() {
					<-begin
					switch err := s.DeleteRun(context.Background(), id); {
					case err == nil:
						deleted.Add(1)
					case errors.Is(err, fault.ErrNoRun):
						gone.Add(1)
					default:
						t.Errorf("%s: %v", name, err)
					}
				})
			}
			all.Go(func() {
				<-begin
				_, _, err := s.DeleteLog(context.Background(), id, run.DeletedLog{At: time.Now()})
				if err != nil && !errors.Is(err, fault.ErrNoRun) {
					t.Errorf("%s: by a limit: %v", name, err)
				}
			})
			ours := func(text string) error {
				if len(text) != 2 || text[0] != 'l' {
					t.Errorf("%s: somebody reads %q", name, text)
				}
				return nil
			}
			for what, read := range map[string]func() error{
				"a download": func() error {
					return s.EachLog(context.Background(), id, run.AllLines(), 0, func(l run.RawLine) error { return ours(strings.TrimSpace(string(l.Text))) })
				},
				"a search": func() error {
					return s.SearchLog(context.Background(), id, run.LogFilter{Rank: -1, Find: run.LogPattern{Text: "l"}}, func(f run.LogFound) error {
						for _, l := range f.Lines {
							_ = ours(l.Text)
						}
						return nil
					})
				},
				"a page": func() error {
					lines, err := s.Logs(context.Background(), id, run.LogQuery{Rank: -1, Limit: 100})
					for _, l := range lines {
						_ = ours(l.Text)
					}
					return err
				},
			} {
				all.Go(func() {
					<-begin
					if err := read(); err != nil && !errors.Is(err, fault.ErrNoRun) && !errors.Is(err, fault.ErrConflict) {
						t.Errorf("%s: %s: %v", name, what, err)
					}
				})
			}
			close(begin)
			all.Wait()
			if deleted.Load() != 1 || gone.Load() != 1 {
				t.Errorf("%s: %d deleted it, to %d it was gone", name, deleted.Load(), gone.Load())
			}
		}
		if usage, err := s.LogUsage(t.Context()); err != nil || usage[len(usage)-1].Bytes != 0 {
			t.Errorf("%s: at the end logs take %v, %v", name, usage, err)
		}
	}
}
