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

// Place is where shared storage is.
type Place interface {
	Path() string  // on the console's machine
	Mount() string // on the workers
	// Below maps a path of a configuration to one of the storage.
	Below(given string) (string, bool)
	// Complete returns paths that begin with what was typed.
	Complete(ctx context.Context, prefix string, limit int) ([]string, error)
}

// Files is what is in shared storage. What its state does not allow is a [storage.Refusal].
type Files interface {
	List(ctx context.Context, path string, q storage.Query) (storage.Listing, error)
	Usage(ctx context.Context, path string) (storage.Usage, error)
	Open(ctx context.Context, path string) (*storage.File, error)
	Delete(ctx context.Context, path string) (storage.Removed, error)
}

// Layout is the folders that shared storage should have.
type Layout interface {
	Layout(ctx context.Context) ([]storage.Folder, error)
	Repair(ctx context.Context) (done []string, folders []storage.Folder, err error)
}

// Runs reads the runs that may keep checkpoints in a folder.
type Runs interface {
	Runs(ctx context.Context, f run.RunFilter) ([]run.Run, error)
}

// Pages are the handlers of the section. Storage is nil when shared storage is off.
type Pages struct {
	*page.Site
	Runs    Runs
	Storage Storage
}

// Needed is h where there is shared storage, and else says that there is none.
func (s *Pages) Needed(h page.Handler) page.Handler {
	if s.Storage == nil {
		return func(http.ResponseWriter, *http.Request) error { return fault.ErrNoStorage }
	}
	return h
}
