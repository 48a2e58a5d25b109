package cli

import (
	"context"
	"log/slog"

	"github.com/alecthomas/kong"

	"github.com/cotrain/cotrain/internal/config"
)

type serverCmd struct {
	kong.Plugins // every setting of the console as a flag
}

// Run starts the console and serves until ctx ends.
func (c *serverCmd) Run(ctx context.Context, p *process) error {
	cfg, err := config.Load(givenFlags(c.Plugins[0], config.Settings()), p.environ, p.readFile)
	if err != nil {
		return err
	}
	log := p.logger(cfg.LogFormat, cfg.LogLevel)
	for _, note := range cfg.Notes {
		log.Info(note)
	}
	return p.programs.Server(ctx, cfg, readBuildInfo().Version, log)
}

// logger writes to stderr: text for a person at a terminal, JSON otherwise.
func (p *process) logger(format config.LogFormat, level slog.Level) *slog.Logger {
	o := &slog.HandlerOptions{Level: level}
	if format == config.LogText || format == config.LogAuto && p.stderrTerminal {
		return slog.New(slog.NewTextHandler(p.stderr, o))
	}
	return slog.New(slog.NewJSONHandler(p.stderr, o))
}
