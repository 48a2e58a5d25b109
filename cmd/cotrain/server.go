package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"syscall"
	"time"

	"github.com/alecthomas/kong"

	"github.com/cotrain/cotrain/internal/app"
	"github.com/cotrain/cotrain/internal/config"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/localnomad"
	"github.com/cotrain/cotrain/internal/store"
)

// stopMargin is how long the end of the console may take beyond the time that its tasks have for themselves.
const stopMargin = 15 * time.Second

type serverCmd struct {
	kong.Plugins // every setting of the console as a flag
}

// Run starts the console and serves until ctx ends.
func (c *serverCmd) Run(ctx context.Context, p *process) error {
	cfg, err := config.Load(givenFlags(c.Plugins[0]), p.environ, p.readFile)
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	log := p.logger(cfg.LogFormat, cfg.LogLevel)
	a, err := app.New(ctx, cfg, app.Options{Logger: log, Version: readBuildInfo().Version, Executable: self})
	if err != nil {
		return startError(err)
	}
	if err := a.Start(ctx); err != nil {
		return startError(errors.Join(err, stopWithin(ctx, a, stopMargin)))
	}
	return attend(ctx, a, log, cfg.Job.KillTimeout+stopMargin)
}

// service is what runs until it fails or is stopped.
type service interface {
	Wait(ctx context.Context) error
	Stop(ctx context.Context) error
}

// attend waits until ctx ends, and then gives the service its time to stop, or until it fails: then nothing that it would
// wait for happens any more.
func attend(ctx context.Context, s service, log *slog.Logger, limit time.Duration) error {
	err := s.Wait(ctx)
	if err != nil {
		limit = min(limit, stopMargin)
	}
	log.Info("stopping; a second signal ends the program at once")
	return errors.Join(err, stopWithin(ctx, s, limit))
}

func stopWithin(ctx context.Context, s service, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), limit)
	defer cancel()
	return s.Stop(ctx)
}

// logger writes to stderr: text for a person at a terminal, JSON otherwise.
func (p *process) logger(format config.LogFormat, level slog.Level) *slog.Logger {
	o := &slog.HandlerOptions{Level: level}
	if format == config.LogText || format == config.LogAuto && p.stderrTerminal {
		return slog.New(slog.NewTextHandler(p.stderr, o))
	}
	return slog.New(slog.NewJSONHandler(p.stderr, o))
}

// startError makes what the person who starts the program has to change a usage error; other failures stay what they are.
func startError(err error) error {
	if told := (*fault.Error)(nil); errors.As(err, &told) {
		return err
	}
	for _, cause := range []error{
		syscall.EADDRINUSE, syscall.EADDRNOTAVAIL, fs.ErrPermission, fs.ErrNotExist, syscall.EROFS, syscall.ENOTDIR,
		localnomad.ErrInUse, store.ErrInUse, fault.ErrConflict, fault.ErrInvalid,
	} {
		if errors.Is(err, cause) {
			return &usageError{text: err.Error()}
		}
	}
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return fault.New(fault.ErrFull, "There is no room on a disk that the console writes to.", "Free space there, or start with folders on a larger disk (COTRAIN_DATA_DIR, COTRAIN_STORAGE_PATH).").Because(err)
	}
	return err
}
