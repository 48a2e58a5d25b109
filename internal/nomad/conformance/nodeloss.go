package conformance

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/nomad"
	"github.com/cotrain/cotrain/internal/run"
)

// testNodeLoss makes the node of a worker fail: the worker is unknown for as long as the node is away, nobody takes its
// place, and the job can be stopped.
func testNodeLoss(t *testing.T, target Target) {
	if target.FailNode == nil || target.RestoreNode == nil {
		t.Skip("there is no way to make a node of this agent fail")
	}
	b := newBench(t, target, nil)
	child := b.dispatch("echo up; exec sleep 600")
	w := b.workers(child, 1, "a running worker", func(w run.Worker) bool { return w.State == run.WorkerRunning })[0]
	b.printed(w.AllocID, "stdout", "up\n")
	if err := target.FailNode(w.NodeID); err != nil {
		t.Fatal(err)
	}
	restored := false
	restore := func() {
		if restored {
			return
		}
		restored = true
		if err := target.RestoreNode(w.NodeID); err != nil {
			t.Errorf("restore the node: %v", err)
		}
		b.eventually("the node to be ready again", func(ctx context.Context) (bool, string) {
			n, err := nodeByID(ctx, b, w.NodeID)
			return err == nil && n.Status == "ready" && n.Eligible, fmt.Sprintf("%+v %v", n, err)
		})
	}
	t.Cleanup(restore)
	unknown := b.workers(child, 1, "the worker to be unknown", func(w run.Worker) bool { return w.State == run.WorkerUnknown })[0]
	if unknown.AllocID != w.AllocID || unknown.State.Terminal() || unknown.Exited || unknown.Detail == "" {
		t.Errorf("an unknown worker is %+v", unknown)
	}
	t.Log("Nomad says of it: ", unknown.Detail)
	if n, err := nodeByID(b.context(), b, w.NodeID); err != nil || n.Status == "ready" {
		t.Errorf("its node is %+v, %v; want it away", n, err)
	}
	err := b.client.TailLog(b.context(), w.AllocID, "stdout", nomad.Cursor{}, true, func(nomad.LogChunk) error { return nil })
	if !errors.Is(err, fault.ErrUnavailable) {
		t.Errorf("its log gives %v", err)
	}
	if why, err := b.client.WhyPending(b.context(), child); why != "" || err != nil {
		t.Errorf("WhyPending gives %q, %v; nothing waits to be placed", why, err)
	}
	if err := b.client.Stop(b.context(), child); err != nil {
		t.Fatal(err)
	}
	b.eventually("the worker to be given up although its node is away", func(ctx context.Context) (bool, string) {
		workers, state, err := b.client.Workers(ctx, child)
		// The job may stay "pending" for as long as Nomad means to wait for the node.
		return err == nil && len(workers) == 1 && workers[0].Stopping && state.Stopped,
			fmt.Sprintf("%+v %+v %v", workers, state, err)
	})
	restore()
	after := b.workers(child, 1, "the worker to be over once its node is back", func(w run.Worker) bool { return w.State.Terminal() })[0]
	t.Log("after the node is back: ", after.State, after.Detail)
	if after.AllocID != w.AllocID || after.OK() {
		t.Errorf("the worker is %+v", after)
	}
}

func nodeByID(ctx context.Context, b *bench, id string) (run.Node, error) {
	nodes, err := b.client.Nodes(ctx)
	for _, n := range nodes {
		if n.ID == id {
			return n, nil
		}
	}
	return run.Node{}, err
}
