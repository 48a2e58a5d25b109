package machines

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cotrain/cotrain/internal/run"
)

// Rules by which something looks wrong. All look at the samples of five minutes: a synchronisation of DiLoCo and the saving of a
// checkpoint leave GPUs without work for less.
const (
	// idle is a utilisation in percent at which a GPU does nothing, in all samples.
	idle = 5
	// slowMedian is from what median utilisation of all GPUs of a model on, in percent, one below slowShare of it is slower than its
	// peers, which are slowPeers at least.
	slowMedian = 50
	slowShare  = 0.6
	slowPeers  = 4
	// nearMemory is from what share of its memory on a worker is near its end, and fullNode a node, in the newest three samples.
	nearMemory = 0.95
	fullNode   = 0.97
	// hot is a temperature in degrees Celsius at which data centre GPUs slow down: NVIDIA gives 87 to 92 for A100 and H100.
	hot = 90
	// held is in what share of its samples a GPU is throttled before that is said.
	held = 0.5
)

// Notices says what looks wrong with the machines of a run.
func (s *Sampler) Notices(id run.ID) []run.Notice {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.runs[id]
	if f == nil {
		return nil
	}
	j := judging{followed: f, now: s.o.Now(), usual: f.usual(), full: map[string]bool{}}
	ranks := make([]int, 0, len(f.workers))
	for rank := range f.workers {
		ranks = append(ranks, rank)
	}
	slices.Sort(ranks)
	for _, rank := range ranks {
		j.worker = f.workers[rank]
		if len(j.worker.samples) == 0 {
			continue
		}
		j.memory()
		j.idle()
		j.slow()
		j.throttled()
		j.errors()
	}
	return j.out
}

// judging is one look at a run's machines.
type judging struct {
	*followed
	now    time.Time
	usual  map[string]float64 // median utilisation by model
	full   map[string]bool    // nodes whose memory is
	worker *worker
	out    []run.Notice
}

func (j *judging) add(kind run.NoticeKind, text, hint string) {
	j.out = append(j.out, run.Notice{Kind: kind, Rank: j.worker.Rank, Node: j.worker.NodeName, Since: j.now, Text: text, Hint: hint})
}

func (j *judging) name() string { return run.WorkerName(j.worker.Rank, j.worker.NodeName) }

// memory looks at the newest samples: the peak of a moment is over before anybody reads of it.
func (j *judging) memory() {
	newest := j.worker.samples
	if len(newest) < 3 {
		return
	}
	newest = newest[len(newest)-3:]
	least := func(of func(sample) (used, most int64)) (share float64) {
		share = 1
		for _, smp := range newest {
			used, most := of(smp)
			if used <= 0 || most <= 0 || used > most { // what is above it is not limited by it
				return 0
			}
			share = min(share, float64(used)/float64(most))
		}
		return share
	}
	if share := least(func(smp sample) (int64, int64) { return value(smp.task.Memory), j.followed.memory }); share >= nearMemory {
		j.add(run.NoticeMemory, fmt.Sprintf("%s uses %.0f %% of its memory", j.name(), 100*share),
			"A driver with a memory limit kills it beyond that. Give workers more memory, or have fewer processes load data.")
		return
	}
	if share := least(func(smp sample) (int64, int64) { return value(smp.machine.MemoryUsed), value(smp.machine.MemoryTotal) }); share >= fullNode && !j.full[j.worker.NodeID] {
		j.full[j.worker.NodeID] = true // told once for all its workers
		j.add(run.NoticeMemory, fmt.Sprintf("the memory of the node of %s is %.0f %% full", j.name(), 100*share),
			"The kernel kills processes when there is none left. Look at what else runs there, and give workers less or the node more.")
	}
}

func value(v *int64) int64 {
	if v == nil {
		return 0
	}
	return *v
}

// whole reports whether there are samples of five minutes.
func (j *judging) whole() bool { return len(j.worker.samples) == kept }

// idle finds GPUs that do nothing.
func (j *judging) idle() {
	if !j.whole() {
		return
	}
	var names []string
	for i := range j.worker.GPUs {
		if all(j.worker.samples, func(smp sample) bool {
			u := smp.gpus[i].Utilization
			return u != nil && *u <= idle
		}) {
			names = append(names, strconv.Itoa(i))
		}
	}
	if len(names) == 0 {
		return
	}
	over := j.worker.samples[kept-1].at.Sub(j.worker.samples[0].at)
	j.add(run.NoticeGPUIdle, fmt.Sprintf("%s of %s has done nothing for %s", gpuNames(names), j.name(), run.ShortDuration(over)),
		"Look at its newest line. A worker may wait for data, for others or for a download, or its trainer may use the CPU or fewer GPUs than it was given.")
}

func all(samples []sample, is func(sample) bool) bool {
	return !slices.ContainsFunc(samples, func(smp sample) bool { return !is(smp) })
}

// gpuNames is "GPU 3", or "each of GPUs 1, 3".
func gpuNames(names []string) string {
	if len(names) == 1 {
		return "GPU " + names[0]
	}
	return "each of GPUs " + strings.Join(names, ", ")
}

// usual is the median over GPUs of their mean utilisation, by model, of models with enough GPUs that are measured.
func (f *followed) usual() map[string]float64 {
	means := map[string][]float64{}
	for _, w := range f.workers {
		for i, g := range w.GPUs {
			if mean, ok := w.mean(i); ok {
				means[g.Model] = append(means[g.Model], mean)
			}
		}
	}
	out := map[string]float64{}
	for model, values := range means {
		if len(values) >= slowPeers {
			slices.Sort(values)
			out[model] = values[len(values)/2]
		}
	}
	return out
}

// mean is the mean utilisation of a GPU, once there are samples of five minutes.
func (w *worker) mean(i int) (mean float64, ok bool) {
	if len(w.samples) < kept {
		return 0, false
	}
	for _, smp := range w.samples {
		u := smp.gpus[i].Utilization
		if u == nil {
			return 0, false
		}
		mean += float64(*u) / kept
	}
	return mean, true
}

// slow finds GPUs that do much less than others of their model in the run. One that does nothing is told as that.
func (j *judging) slow() {
	for i, g := range j.worker.GPUs {
		usual, known := j.usual[g.Model]
		mean, ok := j.worker.mean(i)
		if !known || !ok || usual < slowMedian || mean > slowShare*usual || mean <= idle {
			continue
		}
		j.add(run.NoticeGPUSlow, fmt.Sprintf("GPU %d of %s is %.0f %% busy, where others of its model are %.0f %%", i, j.name(), mean, usual),
			"Compare its clock, power and temperature with the others'. A process of somebody else's, a slow disk or a worn PCIe link does this, too.")
		return
	}
}

// throttled finds GPUs that are too hot, or whose clocks are held down.
func (j *judging) throttled() {
	newest := j.worker.samples[len(j.worker.samples)-1]
	for i, g := range newest.gpus {
		if t := g.Temperature; t != nil && *t >= hot {
			j.add(run.NoticeGPUThrottled, fmt.Sprintf("GPU %d of %s is at %d °C", i, j.name(), *t), "It slows down to protect itself. Look at the cooling of its node.")
			return
		}
		if share, ok := j.worker.heldShare(i); ok && share >= held {
			j.add(run.NoticeGPUThrottled, fmt.Sprintf("the clocks of GPU %d of %s are held down %.0f %% of the time", i, j.name(), 100*share),
				"Heat, or a limit of its power or of its node's, slows it down. Look at its temperature and power.")
			return
		}
	}
}

// errors finds GPUs whose memory has errors.
func (j *judging) errors() {
	newest := j.worker.samples[len(j.worker.samples)-1]
	for i, g := range newest.gpus {
		if n := value(g.ECCErrors); n > 0 {
			j.add(run.NoticeGPUErrors, fmt.Sprintf("the memory of GPU %d of %s has %s", i, j.name(), plural(n, "error")),
				"What it computes may be wrong. Have the node drained and the GPU reset or replaced.")
			return
		}
	}
}

func plural(n int64, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return fmt.Sprintf("%d %ss", n, word)
}
