package bench

import (
	"context"
	"errors"
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

// Blocks of both calls alternate, so that what the agent has accumulated burdens both alike.
const (
	blocks   = 12
	perBlock = 25
)

// BenchmarkDispatch compares the way of a burst of submissions (validate, store, look whether they fit, dispatch, store the
// child, which is then known to exist) with the raw dispatch call on the same agent: the same payload, meta and kind of
// token, which Nomad looks for among all children of the parent. The time is that from the first submission until the last
// run is at Nomad. The shape asks for a GPU that does not exist, so that no process is started and only this path is
// measured; the queue is told that there is a node with many.
//
// The target is for a Nomad (NOMAD_ADDR), which writes each dispatch to its disk before it answers. The embedded agent only
// promises to survive the console and answers in a quarter of a millisecond, about the price of one of the console's three
// SQLite transactions; what counts there is how much time a submission adds.
func BenchmarkDispatch(b *testing.B) {
	preset, _ := trainconf.PresetByName("debug-diloco")
	shape := run.Shape{Nodes: 3, GPUs: 1, GPUModel: "none-such", CPU: 100, Memory: 300}
	config := string(preset.Config.TOML())
	for range b.N {
		addr, h, c := agent(b)
		parent, err := c.EnsureParent(b.Context(), shape)
		if err != nil {
			b.Fatal(err)
		}
		raw, err := api.NewClient(&api.Config{Address: addr, HttpClient: h})
		if err != nil {
			b.Fatal(err)
		}
		ctl, sent, done := newControl(b, c)
		var bare, whole time.Duration
		for block := range blocks {
			began := time.Now()
			for i := range perBlock {
				_, _, err := raw.Jobs().DispatchOpts(&api.DispatchOptions{
					JobID: parent, Payload: []byte(config), Meta: map[string]string{"run_id": fmt.Sprintf("r-%010d", block*perBlock+i), "attempt": "1"},
				}, &api.WriteOptions{IdempotencyToken: fmt.Sprintf("%d/%d/%d", time.Now().UnixNano(), block, i)})
				if err != nil {
					b.Fatal(err)
				}
			}
			bare += time.Since(began)
			began = time.Now()
			for i := range perBlock {
				r, err := ctl.Submit(b.Context(), "bench", run.Submission{Name: fmt.Sprint(i), Config: config, Shape: shape})
				if err != nil || r.State != run.Queued {
					b.Fatalf("run is %s (%s), %v", r.State, r.Reason, err)
				}
			}
			for range perBlock {
				<-sent
			}
			whole += time.Since(began)
		}
		done()
		b.ReportMetric(blocks*perBlock/whole.Seconds(), "submits/s")
		b.ReportMetric(blocks*perBlock/bare.Seconds(), "baseline-dispatches/s")
		ratio, added := "ratio", "added-ms(<1)"
		if os.Getenv("NOMAD_ADDR") != "" {
			ratio, added = "ratio(>=0.7)", "added-ms"
		}
		b.ReportMetric(bare.Seconds()/whole.Seconds(), ratio)
		b.ReportMetric((whole-bare).Seconds()*1000/(blocks*perBlock), added)
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
	s, err := localnomad.New(localnomad.Options{DataDir: b.TempDir(), SimulatedGPUs: new(2)})
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

// roomy has a node with room for everything.
type roomy struct{ *nomad.Client }

func (c roomy) Fit(ctx context.Context, shape run.Shape, in nomad.Room) (run.Fit, error) {
	f, err := c.Client.Fit(ctx, shape, in)
	const much = 1 << 20
	f.Now, f.Nodes = true, append(f.Nodes, run.NodeFit{ID: "roomy", Free: much, Freed: much, GPUs: much, FreeCPU: much, FreeMemory: much})
	return f, err
}

// newControl is the way from a submission to a verified child, over a store of its own. sent tells of each run that is at
// Nomad.
func newControl(b *testing.B, c *nomad.Client) (ctl *control.Control, sent chan run.ID, done func()) {
	b.Helper()
	s, err := store.Open(b.Context(), b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	sent = make(chan run.ID, perBlock)
	hub, logger := feed.NewHub(time.Now), slog.New(slog.DiscardHandler)
	q := queue.New(queue.Options{Cluster: roomy{c}, Store: s, Publisher: hub, Logger: logger, Now: time.Now, Dispatched: func(id run.ID) { sent <- id }})
	ctl = control.New(control.Options{Store: s, Queue: q, Cluster: c, Publisher: hub, Logger: logger, Now: time.Now, ReconcileSoon: func(run.ID) {}})
	ctx, cancel := context.WithCancel(b.Context())
	ended := make(chan error, 1)
	go func() { ended <- q.Run(ctx) }()
	return ctl, sent, func() {
		cancel()
		if err := errors.Join(<-ended, s.Close()); err != nil {
			b.Error(err)
		}
	}
}
