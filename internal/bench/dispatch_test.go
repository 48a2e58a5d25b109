package bench

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"

	"github.com/cotrain/cotrain/internal/control"
	"github.com/cotrain/cotrain/internal/feed"
	"github.com/cotrain/cotrain/internal/localnomad"
	"github.com/cotrain/cotrain/internal/nomad"
	"github.com/cotrain/cotrain/internal/queue"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store"
	"github.com/cotrain/cotrain/internal/trainconf"
)

const dispatches = 200

// BenchmarkDispatch compares control.Submit (validate, store, ensure the parent, dispatch, verify the child, store) with
// the raw dispatch call of the same payload on an agent of the same kind. The shape asks for a GPU that does not exist, so
// that no process is started and only this path is measured. With NOMAD_ADDR set the agent is that one, which writes each
// dispatch to its disk as the console does; the embedded one only promises to survive the console, so its raw call is
// many times as fast and the ratio is mostly the price of the console's two SQLite transactions.
func BenchmarkDispatch(b *testing.B) {
	preset, _ := trainconf.PresetByName("debug-diloco")
	shape := run.Shape{Nodes: 3, GPUs: 1, GPUModel: "none-such", CPU: 100, Memory: 300}
	config := string(preset.Config.TOML())
	for range b.N {
		raw := rawDispatch(b, shape, config)
		whole := submit(b, shape, config)
		b.ReportMetric(dispatches/whole.Seconds(), "submits/s")
		b.ReportMetric(dispatches/raw.Seconds(), "baseline-dispatches/s")
		b.ReportMetric(raw.Seconds()/whole.Seconds(), "ratio(>=0.7)")
	}
}

// agent is the one at NOMAD_ADDR, or an embedded agent that is reached in memory.
func agent(b *testing.B) (addr string, h *http.Client, c *nomad.Client) {
	b.Helper()
	job := nomad.JobSettings{Command: []string{"/bin/true"}}
	if addr := os.Getenv("NOMAD_ADDR"); addr != "" {
		c, err := nomad.New(nomad.Config{Address: addr, Job: job})
		if err != nil {
			b.Fatal(err)
		}
		return addr, http.DefaultClient, c
	}
	s, err := localnomad.New(localnomad.Options{DataDir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	if err := s.Start(b.Context()); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := s.Stop(context.Background()); err != nil {
			b.Error(err)
		}
	})
	h = &http.Client{Transport: &http.Transport{DialContext: s.DialContext, MaxIdleConnsPerHost: 32}}
	if c, err = nomad.New(nomad.Config{HTTPClient: h, Job: job}); err != nil {
		b.Fatal(err)
	}
	return "http://embedded.invalid", h, c
}

func rawDispatch(b *testing.B, shape run.Shape, config string) time.Duration {
	b.Helper()
	addr, h, c := agent(b)
	parent, err := c.EnsureParent(b.Context(), shape)
	if err != nil {
		b.Fatal(err)
	}
	raw, err := api.NewClient(&api.Config{Address: addr, HttpClient: h})
	if err != nil {
		b.Fatal(err)
	}
	began := time.Now()
	for i := range dispatches {
		_, _, err := raw.Jobs().DispatchOpts(&api.DispatchOptions{
			JobID: parent, Payload: []byte(config), Meta: map[string]string{"run_id": fmt.Sprintf("r-%010d", i), "attempt": "1"},
		}, nil)
		if err != nil {
			b.Fatal(err)
		}
	}
	return time.Since(began)
}

func submit(b *testing.B, shape run.Shape, config string) time.Duration {
	b.Helper()
	_, _, c := agent(b)
	s, err := store.Open(b.Context(), b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	hub, logger := feed.NewHub(time.Now), slog.New(slog.DiscardHandler)
	q := queue.New(queue.Options{Cluster: c, Store: s, Publisher: hub, Logger: logger, Now: time.Now, Dispatched: func(run.ID) {}})
	ctl := control.New(control.Options{Store: s, Queue: q, Cluster: c, Publisher: hub, Logger: logger, Now: time.Now, Look: func(run.ID) {}})
	if _, err := c.EnsureParent(b.Context(), shape); err != nil { // as for the baseline
		b.Fatal(err)
	}
	began := time.Now()
	for i := range dispatches {
		r, err := ctl.Submit(b.Context(), "bench", run.Submission{Name: fmt.Sprint(i), Config: config, Shape: shape})
		if err != nil || r.State != run.Pending {
			b.Fatalf("run is %s (%s), %v", r.State, r.Reason, err)
		}
	}
	return time.Since(began)
}
