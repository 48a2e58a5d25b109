package conformance

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/nomad"
	"github.com/cotrain/cotrain/internal/run"
)

func testEvents(t *testing.T, target Target) { newBench(t, target, nil).followsEvents() }

// followsEvents follows a run of the test's shape from its dispatch until it is purged.
func (b *bench) followsEvents() {
	t := b.T
	ctx, cancel := context.WithCancel(context.Background())
	var mu sync.Mutex
	var hints []nomad.Hint
	done := make(chan error, 1)
	go func() {
		done <- b.client.Watch(ctx, func(h nomad.Hint) {
			mu.Lock()
			defer mu.Unlock()
			hints = append(hints, h)
		})
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("Watch ends with %v", err)
		}
	})
	seen := func(what string, match func(nomad.Hint) bool) {
		t.Helper()
		b.eventually(what, func(context.Context) (bool, string) {
			mu.Lock()
			defer mu.Unlock()
			for _, h := range hints {
				if match(h) {
					return true, ""
				}
			}
			return false, fmt.Sprintf("%+v", hints)
		})
	}
	seen("the first resync", func(h nomad.Hint) bool { return h.Resync })
	child := b.dispatch("exit 3")
	w := b.ended(child)
	seen("a hint about the job", func(h nomad.Hint) bool { return h.JobID == child && h.AllocID == "" })
	seen("a hint about the allocation", func(h nomad.Hint) bool {
		return h.JobID == child && h.AllocID == w.AllocID && h.NodeID == w.NodeID
	})
	// After the hints of the end a list shows the end: events never come before the state that they are about.
	mu.Lock()
	hints = nil
	mu.Unlock()
	if err := b.client.Purge(b.context(), child); err != nil {
		t.Fatal(err)
	}
	seen("a hint about the purge", func(h nomad.Hint) bool { return h.JobID == child })
}

// testEventStream looks at the stream itself.
func testEventStream(t *testing.T, target Target) {
	b := newBench(t, target, nil)
	child := b.dispatch("exit 0")
	w := b.ended(child)
	type event struct {
		Topic, Type, Key, Namespace string
		FilterKeys                  []string
		Index                       uint64
		Payload                     map[string]json.RawMessage
	}
	seen := map[string]event{}
	b.stream("/v1/event/stream?topic=Allocation&topic=Job&topic=Evaluation&topic=Node&index=0", func(line []byte) bool {
		var batch struct {
			Index  uint64
			Events []event
		}
		if err := json.Unmarshal(line, &batch); err != nil {
			t.Fatalf("line %.200q: %v", line, err)
		}
		for _, ev := range batch.Events {
			if ev.Index != batch.Index {
				t.Errorf("an event of index %d in a batch of %d", ev.Index, batch.Index)
			}
			switch {
			case ev.Topic == "Allocation" && ev.Key == w.AllocID, ev.Topic == "Job" && ev.Key == child:
				seen[ev.Topic] = ev
			case ev.Topic == "Evaluation" && len(ev.FilterKeys) > 0 && ev.FilterKeys[0] == child:
				seen[ev.Topic] = ev
			}
		}
		return len(seen) == 3
	})
	for topic, ev := range seen {
		if ev.Namespace == "" || len(ev.Payload[topic]) < 10 || ev.Type == "" {
			t.Errorf("%s event is %+v", topic, ev)
		}
	}
	if a := seen["Allocation"]; len(a.FilterKeys) == 0 || a.FilterKeys[0] != child {
		t.Errorf("filter keys of an allocation's event are %q", a.FilterKeys)
	}
}

func testBlocking(t *testing.T, target Target) {
	b := newBench(t, target, nil)
	parent, err := b.client.EnsureParent(b.context(), b.shape)
	if err != nil {
		t.Fatal(err)
	}
	b.track(parent, "")
	path := "/v1/job/" + url.PathEscape(parent)
	index := func(r reply) uint64 {
		n, err := strconv.ParseUint(r.Header.Get("X-Nomad-Index"), 10, 64)
		if err != nil || n == 0 {
			t.Fatalf("X-Nomad-Index is %q", r.Header.Get("X-Nomad-Index"))
		}
		return n
	}
	first := b.raw("GET", path, nil)
	if first.Header.Get("X-Nomad-KnownLeader") != "true" || first.Header.Get("X-Nomad-LastContact") == "" {
		t.Errorf("headers are %v", first.Header)
	}
	at := index(first)
	// Nothing changes: the wait ends with the same answer.
	if r := b.raw("GET", path+"?wait=200ms&index="+strconv.FormatUint(at, 10), nil); index(r) != at {
		t.Errorf("index went from %d to %d although nothing changed", at, index(r))
	}
	// A change ends the wait early.
	woke := make(chan reply, 1)
	go func() { woke <- b.raw("GET", path+"?wait=50s&index="+strconv.FormatUint(at, 10), nil) }()
	if err := b.client.Stop(b.context(), parent); err != nil {
		t.Fatal(err)
	}
	select {
	case r := <-woke:
		if got := decode[struct{ Stop bool }](b, r); !got.Stop || index(r) <= at {
			t.Errorf("the waiting read gives %+v at index %d, after %d", got, index(r), at)
		}
	case <-time.After(limit):
		t.Fatal("a blocking query did not wake up")
	}
}

func testPending(t *testing.T, target Target) {
	for _, c := range []struct {
		name   string
		change func(*run.Shape, *nomad.JobSettings)
		want   string
		needs  bool // a device
	}{
		{"more memory than any node has", func(s *run.Shape, _ *nomad.JobSettings) { s.Memory = 1 << 30 },
			"needs 1 node with 1073741824 MiB of memory, the cluster has room for 0", false},
		{"more CPU than any node has", func(s *run.Shape, _ *nomad.JobSettings) { s.CPU = 1 << 30 },
			"needs 1 node with 1073741824 MHz of CPU, the cluster has room for 0", false},
		{"a GPU that nobody has", func(s *run.Shape, _ *nomad.JobSettings) { s.Nodes, s.GPUs, s.GPUModel = 3, 2, "acme/gpu/Z9" },
			"needs 3 nodes with 2 x acme/gpu/Z9, the cluster has room for 0", false},
		{"more devices than a node has", func(s *run.Shape, _ *nomad.JobSettings) { s.GPUs, s.GPUModel = 512, target.Device },
			"needs 1 node with 512 x " + target.Device + ", the cluster has room for 0", true},
		{"a datacenter that does not exist", func(_ *run.Shape, j *nomad.JobSettings) { j.Datacenters = []string{"mars"} },
			"no node is in datacenter mars", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if c.needs && target.Device == "" {
				t.Skip("the agent has no device")
			}
			shape := run.Shape{}
			b := newBench(t, target, func(j *nomad.JobSettings) { c.change(&shape, j) })
			memory := b.shape.Memory
			c.change(&b.shape, &nomad.JobSettings{})
			if b.shape.Memory == 0 {
				b.shape.Memory = memory
			}
			child := b.dispatch("exit 0")
			b.eventually("the reason", func(ctx context.Context) (bool, string) {
				why, err := b.client.WhyPending(ctx, child)
				return err == nil && strings.Contains(why, c.want), fmt.Sprint(why, err)
			})
			workers, state, err := b.client.Workers(b.context(), child)
			if err != nil || len(workers) != 0 || state.Status != "pending" || state.Stopped {
				t.Errorf("workers %+v, job %+v, %v; want none and a pending job", workers, state, err)
			}
			if err := b.client.Stop(b.context(), child); err != nil {
				t.Fatal(err)
			}
			b.eventually("no reason once stopped", func(ctx context.Context) (bool, string) {
				why, err := b.client.WhyPending(ctx, child)
				return err == nil && why == "", fmt.Sprint(why, err)
			})
			b.eventually("the job to be dead", func(ctx context.Context) (bool, string) {
				_, state, err := b.client.Workers(ctx, child)
				return err == nil && state == nomad.JobState{Status: "dead", Stopped: true, Found: true}, fmt.Sprintf("%+v %v", state, err)
			})
		})
	}
	t.Run("nothing waits", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, target, nil)
		child := b.dispatch("exit 0")
		b.ended(child)
		if why, err := b.client.WhyPending(b.context(), child); why != "" || err != nil {
			t.Errorf("WhyPending gives %q, %v", why, err)
		}
		if _, err := b.client.WhyPending(b.context(), "cotrain-core-none/dispatch-1-abcdef01"); !errors.Is(err, fault.ErrNotFound) {
			t.Errorf("WhyPending of an unknown job gives %v", err)
		}
	})
	t.Run("a worker waits for devices that another one holds", func(t *testing.T) {
		if target.Device == "" || target.Devices < 2 {
			t.Skip("the agent has no two devices")
		}
		testWaitsForOther(t, target)
	})
}

// testWaitsForOther asks for more places than are free, while one job holds some.
func testWaitsForOther(t *testing.T, target Target) {
	b := newBench(t, target, nil)
	b.shape.Nodes, b.shape.GPUs, b.shape.GPUModel = 1, 1, target.Device
	holder := b.dispatch("sleep 600")
	b.workers(holder, 1, "the holder", func(w run.Worker) bool { return w.State == run.WorkerRunning })
	nodes, err := b.client.Nodes(b.context())
	if err != nil {
		t.Fatal(err)
	}
	total := 0
	for _, n := range nodes {
		for _, g := range n.GPUs {
			if g.Model == target.Device {
				total++
			}
		}
	}
	waiter := newBench(t, target, nil)
	waiter.shape.Nodes, waiter.shape.GPUs, waiter.shape.GPUModel = total, 1, target.Device
	child := waiter.dispatch("sleep 600") // worker 0 must live when the last one looks for it
	waiter.eventually("the reason", func(ctx context.Context) (bool, string) {
		why, err := waiter.client.WhyPending(ctx, child)
		return err == nil && strings.Contains(why, fmt.Sprintf("of %d places are free now", total)), fmt.Sprint(why, err)
	})
	if err := b.client.Stop(b.context(), holder); err != nil {
		t.Fatal(err)
	}
	waiter.workers(child, total, "all workers", func(w run.Worker) bool { return w.State == run.WorkerRunning })
	if why, err := waiter.client.WhyPending(waiter.context(), child); why != "" || err != nil {
		t.Errorf("once all run WhyPending gives %q, %v", why, err)
	}
}
