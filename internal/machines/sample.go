package machines

import (
	"strconv"
	"strings"
	"time"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store/points"
)

// kept is how many samples of a worker are looked at: five minutes of them.
const kept = 30

// sample is what a worker and its machine used at a time.
type sample struct {
	at      time.Time // by the console's clock
	task    run.TaskUsage
	machine run.NodeUsage
	gpus    []run.GPUStats // the worker's, in the order of its devices; without an ID where nothing is known
}

// history is the newest samples of a worker, oldest first.
type history struct {
	samples []sample
	// throttled is what its own shim said of each of its GPUs, oldest first.
	throttled map[int][]bool
}

func (h *history) add(smp sample) { h.samples = newest(append(h.samples, smp)) }

func newest[T any](all []T) []T {
	if over := len(all) - kept; over > 0 {
		all = append(all[:0], all[over:]...)
	}
	return all
}

// hear takes what the worker's shim says of its GPUs.
func (h *history) hear(ps []points.Point) {
	for i := range ps {
		gpu, ok := strings.CutPrefix(ps[i].Metric, run.SystemPrefix+"gpu")
		if !ok {
			continue
		}
		number, what, _ := strings.Cut(gpu, "/")
		n, err := strconv.Atoi(number)
		if err != nil || what != run.GPUThrottled || n < 0 || n >= maxGPUs {
			continue
		}
		if h.throttled == nil {
			h.throttled = map[int][]bool{}
		}
		h.throttled[n] = newest(append(h.throttled[n], ps[i].Value > 0))
	}
}

// maxGPUs bounds what a worker's log may say of GPUs.
const maxGPUs = 64

// heldShare is in what share of its samples a GPU was throttled, once there are samples of five minutes.
func (h *history) heldShare(gpu int) (share float64, ok bool) {
	if len(h.throttled[gpu]) < kept {
		return 0, false
	}
	for _, held := range h.throttled[gpu] {
		if held {
			share += 1.0 / kept
		}
	}
	return share, true
}

func sampleOf(w run.Worker, machine run.NodeUsage, u run.TaskUsage, gpus map[string]run.GPUStats, now time.Time) sample {
	smp := sample{at: now, task: u, machine: machine, gpus: make([]run.GPUStats, len(w.GPUs))}
	for i, g := range w.GPUs {
		smp.gpus[i] = gpus[g.ID]
	}
	return smp
}

// points are the sample as values of metrics. Their time is the console's: it is compared with other workers', and with when lines came.
func (smp sample) points() (out []points.Point) {
	at := smp.at.UnixMilli()
	add := func(name string, v *float64) {
		if v != nil {
			out = append(out, points.Point{Metric: name, Step: at, Value: *v, Exact: true})
		}
	}
	add(run.TaskCPU, smp.task.CPU)
	add(run.TaskMemory, scaled(smp.task.Memory, 1))
	add(run.TaskMemoryPeak, scaled(smp.task.MemoryPeak, 1))
	for i, g := range smp.gpus {
		add(run.GPUMetric(i, run.GPUUtilization), scaled(g.Utilization, 1))
		add(run.GPUMetric(i, run.GPUMemory), scaled(g.MemoryUsed, 1<<20))
		add(run.GPUMetric(i, run.GPUMemoryTotal), scaled(g.MemoryTotal, 1<<20))
		add(run.GPUMetric(i, run.GPUPower), scaled(g.Power, 1))
		add(run.GPUMetric(i, run.GPUPowerLimit), scaled(g.PowerLimit, 1))
		add(run.GPUMetric(i, run.GPUTemperature), scaled(g.Temperature, 1))
		add(run.GPUMetric(i, run.GPUECC), scaled(g.ECCErrors, 1))
	}
	return out
}

func scaled(v *int64, by float64) *float64 {
	if v == nil {
		return nil
	}
	return new(float64(*v) * by)
}
