package localnomad

import (
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"
)

// failedAlloc waits for the blocked evaluation of a job and returns why its
// group could not be placed.
func (a *testAgent) failedAlloc(jobID string) *api.AllocationMetric {
	a.t.Helper()
	var m *api.AllocationMetric
	until(a.t, "a blocked evaluation of "+jobID, func() bool {
		evals, _, err := a.client.Jobs().Evaluations(jobID, nil)
		if err != nil {
			a.t.Fatal(err)
		}
		for _, e := range evals {
			if e.Status == evalBlocked {
				m = e.FailedTGAllocs["workers"]
			}
		}
		return m != nil
	})
	return m
}

func sleeper(id string, count int, change func(*api.TaskGroup, *api.Task)) *api.Job {
	job := shellJob(id, "exec sleep 600", count)
	if change != nil {
		change(job.TaskGroups[0], job.TaskGroups[0].Tasks[0])
	}
	return job
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
			return m.NodesFiltered == 2 && m.ConstraintFiltered["missing devices"] == 1 && m.ConstraintFiltered["computed class ineligible"] == 1
		}},
		"too-many-devices": {1, device("sim/gpu", 3), nil, func(m *api.AllocationMetric) bool { return m.ConstraintFiltered["missing devices"] == 1 }},
		"memory": {3, func(_ *api.TaskGroup, task *api.Task) { task.Resources.MemoryMB = new(99999) }, nil, func(m *api.AllocationMetric) bool {
			return m.NodesExhausted == 2 && m.DimensionExhausted["memory"] == 2 && m.CoalescedFailures == 2 && *m.ResourcesExhausted["main"].MemoryMB == 3*99999
		}},
		"cpu": {1, func(_ *api.TaskGroup, task *api.Task) { task.Resources.CPU = new(99999) }, nil, func(m *api.AllocationMetric) bool {
			return m.DimensionExhausted["cpu"] == 2 && m.NodesAvailable["dc1"] == 2 && m.NodesEvaluated == 2
		}},
		"cores": {1, func(_ *api.TaskGroup, task *api.Task) { task.Resources.Cores = new(99999) }, nil, func(m *api.AllocationMetric) bool {
			return m.DimensionExhausted["cores"] == 2
		}},
		"driver":  {1, func(_ *api.TaskGroup, task *api.Task) { task.Driver = "docker" }, nil, func(m *api.AllocationMetric) bool { return m.ConstraintFiltered["missing drivers"] == 1 }},
		"network": {1, func(tg *api.TaskGroup, _ *api.Task) { tg.Networks = []*api.NetworkResource{{Mode: "bridge"}} }, nil, func(m *api.AllocationMetric) bool { return m.ConstraintFiltered["missing network"] == 1 }},
		"volume": {1, func(tg *api.TaskGroup, _ *api.Task) {
			tg.Volumes = map[string]*api.VolumeRequest{"v": {Name: "v", Type: "host", Source: "s"}}
		}, nil, func(m *api.AllocationMetric) bool {
			return m.ConstraintFiltered["missing compatible host volumes"] == 1
		}},
		"constraint": {1, nil, func(j *api.Job) {
			j.Constraints = []*api.Constraint{api.NewConstraint("${attr.kernel.name}", "=", "plan9")}
		}, func(m *api.AllocationMetric) bool {
			return m.ConstraintFiltered["${attr.kernel.name} = plan9"] == 1
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
		"property": {3, nil, func(j *api.Job) {
			j.Constraints = []*api.Constraint{{LTarget: "${node.datacenter}", Operand: "distinct_property", RTarget: "2"}}
		}, func(m *api.AllocationMetric) bool {
			return m.ConstraintFiltered["distinct_property: ${node.datacenter}=dc1 used by 2 allocs"] == 2
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
		if got, _, err := a.client.Jobs().Info(name, nil); err != nil || deref(got.Status) == statusDead {
			t.Errorf("%s: job is %v, %v", name, deref(got.Status), err)
		}
	}
}

func TestABlockedJobRunsWhenCapacityComesFree(t *testing.T) {
	t.Parallel()
	a := startAgent(t, func(o *Options) { o.Nodes, o.GPUsPerNode = 2, 2 })
	gpus := func(n uint64) func(*api.TaskGroup, *api.Task) {
		return func(_ *api.TaskGroup, task *api.Task) {
			task.Resources.Devices = []*api.RequestedDevice{{Name: "sim/gpu/SimGPU-24", Count: &n, Constraints: []*api.Constraint{
				api.NewConstraint("${device.attr.memory}", ">=", "24 GiB"), api.NewConstraint("${device.attr.simulated}", "=", "true"),
			}}}
		}
	}
	a.register(sleeper("first", 2, gpus(2)))
	seen := map[string]bool{}
	for _, stub := range a.waitAllocs("first", clientRunning, 2) {
		full, _, err := a.client.Allocations().Info(stub.ID, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, id := range full.AllocatedResources.Tasks["main"].Devices[0].DeviceIDs {
			if seen[id] {
				t.Errorf("device %s was given out twice", id)
			}
			seen[id] = true
		}
	}
	if len(seen) != 4 {
		t.Errorf("devices given out: %v", seen)
	}
	a.register(sleeper("second", 1, gpus(1)))
	if m := a.failedAlloc("second"); m.DimensionExhausted["devices: no devices match request"] != 2 {
		t.Errorf("second waits because of %+v", m)
	}
	if _, _, err := a.client.Jobs().Deregister("first", false, nil); err != nil {
		t.Fatal(err)
	}
	a.waitAllocs("second", clientRunning, 1)
	evals, _, err := a.client.Jobs().Evaluations("second", nil)
	if err != nil || len(evals) == 0 {
		t.Fatal(evals, err)
	}
	for _, e := range evals {
		if e.Status != evalComplete {
			t.Errorf("evaluation %s of second is %s", e.TriggeredBy, e.Status)
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
	for _, stub := range a.waitAllocs("dynamic", clientRunning, 8) {
		full, _, err := a.client.Allocations().Info(stub.ID, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range full.AllocatedResources.Shared.Ports {
			if seen[p.Value] || p.Value < minDynamicPort || p.Value > maxDynamicPort || p.HostIP != loopback {
				t.Errorf("port %+v", p)
			}
			seen[p.Value] = true
		}
	}
	if len(seen) != 16 {
		t.Errorf("ports given out: %v", seen)
	}
	l, err := net.Listen("tcp4", net.JoinHostPort(loopback, "0"))
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
	if _, _, err := a.client.Jobs().ForceEvaluate("static", nil); err != nil {
		t.Fatal(err)
	}
	a.waitAllocs("static", clientRunning, 1)
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
	for _, al := range a.waitAllocs("spread", clientRunning, 3) {
		nodes[al.NodeName]++
	}
	if len(nodes) != 3 {
		t.Errorf("allocations by node: %v", nodes)
	}
}

func TestAFailedAllocationIsRescheduledAsItsPolicySays(t *testing.T) {
	t.Parallel()
	a := startAgent(t, nil)
	job := shellJob("again", "exit 1", 1)
	job.TaskGroups[0].ReschedulePolicy = &api.ReschedulePolicy{
		Attempts: new(1), Interval: new(time.Hour), Delay: new(5 * time.Second), DelayFunction: new("constant"), Unlimited: new(false),
	}
	a.register(job)
	until(t, "a follow-up evaluation", func() bool {
		evals, _, err := a.client.Jobs().Evaluations("again", nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range evals {
			if e.TriggeredBy == triggerReschedule && !e.WaitUntil.IsZero() {
				return true
			}
		}
		return false
	})
	allocs := a.waitAllocs("again", clientFailed, 2)
	byTime := map[bool]*api.AllocationListStub{}
	for _, al := range allocs {
		byTime[al.RescheduleTracker != nil] = al
	}
	first, second := byTime[false], byTime[true]
	if first == nil || second == nil || first.NextAllocation != second.ID || first.DesiredStatus != desiredStop || second.Name != first.Name {
		t.Errorf("first %+v\nsecond %+v", first, second)
	}
	until(t, "the job to be dead after its only attempt", func() bool {
		got, _, err := a.client.Jobs().Info("again", nil)
		if err != nil {
			t.Fatal(err)
		}
		return *got.Status == statusDead
	})
	if n := len(a.allocs("again")); n != 2 {
		t.Errorf("%d allocations, want 2", n)
	}
}

func TestRescheduleDelaysGrowAsTheirFunctionSays(t *testing.T) {
	t.Parallel()
	for fn, want := range map[string][]int{"constant": {5, 5, 5, 5}, "exponential": {5, 10, 20, 30}, "fibonacci": {5, 10, 15, 25}} {
		policy := &api.ReschedulePolicy{Delay: new(5 * time.Second), MaxDelay: new(30 * time.Second), DelayFunction: &fn}
		for tries, seconds := range want {
			if got := rescheduleDelay(policy, tries); got != time.Duration(seconds)*time.Second {
				t.Errorf("%s after %d tries: %v, want %d s", fn, tries, got, seconds)
			}
		}
	}
}

func TestANewVersionOfAJobReplacesWhatChanged(t *testing.T) {
	t.Parallel()
	a := startAgent(t, nil)
	a.register(sleeper("v", 2, nil))
	first := a.waitAllocs("v", clientRunning, 2)
	if resp := a.register(sleeper("v", 2, nil)); resp.JobModifyIndex != jobIndex(t, a, "v") {
		t.Error("registering the same job again made a new version")
	}
	a.register(sleeper("v", 1, nil)) // fewer, otherwise the same
	kept := a.waitAllocs("v", clientRunning, 1)
	if kept[0].ID != first[0].ID && kept[0].ID != first[1].ID {
		t.Error("a new count restarted what was running")
	}
	a.register(sleeper("v", 1, func(_ *api.TaskGroup, task *api.Task) { task.Env = map[string]string{"X": "1"} }))
	until(t, "the old allocation to be replaced", func() bool {
		for _, al := range a.allocs("v") {
			if al.ClientStatus == clientRunning && al.ID != kept[0].ID && al.JobVersion == 2 {
				return true
			}
		}
		return false
	})
}

func jobIndex(t *testing.T, a *testAgent, id string) uint64 {
	t.Helper()
	job, _, err := a.client.Jobs().Info(id, nil)
	if err != nil {
		t.Fatal(err)
	}
	return *job.JobModifyIndex
}

func TestAStoppedAllocationOfABatchJobIsReplaced(t *testing.T) {
	t.Parallel()
	a := startAgent(t, nil)
	a.register(sleeper("stopme", 1, nil))
	old := a.waitAllocs("stopme", clientRunning, 1)[0]
	if body, code := a.do("PUT", "/v1/allocation/"+old.ID+"/stop", ""); code != 200 || !strings.Contains(body, "EvalID") {
		t.Fatalf("%d %s", code, body)
	}
	until(t, "a replacement", func() bool {
		var stopped, running bool
		for _, al := range a.allocs("stopme") {
			stopped = stopped || al.ID == old.ID && al.ClientStatus == clientComplete && al.DesiredDescription == descMigrating && al.NextAllocation != ""
			running = running || al.ID != old.ID && al.ClientStatus == clientRunning && al.Name == old.Name
		}
		return stopped && running
	})
}

func TestAFailedNodeLosesItsAllocations(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		disconnect *api.DisconnectStrategy
		status     string
		replaced   bool
	}{
		"without-disconnect": {nil, clientLost, true},
		"kept":               {&api.DisconnectStrategy{Replace: new(false)}, clientUnknown, false},
		"kept-for-a-while":   {&api.DisconnectStrategy{Replace: new(false), LostAfter: new(2 * time.Second)}, clientLost, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := startAgent(t, func(o *Options) { o.Nodes = 2 })
			a.register(sleeper(name, 2, func(tg *api.TaskGroup, _ *api.Task) { tg.Disconnect = c.disconnect }))
			victim := a.waitAllocs(name, clientRunning, 2)[0]
			if err := a.s.FailNode(victim.NodeName); err != nil {
				t.Fatal(err)
			}
			until(t, "the allocation to be "+c.status, func() bool {
				al, _, err := a.client.Allocations().Info(victim.ID, nil)
				if err != nil {
					t.Fatal(err)
				}
				return al.ClientStatus == c.status && (al.NextAllocation != "") == c.replaced
			})
			if c.replaced {
				a.waitAllocs(name, clientRunning, 2)
			}
			if body, code := a.get("/v1/client/fs/logs/" + victim.ID + "?task=main&type=stdout"); code != 404 || body != "No path to node" {
				t.Errorf("logs on a failed node: %d %s", code, body)
			}
			if err := a.s.RestoreNode(victim.NodeID); err != nil {
				t.Fatal(err)
			}
			al, _, err := a.client.Allocations().Info(victim.ID, nil)
			if err != nil || al.ClientStatus != clientLost {
				t.Errorf("after its node came back it is %s, %v", al.ClientStatus, err)
			}
			a.register(sleeper("after", 4, nil))
			a.waitAllocs("after", clientRunning, 4)
		})
	}
}
