package cluster_test

import (
	"testing"

	"github.com/cotrain/cotrain/internal/run"
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
