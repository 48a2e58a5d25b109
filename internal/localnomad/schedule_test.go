package localnomad

import (
	"net"
	"strconv"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"

	"github.com/cotrain/cotrain/internal/localnomad/sched"
	"github.com/cotrain/cotrain/internal/localnomad/state"
)

// failedAlloc waits for the blocked evaluation of a job and returns why its group could not be placed.
func (a *testAgent) failedAlloc(jobID string) *api.AllocationMetric {
	a.t.Helper()
	var m *api.AllocationMetric
	until(a.t, "a blocked evaluation of "+jobID, func() bool {
		evals, _, err := a.client.Jobs().Evaluations(jobID, nil)
		if err != nil {
			a.t.Fatal(err)
		}
		for _, e := range evals {
			if e.Status == api.EvalStatusBlocked {
				m = e.FailedTGAllocs["workers"]
			}
		}
		return m != nil
	})
	return m
}

func TestWhatCannotBePlacedSaysWhyAsNomadDoes(t *testing.T) {
	t.Parallel()
	a := startAgent(t, func(o *Options) { o.Nodes = 2 })
	device := func(name string, count uint64) func(*api.TaskGroup, *api.Task) {
		return func(_ *api.TaskGroup, task *api.Task) {
			task.Resources.Devices = []*api.RequestedDevice{{Name: name, Count: &count}}
		}
	}
	for name, c := range map[string]struct {
		count  int
		change func(*api.TaskGroup, *api.Task)
		job    func(*api.Job)
		check  func(*api.AllocationMetric) bool
	}{
		"missing-devices": {1, device("nvidia/gpu", 1), nil, func(m *api.AllocationMetric) bool {
			return m.NodesFiltered == 2 && m.ConstraintFiltered["missing devices"] == 2
		}},
		"too-many-devices": {1, device("sim/gpu", 3), nil, func(m *api.AllocationMetric) bool { return m.ConstraintFiltered["missing devices"] == 2 }},
		"memory": {3, func(_ *api.TaskGroup, task *api.Task) { task.Resources.MemoryMB = new(99999) }, nil, func(m *api.AllocationMetric) bool {
			return m.NodesExhausted == 2 && m.DimensionExhausted["memory"] == 2 && m.CoalescedFailures == 2
		}},
		"cpu": {1, func(_ *api.TaskGroup, task *api.Task) { task.Resources.CPU = new(99999) }, nil, func(m *api.AllocationMetric) bool {
			return m.DimensionExhausted["cpu"] == 2 && m.NodesAvailable["dc1"] == 2 && m.NodesEvaluated == 2
		}},
		"driver":  {1, func(_ *api.TaskGroup, task *api.Task) { task.Driver = "docker" }, nil, func(m *api.AllocationMetric) bool { return m.ConstraintFiltered["missing drivers"] == 2 }},
		"network": {1, func(tg *api.TaskGroup, _ *api.Task) { tg.Networks = []*api.NetworkResource{{Mode: "bridge"}} }, nil, func(m *api.AllocationMetric) bool { return m.ConstraintFiltered["missing network"] == 2 }},
		"volume": {1, func(tg *api.TaskGroup, _ *api.Task) {
			tg.Volumes = map[string]*api.VolumeRequest{"v": {Name: "v", Type: "host", Source: "s"}}
		}, nil, func(m *api.AllocationMetric) bool {
			return m.ConstraintFiltered["missing compatible host volumes"] == 2
		}},
		"constraint": {1, nil, func(j *api.Job) {
			j.Constraints = []*api.Constraint{api.NewConstraint("${attr.kernel.name}", "=", "plan9")}
		}, func(m *api.AllocationMetric) bool {
			return m.ConstraintFiltered["${attr.kernel.name} = plan9"] == 2
		}},
		"unique": {1, nil, func(j *api.Job) {
			j.Constraints = []*api.Constraint{api.NewConstraint("${node.unique.name}", "=", "x")}
		}, func(m *api.AllocationMetric) bool {
			return m.ConstraintFiltered["${node.unique.name} = x"] == 2
		}},
		"datacenter": {1, nil, func(j *api.Job) { j.Datacenters = []string{"mars"} }, func(m *api.AllocationMetric) bool { return m.NodesEvaluated == 0 && len(m.NodesAvailable) == 0 }},
		"hosts": {5, nil, func(j *api.Job) { j.Constraints = []*api.Constraint{{Operand: "distinct_hosts"}} }, func(m *api.AllocationMetric) bool {
			return m.ConstraintFiltered["distinct_hosts"] == 2 && m.CoalescedFailures == 2
		}},
	} {
		job := sleeper(name, c.count, c.change)
		if c.job != nil {
			c.job(job)
		}
		a.register(job)
		if m := a.failedAlloc(name); !c.check(m) {
			t.Errorf("%s: %+v", name, m)
		}
		if got, _, err := a.client.Jobs().Info(name, nil); err != nil || state.Deref(got.Status) == state.Dead {
			t.Errorf("%s: job is %v, %v", name, state.Deref(got.Status), err)
		}
	}
}

func TestPortsAreFreeAndNeverGivenOutTwice(t *testing.T) {
	t.Parallel()
	a := startAgent(t, func(o *Options) { o.Nodes = 2 })
	a.register(sleeper("dynamic", 8, func(tg *api.TaskGroup, _ *api.Task) {
		tg.Networks = []*api.NetworkResource{{DynamicPorts: []api.Port{{Label: "a"}, {Label: "b"}}}}
	}))
	seen := map[int]bool{}
	for _, stub := range a.waitAllocs("dynamic", api.AllocClientStatusRunning, 8) {
		full := a.alloc(stub.ID)
		for _, p := range full.AllocatedResources.Shared.Ports {
			if seen[p.Value] || p.Value < sched.MinDynamicPort || p.Value > sched.MaxDynamicPort || p.HostIP != state.Loopback {
				t.Errorf("port %+v", p)
			}
			seen[p.Value] = true
		}
	}
	if len(seen) != 16 {
		t.Errorf("ports given out: %v", seen)
	}
	l, err := net.Listen("tcp4", net.JoinHostPort(state.Loopback, "0"))
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := net.SplitHostPort(l.Addr().String())
	port, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	static := func(tg *api.TaskGroup, _ *api.Task) {
		tg.Networks = []*api.NetworkResource{{ReservedPorts: []api.Port{{Label: "x", Value: port}}}}
	}
	a.register(sleeper("static", 1, static))
	want := "network: reserved port collision x=" + text
	if m := a.failedAlloc("static"); m.DimensionExhausted[want] != 2 {
		t.Errorf("with the port in use: %+v", m.DimensionExhausted)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	until(t, "the port is free to be given out", func() bool { // a connection of another process may have it for a moment
		a.register(sleeper("static", 1, static))
		return len(a.allocs("static")) > 0
	})
	a.waitAllocs("static", api.AllocClientStatusRunning, 1)
	a.register(sleeper("static2", 1, static))
	if m := a.failedAlloc("static2"); m.DimensionExhausted[want] != 2 {
		t.Errorf("with the port given out: %+v", m.DimensionExhausted)
	}
}

func TestAllocationsOfOneJobAreSpreadUnlessNodesAreFull(t *testing.T) {
	t.Parallel()
	a := startAgent(t, func(o *Options) { o.Nodes = 3 })
	a.register(sleeper("spread", 3, nil))
	nodes := map[string]int{}
	for _, al := range a.waitAllocs("spread", api.AllocClientStatusRunning, 3) {
		nodes[al.NodeName]++
	}
	if len(nodes) != 3 {
		t.Errorf("allocations by node: %v", nodes)
	}
}

func TestANewVersionOfAJobReplacesWhatRuns(t *testing.T) {
	t.Parallel()
	a := startAgent(t, nil)
	first := a.register(sleeper("v", 2, nil)).JobModifyIndex
	a.waitAllocs("v", api.AllocClientStatusRunning, 2)
	if again := a.register(sleeper("v", 2, nil)).JobModifyIndex; again != first {
		t.Error("registering the same job again made a new version")
	}
	a.register(sleeper("v", 1, nil))
	until(t, "one of the new version alone", func() bool {
		var running []*api.AllocationListStub
		for _, al := range a.allocs("v") {
			if al.ClientStatus == api.AllocClientStatusRunning {
				running = append(running, al)
			}
		}
		return len(running) == 1 && running[0].JobVersion == 1
	})
}

func TestAFailedNodeLosesItsAllocations(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		disconnect *api.DisconnectStrategy
		status     string
		replaced   bool
	}{
		"without-disconnect": {nil, api.AllocClientStatusLost, true},
		"kept":               {&api.DisconnectStrategy{Replace: new(false)}, api.AllocClientStatusUnknown, false},
		"kept-for-a-while":   {&api.DisconnectStrategy{Replace: new(false), LostAfter: new(2 * time.Second)}, api.AllocClientStatusLost, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := startAgent(t, func(o *Options) { o.Nodes = 2 })
			a.register(sleeper(name, 2, func(tg *api.TaskGroup, _ *api.Task) { tg.Disconnect = c.disconnect }))
			victim := a.waitAllocs(name, api.AllocClientStatusRunning, 2)[0]
			if err := a.s.FailNode(victim.NodeName); err != nil {
				t.Fatal(err)
			}
			until(t, "the allocation to be "+c.status, func() bool {
				al := a.alloc(victim.ID)
				return al.ClientStatus == c.status && (al.NextAllocation != "") == c.replaced
			})
			if c.replaced {
				a.waitAllocs(name, api.AllocClientStatusRunning, 2)
			}
			if body, code := a.get("/v1/client/fs/logs/" + victim.ID + "?task=main&type=stdout"); code != 404 || body != "No path to node" {
				t.Errorf("logs on a failed node: %d %s", code, body)
			}
			if err := a.s.RestoreNode(victim.NodeID); err != nil {
				t.Fatal(err)
			}
			if al := a.alloc(victim.ID); al.ClientStatus != api.AllocClientStatusLost {
				t.Errorf("after its node came back it is %s", al.ClientStatus)
			}
			a.register(sleeper("after", 4, nil))
			a.waitAllocs("after", api.AllocClientStatusRunning, 4)
		})
	}
}
