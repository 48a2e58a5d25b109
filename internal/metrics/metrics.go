package metrics

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/cotrain/cotrain/internal/fault"
)

// maxScrapes is how many scrapes are answered at once: two Prometheus servers and a person.
const maxScrapes = 4

// Options configures [New]; all are needed.
type Options struct {
	Version string
	State   func(ctx context.Context) State // now, as who scrapes may see it; asked once per scrape
	Logger  *slog.Logger
}

// Metrics counts, and serves what it has counted. It is safe for concurrent use.
type Metrics struct {
	requests *requests
	flows    *flows
	training *training
	store    *transactions
	all      prometheus.Gatherer // without the State
	scrapes  chan struct{}       // holds those that are being answered
	o        Options
}

// New returns Metrics of their own: two consoles in one process do not add up.
func New(o Options) *Metrics {
	m := &Metrics{requests: newRequests(), flows: newFlows(), training: newTraining(), store: newTransactions(), scrapes: make(chan struct{}, maxScrapes), o: o}
	all := prometheus.NewRegistry()
	all.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), buildInfo(o.Version))
	for _, part := range [][]prometheus.Collector{m.requests.all(), m.flows.all(), m.training.all(), m.store.all()} {
		all.MustRegister(part...)
	}
	m.all = all
	return m
}

// Answer answers a scrape, in the format that it asks for; too many at once are [fault.ErrBusy].
func (m *Metrics) Answer(w http.ResponseWriter, r *http.Request) error {
	select {
	case m.scrapes <- struct{}{}:
		defer func() { <-m.scrapes }()
	default:
		return fault.New(fault.ErrBusy, "There are too many scrapes at once.", "Scrape less often, or with fewer servers.")
	}
	now := prometheus.NewRegistry()
	now.MustRegister(&state{r.Context(), m.o.State})
	promhttp.HandlerFor(prometheus.Gatherers{m.all, now}, promhttp.HandlerOpts{
		ErrorLog: complaints{m.o.Logger}, ErrorHandling: promhttp.ContinueOnError,
		OfferedCompressions: []promhttp.Compression{promhttp.Identity, promhttp.Gzip}, EnableOpenMetrics: true,
	}).ServeHTTP(w, r)
	return nil
}

// complaints logs what is wrong with a scrape.
type complaints struct{ log *slog.Logger }

func (c complaints) Println(v ...any) { c.log.Warn("scrape", "err", fmt.Sprint(v...)) }

func buildInfo(version string) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "cotrain_build_info", Help: "1, with the console's version and that of Go.", ConstLabels: prometheus.Labels{"version": version, "goversion": runtime.Version()},
	}, func() float64 { return 1 })
}

// histogram has fixed buckets, for the text formats, and native ones for a Prometheus that asks for them.
func histogram(name, help string, buckets ...float64) prometheus.HistogramOpts {
	return prometheus.HistogramOpts{
		Name: name, Help: help, Buckets: buckets,
		NativeHistogramBucketFactor: 1.1, NativeHistogramMaxBucketNumber: 100, NativeHistogramMinResetDuration: time.Hour,
	}
}
