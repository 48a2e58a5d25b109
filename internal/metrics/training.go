package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/cotrain/cotrain/internal/run"
)

// training counts runs as they go from state to state. A session is a run from its first dispatch, or a person's retry, to its end,
// with all its attempts.
type training struct {
	sessions, failed, dispatches prometheus.Counter
	durations                    *prometheus.HistogramVec
	waits                        prometheus.Histogram
}

const (
	minute = 60.
	hour   = 60 * minute
	day    = 24 * hour
)

func newTraining() *training {
	t := &training{
		sessions:   prometheus.NewCounter(prometheus.CounterOpts{Name: "cotrain_training_sessions_total", Help: "Runs that left the queue for the first time, or again after a person's retry."}),
		failed:     prometheus.NewCounter(prometheus.CounterOpts{Name: "cotrain_training_sessions_failed_total", Help: "Those of them that failed, after all automatic retries."}),
		dispatches: prometheus.NewCounter(prometheus.CounterOpts{Name: "cotrain_queue_dispatches_total", Help: "Attempts that Nomad took, automatic retries among them."}),
		durations: prometheus.NewHistogramVec(histogram("cotrain_model_training_duration_seconds", "Time from a run's first worker to its end, by how it ended.",
			minute, 10*minute, hour, 4*hour, 12*hour, day, 3*day, 7*day, 14*day, 30*day), []string{"state"}),
		waits: prometheus.NewHistogram(histogram("cotrain_queue_wait_seconds", "Time from a run's submission until it first left the queue.", .1, 1, 5, 15, minute, 5*minute, 15*minute, hour, 6*hour, day)),
	}
	for _, s := range run.States() { // an alert sees the first of a kind only if there were none before
		if s.Terminal() {
			t.durations.WithLabelValues(string(s))
		}
	}
	return t
}

func (t *training) all() []prometheus.Collector {
	return []prometheus.Collector{t.sessions, t.failed, t.dispatches, t.durations, t.waits}
}

// Changed counts what has happened to a run.
func (m *Metrics) Changed(r run.Run, events ...run.Event) {
	for _, ev := range events {
		if ev.From != ev.To && ev.To != "" {
			m.training.moved(r, ev)
		}
	}
}

func (t *training) moved(r run.Run, ev run.Event) {
	switch {
	case ev.To == run.Pending && ev.From == run.Dispatching:
		t.dispatches.Inc()
		if r.Attempt == 1 {
			t.sessions.Inc()
			t.waits.Observe(max(0, ev.At.Sub(r.CreatedAt)).Seconds())
		}
	case ev.To == run.Queued && ev.From.Terminal() && r.Attempt > 0:
		t.sessions.Inc()
	case ev.To.Terminal() && r.Attempt > 0:
		if ev.To == run.Failed {
			t.failed.Inc()
		}
		if r.StartedAt.IsZero() {
			return
		}
		took := max(0, ev.At.Sub(r.StartedAt)-time.Duration(r.Idle)*time.Second).Seconds()
		// The exemplar leads from a slow bucket to its run.
		if o, ok := t.durations.WithLabelValues(string(ev.To)).(prometheus.ExemplarObserver); ok {
			o.ObserveWithExemplar(took, prometheus.Labels{"run_id": string(r.ID)})
		}
	}
}
