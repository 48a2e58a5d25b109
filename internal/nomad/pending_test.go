package nomad

import (
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"
)

// gpuNode is a ready node with n A100s of 80 GiB.
func gpuNode(id string, n int) *api.NodeListStub {
	node := &api.NodeListStub{
		ID: id, Datacenter: "dc1", NodePool: "default", Status: "ready", SchedulingEligibility: "eligible",
		Drivers: map[string]*api.DriverInfo{"docker": {Detected: true, Healthy: true}},
		NodeResources: &api.NodeResources{
			Cpu: api.NodeCpuResources{CpuShares: 10000}, Memory: api.NodeMemoryResources{MemoryMB: 10000},
		},
	}
	if n > 0 {
		mem := int64(80)
		group := &api.NodeDeviceResource{Vendor: "nvidia", Type: "gpu", Name: "A100", Attributes: map[string]*api.Attribute{"memory": {IntVal: &mem, Unit: "GiB"}}}
		for i := range n {
			group.Instances = append(group.Instances, &api.NodeDevice{ID: string(rune('a' + i)), Healthy: true})
		}
		node.NodeResources.Devices = []*api.NodeDeviceResource{group}
	}
	return node
}

// taken is an allocation of another job.
func taken(node string, memory int64, gpus ...string) *api.AllocationListStub {
	return &api.AllocationListStub{JobID: "other", NodeID: node, AllocatedResources: &api.AllocatedResources{
		Tasks: map[string]*api.AllocatedTaskResources{"t": {Memory: api.AllocatedMemoryResources{MemoryMB: memory},
			Devices: []*api.AllocatedDeviceResource{{Vendor: "nvidia", Type: "gpu", Name: "A100", DeviceIDs: gpus}}}},
	}}
}

func TestTheReasonForWaitingSaysWhatWouldUnblockIt(t *testing.T) {
	t.Parallel()
	ask := func(workers, gpus int, device string, constraints ...*api.Constraint) demand {
		d := demand{workers: workers, cpu: 1000, memory: 1000, gpus: gpus, driver: "docker", datacenters: []string{"*"}, pool: "default"}
		if gpus > 0 {
			d.device = &api.RequestedDevice{Name: device, Constraints: constraints}
		}
		return d
	}
	edit := func(n *api.NodeListStub, f func(*api.NodeListStub)) *api.NodeListStub {
		f(n)
		return n
	}
	big := ask(3, 0, "")
	big.memory = 6000
	elsewhere := ask(1, 0, "")
	elsewhere.datacenters, elsewhere.pool = []string{"dc2", "dc3"}, "gpu"
	for _, c := range []struct {
		name   string
		demand demand
		metric api.AllocationMetric
		nodes  []*api.NodeListStub
		allocs []*api.AllocationListStub
		want   string
	}{
		{"too few GPUs in the cluster", ask(3, 2, "nvidia/gpu/A100"), api.AllocationMetric{}, []*api.NodeListStub{gpuNode("1", 2), gpuNode("2", 3), gpuNode("3", 0)}, nil,
			"needs 3 nodes with 2 x nvidia/gpu/A100, the cluster has room for 2: add nodes with that GPU, or ask for less"},
		{"GPUs held by others", ask(3, 2, "nvidia/gpu"), api.AllocationMetric{}, []*api.NodeListStub{gpuNode("1", 4), gpuNode("2", 4)},
			[]*api.AllocationListStub{taken("1", 10, "a"), taken("2", 10, "b", "c", "d")},
			"needs 3 nodes with 2 x nvidia/gpu; 1 of 4 places are free now: it starts when other work ends"},
		{"a model by its bare name", ask(1, 1, "gpu", &api.Constraint{LTarget: "${device.model}", RTarget: "H100"}), api.AllocationMetric{}, []*api.NodeListStub{gpuNode("1", 4)}, nil,
			"needs 1 node with 1 x H100, the cluster has room for 0: add nodes with that GPU, or ask for less"},
		{"GPUs with too little memory", ask(1, 1, "gpu", &api.Constraint{LTarget: "${device.attr.memory}", Operand: ">=", RTarget: "90000 MiB"}), api.AllocationMetric{}, []*api.NodeListStub{gpuNode("1", 4)}, nil,
			"needs 1 node with 1 x any GPU (at least 90000 MiB), the cluster has room for 0: add nodes with that GPU, or ask for less"},
		{"too little memory", big, api.AllocationMetric{}, []*api.NodeListStub{gpuNode("1", 0), gpuNode("2", 0)}, nil,
			"needs 3 nodes with 6000 MiB of memory, the cluster has room for 2: add nodes with that memory, or ask for less"},
		{"memory in use", ask(2, 0, ""), api.AllocationMetric{}, []*api.NodeListStub{gpuNode("1", 0)}, []*api.AllocationListStub{taken("1", 8500)},
			"needs 2 nodes with 1000 MiB of memory; 1 of 10 places are free now: it starts when other work ends"},
		{"memory here and GPUs there", ask(2, 2, "gpu"), api.AllocationMetric{}, []*api.NodeListStub{gpuNode("1", 4), gpuNode("2", 0)}, []*api.AllocationListStub{taken("1", 9500)},
			"needs 2 nodes with 2 x any GPU, 1000 MiB of memory and 1000 MHz of CPU at once; 0 of 2 places are free now: it starts when other work ends"},
		{"reserved memory", edit2(ask(1, 0, ""), 9500), api.AllocationMetric{}, []*api.NodeListStub{edit(gpuNode("1", 0), func(n *api.NodeListStub) {
			n.ReservedResources = &api.NodeReservedResources{Memory: api.NodeReservedMemoryResources{MemoryMB: 1000}}
		})}, nil, "needs 1 node with 9500 MiB of memory, the cluster has room for 0: add nodes with that memory, or ask for less"},
		{"no driver", ask(1, 0, ""), api.AllocationMetric{ConstraintFiltered: map[string]int{"missing drivers": 2}}, []*api.NodeListStub{
			edit(gpuNode("1", 0), func(n *api.NodeListStub) { n.Drivers["docker"].Healthy = false }), edit(gpuNode("2", 0), func(n *api.NodeListStub) { n.Drivers = nil })}, nil,
			"the driver docker works on none of the 2 nodes: install or start it there, or choose another driver"},
		{"another datacenter and pool", elsewhere, api.AllocationMetric{}, []*api.NodeListStub{gpuNode("1", 0)}, nil,
			"no node is in datacenter dc2 or dc3 and node pool gpu; there are nodes in dc1 (pool default): change the settings or add nodes"},
		{"no node at all", ask(1, 0, ""), api.AllocationMetric{}, nil, nil, "the cluster has no nodes: start a Nomad client"},
		{"no node is ready", ask(1, 0, ""), api.AllocationMetric{}, []*api.NodeListStub{
			edit(gpuNode("1", 0), func(n *api.NodeListStub) { n.Status = "down" }), edit(gpuNode("2", 0), func(n *api.NodeListStub) { n.SchedulingEligibility = "ineligible" })}, nil,
			"none of the 2 nodes is ready and takes new work: start them, or make them eligible"},
		{"a constraint of the job file", ask(1, 0, ""), api.AllocationMetric{
			ConstraintFiltered: map[string]int{"${meta.rack} = 7": 1}, DimensionExhausted: map[string]int{"network: no ports": 1}}, []*api.NodeListStub{gpuNode("1", 0)}, nil,
			"needs 1 node and Nomad says: ${meta.rack} = 7 on 1 node, network: no ports exhausted on 1 node; change that on the nodes or in the job file"},
		{"no Vault on any node", ask(1, 0, ""), api.AllocationMetric{ConstraintFiltered: map[string]int{"${attr.vault.version} semver >= 0.6.1": 2}}, []*api.NodeListStub{gpuNode("1", 0), gpuNode("2", 0)}, nil,
			"secrets of the run are in Vault, and none of the 2 nodes reaches it through Nomad: configure the vault block of the nodes, and of Nomad's servers"},
		{"no Vault on some nodes", ask(20, 0, ""), api.AllocationMetric{ConstraintFiltered: map[string]int{"${attr.vault.version} semver >= 0.6.1": 1}}, []*api.NodeListStub{gpuNode("1", 0), gpuNode("2", 0)}, nil,
			"needs 20 nodes and Nomad says: ${attr.vault.version} semver >= 0.6.1 on 1 node; change that on the nodes or in the job file"},
		{"just freed", ask(1, 0, ""), api.AllocationMetric{}, []*api.NodeListStub{gpuNode("1", 0)}, nil,
			"needs 1 node; resources were just freed, and Nomad tries again by itself"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if got := why(c.demand, &c.metric, c.nodes, usage(c.allocs, "mine")); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func edit2(d demand, memory int64) demand {
	d.memory = memory
	return d
}

func TestOwnAllocationsAreNotInTheWay(t *testing.T) {
	t.Parallel()
	own := taken("1", 5000, "a")
	own.JobID = "mine"
	if u := usage([]*api.AllocationListStub{own, {JobID: "other"}}, "mine"); len(u) != 0 {
		t.Errorf("usage is %+v", u)
	}
}

func TestTheNewestEvaluationDecidesWhetherSomethingWaits(t *testing.T) {
	t.Parallel()
	failed := map[string]*api.AllocationMetric{"workers": {NodesEvaluated: 1}}
	for _, c := range []struct {
		name    string
		evals   []*api.Evaluation
		failure bool
		waiting bool
	}{
		{"none", nil, false, false},
		{"not yet processed", []*api.Evaluation{{Status: "pending", ModifyIndex: 1}}, false, true},
		{"all placed", []*api.Evaluation{{Status: "complete", ModifyIndex: 1}}, false, false},
		{"blocked", []*api.Evaluation{{Status: "complete", ModifyIndex: 3, FailedTGAllocs: failed}, {Status: "blocked", ModifyIndex: 2, FailedTGAllocs: failed}}, true, true},
		{"placed after it was blocked", []*api.Evaluation{{Status: "complete", ModifyIndex: 3, FailedTGAllocs: failed}, {Status: "complete", ModifyIndex: 5}}, false, false},
		{"a reminder of a node that is away", []*api.Evaluation{{Status: "complete", ModifyIndex: 1}, {Status: "pending", ModifyIndex: 7, WaitUntil: time.Now().Add(time.Hour)}}, false, false},
		{"cancelled", []*api.Evaluation{{Status: "canceled", ModifyIndex: 5, FailedTGAllocs: failed}}, false, false},
	} {
		metric, waiting := newestFailure(c.evals, groupName)
		if (metric != nil) != c.failure || waiting != c.waiting {
			t.Errorf("%s: %+v, %v", c.name, metric, waiting)
		}
	}
}
