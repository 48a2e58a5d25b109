package gpu_test

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/nomad/api"

	"github.com/cotrain/cotrain/internal/localnomad/gpu"
	"github.com/cotrain/cotrain/internal/localnomad/gpu/gputest"
)

func TestGPUsAreWhatNvidiaSmiSays(t *testing.T) {
	a100 := func(id, bus string) gpu.GPU {
		return gpu.GPU{ID: id, Model: "NVIDIA A100-SXM4-80GB", BusID: bus, Driver: "535.129.03", MemoryMiB: 81920}
	}
	slice := func(id, profile string, mib int) gpu.GPU {
		return gpu.GPU{ID: id, Model: "NVIDIA A100-SXM4-40GB MIG " + profile, BusID: "00000000:07:00.0", Driver: "535.1", MemoryMiB: mib}
	}
	for _, c := range []struct {
		name, script, visible string
		want                  []gpu.GPU
		err                   string
	}{
		{name: "no nvidia-smi"},
		{name: "two GPUs", script: gputest.Two, want: []gpu.GPU{a100("GPU-aaaa", "00000000:07:00.0"), a100("GPU-bbbb", "00000000:0F:00.0")}},
		{name: "only one of them is ours", script: gputest.Two, visible: "1", want: []gpu.GPU{a100("GPU-bbbb", "00000000:0F:00.0")}},
		{name: "by its ID", script: gputest.Two, visible: "GPU-aa", want: []gpu.GPU{a100("GPU-aaaa", "00000000:07:00.0")}},
		{
			name: "memory that is shared with the CPU", script: `echo "GPU-1, NVIDIA GB10, 0000000F:01:00.0, 580.95.05, [N/A], [N/A]"`,
			want: []gpu.GPU{{ID: "GPU-1", Model: "NVIDIA GB10", BusID: "0000000F:01:00.0", Driver: "580.95.05"}},
		},
		{name: "a lost GPU", script: `echo "[GPU is lost], NVIDIA A100, 00000000:07:00.0, 535.1, [GPU is lost], [GPU is lost]"`},
		{
			name: "MIG", script: `case $1 in
-L)	echo "GPU 0: NVIDIA A100-SXM4-40GB (UUID: GPU-1)"
	echo "  MIG 3g.20gb     Device  0: (UUID: MIG-x)"
	echo "  MIG 1g.5gb      Device  1: (UUID: MIG-y)"
	echo "GPU 1: NVIDIA A100-SXM4-40GB (UUID: GPU-2)" ;;
*)	echo "GPU-1, NVIDIA A100-SXM4-40GB, 00000000:07:00.0, 535.1, 40960, Enabled"
	echo "GPU-2, NVIDIA A100-SXM4-40GB, 00000000:0F:00.0, 535.1, 40960, Enabled" ;;
esac`, want: []gpu.GPU{slice("MIG-x", "3g.20gb", 20480), slice("MIG-y", "1g.5gb", 5120)},
		},
		{name: "none", script: `echo "No devices were found"; exit 6`},
		{name: "no driver", script: `echo "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver."; exit 9`, err: "exit status 9: \"NVIDIA-SMI has failed because it couldn't"},
		{name: "an answer of another shape", script: `echo "GPU-1, NVIDIA A100"`, err: "not 6 fields"},
		{name: "a hang", script: "exec sleep 60", err: "did not answer within 200ms"},
		{name: "a hang of a child", script: "sleep 60 & wait", err: "did not answer within 200ms"},
	} {
		t.Run(c.name, func(t *testing.T) {
			gputest.Install(t, c.script)
			tool := gpu.Tool{Visible: c.visible}
			if strings.Contains(c.name, "hang") {
				tool.Timeout = 200 * time.Millisecond
			}
			got, err := tool.Detect(t.Context())
			if (err != nil) != (c.err != "") || err != nil && !strings.Contains(err.Error(), c.err) {
				t.Errorf("error is %v, want %q in it", err, c.err)
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestGPUsThatAreAlikeAreOneGroup(t *testing.T) {
	groups := gpu.Groups([]gpu.GPU{{ID: "a", Model: "X", MemoryMiB: 10, BusID: "b"}, {ID: "c", Model: "Y"}, {ID: "d", Model: "X", MemoryMiB: 10}})
	if len(groups) != 2 || groups[0].Name != "X" || len(groups[0].Instances) != 2 || *groups[0].Attributes["memory"].IntVal != 10 ||
		groups[0].Instances[0].Locality.PciBusID != "b" || groups[1].Attributes["memory"] != nil {
		t.Errorf("%+v", groups)
	}
}

func TestMeasurementsHaveTheNamesOfNomadsPlugin(t *testing.T) {
	calls := filepath.Join(t.TempDir(), "calls")
	gputest.Install(t, "echo >> "+calls+"\n"+gputest.Two)
	m := &gpu.Meter{Log: slog.New(slog.DiscardHandler)}
	n := &api.Node{NodeResources: &api.NodeResources{Devices: append(gpu.Groups([]gpu.GPU{{ID: "GPU-aaaa", Model: "A100"}, {ID: "GPU-bbbb", Model: "A100"}, {ID: "MIG-x", Model: "MIG"}}),
		gpu.Simulated("n", "S", 1, 1))}}
	var text []string
	for range 2 {
		text = nil
		for _, g := range m.Stats(t.Context(), n) {
			for _, id := range []string{"GPU-aaaa", "GPU-bbbb", "MIG-x"} {
				st := g.InstanceStats[id]
				if st == nil {
					continue
				}
				line := g.Vendor + "/" + g.Type + "/" + g.Name + " " + id
				for _, name := range []string{"GPU utilization", "Memory state", "Power usage", "Temperature"} {
					line += ", " + st.Stats.Attributes[name].String()
				}
				text = append(text, line)
			}
		}
	}
	want := []string{
		"nvidia/gpu/A100 GPU-aaaa, 87 %, 40960 / 81920 MiB, 312 W, 63 C", "nvidia/gpu/A100 GPU-bbbb, 0 %, 4 / 81920 MiB, N/A, 31 C",
		"nvidia/gpu/MIG MIG-x, N/A, N/A, N/A, N/A",
	}
	if d := cmp.Diff(want, text); d != "" {
		t.Error(d)
	}
	if n, err := os.ReadFile(calls); err != nil || len(n) != 1 {
		t.Errorf("nvidia-smi was called %d times, %v", len(n), err)
	}
}

func TestGPUsThatCannotBeMeasuredSaySo(t *testing.T) {
	gputest.Install(t, "exit 9")
	var said bytes.Buffer
	m := &gpu.Meter{Log: slog.New(slog.NewTextHandler(&said, nil))}
	n := &api.Node{NodeResources: &api.NodeResources{Devices: gpu.Groups([]gpu.GPU{{ID: "GPU-aaaa", Model: "A100"}})}}
	got := m.Stats(context.Background(), n)
	if len(got) != 1 || got[0].InstanceStats["GPU-aaaa"].Summary.String() != "N/A" || !strings.Contains(said.String(), "cannot be measured") {
		t.Errorf("%+v, said %q", got, said.String())
	}
}
