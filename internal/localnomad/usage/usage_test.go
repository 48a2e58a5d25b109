package usage

import (
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"
)

// Not parallel: it compares what two children use of the machine, which other tests use, too.
func TestATaskIsAllThatItsProcessesStarted(t *testing.T) {
	now := time.Now()
	m := New(t.TempDir(), func() time.Time { return now })
	// A shell whose child spins, beside one that sleeps.
	busy := exec.Command("/bin/sh", "-c", `sh -c 'while :; do :; done' & wait`)
	idle := exec.Command("/bin/sleep", "600")
	for _, c := range []*exec.Cmd{busy, idle} {
		c.SysProcAttr = ownGroup()
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			killGroup(c.Process.Pid)
			_ = c.Wait() // killed
		})
	}
	measure := func(c *exec.Cmd) (percent float64, rss, most uint64) {
		t.Helper()
		u, err := m.Task(t.Context(), strconv.Itoa(c.Process.Pid), "trainer", []int{c.Process.Pid})
		if err != nil {
			t.Fatal(err)
		}
		if u.ResourceUsage.CpuStats != nil {
			percent = u.ResourceUsage.CpuStats.Percent
		}
		return percent, u.ResourceUsage.MemoryStats.RSS, u.ResourceUsage.MemoryStats.MaxUsage
	}
	if percent, _, _ := measure(busy); percent != 0 {
		t.Errorf("%v %% of a core before there is anything to compare with", percent)
	}
	measure(idle)
	for busyPercent := 0.0; busyPercent == 0; { // until the child has got some time
		time.Sleep(20 * time.Millisecond)
		now = now.Add(2 * time.Second)
		var rss, most uint64
		busyPercent, rss, most = measure(busy)
		if rss == 0 || most < rss {
			t.Fatalf("%d bytes of memory, at most %d", rss, most)
		}
		if percent, _, _ := measure(idle); percent != 0 {
			t.Fatalf("what sleeps uses %v %% of a core", percent)
		}
	}
	first, _, _ := measure(busy) // at the same time
	if again, _, _ := measure(busy); again != first {
		t.Errorf("measured again at once: %v and %v", first, again)
	}
}

func TestAnAllocationThatNobodyAsksAboutIsForgotten(t *testing.T) {
	t.Parallel()
	now := time.Now()
	m := New(t.TempDir(), func() time.Time { return now })
	for i := range 100 {
		if _, err := m.Task(t.Context(), strconv.Itoa(i), "trainer", []int{os.Getpid()}); err != nil {
			t.Fatal(err)
		}
		now = now.Add(time.Minute)
	}
	if len(m.tasks) > 12 {
		t.Errorf("%d are kept", len(m.tasks))
	}
}

func TestTheMachineIsMeasured(t *testing.T) {
	t.Parallel()
	m := New(t.TempDir(), time.Now)
	h := m.Host(t.Context())
	if h.Memory.Total == 0 || h.Memory.Used > h.Memory.Total || len(h.CPU) == 0 || h.AllocDirStats == nil || h.AllocDirStats.Size == 0 {
		t.Errorf("got %+v", h)
	}
}
