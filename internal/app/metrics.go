package app

import (
	"bytes"
	"context"
	"time"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/feed"
	"github.com/cotrain/cotrain/internal/metrics"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store"
)

// counting is the hub, which has changes of runs counted before their viewers learn of them.
type counting struct {
	*feed.Hub
	metrics *metrics.Metrics
}

// PublishRun is [feed.Hub.PublishRun].
func (c counting) PublishRun(r run.Run, evs ...run.Event) {
	c.metrics.Changed(r, evs...)
	c.Hub.PublishRun(r, evs...)
}

// countStored counts a batch of a worker's output.
func (a *App) countStored(b *store.Batch) {
	from := b.At
	if !b.Printed.IsZero() {
		from = b.Printed
	}
	a.metrics.Stored(metrics.Stored{Bytes: len(b.Log), Lines: bytes.Count(b.Log, []byte("\n")), Points: len(b.Points), Events: len(b.Events), Lag: time.Since(from)})
}

// metricsState is what a scrape asks for: nobody scrapes before all is wired.
func (a *App) metricsState(ctx context.Context) metrics.State {
	up := a.health.up()
	if a.consul == nil {
		delete(up, "consul")
	}
	if a.secrets.vault == nil {
		delete(up, "vault")
	}
	s := metrics.State{Up: up}
	runs, err := metrics.ReadRuns(ctx, a.store, scraped(ctx), a.cfg.Metrics.Runs, time.Now())
	if err != nil {
		a.log.DebugContext(ctx, "a scrape knows nothing of runs", "err", err)
		up["store"] = false
	}
	s.Runs = runs
	b := a.ingest.Backlog()
	s.Ingest = metrics.Ingest{Streams: b.Streams, Reading: b.Reading, Unstored: b.Unstored}
	load := a.hub.Load()
	s.Viewers = metrics.Viewers{Connections: a.stream.Connections(), Topics: load.Topics, Messages: load.Published, Gaps: load.Gaps}
	for _, p := range a.store.Pools() {
		s.Database = append(s.Database, metrics.Pool{Name: p.Name, InUse: int64(p.InUse), Idle: int64(p.Idle), Waiting: p.Waits})
	}
	return s
}

// scraped are the projects whose runs are told to who scrapes.
func scraped(ctx context.Context) run.Projects {
	all, names := access.From(ctx).Projects(access.MetricsRead)
	return run.Projects{All: all, Names: names}
}
