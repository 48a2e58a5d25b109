// Package storage serves the pages of shared storage.
package storage

import (
	"context"
	"net/http"
	"net/url"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/storage"
	"github.com/cotrain/cotrain/internal/web/page"
)

// Of returns the shared storage of a project; without one that of all projects of who asks, or [run.FieldErrors] of the field
// project where those differ.
type Of func(ctx context.Context, project string) (Storage, error)

// Storage is the folder that all workers share, or a project's part of it.
type Storage interface {
	Place
	Files
	Layout
}

// Place is the location of shared storage.
type Place interface {
	Path() string  // on the console's machine
	Mount() string // on the workers
	// May reports whether who asks has a right there.
	May(ctx context.Context, right access.Right) bool
	// Touches reports whether a path of a run, of a project with that folder, is at, around or below one here.
	Touches(here, folder, given string) bool
	// Complete returns paths that start with prefix.
	Complete(ctx context.Context, prefix string, limit int) ([]string, error)
}

// Files is the content. What the storage does not allow is a [storage.Refusal].
type Files interface {
	List(ctx context.Context, path string, q storage.Query) (storage.Listing, error)
	Usage(ctx context.Context, path string) (storage.Usage, error)
	Open(ctx context.Context, path string) (*storage.File, error)
	Delete(ctx context.Context, path string) (storage.Removed, error)
}

// Layout is the expected folders.
type Layout interface {
	Layout(ctx context.Context) ([]storage.Folder, error)
	Repair(ctx context.Context) (done []string, folders []storage.Folder, err error)
}

// Runs reads runs that may have checkpoints in a folder.
type Runs interface {
	// CheckpointKeepers returns matching runs of every project; those that who asks may not see have no project.
	CheckpointKeepers(ctx context.Context, f run.RunFilter) ([]run.Run, error)
}

// Pages are the section's handlers. Storage is nil when off.
type Pages struct {
	*page.Site
	Runs    Runs
	Storage Of
}

// here is the storage of the selected project, which its links name.
func (s *Pages) here(r *http.Request) (Storage, links, error) {
	project, err := page.SelectedProject(r)
	if err != nil {
		return nil, "", err
	}
	st, err := s.Storage(r.Context(), project)
	return st, links(project), err
}

// links make addresses of the pages of a project's storage, "" for that of all.
type links string

// to is a page's address for a path.
func (l links) to(page, path string, more ...string) string {
	q := url.Values{}
	for i, pair := 0, append([]string{"project", string(l), "path", path}, more...); i+1 < len(pair); i += 2 {
		if pair[i+1] != "" {
			q.Set(pair[i], pair[i+1])
		}
	}
	if len(q) == 0 {
		return page
	}
	return page + "?" + q.Encode()
}

// Needed returns h, or an error if there is no shared storage.
func (s *Pages) Needed(h page.Handler) page.Handler {
	if s.Storage == nil {
		return func(http.ResponseWriter, *http.Request) error { return fault.ErrNoStorage }
	}
	return h
}
