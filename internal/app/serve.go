package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"syscall"
	"time"

	"github.com/cotrain/cotrain/internal/config"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/localnomad"
	"github.com/cotrain/cotrain/internal/store"
)

// stopMargin is what shutdown may take beyond its tasks' own time.
const stopMargin = 15 * time.Second

const stopping = "stopping; a second signal ends the program at once"

// Serve runs a console until ctx ends. A [fault.UsageError] is for whoever starts it.
func Serve(ctx context.Context, cfg config.Config, version string, log *slog.Logger) error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	a, err := New(ctx, cfg, Options{Logger: log, Version: version, Executable: self})
	if err != nil {
		return startError(err)
	}
	if err := a.Start(ctx); err != nil {
		return startError(errors.Join(err, stopWithin(ctx, a, stopMargin)))
	}
	return attend(ctx, a, log, cfg.Job.KillTimeout+stopMargin)
}

type service interface {
	stopper
	Wait(ctx context.Context) error
}

type stopper interface {
	Stop(ctx context.Context) error
}

// attend waits until ctx ends and stops the service within limit, or until the service fails.
func attend(ctx context.Context, s service, log *slog.Logger, limit time.Duration) error {
	err := s.Wait(ctx)
	if err != nil {
		limit = min(limit, stopMargin)
	}
	log.Info(stopping)
	return errors.Join(err, stopWithin(ctx, s, limit))
}

func stopWithin(ctx context.Context, s stopper, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), limit)
	defer cancel()
	return s.Stop(ctx)
}

// startError makes what the operator has to change a usage error.
func startError(err error) error {
	if told := (*fault.Error)(nil); errors.As(err, &told) {
		return err
	}
	for _, cause := range []error{
		syscall.EADDRINUSE, syscall.EADDRNOTAVAIL, fs.ErrPermission, fs.ErrNotExist, syscall.EROFS, syscall.ENOTDIR,
		localnomad.ErrInUse, store.ErrInUse, fault.ErrConflict, fault.ErrInvalid,
	} {
		if errors.Is(err, cause) {
			return fault.Usage(err.Error(), "")
		}
	}
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return fault.New(fault.ErrFull, "There is no room on a disk that the console writes to.", "Free space there, or start with folders on a larger disk (COTRAIN_DATA_DIR, COTRAIN_STORAGE_PATH).").Because(err)
	}
	return err
}
