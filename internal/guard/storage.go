package guard

import (
	"context"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/storage"
	"github.com/cotrain/cotrain/internal/trainconf"
)

// Files is the folder that all workers share; see package storage.
type Files interface {
	Place
	Reading
	Changing
}

// Place is where shared storage is.
type Place interface {
	Path() string
	Mount() string
	Below(given string) (string, bool)
	CheckPaths(ctx context.Context, c trainconf.Config, shape run.Shape) (errs, warns run.FieldErrors)
}

// Reading reads shared storage.
type Reading interface {
	Layout(ctx context.Context) ([]storage.Folder, error)
	List(ctx context.Context, path string, q storage.Query) (storage.Listing, error)
	Usage(ctx context.Context, path string) (storage.Usage, error)
	Open(ctx context.Context, path string) (*storage.File, error)
	Complete(ctx context.Context, prefix string, limit int) ([]string, error)
}

// Changing changes shared storage.
type Changing interface {
	Repair(ctx context.Context) (done []string, folders []storage.Folder, err error)
	Delete(ctx context.Context, path string) (storage.Removed, error)
}

// Storage is shared storage behind the guard.
type Storage struct {
	g     *Guard
	files Files
}

// Storage returns shared storage behind the guard.
func (g *Guard) Storage(files Files) *Storage { return &Storage{g, files} }

// Path is where it is on the console's machine.
func (s *Storage) Path() string { return s.files.Path() }

// Mount is where it is on the workers.
func (s *Storage) Mount() string { return s.files.Mount() }

// Below maps a configuration's path into the storage.
func (s *Storage) Below(given string) (string, bool) { return s.files.Below(given) }

// CheckPaths judges the paths that a configuration names, where they can be seen.
func (s *Storage) CheckPaths(ctx context.Context, c trainconf.Config, shape run.Shape) (errs, warns run.FieldErrors) {
	if !access.From(ctx).MayAnywhere(access.RunsSubmit) {
		return nil, nil
	}
	return s.files.CheckPaths(ctx, c, shape)
}

// Layout returns the expected folders.
func (s *Storage) Layout(ctx context.Context) ([]storage.Folder, error) {
	return read(ctx, s, func() ([]storage.Folder, error) { return s.files.Layout(ctx) })
}

// List returns a page of a folder.
func (s *Storage) List(ctx context.Context, path string, q storage.Query) (storage.Listing, error) {
	return read(ctx, s, func() (storage.Listing, error) { return s.files.List(ctx, path, q) })
}

// Usage returns the size of a file or folder.
func (s *Storage) Usage(ctx context.Context, path string) (storage.Usage, error) {
	return read(ctx, s, func() (storage.Usage, error) { return s.files.Usage(ctx, path) })
}

// Open opens a file.
func (s *Storage) Open(ctx context.Context, path string) (*storage.File, error) {
	return read(ctx, s, func() (*storage.File, error) { return s.files.Open(ctx, path) })
}

// Complete returns paths that start with prefix.
func (s *Storage) Complete(ctx context.Context, prefix string, limit int) ([]string, error) {
	return read(ctx, s, func() ([]string, error) { return s.files.Complete(ctx, prefix, limit) })
}

func read[T any](ctx context.Context, s *Storage, from func() (T, error)) (out T, err error) {
	if err := s.g.anywhere(ctx, access.StorageRead); err != nil {
		return out, err
	}
	return from()
}

// Repair creates missing folders of the layout.
func (s *Storage) Repair(ctx context.Context) (done []string, folders []storage.Folder, err error) {
	err = s.g.outside(ctx, access.StorageLayout, "storage:/", func() (any, error) {
		done, folders, err = s.files.Repair(ctx)
		return done, err
	})
	return done, folders, err
}

// Delete removes a file, or a folder with its content.
func (s *Storage) Delete(ctx context.Context, path string) (gone storage.Removed, err error) {
	err = s.g.outside(ctx, access.StorageDelete, "storage:"+storage.Display(path), func() (any, error) {
		gone, err = s.files.Delete(ctx, path)
		return gone, err
	})
	return gone, err
}
