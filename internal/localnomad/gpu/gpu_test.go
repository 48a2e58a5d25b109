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
	"github.com/cotrain/cotrain/internal/nvidia"
	"github.com/cotrain/cotrain/internal/nvidia/nvidiatest"
)

func TestGPUsThatAreAlikeAreOneGroup(t *testing.T) {
	groups := gpu.Groups([]nvidia.GPU{{ID: "a", Model: "X", MemoryMiB: 10, BusID: "b"}, {ID: "c", Model: "Y"}, {ID: "d", Model: "X", MemoryMiB: 10}})
	if len(groups) != 2 || groups[0].Name != "X" || len(groups[0].Instances) != 2 || *groups[0].Attributes["memory"].IntVal != 10 ||
		groups[0].Instances[0].Locality.PciBusID != "b" || groups[1].Attributes["memory"] != nil {
		t.Errorf("%+v", groups)
	}
}

// node has two A100s, a MIG slice and a simulated GPU.
func node() *api.Node {
	groups := gpu.Groups([]nvidia.GPU{{ID: "GPU-aaaa", Model: "A100"}, {ID: "GPU-bbbb", Model: "A100"}, {ID: "MIG-x", Model: "MIG"}})
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
	nvidiatest.Install(t, "DIR="+m.dir+"\necho >> $DIR/calls\n"+prelude+"\n"+nvidiatest.Two)
	m.Meter = gpu.NewMeter(nvidia.Tool{}, func() time.Time { m.mu.Lock(); defer m.mu.Unlock(); return m.now }, slog.New(slog.NewTextHandler(&m.log, nil)))
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
