// Package guardtest is shared storage behind the guard for tests of what shows it.
package guardtest

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/audit"
	"github.com/cotrain/cotrain/internal/guard"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/storage"
	"github.com/cotrain/cotrain/internal/trainconf"
)

// Mount is where workers see the storage.
const Mount = "/mnt/shared"

// Shelf is shared storage in a folder, which ends with the test.
type Shelf struct {
	*guard.Storages
	folders map[string]string
	files   *storage.Storage

	mu      sync.Mutex
	entries []audit.Entry
}

// Open opens a folder for projects with their folders in it, "" for none.
func Open(t testing.TB, dir string, folders map[string]string) *Shelf {
	t.Helper()
	s := &Shelf{folders: folders}
	var err error
	s.files, err = storage.Open(t.Context(), dir, storage.Options{Mount: Mount, Logger: slog.New(slog.DiscardHandler), Folders: func() []string {
		return slices.DeleteFunc(slices.Sorted(maps.Values(folders)), func(f string) bool { return f == "" })
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := s.files.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	g := guard.New(guard.Options{
		Audit: s, Now: time.Now, Logger: slog.New(slog.DiscardHandler),
		Projects: func(context.Context) []string {
			return append(slices.Sorted(maps.Keys(folders)), access.DefaultProject)
		},
		Settings: func(project string) access.Settings { return access.Settings{Folder: folders[project]} },
	})
	s.Storages = g.Storages(s.files, func(folder string) guard.Files { return s.files.In(folder) })
	return s
}

// Check judges the paths of a draft as control does.
func (s *Shelf) Check(ctx context.Context, sub run.Submission) (errs, warns run.FieldErrors) {
	req, err := trainconf.RequestOf(sub)
	if err != nil {
		return nil, nil
	}
	shape := sub.Shape
	shape.Folder = s.folders[sub.Project]
	return s.files.CheckPaths(ctx, req.EffectiveConfig(), shape)
}

// AppendAlone is for [guard.Audit].
func (s *Shelf) AppendAlone(_ context.Context, entries ...audit.Entry) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.entries = append(s.entries, entries...)
	return nil
}

// Entries are those of the audit log.
func (s *Shelf) Entries() []audit.Entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.entries)
}
