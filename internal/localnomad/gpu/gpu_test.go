package gpu_test

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
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
		{name: "no nvidia-smi", err: "no NVIDIA GPUs"},
		{name: "two GPUs", script: gputest.Two, want: []gpu.GPU{a100("GPU-aaaa", "00000000:07:00.0"), a100("GPU-bbbb", "00000000:0F:00.0")}},
		{name: "only one of them is ours", script: gputest.Two, visible: "1", want: []gpu.GPU{a100("GPU-bbbb", "00000000:0F:00.0")}},
		{name: "by its ID", script: gputest.Two, visible: "GPU-aa", want: []gpu.GPU{a100("GPU-aaaa", "00000000:07:00.0")}},
		{
			name: "memory that is shared with the CPU", script: `echo "GPU-1, NVIDIA GB10, 0000000F:01:00.0, 580.95.05, [N/A], [N/A]"`,
			want: []gpu.GPU{{ID: "GPU-1", Model: "NVIDIA GB10", BusID: "0000000F:01:00.0", Driver: "580.95.05"}},
		},
		{name: "a lost GPU", script: `echo "[GPU is lost], NVIDIA A100, 00000000:07:00.0, 535.1, [GPU is lost], [GPU is lost]"`, err: "no GPU that can be used"},
		{name: "all of them are others'", script: gputest.Two, visible: "-1", err: `CUDA_VISIBLE_DEVICES is "-1"`},
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
		{name: "none", script: `echo "No devices were found"`, err: "no NVIDIA GPUs"},
		{name: "none, by its code", script: "exit 6", err: "no NVIDIA GPUs"},
		{name: "no driver", script: `echo "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver."; exit 9`, err: "exit status 9: \"NVIDIA-SMI has failed because it couldn't"},
		{name: "a complaint on stderr", script: `echo "Failed to initialize NVML" >&2; exit 18`, err: "exit status 18: \"Failed to initialize NVML\""},
		{name: "a long complaint", script: `printf "%09999d"; exit 9`, err: "000…\""},
		{name: "an answer without end", script: "exec yes", err: "nvidia-smi: "},
		{name: "nothing", script: "exit 0", err: "says nothing"},
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

// node has two A100s, a MIG slice and a simulated GPU.
func node() *api.Node {
	groups := gpu.Groups([]gpu.GPU{{ID: "GPU-aaaa", Model: "A100"}, {ID: "GPU-bbbb", Model: "A100"}, {ID: "MIG-x", Model: "MIG"}})
	return &api.Node{NodeResources: &api.NodeResources{Devices: append(groups, gpu.Simulated("n", "S", 1, 1))}}
}

func TestMeasurementsHaveTheNamesOfNomadsPlugin(t *testing.T) {
	m := startMeter(t, "")
	var text []string
	for range 2 {
		text = nil
		for _, g := range m.Stats(t.Context(), node()) {
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
	if n := m.calls(); n != 1 {
		t.Errorf("nvidia-smi was called %d times", n)
	}
}

func TestAMeasurementIsThereForTheNextQuestionAndStandsWhileAnotherIsMade(t *testing.T) {
	m := startMeter(t, "while [ -e $DIR/slow ]; do sleep 0.01; done")
	m.touch("slow")
	gaveUp, cancel := context.WithCancel(t.Context())
	cancel()
	if got := m.utilization(gaveUp); got != "N/A" {
		t.Errorf("before there is a measurement: %s", got)
	}
	m.remove("slow")
	if got := m.utilization(t.Context()); got != "87 %" || m.calls() != 1 {
		t.Errorf("the next question: %s after %d calls", got, m.calls())
	}
	m.touch("slow")
	m.pass(3 * time.Second)
	for range 3 {
		if got := m.utilization(t.Context()); got != "87 %" { // would wait for ever
			t.Errorf("meanwhile: %s", got)
		}
	}
	m.until("the second call", func() bool { return m.calls() == 2 })
	m.pass(time.Minute)
	if got := m.utilization(gaveUp); got != "N/A" {
		t.Errorf("from a minute ago: %s", got)
	}
}

func TestAFailureKeepsTheLastMeasurementForAWhileAndIsLoggedOnce(t *testing.T) {
	m := startMeter(t, `if [ -e $DIR/broken ]; then echo "Unable to determine the device handle" >&2; exit 15; fi`)
	m.utilization(t.Context())
	m.touch("broken")
	for range 2 {
		before := m.calls()
		m.pass(3 * time.Second)
		m.until("another call that failed", func() bool {
			if got := m.utilization(t.Context()); got != "87 %" {
				t.Errorf("after a failure: %s", got)
			}
			return m.calls() > before && m.log.has("device handle")
		})
	}
	m.pass(30 * time.Second)
	if got := m.utilization(t.Context()); got != "N/A" {
		t.Errorf("long after: %s", got)
	}
	m.remove("broken")
	m.until("a measurement", func() bool { m.pass(3 * time.Second); return m.utilization(t.Context()) == "87 %" })
	if !m.log.has("measured again") || strings.Count(m.log.String(), "cannot be measured") != 1 {
		t.Errorf("said %s", m.log.String())
	}
}

// meter is a Meter whose clock stands still, of an nvidia-smi that runs a prelude in a folder of its own.
type meter struct {
	*gpu.Meter
	t   *testing.T
	dir string
	log journal

	mu  sync.Mutex
	now time.Time
}

func startMeter(t *testing.T, prelude string) *meter {
	t.Helper()
	m := &meter{t: t, dir: t.TempDir(), now: time.Now()}
	gputest.Install(t, "DIR="+m.dir+"\necho >> $DIR/calls\n"+prelude+"\n"+gputest.Two)
	m.Meter = gpu.NewMeter(gpu.Tool{}, func() time.Time { m.mu.Lock(); defer m.mu.Unlock(); return m.now }, slog.New(slog.NewTextHandler(&m.log, nil)))
	t.Cleanup(m.Close)
	return m
}

func (m *meter) pass(d time.Duration) { m.mu.Lock(); defer m.mu.Unlock(); m.now = m.now.Add(d) }

func (m *meter) utilization(ctx context.Context) string {
	return m.Stats(ctx, node())[0].InstanceStats["GPU-aaaa"].Stats.Attributes["GPU utilization"].String()
}

func (m *meter) calls() int {
	text, _ := os.ReadFile(filepath.Join(m.dir, "calls")) // none is no call
	return len(text)
}

func (m *meter) touch(name string) {
	m.t.Helper()
	if err := os.WriteFile(filepath.Join(m.dir, name), nil, 0o600); err != nil {
		m.t.Fatal(err)
	}
}

func (m *meter) remove(name string) {
	m.t.Helper()
	if err := os.Remove(filepath.Join(m.dir, name)); err != nil {
		m.t.Fatal(err)
	}
}

func (m *meter) until(what string, ok func() bool) {
	m.t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			m.t.Fatalf("waited in vain for %s; said %s", what, m.log.String())
		}
	}
}

// journal is a log that can be read while it is written.
type journal struct {
	mu   sync.Mutex
	text strings.Builder
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(p)
}
func (j *journal) String() string        { j.mu.Lock(); defer j.mu.Unlock(); return j.text.String() }
func (j *journal) has(words string) bool { return strings.Contains(j.String(), words) }
