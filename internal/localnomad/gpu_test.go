package localnomad

import (
	"strings"
	"testing"

	"github.com/hashicorp/nomad/api"

	"github.com/cotrain/cotrain/internal/localnomad/gpu/gputest"
)

// devices are the vendors of each node's GPUs, by the node's name, and whether it says that they are simulated.
func (a *testAgent) devices() map[string]string {
	a.t.Helper()
	nodes, _, err := a.client.Nodes().List(&api.QueryOptions{Params: map[string]string{"resources": "true"}})
	if err != nil {
		a.t.Fatal(err)
	}
	out := map[string]string{}
	for _, n := range nodes {
		for _, d := range n.NodeResources.Devices {
			for _, inst := range d.Instances {
				out[n.Name] += d.ID() + " " + inst.ID + " "
			}
		}
		if a.s.store.Node(n.ID).Meta[simulatedAttr] == "true" {
			out[n.Name] += "simulated"
		}
	}
	return out
}

func TestTheMachinesGPUsAreSharedByTheNodesAndGivenToTasks(t *testing.T) {
	gputest.Install(t, gputest.Two)
	a := startAgent(t, func(o *Options) { o.Nodes, o.SimulatedGPUs = 2, nil })
	if got := a.devices(); got["local-1"] != "nvidia/gpu/NVIDIA A100-SXM4-80GB GPU-aaaa " || got["local-2"] != "nvidia/gpu/NVIDIA A100-SXM4-80GB GPU-bbbb " {
		t.Errorf("nodes have %q", got)
	}
	job := shellJob("train", "echo $CUDA_VISIBLE_DEVICES; exec sleep 600", 2)
	job.TaskGroups[0].Tasks[0].Resources.Devices = []*api.RequestedDevice{{Name: "nvidia/gpu", Count: new(uint64(1)), Constraints: []*api.Constraint{
		api.NewConstraint("${device.attr.memory}", ">=", "80 GiB"),
	}}}
	a.register(job)
	seen := map[string]bool{}
	for _, al := range a.waitAllocs("train", api.AllocClientStatusRunning, 2) {
		id := a.alloc(al.ID).AllocatedResources.Tasks["main"].Devices[0].DeviceIDs[0]
		seen[id] = true
		until(t, "the task to see "+id, func() bool { return a.logs(al.ID, "main", "stdout") == id+"\n" })
		body, code := a.get("/v1/client/stats?node_id=" + al.NodeID)
		if code != 200 || !strings.Contains(body, `"InstanceStats":{"`+id+`"`) || !strings.Contains(body, `"GPU utilization"`) {
			t.Errorf("statistics: %d %s", code, body)
		}
	}
	if len(seen) != 2 {
		t.Errorf("given out: %v", seen)
	}
	a.register(sleeper("third", 1, func(_ *api.TaskGroup, task *api.Task) {
		task.Resources.Devices = []*api.RequestedDevice{{Name: "gpu", Count: new(uint64(1))}}
	}))
	if m := a.failedAlloc("third"); m.DimensionExhausted["devices: no devices match request"] != 2 {
		t.Errorf("a third waits because of %+v", m)
	}
}

func TestSimulatedGPUsAreLabelledAndOnlyWhereThereAreNoOthersOrTheyAreAskedFor(t *testing.T) {
	const simulated = "sim/gpu/SimGPU-24 SIM-local-1-0 sim/gpu/SimGPU-24 SIM-local-1-1 simulated"
	for name, c := range map[string]struct {
		script    string
		simulated *int
		want      string
	}{
		"no nvidia-smi":            {"", nil, simulated},
		"an nvidia-smi that fails": {"exit 9", nil, simulated},
		"asked for":                {gputest.Two, new(2), simulated},
		"none":                     {gputest.Two, new(0), ""},
	} {
		t.Run(name, func(t *testing.T) {
			gputest.Install(t, c.script)
			a := startAgent(t, func(o *Options) { o.Nodes, o.SimulatedGPUs = 1, c.simulated })
			if got := a.devices()["local-1"]; got != c.want {
				t.Errorf("the node has %q, want %q", got, c.want)
			}
		})
	}
}
