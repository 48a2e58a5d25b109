// Package storage serves the pages of shared storage.
package storage

import (
	"context"
	"net/http"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/storage"
	"github.com/cotrain/cotrain/internal/web/page"
)

// Storage is the folder that all workers share.
type Storage interface {
	Place
	Files
	Layout
}

// Place is the location of shared storage.
type Place interface {
	Path() string  // on the console's machine
	Mount() string // on the workers
	// Below maps a configuration's path into the storage.
	Below(given string) (string, bool)
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
	Storage Storage
}

// Needed returns h, or an error if there is no shared storage.
func (s *Pages) Needed(h page.Handler) page.Handler {
	if s.Storage == nil {
		return func(http.ResponseWriter, *http.Request) error { return fault.ErrNoStorage }
	}
	return h
}
