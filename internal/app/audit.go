package app

import (
	"context"
	"fmt"

	"github.com/cotrain/cotrain/internal/forward"
	"github.com/cotrain/cotrain/internal/store/auditlog"
)

// auditLoops keep the audit log, and send it to where the settings say.
func (a *App) auditLoops() ([]loop, error) {
	cfg, log := a.cfg.Audit, a.log.With("part", "audit")
	var to []forward.Destination
	if cfg.Syslog != "" {
		c, err := authority("audit.syslog_ca_cert", cfg.SyslogCACert)
		if err != nil {
			return nil, err
		}
		s, err := forward.NewSyslog(cfg.Syslog, c)
		if err != nil {
			return nil, fmt.Errorf("audit.syslog: %w", err)
		}
		to = append(to, s)
	}
	if cfg.WebhookURL != "" {
		w, err := forward.NewWebhook(string(cfg.WebhookURL), []byte(cfg.WebhookSecret), cfg.WebhookPrivate)
		if err != nil {
			return nil, fmt.Errorf("audit.webhook_url %w", err)
		}
		to = append(to, w)
	}
	var loops []loop
	var names []string
	for _, d := range to {
		names = append(names, d.Name())
		loops = append(loops, loop{"audit to " + d.Name(), func(ctx context.Context) error {
			return forward.Run(ctx, forward.Options{Log: a.store.Audit, Destination: d, Logger: log, Lags: func(err error) { a.health.setForwarding(d.Name(), err) }})
		}})
	}
	return append(loops, loop{"refusals", a.refusals.Run}, loop{"audit log", func(ctx context.Context) error {
		return a.store.Audit.Run(ctx, auditlog.Options{Retention: cfg.Retention, Destinations: names, Logger: log})
	}}), nil
}
