package runs

import (
	"cmp"
	"math"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/views/ui"
)

// Usage is what a run's workers use now, and the choice of what the heat map of their GPUs shows.
type Usage struct {
	Run     run.Run
	Workers []run.Worker
	Used    run.Used
	Sort    string // column, "" for ranks
	Now     time.Time
}

// usageColumn is a column of the table of what workers use.
type usageColumn struct {
	key, title, hint string
	gpu              bool // of runs with GPUs only
	value            func(u Usage, w run.Worker) (v float64, ok bool)
	text             func(u Usage, w run.Worker, v float64) string
	worst            float64 // 1 where the highest is the worst, -1 where the lowest is
}

// usageColumns are all, in their order.
var usageColumns = []usageColumn{
	{"cpu", "CPU", "Of all its processes; 100 % is one core", false, of("task_cpu_percent"), percent, 1},
	{"memory", "Memory", "Resident, of all its processes", false, of("task_memory_bytes"), ofLimit, 1},
	{"busy", "GPUs busy", "Mean share of the time with a kernel running", true, Usage.busy, percent, -1},
	{"gpumemory", "GPU memory", "Used by whoever, on all of its GPUs", true, fold(run.GPUMemory, add), ofGPUs, 1},
	{"power", "Power", "Of all its GPUs", true, fold(run.GPUPower, add), unit("W"), -1},
	{"heat", "Hottest", "The hottest of its GPUs", true, fold(run.GPUTemperature, math.Max), unit("°C"), 1},
	{"clock", "Slowest clock", "The slowest of its GPUs' streaming multiprocessors", true, fold(run.GPUClock, math.Min), unit("MHz"), -1},
	{"in", "Received", "By its machine or container, without loopback", false, of("net_rx_bytes_per_second"), rate, 1},
	{"out", "Sent", "By its machine or container, without loopback", false, of("net_tx_bytes_per_second"), rate, 1},
	{"read", "Disk read", "By its machine", false, of("disk_read_bytes_per_second"), rate, 1},
	{"written", "Disk written", "By its machine", false, of("disk_write_bytes_per_second"), rate, 1},
	{"files", "Open files", "Of all its processes", false, of("open_files"), whole, 1},
}

func of(name string) func(Usage, run.Worker) (float64, bool) {
	return func(u Usage, w run.Worker) (float64, bool) {
		v, ok := u.Used[w.Rank][name]
		return v, ok
	}
}

// each calls fn with what was measured of each of a worker's GPUs.
func (u Usage) each(w run.Worker, what string, fn func(v float64)) {
	for i := range w.GPUs {
		if v, ok := u.Used.GPU(w.Rank, i, what); ok {
			fn(v)
		}
	}
}

func (u Usage) busy(w run.Worker) (v float64, ok bool) {
	n := 0.0
	u.each(w, run.GPUUtilization, func(one float64) { v, n = v+one, n+1 })
	return v / max(1, n), n > 0
}

// fold joins what was measured of a worker's GPUs.
func fold(what string, join func(a, b float64) float64) func(Usage, run.Worker) (float64, bool) {
	return func(u Usage, w run.Worker) (v float64, ok bool) {
		u.each(w, what, func(one float64) {
			if ok {
				one = join(v, one)
			}
			v, ok = one, true
		})
		return v, ok
	}
}

func percent(_ Usage, _ run.Worker, v float64) string { return ui.Integer(int64(v+0.5)) + " %" }
func rate(_ Usage, _ run.Worker, v float64) string    { return ui.Bytes(v) + "/s" }
func whole(_ Usage, _ run.Worker, v float64) string   { return ui.Integer(int64(v)) }

func unit(name string) func(Usage, run.Worker, float64) string {
	return func(_ Usage, _ run.Worker, v float64) string { return ui.Integer(int64(v+0.5)) + " " + name }
}

// ofLimit is "3.1 of 8 GiB": what a worker uses, of what it may.
func ofLimit(u Usage, _ run.Worker, v float64) string {
	if u.Run.Shape.Memory <= 0 {
		return ui.Bytes(v)
	}
	return ui.Bytes(v) + " of " + ui.Bytes(float64(u.Run.Shape.Memory)*(1<<20))
}

func ofGPUs(u Usage, w run.Worker, v float64) string {
	total, known := fold(run.GPUMemoryTotal, add)(u, w)
	if !known {
		return ui.Bytes(v)
	}
	return ui.Bytes(v) + " of " + ui.Bytes(total)
}

func add(a, b float64) float64 { return a + b }

// columns are those of which something is known.
func (u Usage) columns() (out []usageColumn) {
	for _, c := range usageColumns {
		if slices.ContainsFunc(u.Workers, func(w run.Worker) bool { _, ok := c.value(u, w); return ok }) {
			out = append(out, c)
		}
	}
	return out
}

// sorted are the workers of which something is known, the worst of the chosen column first.
func (u Usage) sorted() []run.Worker {
	out := slices.DeleteFunc(slices.Clone(u.Workers), func(w run.Worker) bool { return len(u.Used[w.Rank]) == 0 })
	at := slices.IndexFunc(usageColumns, func(c usageColumn) bool { return c.key == u.Sort })
	if at < 0 {
		return out
	}
	c := usageColumns[at]
	slices.SortStableFunc(out, func(a, b run.Worker) int {
		x, known := c.value(u, a)
		y, other := c.value(u, b)
		if known != other { // what is not known is last
			return cmp.Compare(b2i(other), b2i(known))
		}
		return cmp.Compare(c.worst*y, c.worst*x)
	})
	return out
}

// order is how a column's header is sorted.
func (u Usage) order(c usageColumn) string {
	switch {
	case u.Sort != c.key:
		return "none"
	case c.worst > 0:
		return "descending"
	}
	return "ascending"
}

func (u Usage) rankOrder() string {
	if u.Sort == "" {
		return "ascending"
	}
	return "none"
}

// sortPath is the tab sorted by a column.
func (u Usage) sortPath(key string) string {
	path := TabWorkers.Path(u.Run.ID)
	if key == "" {
		return path
	}
	return path + "?" + url.Values{"sort": {key}}.Encode()
}

// chartsPath is the tab of metrics with those of machines.
func (u Usage) chartsPath() string {
	return TabMetrics.Path(u.Run.ID) + "?" + url.Values{"q": {run.SystemPrefix}, "workers": {"each"}}.Encode()
}

// simulated reports whether the run has GPUs that do not exist.
func (u Usage) simulated() bool {
	return slices.ContainsFunc(u.Workers, func(w run.Worker) bool { return len(w.GPUs) > 0 && w.GPUs[0].Simulated() })
}

// HeatMetric is something of which a heat map of GPUs can be shown.
type HeatMetric struct {
	Name, Title, Unit string
	Most              float64 // of the scale, 0 for the highest value shown
	Divide            float64 // of what is stored, for the unit
}

// HeatMetrics are all, the first one first.
var HeatMetrics = []HeatMetric{
	{run.GPUUtilization, "Busy", "%", 100, 1}, {run.GPUMemory, "Memory", "GiB", 0, 1 << 30}, {run.GPUPower, "Power", "W", 0, 1},
	{run.GPUTemperature, "Temperature", "°C", 0, 1}, {run.GPUClock, "Clock", "MHz", 0, 1}, {run.GPUThrottled, "Throttled", "", 1, 1}, {run.GPUECC, "Memory errors", "", 0, 1},
}

// HeatSpans are the times that a heat map shows, in minutes; 0 is the whole run.
var HeatSpans = []struct {
	Minutes int
	Title   string
}{{15, "15 minutes"}, {60, "1 hour"}, {360, "6 hours"}, {1440, "1 day"}, {0, "Whole run"}}

func floatText(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }
