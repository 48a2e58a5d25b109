package app

import (
	"cmp"
	"context"
	"fmt"
	"path"
	"strings"
	"time"

	"github.com/cotrain/cotrain/internal/control"
	"github.com/cotrain/cotrain/internal/ingest"
	"github.com/cotrain/cotrain/internal/localnomad/task"
	"github.com/cotrain/cotrain/internal/reftrain"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/status"
	"github.com/cotrain/cotrain/internal/storage"
)

// sampleText is the embedded agent's sample dataset.
const sampleText = "datasets/raw/sample.txt"

func (a *App) openStorage(ctx context.Context) error {
	c := a.cfg.Storage
	if c.Path == "" {
		return nil
	}
	mode, ok := storage.ParseMode(c.Mode)
	if !ok && c.Mode != "" { // config has checked it
		return fmt.Errorf("mode of shared storage: %q cannot be read", c.Mode)
	}
	var err error
	a.storage, err = storage.Open(ctx, c.Path, storage.Options{
		Mount: c.Mount, Owner: c.Owner, Group: c.Group, Mode: mode, Logger: a.log.With("part", "storage"), Folders: a.logIns.Folders,
	})
	if err != nil {
		return err
	}
	a.acquired("shared storage", a.storage.Close)
	if a.cfg.Dev && a.storage.Fresh() {
		if err := a.storage.Put(ctx, sampleText, []byte(reftrain.Text())); err != nil {
			a.log.Warn("a sample dataset could not be written", "path", sampleText, "err", err)
		}
	}
	return nil
}

// statusFiles is where statuses of runs are written, nil for nowhere.
func (a *App) statusFiles() status.Files {
	if a.storage == nil {
		return nil
	}
	return files{a.storage}
}

// files are those of all projects.
type files struct{ all *storage.Storage }

func (f files) Replace(ctx context.Context, folder, name string, content []byte) error {
	return f.all.In(folder).Replace(ctx, name, content)
}

// Read is for [status.Reader].
func (f files) Read(ctx context.Context, folder, name string, since time.Time, most int64) ([]byte, time.Time, error) {
	return f.all.In(folder).Read(ctx, name, since, most)
}

// Where is for [status.Reader].
func (f files) Where(folder, name string) string { return path.Join(f.all.Path(), folder, name) }

// Extend is for [status.LogFiles].
func (f files) Extend(ctx context.Context, folder, name string, offset int64, content []byte) error {
	return f.all.In(folder).Extend(ctx, name, offset, content)
}

// followStatuses reads what trainers write into status files, nil where they write none.
func (a *App) followStatuses() ingest.Statuses {
	if a.storage == nil || a.cfg.Job.StatusFile == "" {
		return nil
	}
	return status.NewFollower(status.FollowOptions{Path: a.cfg.Job.StatusFile, Files: files{a.storage}, Runs: a.store, Logger: a.log.With("part", "status")})
}

// makeFolder makes a project's folder with its layout, or says as [run.FieldErrors] why it cannot.
func (a *App) makeFolder(ctx context.Context, folder string) error {
	refuse := func(rule, fix string) error {
		return run.FieldErrors{{Field: "folder", Value: folder, Rule: rule, Fix: fix}}
	}
	switch {
	case a.storage == nil && a.cfg.Storage.Mount == "":
		return refuse("is a folder in shared storage, which is off", "set COTRAIN_STORAGE_PATH, or leave it empty")
	case a.storage == nil: // out of sight
		return nil
	case storage.InLayout(folder):
		return refuse("is part of the layout of shared storage", "use another, such as teams/"+path.Base(folder))
	}
	done, folders, err := a.storage.In(folder).Repair(ctx)
	if err != nil {
		return err
	}
	for _, text := range done {
		a.log.Info("shared storage", "part", "storage", "folder", folder, "did", text)
	}
	for _, f := range folders {
		if !f.Found {
			return refuse("cannot be a project's folder. "+cmp.Or(strings.TrimSuffix(f.Problem, "."), "Its layout could not be made"), "have the console's user make it, or use another")
		}
	}
	return nil
}

// mount is shared storage as workers see it, or "".
func (a *App) mount() string {
	if a.storage != nil {
		return a.storage.Mount()
	}
	return a.cfg.Storage.Mount
}

// A nil *storage.Storage in an interface would not be nil.

func (a *App) controlStorage() control.Storage {
	if a.storage == nil {
		return nil
	}
	return a.storage
}

func (a *App) checkpoints() run.CheckpointFiles {
	if a.storage == nil {
		return nil
	}
	return a.storage
}

// killTimeout is how long workers have to save when they are stopped.
func (a *App) killTimeout() time.Duration {
	if a.agent != nil {
		return min(a.cfg.Job.KillTimeout, task.MaxKillTimeout)
	}
	return a.cfg.Job.KillTimeout
}
