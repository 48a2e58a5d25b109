package rhythm

import (
	"math"
	"slices"
	"time"
)

// Mark is what a worker did between two reported steps beside training.
type Mark uint8

// The marks.
const (
	Sync Mark = 1 << iota // an outer step's synchronisation
	Checkpoint
	Evaluation
)

// marks lists them in the order of their bits.
var marks = [...]Mark{Sync, Checkpoint, Evaluation}

// Expected is what the configuration says before a run has shown it: the steps between two syncs and two checkpoints, 0 for never, and
// whether the trainer may evaluate.
type Expected struct {
	Sync, Checkpoint int64
	Evaluation       bool
}

// The rule of the limits; docs/failures.md explains it.
const (
	// Floor is the shortest limit: what logs, disks and schedulers may delay a report.
	Floor = 20 * time.Second
	// Unseen is what is added for a phase that is due and has not been seen before.
	Unseen = 10 * time.Minute
	// StartLimit is the longest wait for the first step, which includes loading and compiling.
	StartLimit = 30 * time.Minute
	// learned is how many plain intervals make a rhythm. Before, the limit is at least Unseen.
	learned = 8
	// phaseLearned is how many times a phase must have been seen.
	phaseLearned = 3

	sigmas      = 12.0  // of plain intervals
	timesMedian = 5.0   // of a long history; see patience
	timesMost   = 3.0   // of the longest interval
	forget      = 0.998 // of the longest, by every interval

	timesLag = 2.0 // of the longest that a report came late

	phaseSigmas = 8.0
	phaseMedian = 3.0
	phaseMost   = 2.0
)

const (
	plainWindow = 256
	phaseWindow = 32
)

// phase is what is known of one mark.
type phase struct {
	extra   window  // seconds beyond those of plain steps
	longest float64 // of extra; fades
	gaps    window  // steps from one to the next
	last    int64   // the step it followed, -1 before the first
}

// Worker is the rhythm of one worker of an attempt. The zero value is not ready; see [NewWorker].
type Worker struct {
	expected Expected
	began    time.Time
	at       time.Time // of the newest report
	step     int64
	reports  int
	marks    Mark // since the newest report

	plain   window  // seconds per step
	longest float64 // seconds of a plain interval; fades
	lag     float64 // longest that a report came late, in seconds; fades
	stride  window  // steps from report to report
	phases  [len(marks)]phase
	best    float64 // lowest median of recentSteps intervals, 0 before the first
	since   int     // intervals since best was looked at
	own     int     // plain intervals since it began, or began again
}

// NewWorker returns a worker that began at a time and has reported nothing.
func NewWorker(e Expected, began time.Time) *Worker {
	w := &Worker{expected: e, began: began, at: began, step: -1}
	for i := range w.phases {
		w.phases[i].last = -1
	}
	return w
}

// Expect sets what the configuration says.
func (w *Worker) Expect(e Expected) { w.expected = e }

// Step is the newest step that it reported, -1 for none, and At when, or when it began.
func (w *Worker) Step() int64 { return w.step }

// At is when the worker reported its newest step, or began.
func (w *Worker) At() time.Time { return w.at }

// Started reports whether it has reported a step.
func (w *Worker) Started() bool { return w.reports > 0 }

// Mark notes what a worker did since its newest step.
func (w *Worker) Mark(m Mark) { w.marks |= m }

// Excuse moves the wait for the next step: nobody could have seen one until then.
func (w *Worker) Excuse(until time.Time) {
	if until.After(w.at) {
		w.at = until
		w.marks = excused
	}
}

// excused marks an interval whose length says nothing.
const excused Mark = 1 << 7

// Restart forgets the steps and how fast it was, perhaps on another node, not the rhythm: its trainer began again.
func (w *Worker) Restart(at time.Time) {
	w.step, w.reports, w.began, w.at, w.marks = -1, 0, at, at, 0
	w.best, w.since, w.own = 0, 0, 0
	for i := range w.phases {
		w.phases[i].last = -1
	}
}

// Report notes a step, unless a later one is known: a worker tells its steps in two streams. took is the time since the report before by
// the worker's own clock, 0 where that is unknown.
func (w *Worker) Report(step int64, at time.Time, took time.Duration) {
	if step <= w.step {
		return
	}
	if w.reports > 0 && w.marks&excused == 0 && (at.After(w.at) || took > 0) {
		seconds := at.Sub(w.at).Seconds()
		if took > 0 {
			w.lag = max(w.lag*forget, seconds-took.Seconds())
			seconds = took.Seconds()
		}
		w.interval(float64(step-w.step), seconds)
	}
	w.step, w.at, w.marks = step, at, 0
	w.reports++
}

// interval learns from the time between two reports.
func (w *Worker) interval(steps, seconds float64) {
	w.stride.add(steps, phaseWindow)
	if w.reports == 1 { // which may have compiled
		return
	}
	if w.marks == 0 {
		w.plain.add(seconds/steps, plainWindow)
		w.longest = max(w.longest*forget, seconds)
		w.own++
		w.improve()
		return
	}
	each, _ := spread(w.plain.values)
	extra := max(0, seconds-each*steps)
	for i, m := range marks {
		if w.marks&m == 0 {
			continue
		}
		p := &w.phases[i]
		p.extra.add(extra, phaseWindow)
		p.longest = max(p.longest*forget, extra)
		if p.last >= 0 {
			p.gaps.add(float64(w.step-p.last), phaseWindow)
		}
		p.last = w.step
	}
}

// recentSteps is of how many intervals the present speed is the median.
const recentSteps = 32

// improve keeps the best speed.
func (w *Worker) improve() {
	if w.since++; w.since < recentSteps {
		return
	}
	w.since = 0
	now, _ := spread(w.plain.newest(recentSteps))
	if w.best == 0 || now < w.best {
		w.best = now
	}
}

// Limit is how long after the newest report the next one may come, and which phases that allows for.
func (w *Worker) Limit() (time.Duration, Mark) {
	if w.reports == 0 {
		return StartLimit, 0
	}
	stride := 1.0
	if w.stride.len() > 0 {
		stride, _ = spread(w.stride.values)
	}
	median, deviation := spread(w.plain.values)
	limit := max(Floor.Seconds(), stride*(median+sigmas*deviation), stride*w.patience()*median, timesMost*w.longest)
	limit += timesLag * w.lag
	if w.plain.len() < learned || w.reports == 1 { // a second compilation is common
		limit = max(limit, Unseen.Seconds())
	}
	var due Mark
	for i, m := range marks {
		if !w.due(i, stride) {
			continue
		}
		due |= m
		limit += w.phases[i].limit()
	}
	return seconds(limit), due
}

// youth is how many intervals make a long history, by which a rare pause would have been seen.
const youth = 100

// patience is how many usual intervals may pass: 20 for a run whose pauses nobody knows, 5 in the end.
func (w *Worker) patience() float64 {
	return timesMedian * (1 + 3*min(1, youth/float64(w.reports)))
}

// limit is the most seconds that a phase adds.
func (p *phase) limit() float64 {
	median, deviation := spread(p.extra.values)
	limit := max(median+phaseSigmas*deviation, phaseMedian*median, phaseMost*p.longest)
	if p.extra.len() < phaseLearned {
		limit = max(limit, Unseen.Seconds())
	}
	return limit
}

// early is how much before its usual distance a phase may come where that varies.
const early = 0.8

// due reports whether a phase may be under way after the newest step.
func (w *Worker) due(i int, stride float64) bool {
	p := &w.phases[i]
	if p.last < 0 && p.extra.len() > 0 { // it began again: from which step on the phase is due shows once it has come
		return true
	}
	if p.gaps.len() >= 2 {
		least, most := slices.Min(p.gaps.values), slices.Max(p.gaps.values)
		if least < most || stride > 1 { // a report may be just before it, or just after
			least = early*least - stride + 1
		}
		reached := float64(w.step-p.last) + stride
		return w.marks&marks[i] != 0 || reached > least && reached < timesMost*most+stride+1 // no more, if it has not come for long
	}
	switch marks[i] {
	case Sync:
		return multiple(w.step, w.expected.Sync, stride)
	case Checkpoint:
		return multiple(w.step, w.expected.Checkpoint, stride)
	default:
		return w.expected.Evaluation || p.last >= 0
	}
}

// multiple reports whether a multiple of every is among the steps from step until the next report.
func multiple(step, every int64, stride float64) bool {
	if every <= 0 {
		return false
	}
	rest := step % every
	return rest == 0 || float64(rest)+stride > float64(every)
}

// Recent is the median seconds of a step lately, 0 until it is known, and Best the lowest that it has been.
func (w *Worker) Recent() (recent, best float64) {
	if w.own < recentSteps {
		return 0, 0
	}
	recent, _ = spread(w.plain.newest(recentSteps))
	if w.best == 0 {
		return recent, recent
	}
	return recent, min(w.best, recent)
}

// seconds is a number of seconds as a duration, at most some years.
func seconds(s float64) time.Duration {
	const most = 1e8
	return time.Duration(math.Min(s, most) * float64(time.Second))
}
