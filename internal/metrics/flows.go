package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Stored is what one batch of a worker's output had.
type Stored struct {
	Bytes, Lines, Points, Events int
	Lag                          time.Duration // since its lines were printed, or else received
}

// flows counts what is read from workers.
type flows struct {
	bytes, lines, points, events, batches prometheus.Counter
	lag                                   prometheus.Histogram
}

func newFlows() *flows {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	}
	return &flows{
		bytes:   counter("cotrain_ingest_log_bytes_total", "Bytes of workers' logs stored."),
		lines:   counter("cotrain_ingest_log_lines_total", "Lines of workers' logs stored."),
		points:  counter("cotrain_ingest_points_total", "Points of metrics read from logs and stored."),
		events:  counter("cotrain_ingest_events_total", "Events read from logs and stored."),
		batches: counter("cotrain_ingest_batches_total", "Pieces of logs stored, each with its points and events."),
		lag:     prometheus.NewHistogram(histogram("cotrain_ingest_lag_seconds", "Time from the receipt of a piece of a log, or from its printing if that was long before, until it was stored.", .01, .05, .1, .5, 1, 5, 15, 60, 300, 1800)),
	}
}

func (f *flows) all() []prometheus.Collector {
	return []prometheus.Collector{f.bytes, f.lines, f.points, f.events, f.batches, f.lag}
}

// Stored counts a batch that was stored.
func (m *Metrics) Stored(s Stored) {
	f := m.flows
	f.bytes.Add(float64(s.Bytes))
	f.lines.Add(float64(s.Lines))
	f.points.Add(float64(s.Points))
	f.events.Add(float64(s.Events))
	f.batches.Inc()
	f.lag.Observe(max(0, s.Lag).Seconds())
}

// transactions counts those that write to the store.
type transactions struct{ durations *prometheus.HistogramVec }

func newTransactions() *transactions {
	return &transactions{prometheus.NewHistogramVec(histogram("cotrain_store_transaction_duration_seconds", "Duration of transactions that write to the store, with the wait for their turn.",
		.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 5, 30), []string{"outcome"})}
}

func (t *transactions) all() []prometheus.Collector { return []prometheus.Collector{t.durations} }

// Wrote counts a transaction, committed or not.
func (m *Metrics) Wrote(took time.Duration, committed bool) {
	outcome := "committed"
	if !committed {
		outcome = "failed"
	}
	m.store.durations.WithLabelValues(outcome).Observe(took.Seconds())
}
