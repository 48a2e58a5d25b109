package cli

import (
	"context"
	"log/slog"
	"strings"

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
	log := p.logger(cfg.LogFormat, cfg.LogLevel, cfg.Nomad.Address)
	for _, note := range cfg.Notes {
		log.Info(note)
	}
	return p.programs.Server(ctx, cfg, readBuildInfo().Version, log)
}

// logger writes to stderr: text for a person at a terminal, JSON otherwise. Nomad's address takes the place of the hosts that stand
// for it in errors.
func (p *process) logger(format config.LogFormat, level slog.Level, nomad string) *slog.Logger {
	target := "Nomad at " + nomad
	switch {
	case nomad == "" || strings.HasPrefix(nomad, "consul:"):
		target = "Nomad"
	case !strings.Contains(nomad, ","):
		target = nomad
	}
	o := &slog.HandlerOptions{Level: level, ReplaceAttr: readable(strings.NewReplacer("http://nomad.invalid", target, "http://embedded.invalid", "embedded agent"))}
	if format == config.LogText || format == config.LogAuto && p.stderrTerminal {
		return slog.New(slog.NewTextHandler(p.stderr, o))
	}
	return slog.New(slog.NewJSONHandler(p.stderr, o))
}

// readable writes durations as 1.5s, and names hosts.
func readable(hosts *strings.Replacer) func(groups []string, a slog.Attr) slog.Attr {
	return func(_ []string, a slog.Attr) slog.Attr {
		switch v := a.Value; v.Kind() {
		case slog.KindDuration:
			a.Value = slog.StringValue(v.Duration().String())
		case slog.KindString:
			a.Value = slog.StringValue(hosts.Replace(v.String()))
		case slog.KindAny:
			if err, ok := v.Any().(error); ok {
				a.Value = slog.StringValue(hosts.Replace(err.Error()))
			}
		}
		return a
	}
}
