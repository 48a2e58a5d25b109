package control_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cotrain/cotrain/internal/run"
)

func TestNodesTellWhichRunHasTheirGPUs(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	made := submit(t, r)
	r.queue.Round(t.Context())
	job := r.cluster.Jobs()[0]
	gpu := []run.GPU{{ID: "0", Model: "nvidia/gpu/A100"}}
	r.cluster.Set(job, 1, func(w *run.Worker) { w.NodeID, w.GPUs, w.State = "n1", gpu, run.WorkerRunning })
	nodes, err := r.control.Nodes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := []run.GPUUse{{GPUs: gpu, Job: job, Run: made.ID, Rank: 1}}
	if d := cmp.Diff(want, nodes[0].Uses); d != "" {
		t.Error(d)
	}
	if err := r.store.DeleteRun(t.Context(), made.ID); err != nil { // as for a job of another console
		t.Fatal(err)
	}
	want[0].Run = ""
	if nodes, err = r.control.Nodes(t.Context()); err != nil || cmp.Diff(want, nodes[0].Uses) != "" {
		t.Errorf("%+v, %v", nodes, err)
	}
	r.cluster.SetDown(true)
	if _, err := r.control.Nodes(t.Context()); err == nil {
		t.Error("nodes of a cluster that is away")
	}
}

func TestOnlyRealGPUsOfNodesThatAnswerAreMeasured(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	gpus := []run.GPU{{ID: "0", Model: "nvidia/gpu/A100"}}
	nodes := []run.Node{
		{ID: "n1", Status: "ready", GPUs: gpus}, {ID: "n2", Status: "ready", GPUs: gpus, Simulated: true}, {ID: "n3", Status: "ready"},
		{ID: "n4", Status: "down", GPUs: gpus},
	}
	r.control.MeasureGPUs(t.Context(), nodes)
	for _, n := range nodes {
		if want := n.ID == "n1"; (len(n.Stats) == 1) != want {
			t.Errorf("%s has %+v", n.ID, n.Stats)
		}
	}
	nodes[0].Stats = nil
	r.cluster.SetDown(true)
	r.control.MeasureGPUs(t.Context(), nodes)
	if len(nodes[0].Stats) != 0 {
		t.Errorf("of a cluster that is away: %+v", nodes[0].Stats)
	}
}
