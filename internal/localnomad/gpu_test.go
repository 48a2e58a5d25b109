package localnomad

import (
	"bytes"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/nomad/api"

	"github.com/cotrain/cotrain/internal/localnomad/state"
	"github.com/cotrain/cotrain/internal/nvidia/nvidiatest"
)

// nodes are the agent's nodes as they are stored, which can be read after its end, too.
func (a *testAgent) nodes() []*api.Node {
	var out []*api.Node
	a.s.store.View(func(t *state.Tables) { out = slices.Collect(maps.Values(t.Nodes)) })
	return out
}

// devices are the vendors of each node's GPUs, by the node's name, and whether it says that they are simulated.
func (a *testAgent) devices() map[string]string {
	a.t.Helper()
	out := map[string]string{}
	for _, n := range a.nodes() {
		for _, d := range n.NodeResources.Devices {
			for _, inst := range d.Instances {
				out[n.Name] += d.ID() + " " + inst.ID + " "
			}
		}
		if n.Meta[simulatedAttr] == "true" {
			out[n.Name] += "simulated"
		}
	}
	return out
}

func TestTheMachinesGPUsAreSharedByTheNodesAndGivenToTasks(t *testing.T) {
	nvidiatest.Install(t, nvidiatest.Two)
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

func TestWithoutANumberOfNodesOneHasAllOfTheMachinesGPUs(t *testing.T) {
	nvidiatest.Install(t, nvidiatest.Two)
	a := startAgent(t, func(o *Options) { o.SimulatedGPUs = nil })
	if got := a.devices(); len(a.nodes()) != 1 || strings.Count(got["local-1"], "GPU-") != 2 {
		t.Errorf("%d nodes have %q", len(a.nodes()), got)
	}
}

func TestSimulatedGPUsAreLabelledAndOnlyWhereThereAreNoOthersOrTheyAreAskedFor(t *testing.T) {
	const two = "sim/gpu/SimGPU-24 SIM-local-1-0 sim/gpu/SimGPU-24 SIM-local-1-1 simulated"
	for name, c := range map[string]struct {
		script    string
		simulated *int
		want      string
		said      []string
	}{
		"no nvidia-smi":                {"", nil, two, nil},
		"an nvidia-smi without GPUs":   {"echo No devices were found; exit 6", nil, two, nil},
		"an nvidia-smi that fails":     {"echo Driver/library version mismatch; exit 18", nil, "", []string{"level=WARN", "Driver/library version mismatch"}},
		"an nvidia-smi that is slow":   {"sleep 1; echo hm", nil, "", []string{"waiting for nvidia-smi", "limit=10s", "level=WARN", "hm"}},
		"asked for":                    {nvidiatest.Two, new(2), two, nil},
		"asked for where GPUs are bad": {"exit 9", new(2), two, nil},
		"none":                         {nvidiatest.Two, new(0), "", nil},
	} {
		t.Run(name, func(t *testing.T) {
			nvidiatest.Install(t, c.script)
			var log bytes.Buffer
			a := startAgent(t, func(o *Options) { o.SimulatedGPUs, o.Logger = c.simulated, slog.New(slog.NewTextHandler(&log, nil)) })
			a.stop()
			if got := a.devices()["local-1"]; got != c.want || len(a.nodes()) != DefaultNodes {
				t.Errorf("the node has %q, want %q; %d nodes", got, c.want, len(a.nodes()))
			}
			for _, want := range c.said {
				if !strings.Contains(log.String(), want) {
					t.Errorf("the log lacks %q:\n%s", want, log.String())
				}
			}
			if warned := strings.Count(log.String(), "level=WARN"); warned > 1 || c.said == nil && warned > 0 {
				t.Errorf("%d warnings:\n%s", warned, log.String())
			}
		})
	}
}
