package metrics

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// other stands for a route or method that is none: of such there can be any number.
const other = "other"

// requests counts HTTP: rate, errors and durations.
type requests struct {
	total     *prometheus.CounterVec
	durations *prometheus.HistogramVec
	pending   prometheus.Gauge
	refused   prometheus.Counter
	limited   prometheus.Counter
}

func newRequests() *requests {
	return &requests{
		total: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "http_requests_total", Help: "Requests answered, by route, method and class of the status.",
		}, []string{"route", "method", "status"}),
		durations: prometheus.NewHistogramVec(histogram("http_request_duration_seconds", "Time until a request was answered; without sockets and event streams.",
			.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30), []string{"route", "method"}),
		pending: prometheus.NewGauge(prometheus.GaugeOpts{Name: "http_requests_in_flight", Help: "Requests under way, with sockets and event streams."}),
		refused: prometheus.NewCounter(prometheus.CounterOpts{Name: "cotrain_auth_failures_total", Help: "Log-ins that failed, and requests with an invalid token."}),
		limited: prometheus.NewCounter(prometheus.CounterOpts{Name: "cotrain_api_rate_limit_hits_total", Help: "Requests refused because of a rate limit."}),
	}
}

func (q *requests) all() []prometheus.Collector {
	return []prometheus.Collector{q.total, q.durations, q.pending, q.refused, q.limited}
}

// Asked counts a request under way; [Metrics.Answered] must follow.
func (m *Metrics) Asked() { m.requests.pending.Inc() }

// Answered counts an answer. pattern is that of the route, "" for none. took is negative where it says nothing: a socket lasts as long
// as somebody looks.
func (m *Metrics) Answered(method, pattern string, status int, took time.Duration) {
	q := m.requests
	q.pending.Dec()
	route, method := routeOf(pattern), knownMethod(method)
	q.total.WithLabelValues(route, method, classOf(status)).Inc()
	if took >= 0 {
		q.durations.WithLabelValues(route, method).Observe(took.Seconds())
	}
	if status == http.StatusTooManyRequests {
		q.limited.Inc()
	}
}

// AuthFailed counts a log-in that failed, or an invalid token.
func (m *Metrics) AuthFailed() { m.requests.refused.Inc() }

// routeOf is a pattern's path: "GET /runs/{id}" is /runs/{id}.
func routeOf(pattern string) string {
	if pattern == "" {
		return other
	}
	_, path, found := strings.Cut(pattern, " ")
	if !found {
		path = pattern
	}
	return strings.TrimSuffix(path, "{$}")
}

var methods = []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions}

func knownMethod(method string) string {
	if slices.Contains(methods, method) {
		return method
	}
	return other
}

// classOf is 2xx for 204. What is no status is an answer that its handler left empty.
func classOf(status int) string {
	if status < 100 || status > 599 {
		status = http.StatusOK
	}
	return fmt.Sprintf("%dxx", status/100)
}
