package metrics_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/cotrain/cotrain/internal/metrics"
	"github.com/cotrain/cotrain/internal/run"
)

var noon = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

func newMetrics(state metrics.State) *metrics.Metrics {
	return metrics.New(metrics.Options{Version: "1.2.3", State: func(context.Context) metrics.State { return state }, Logger: slog.New(slog.DiscardHandler)})
}

// raw scrapes in a format.
func raw(t *testing.T, m *metrics.Metrics, accept string) (body, contentType string) {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil)
	r.Header.Set("Accept", accept)
	w := httptest.NewRecorder()
	if err := m.Answer(w, r); err != nil || w.Code != http.StatusOK {
		t.Fatalf("scrape: %d %s", w.Code, w.Body)
	}
	return w.Body.String(), w.Header().Get("Content-Type")
}

func scrape(t *testing.T, m *metrics.Metrics) map[string]*dto.MetricFamily {
	t.Helper()
	body, _ := raw(t, m, "text/plain")
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	return families
}

// value is that of the series with these labels, given as name and value in turn.
func value(t *testing.T, families map[string]*dto.MetricFamily, name string, labels ...string) float64 {
	t.Helper()
	for _, m := range families[name].GetMetric() {
		has := map[string]string{}
		for _, l := range m.GetLabel() {
			has[l.GetName()] = l.GetValue()
		}
		same := len(has) == len(labels)/2
		for i := 0; i < len(labels); i += 2 {
			same = same && has[labels[i]] == labels[i+1]
		}
		if !same {
			continue
		}
		switch {
		case m.Counter != nil:
			return m.GetCounter().GetValue()
		case m.Gauge != nil:
			return m.GetGauge().GetValue()
		case m.Histogram != nil:
			return float64(m.GetHistogram().GetSampleCount())
		}
	}
	t.Errorf("no %s%v", name, labels)
	return -1
}

func TestNamesThatAlertRulesExpectAreThereFromTheStart(t *testing.T) {
	t.Parallel()
	m := newMetrics(metrics.State{Runs: &metrics.Runs{}})
	m.Asked()
	m.Answered("GET", "GET /runs/{id}", 200, time.Second)
	families := scrape(t, m)
	for _, name := range []string{
		"cotrain_training_sessions_total", "cotrain_training_sessions_failed_total", "cotrain_models_training", "cotrain_model_training_duration_seconds",
		"cotrain_auth_failures_total", "cotrain_api_rate_limit_hits_total", "http_request_duration_seconds", "http_requests_total",
	} {
		if len(families[name].GetMetric()) == 0 {
			t.Errorf("no %s", name)
		}
	}
}

func TestRequestsAreCountedByPattern(t *testing.T) {
	t.Parallel()
	m := newMetrics(metrics.State{})
	for _, a := range []struct {
		method, pattern string
		status          int
		took            time.Duration
	}{
		{"GET", "GET /runs/{id}", 200, time.Second},
		{"HEAD", "GET /runs/{id}", 404, time.Second},
		{"GET", "GET /{$}", 0, time.Second}, // its handler wrote nothing
		{"PROPFIND", "", 405, time.Second},
		{"x-\xff", "", 999, time.Second},
		{"GET", "GET /ws", 101, -1},
		{"POST", "POST /login", 429, time.Second},
	} {
		m.Asked()
		m.Answered(a.method, a.pattern, a.status, a.took)
	}
	m.AuthFailed()
	got := scrape(t, m)
	for _, want := range []struct {
		labels []string
		n      float64
	}{
		{[]string{"route", "/runs/{id}", "method", "GET", "status", "2xx"}, 1},
		{[]string{"route", "/runs/{id}", "method", "HEAD", "status", "4xx"}, 1},
		{[]string{"route", "/", "method", "GET", "status", "2xx"}, 1},
		{[]string{"route", "other", "method", "other", "status", "4xx"}, 1},
		{[]string{"route", "other", "method", "other", "status", "2xx"}, 1},
		{[]string{"route", "/ws", "method", "GET", "status", "1xx"}, 1},
		{[]string{"route", "/login", "method", "POST", "status", "4xx"}, 1},
	} {
		if n := value(t, got, "http_requests_total", want.labels...); n != want.n {
			t.Errorf("%v: %v, want %v", want.labels, n, want.n)
		}
	}
	if n := value(t, got, "http_request_duration_seconds", "route", "other", "method", "other"); n != 2 {
		t.Errorf("%v durations of unknown methods, want 2", n)
	}
	for _, series := range got["http_request_duration_seconds"].GetMetric() {
		if strings.Contains(series.String(), "/ws") {
			t.Error("a socket has a duration")
		}
	}
	for name, want := range map[string]float64{"http_requests_in_flight": 0, "cotrain_api_rate_limit_hits_total": 1, "cotrain_auth_failures_total": 1} {
		if n := value(t, got, name); n != want {
			t.Errorf("%s is %v, want %v", name, n, want)
		}
	}
}

func TestASessionIsARunWithAllItsAttempts(t *testing.T) {
	t.Parallel()
	m := newMetrics(metrics.State{})
	r := run.Run{ID: "r-0000000001", CreatedAt: noon, Attempt: 1}
	at := noon
	move := func(from, to run.State, after time.Duration) {
		at = at.Add(after)
		m.Changed(r, run.Event{Kind: "state", From: from, To: to, At: at})
	}
	move(run.Queued, run.Dispatching, time.Second)
	move(run.Dispatching, run.Pending, time.Second)
	r.StartedAt = at
	move(run.Pending, run.Running, time.Second)
	move(run.Running, run.Queued, time.Hour) // retried by the console
	r.Attempt, r.Idle = 2, 60
	move(run.Queued, run.Dispatching, time.Minute)
	move(run.Dispatching, run.Pending, 0)
	move(run.Pending, run.Running, 0)
	move(run.Running, run.Failed, time.Hour)
	move(run.Failed, run.Queued, time.Hour) // by a person
	r.Attempt = 3
	move(run.Queued, run.Dispatching, 0)
	move(run.Dispatching, run.Pending, 0)
	move(run.Pending, run.Succeeded, time.Hour)
	m.Changed(run.Run{ID: "r-0000000002"}, run.Event{From: run.Queued, To: run.Stopped, At: at}) // never was one
	m.Changed(r, run.Event{Kind: "evicted", At: at})
	got := scrape(t, m)
	for name, want := range map[string]float64{
		"cotrain_training_sessions_total": 2, "cotrain_training_sessions_failed_total": 1, "cotrain_queue_dispatches_total": 3, "cotrain_queue_wait_seconds": 1,
	} {
		if n := value(t, got, name); n != want {
			t.Errorf("%s is %v, want %v", name, n, want)
		}
	}
	if n := value(t, got, "cotrain_model_training_duration_seconds", "state", "failed"); n != 1 {
		t.Errorf("%v durations of failed runs, want 1", n)
	}
	for _, series := range got["cotrain_model_training_duration_seconds"].GetMetric() {
		if strings.Contains(series.String(), `"failed"`) && series.GetHistogram().GetSampleSum() != 2*3600+1 {
			t.Errorf("it trained for %v s, want 2 h and 1 s without the minute between attempts", series.GetHistogram().GetSampleSum())
		}
	}
	body, contentType := raw(t, m, "application/openmetrics-text; version=1.0.0")
	if !strings.HasPrefix(contentType, "application/openmetrics-text") || !strings.Contains(body, `# {run_id="r-0000000001"}`) || !strings.HasSuffix(body, "# EOF\n") {
		t.Errorf("OpenMetrics has no exemplar of the run: %s\n%.3000s", contentType, body)
	}
}

func TestWhatIsUnknownHasNoNumber(t *testing.T) {
	t.Parallel()
	away := scrape(t, newMetrics(metrics.State{Up: map[string]bool{"store": false, "nomad": true}}))
	for _, name := range []string{"cotrain_runs", "cotrain_models_training", "cotrain_queue_oldest_seconds", "cotrain_runs_left_out"} {
		if away[name] != nil {
			t.Errorf("%s has a number although the store does not answer: %v", name, away[name])
		}
	}
	if value(t, away, "cotrain_dependency_up", "dependency", "store") != 0 || value(t, away, "cotrain_dependency_up", "dependency", "nomad") != 1 {
		t.Error("it does not say that the store is away, or that Nomad is not")
	}
	well := scrape(t, newMetrics(metrics.State{
		Runs: &metrics.Runs{Counts: run.Counts{run.Running: 3, run.Degraded: 1, run.Queued: 7}, Oldest: time.Minute, LeftOut: 2}, Ingest: metrics.Ingest{Streams: 9, Reading: 8, Unstored: 2 * time.Second},
		Viewers: metrics.Viewers{Connections: 5, Topics: 6, Messages: 70, Gaps: 1}, Database: []metrics.Pool{{Name: "write", InUse: 1, Waiting: 4}},
	}))
	for _, want := range []struct {
		name   string
		n      float64
		labels []string
	}{
		{"cotrain_runs", 7, []string{"state", "queued"}},
		{"cotrain_runs", 0, []string{"state", "failed"}},
		{"cotrain_models_training", 4, nil},
		{"cotrain_queue_oldest_seconds", 60, nil},
		{"cotrain_runs_left_out", 2, nil},
		{"cotrain_ingest_streams", 9, nil},
		{"cotrain_ingest_streams_reading", 8, nil},
		{"cotrain_ingest_unstored_age_seconds", 2, nil},
		{"cotrain_live_connections", 5, nil},
		{"cotrain_live_topics", 6, nil},
		{"cotrain_live_messages_total", 70, nil},
		{"cotrain_live_gaps_total", 1, nil},
		{"cotrain_store_connections", 1, []string{"pool", "write", "state", "in_use"}},
		{"cotrain_store_connection_waits_total", 4, []string{"pool", "write"}},
	} {
		if n := value(t, well, want.name, want.labels...); n != want.n {
			t.Errorf("%s%v is %v, want %v", want.name, want.labels, n, want.n)
		}
	}
}

func TestFlowsAndTransactionsAreCounted(t *testing.T) {
	t.Parallel()
	m := newMetrics(metrics.State{})
	m.Stored(metrics.Stored{Bytes: 100, Lines: 3, Points: 2, Events: 1, Lag: time.Second})
	m.Stored(metrics.Stored{Bytes: 1, Lag: -time.Hour}) // a clock was set back
	m.Wrote(time.Millisecond, true)
	m.Wrote(time.Second, false)
	got := scrape(t, m)
	for name, want := range map[string]float64{
		"cotrain_ingest_log_bytes_total": 101, "cotrain_ingest_log_lines_total": 3, "cotrain_ingest_points_total": 2, "cotrain_ingest_events_total": 1,
		"cotrain_ingest_batches_total": 2, "cotrain_ingest_lag_seconds": 2,
	} {
		if n := value(t, got, name); n != want {
			t.Errorf("%s is %v, want %v", name, n, want)
		}
	}
	if sum := got["cotrain_ingest_lag_seconds"].GetMetric()[0].GetHistogram().GetSampleSum(); sum != 1 {
		t.Errorf("the lags add up to %v s, want 1", sum)
	}
	for _, outcome := range []string{"committed", "failed"} {
		if n := value(t, got, "cotrain_store_transaction_duration_seconds", "outcome", outcome); n != 1 {
			t.Errorf("%v transactions have %s, want 1", n, outcome)
		}
	}
}
