package metrics

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/cotrain/cotrain/internal/run"
)

// stateTimeout is the longest wait for the state: less than the 10 s that Prometheus waits for a scrape, so that a store which
// hangs takes its own numbers away and no others.
const stateTimeout = 5 * time.Second

// State is how the console is at one moment.
type State struct {
	Up       map[string]bool // its dependencies: nomad, store, archive
	Runs     *Runs           // nil where the store cannot tell
	Ingest   Ingest
	Viewers  Viewers
	Database []Pool
}

// Ingest is how the reading of logs is.
type Ingest struct {
	Streams, Reading int           // logs of workers that are not read to their end, and those that are being read now
	Unstored         time.Duration // age of the oldest piece that is read and not stored, 0 for none
}

// Viewers are those who follow topics.
type Viewers struct {
	Connections, Topics int
	Messages, Gaps      uint64 // published, and sent in place of what a viewer has missed; since the start
}

// Pool are connections to the database, of those who write or those who read.
type Pool struct {
	Name                 string
	InUse, Idle, Waiting int64 // Waiting is how often one was waited for, since the start
}

// state reads the State once, for one scrape.
type state struct {
	ctx context.Context //nolint:containedctx // of the scrape: a Collector is given none
	now func(ctx context.Context) State
}

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, labels, nil)
}

var (
	descUp          = desc("cotrain_dependency_up", "Whether a dependency of the console works: 1 or 0.", "dependency")
	descRuns        = desc("cotrain_runs", "Runs in each state.", "state")
	descTraining    = desc("cotrain_models_training", "Runs whose workers train now: running or degraded.")
	descOldest      = desc("cotrain_queue_oldest_seconds", "How long the first run in the queue has been waiting, 0 with an empty queue.")
	descStreams     = desc("cotrain_ingest_streams", "Logs of workers that are not read to their end.")
	descReading     = desc("cotrain_ingest_streams_reading", "Those of them that are being read: the others wait for Nomad, or for their turn.")
	descUnstored    = desc("cotrain_ingest_unstored_age_seconds", "Age of the oldest piece of a log that was read and is not stored yet, 0 for none.")
	descConnections = desc("cotrain_live_connections", "Open sockets and event streams.")
	descTopics      = desc("cotrain_live_topics", "Topics in memory for live viewers.")
	descMessages    = desc("cotrain_live_messages_total", "Messages published to topics.")
	descGaps        = desc("cotrain_live_gaps_total", "Times that a viewer had fallen behind a topic and had to read it anew.")
	descPool        = desc("cotrain_store_connections", "Connections to the database.", "pool", "state")
	descPoolWaits   = desc("cotrain_store_connection_waits_total", "Times that a free connection to the database had to be waited for.", "pool")
)

// Describe implements [prometheus.Collector].
func (s *state) Describe(to chan<- *prometheus.Desc) {
	for _, d := range append(descsOfRuns(),
		descUp, descRuns, descTraining, descOldest, descStreams, descReading, descUnstored, descConnections, descTopics, descMessages, descGaps, descPool, descPoolWaits,
	) {
		to <- d
	}
}

// Collect implements [prometheus.Collector].
func (s *state) Collect(to chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(s.ctx, stateTimeout)
	defer cancel()
	now := s.now(ctx)
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	counter := func(d *prometheus.Desc, v float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, v, labels...)
	}
	for name, up := range now.Up {
		v := 0.
		if up {
			v = 1
		}
		gauge(descUp, v, name)
	}
	if r := now.Runs; r != nil { // no number is better than a wrong one
		for _, st := range run.States() {
			gauge(descRuns, float64(r.Counts[st]), string(st))
		}
		gauge(descTraining, float64(r.Counts[run.Running]+r.Counts[run.Degraded]))
		gauge(descOldest, r.Oldest.Seconds())
		gauge(descLeftOut, float64(r.LeftOut))
		for _, live := range r.Live {
			collectRun(live, to)
		}
	}
	gauge(descStreams, float64(now.Ingest.Streams))
	gauge(descReading, float64(now.Ingest.Reading))
	gauge(descUnstored, now.Ingest.Unstored.Seconds())
	gauge(descConnections, float64(now.Viewers.Connections))
	gauge(descTopics, float64(now.Viewers.Topics))
	counter(descMessages, float64(now.Viewers.Messages))
	counter(descGaps, float64(now.Viewers.Gaps))
	for _, p := range now.Database {
		gauge(descPool, float64(p.InUse), p.Name, "in_use")
		gauge(descPool, float64(p.Idle), p.Name, "idle")
		counter(descPoolWaits, float64(p.Waiting), p.Name)
	}
}
