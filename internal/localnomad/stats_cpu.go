package localnomad

import (
	"os"
	"strconv"
	"strings"
	"sync"

	"github.com/hashicorp/nomad/api"
)

// cpuTimes is what one processor has done since the machine started, in ticks.
type cpuTimes struct{ user, system, idle float64 }

// cpuSampler turns the kernel's counters into percentages since the last call;
// the first call answers with those since the machine started.
type cpuSampler struct {
	mu   sync.Mutex
	last map[string]cpuTimes
}

func (c *cpuSampler) sample() []*api.HostCPUStats {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return []*api.HostCPUStats{}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.since(string(text))
}

// since reads /proc/stat. The lock is held.
func (c *cpuSampler) since(text string) []*api.HostCPUStats {
	out := []*api.HostCPUStats{}
	now := map[string]cpuTimes{}
	for line := range strings.Lines(text) {
		name, t, ok := parseCPULine(line)
		if !ok {
			continue
		}
		now[name] = t
		old := c.last[name]
		user, system, idle := t.user-old.user, t.system-old.system, t.idle-old.idle
		st := &api.HostCPUStats{CPU: name}
		if total := user + system + idle; total > 0 {
			st.User, st.System, st.Idle = user/total*100, system/total*100, idle/total*100
		}
		out = append(out, st)
	}
	c.last = now
	return out
}

// parseCPULine reads "cpu0 user nice system idle iowait irq softirq ...".
func parseCPULine(line string) (name string, t cpuTimes, ok bool) {
	f := strings.Fields(line)
	if len(f) < 8 || !strings.HasPrefix(f[0], "cpu") || f[0] == "cpu" {
		return "", t, false
	}
	var v [7]float64
	for i := range v {
		n, err := strconv.ParseFloat(f[i+1], 64)
		if err != nil {
			return "", t, false
		}
		v[i] = n
	}
	return f[0], cpuTimes{user: v[0] + v[1], system: v[2] + v[5] + v[6], idle: v[3] + v[4]}, true
}
