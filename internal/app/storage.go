package app

import (
	"context"
	"fmt"

	"github.com/cotrain/cotrain/internal/control"
	"github.com/cotrain/cotrain/internal/queue"
	"github.com/cotrain/cotrain/internal/reftrain"
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
		Mount: c.Mount, Owner: c.Owner, Group: c.Group, Mode: mode, Logger: a.log.With("part", "storage"),
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

func (a *App) queueCheckpoints() queue.Checkpoints {
	if a.storage == nil {
		return nil
	}
	return a.storage
}
