package guard

import (
	"context"
	"path"
	"slices"
	"strings"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/storage"
)

// Files is the folder that all workers share, or a part of it; see package storage.
type Files interface {
	Place
	Reading
	Changing
}

// Place is where shared storage is.
type Place interface {
	Path() string
	Mount() string
	Touches(here, folder, given string) bool
	CheckDeletable(path string) error
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

// Storages is shared storage behind the guard: each project has that of its folder, and those without one share the rest.
type Storages struct {
	g     *Guard
	whole Files
	part  func(folder string) Files
}

// Storages returns shared storage behind the guard. part is that of projects with a folder, "" for those without one.
func (g *Guard) Storages(whole Files, part func(folder string) Files) *Storages {
	return &Storages{g, whole, part}
}

// In returns the storage of a project. Without one it is what all projects of who asks have in common, or for administrators of
// the console the whole; where they differ, one has to be named.
func (s *Storages) In(ctx context.Context, project string) (*Storage, error) {
	g := s.g
	if project != "" {
		err := g.over(ctx, access.StorageRead, project, access.Subject{Kind: access.SubjectProject, ID: project})
		if err == nil && !slices.Contains(g.o.Projects(ctx), project) { // an administrator may everything in any other, too
			err = fault.ErrNoProject
		}
		if err != nil {
			return nil, err
		}
		folder := g.o.Settings(project).Folder
		return s.storage(project, folder), nil
	}
	if err := g.anywhere(ctx, access.StorageRead); err != nil {
		return nil, err
	}
	all, names := access.From(ctx).Projects(access.StorageRead)
	if all {
		return &Storage{g: g, files: s.whole, whole: true}, nil
	}
	folder := g.o.Settings(names[0]).Folder
	if slices.ContainsFunc(names, func(name string) bool { return g.o.Settings(name).Folder != folder }) {
		return nil, run.FieldErrors{{Field: "project", Rule: "is needed, since your projects do not share one storage", Fix: "name one of " + strings.Join(names[:min(len(names), 10)], ", ")}}
	}
	if len(names) == 1 {
		project = names[0]
	}
	return s.storage(project, folder), nil
}

func (s *Storages) storage(project, folder string) *Storage {
	return &Storage{g: s.g, files: s.part(folder), project: project, folder: folder}
}

// Storage is the shared storage of a project, or of several that share it.
type Storage struct {
	g       *Guard
	files   Files
	project string // "" for no one in particular
	folder  string // of the project
	whole   bool
}

// Path is where it is on the console's machine.
func (s *Storage) Path() string { return s.files.Path() }

// Mount is where it is on the workers.
func (s *Storage) Mount() string { return s.files.Mount() }

// Touches reports whether a path of a run, of a project with that folder, is at, around or below one here.
func (s *Storage) Touches(here, folder, given string) bool {
	return s.files.Touches(here, folder, given)
}

// CheckDeletable returns why a path is never deleted.
func (s *Storage) CheckDeletable(path string) error { return s.files.CheckDeletable(path) }

// May reports whether who asks has a right in it: in one of the projects that it is of.
func (s *Storage) May(ctx context.Context, right access.Right) bool {
	all, names := access.From(ctx).Projects(right)
	return all || !s.whole && slices.ContainsFunc(names, func(name string) bool { return s.g.o.Settings(name).Folder == s.folder })
}

func (s *Storage) check(ctx context.Context, right access.Right) error {
	if s.May(ctx, right) {
		return nil
	}
	return s.g.refuse(ctx, right, s.project, access.Subject{})
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
	if err := s.check(ctx, access.StorageRead); err != nil {
		return out, err
	}
	return from()
}

// Repair creates missing folders of the layout.
func (s *Storage) Repair(ctx context.Context) (done []string, folders []storage.Folder, err error) {
	err = s.change(ctx, access.StorageLayout, "/", func() (any, error) {
		done, folders, err = s.files.Repair(ctx)
		return done, err
	})
	return done, folders, err
}

// Delete removes a file, or a folder with its content.
func (s *Storage) Delete(ctx context.Context, name string) (gone storage.Removed, err error) {
	err = s.change(ctx, access.StorageDelete, name, func() (any, error) {
		gone, err = s.files.Delete(ctx, name)
		return gone, err
	})
	return gone, err
}

// change does what no transaction of the store can include, under the whole path in the audit log.
func (s *Storage) change(ctx context.Context, right access.Right, name string, do func() (after any, err error)) error {
	if err := s.check(ctx, right); err != nil {
		return err
	}
	if s.folder != "" {
		name = path.Join(s.folder, name)
	}
	e := s.g.entry(ctx, right, s.project, access.Subject{})
	e.Subject = "storage:" + storage.Display(name)
	return s.g.outside(ctx, e, do)
}
