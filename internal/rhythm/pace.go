package rhythm

import "math"

const (
	// paceWindow is of how many intervals the pace is the mean.
	paceWindow = 64
	// paceErrors is how many standard errors of the mean the pace may be off.
	paceErrors = 2.0
	// unseenShare is by how much a phase that is expected and has not been seen may slow a run down.
	unseenShare = 0.25
)

// Pace is how many seconds a step takes lately, at least and at most: the mean, with what syncs, checkpoints and evaluations add. False
// until enough is known.
func (w *Worker) Pace() (low, high float64, known bool) {
	seen := w.plain.len()
	for i := range w.phases {
		seen = max(seen, w.phases[i].extra.len())
	}
	if seen < learned {
		return 0, 0, false
	}
	mean, off := average(w.plain.newest(paceWindow))
	low, high = max(0, mean-off), mean+off
	for i := range marks {
		p := &w.phases[i]
		every := w.every(i)
		switch {
		case p.extra.len() > 0 && every > 0:
			extra, off := average(p.extra.newest(paceWindow))
			low += max(0, extra-off) / every
			high += (extra + off) / every
		case every > 0 || marks[i] == Evaluation && w.expected.Evaluation:
			high += unseenShare * mean
		}
	}
	return low, high, high > 0
}

// every is how many steps there are from one phase to the next, 0 if that is not known.
func (w *Worker) every(i int) float64 {
	if gaps := w.phases[i].gaps; gaps.len() > 0 {
		mean, _ := average(gaps.values)
		return mean
	}
	switch marks[i] {
	case Sync:
		return float64(w.expected.Sync)
	case Checkpoint:
		return float64(w.expected.Checkpoint)
	default:
		return 0
	}
}

// average is the mean of values, and how far off it may be: half of it where there are too few to tell.
func average(values []float64) (mean, off float64) {
	n := float64(len(values))
	if n == 0 {
		return 0, 0
	}
	for _, v := range values {
		mean += v / n
	}
	if n < phaseLearned {
		return mean, mean / 2
	}
	var squares float64
	for _, v := range values {
		squares += (v - mean) * (v - mean)
	}
	return mean, paceErrors * math.Sqrt(squares/(n-1)/n)
}
