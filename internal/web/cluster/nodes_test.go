package cluster_test

import (
	"testing"
	"time"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/web"
	"github.com/cotrain/cotrain/internal/web/webtest"
)

func TestNodesShowWhichGPUsAreFreeAndWhoHasTheOthers(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	r := webtest.Run(run.Running)
	r.Name = "first <b>try</b>"
	s.Fake.AllRuns = []run.Run{r}
	gpu := func(id string) run.GPU { return run.GPU{ID: id, Model: "nvidia/gpu/A100"} }
	s.Fake.AllNodes = []run.Node{
		{
			ID: "n-1", Name: "one", Status: "ready", Eligible: true, GPUs: []run.GPU{gpu("a"), gpu("b"), gpu("c"), gpu("d")},
			Uses: []run.GPUUse{
				{Run: r.ID, Job: "cotrain-core-x/dispatch-1", Rank: 2, GPUs: []run.GPU{gpu("a"), gpu("b")}}, {Job: "notebook", Rank: -1, GPUs: []run.GPU{gpu("c")}},
				{Run: "r-0000000009", Job: "cotrain-core-x/dispatch-2", Rank: 0},
			},
		},
		{ID: "n-2", Name: "two", Status: "down", Eligible: true, GPUs: []run.GPU{gpu("e")}, Stats: []run.GPUStats{
			{ID: "e", Utilization: new(int64(87)), MemoryUsed: new(int64(40960)), MemoryTotal: new(int64(81920)), Power: new(int64(312)), Temperature: new(int64(63))}, {ID: "f", Utilization: new(int64(0))},
		}},
		{ID: "n-3", Name: "three", Status: "ready", Eligible: true},
	}
	a := s.Get("/cluster", 200)
	for selector, want := range map[string]string{
		".page-head .muted":                                       "3 nodes, 5 GPUs, 1 free",
		"[data-node-id=n-1] [data-metric=free]":                   "1 of 4",
		"[data-node-id=n-1] li:nth-child(1)":                      "first <b>try</b> worker 2, 2 GPUs",
		"[data-node-id=n-1] [data-use=notebook]":                  "job notebook 1 GPU",
		`[data-node-id=n-1] a[href="/runs/` + string(r.ID) + `"]`: r.Name,
		`[data-node-id=n-1] a[href="/runs/r-0000000009"]`:         "r-0000000009", // deleted meanwhile
		"[data-node-id=n-1] li:nth-child(3)":                      "r-0000000009 worker 0",
		"[data-node-id=n-2] .cell-uses":                           "none",
		"[data-node-id=n-2] [data-gpu=e]":                         "87 %, 40.0 GiB of 80.0 GiB, 312 W, 63 °C",
		"[data-node-id=n-2] [data-gpu=f]":                         "0 %",
		"[data-node-id=n-3] [data-metric=free]":                   "–",
	} {
		if got := a.Text(t, selector); got != want {
			t.Errorf("%s: %q, want %q", selector, got, want)
		}
	}
}

func TestServersAndRoundTripsAreShown(t *testing.T) {
	t.Parallel()
	const ms = time.Millisecond
	s := webtest.New(t, func(d *web.Deps) {
		d.Servers = func() []run.Server {
			return []run.Server{
				{Address: "http://a:4646", Datacenter: "ams", Problem: "<b>refused</b>", Since: webtest.Now.Add(-2 * time.Minute)}, {Address: "http://b:4646", InUse: true}, {Address: "http://c:4646"},
			}
		}
		d.Distances = func() *run.Distances {
			return &run.Distances{
				Sites: []string{"ams", "fra"}, RoundTrips: [][]time.Duration{{ms / 2, 1234 * ms / 100}, {1234 * ms / 100, -1}}, At: webtest.Now.Add(-3 * time.Hour), Problem: "Consul is away.",
			}
		}
	})
	a := s.Get("/cluster", 200)
	for selector, want := range map[string]string{
		`[data-server="http://a:4646"] .badge`:         "not working",
		`[data-server="http://a:4646"] [data-problem]`: "<b>refused</b>",
		`[data-server="http://a:4646"] time`:           "2 min ago",
		`[data-server="http://b:4646"] .badge`:         "in use",
		`[data-server="http://c:4646"] .badge`:         "standby",
		"[data-site=ams] [data-to=ams]":                "0.500 ms",
		"[data-site=ams] [data-to=fra]":                "12.3 ms",
		"[data-site=fra] [data-to=fra]":                "–",
		"[aria-labelledby=distances] time":             "3 h ago",
		"[aria-labelledby=distances] [data-problem]":   "Consul is away.",
	} {
		if got := a.Text(t, selector); got != want {
			t.Errorf("%s: %q, want %q", selector, got, want)
		}
	}
	one := webtest.New(t, func(d *web.Deps) { d.Servers = func() []run.Server { return []run.Server{{Address: "http://a:4646"}} } })
	if one.Get("/cluster", 200).Count("[data-server]") != 0 {
		t.Error("the only server is a table")
	}
}

func TestNodesStandBesideTheirEntriesInConsul(t *testing.T) {
	t.Parallel()
	c := &run.Catalog{
		Datacenters: []string{"ams"}, At: webtest.Now.Add(-2 * time.Minute), Problem: "Consul is away.",
		Nodes: []run.ConsulNode{
			{Name: "one", Datacenter: "ams", Health: run.ConsulPassing, Meta: map[string]string{"zone": "r1", "site": "<b>west</b>", "rack": "7"}},
			{
				Name: "gpu-2", Datacenter: "ams-2", Health: run.ConsulCritical, More: 3,
				Failing: []run.ConsulCheck{{ID: "serfHealth", Name: "Serf Health Status", Status: run.ConsulCritical, Output: "<script>alert(1)</script>"}, {ID: "http", Name: "Nomad Client HTTP Check", Service: "nomad-client", Status: run.ConsulWarning}},
			},
			{Name: "gone", Datacenter: "ams", Address: "10.0.0.9", Client: true, Health: run.ConsulCritical, Failing: []run.ConsulCheck{{ID: "serfHealth", Name: "Serf Health Status", Status: run.ConsulCritical}}},
		},
	}
	s := webtest.New(t, func(d *web.Deps) { d.Catalog = func() *run.Catalog { return c } })
	s.Fake.AllNodes = []run.Node{
		{ID: "n-1", Name: "one", Datacenter: "ams", Status: "ready"}, {ID: "n-2", Name: "two", Datacenter: "ams", Status: "ready", ConsulName: run.ConsulName{Name: "gpu-2"}}, {ID: "n-3", Name: "three", Status: "ready"},
	}
	a := s.Get("/cluster", 200)
	for selector, want := range map[string]string{
		"[data-node-id=n-1] .cell-consul .badge":         "passing",
		"[data-node-id=n-1] [data-meta]":                 "site <b>west</b>, zone r1, rack 7",
		"[data-node-id=n-2] .cell-consul .badge":         "critical",
		"[data-node-id=n-2] .cell-consul > span.row-sub": "gpu-2 in ams-2",
		"[data-node-id=n-2] [data-check=serfHealth]":     "Serf Health Status: <script>alert(1)</script>",
		"[data-node-id=n-2] [data-check=http]":           "Nomad Client HTTP Check (nomad-client)",
		"[data-node-id=n-2] .cell-consul li:last-child":  "and 3 more checks",
		"[data-node-id=n-2] [data-disagreement]":         "Ready in Nomad, and Consul's other agents do not reach its agent: check the Consul agent on it, and its network.",
		"[data-node-id=n-3] .cell-consul":                "–",
		"[aria-labelledby=consul] time":                  "2 min ago",
		"[aria-labelledby=consul] [data-problem]":        "Consul is away.",
		"[data-stale] th":                                "gone",
		"[data-stale] .mono":                             "10.0.0.9",
	} {
		if got := a.Text(t, selector); got != want {
			t.Errorf("%s: %q, want %q", selector, got, want)
		}
	}
	c = nil
	if a := s.Get("/cluster", 200); a.Count(".cell-consul, [aria-labelledby=consul]") != 0 {
		t.Error("it is shown before Consul has answered")
	}
}
