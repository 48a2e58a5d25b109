package conformance

import (
	"strings"
	"testing"

	"github.com/cotrain/cotrain/internal/nomad"
	"github.com/cotrain/cotrain/internal/run"
)

// testRoom holds that what the scheduler does with a job is what was counted before it was sent: that decides which runs are
// sent at all.
func testRoom(t *testing.T, target Target) {
	b := newBench(t, target, nil)
	b.shape.Nodes, b.shape.Memory = 2, b.shape.Memory+100
	look := func() (nomad.Room, run.Fit) {
		t.Helper()
		in, err := b.client.Room(b.context())
		if err != nil {
			t.Fatal(err)
		}
		fit, err := b.client.Fit(b.context(), b.shape, in)
		if err != nil {
			t.Fatal(err)
		}
		return in, fit
	}
	in, fit := look()
	if !fit.Now || fit.Reason != "" || fit.Workers != 2 || fit.Free() < 2 || fit.Freed() < fit.Free() || fit.Need.Memory != int64(b.shape.Memory) || fit.Need.CPU != int64(b.shape.CPU) {
		t.Fatalf("a small shape: %+v", fit)
	}
	ids := make([]string, 0, len(fit.Nodes))
	for _, n := range fit.Nodes {
		ids = append(ids, n.ID)
	}
	if len(ids) <= run.MaxAvoided {
		b.shape.Avoid = run.NewNodeIDs(ids...)
		if _, fit = look(); fit.Now || len(fit.Nodes) != 0 || !strings.Contains(fit.Reason, "it avoids ") {
			t.Errorf("a shape that avoids every node: %+v", fit)
		}
		b.shape.Avoid = ""
	}
	child := b.dispatch("sleep 600")
	if in.Placed[child] != 0 {
		t.Errorf("%d workers before it was sent", in.Placed[child])
	}
	b.workers(child, 2, "both run", func(w run.Worker) bool { return w.State == run.WorkerRunning })
	if in, _ = look(); in.Placed[child] != 2 {
		t.Errorf("%d of 2 workers are counted", in.Placed[child])
	}
	if err := b.client.Stop(b.context(), child); err != nil {
		t.Fatal(err)
	}
	b.workers(child, 2, "both have ended", func(w run.Worker) bool { return w.State.Terminal() })
	if in, _ = look(); in.Placed[child] != 0 {
		t.Errorf("%d workers are counted that have ended", in.Placed[child])
	}

	b.shape.Memory = tooMuch
	if _, fit = look(); fit.Now || fit.Free() != 0 || len(fit.Nodes) != 0 || !strings.Contains(fit.Reason, "of memory") {
		t.Errorf("a shape that no node has room for: %+v", fit)
	}
	if target.Device != "" {
		b.shape = run.Shape{Nodes: 1, GPUs: target.Devices, GPUModel: target.Device, CPU: 10, Memory: 50}
		if _, fit = look(); len(fit.Nodes) == 0 || fit.Nodes[0].GPUs < 1 || fit.Need.GPUs != target.Devices {
			t.Errorf("a shape with the GPUs of a node: %+v", fit)
		}
	}
}
