package app

import (
	"bytes"
	"context"
	"time"

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
	s := metrics.State{Up: up, Oldest: -1}
	if counts, err := a.store.CountRuns(ctx, run.RunFilter{Projects: run.AllProjects()}); err == nil {
		s.Runs = counts
	} else {
		up["store"] = false
	}
	queued := run.RunFilter{Projects: run.AllProjects(), States: []run.State{run.Queued}, Order: run.Order{By: "created", Up: true}, Limit: 1}
	if page, err := a.store.ListRuns(ctx, queued); err == nil {
		s.Oldest = 0
		for _, r := range page.Runs {
			s.Oldest = max(0, time.Since(r.CreatedAt))
		}
	}
	b := a.ingest.Backlog()
	s.Ingest = metrics.Ingest{Streams: b.Streams, Reading: b.Reading, Unstored: b.Unstored}
	load := a.hub.Load()
	s.Live = metrics.Live{Connections: a.stream.Connections(), Topics: load.Topics, Messages: load.Published, Gaps: load.Gaps}
	for _, p := range a.store.Pools() {
		s.Database = append(s.Database, metrics.Pool{Name: p.Name, InUse: int64(p.InUse), Idle: int64(p.Idle), Waiting: p.Waits})
	}
	return s
}
