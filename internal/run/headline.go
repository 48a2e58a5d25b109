package run

// Reported is the newest step that a worker has reported in an attempt.
type Reported struct {
	Rank, Attempt int
	Step          int64
	At            int64 // when, in Unix milliseconds
}

// minLag is how many steps a worker may be behind the others however short an outer step is: not every trainer reports
// each step.
const minLag = 100

// SettledStep returns the newest step that every worker of an attempt has reported that still takes part, or that took
// part to the end: the step of a run's headline. Workers that were lost or have failed do not count, nor do those that are
// behind by more than an outer step, since the others have gone on without them. When none is left it is the newest step of
// all. A worker that is not among workers is taken to run. ok is false before the first step.
func SettledStep(workers []Worker, reported []Reported, attempt int, innerSteps int64) (step int64, ok bool) {
	byRank := make(map[int]Worker, len(workers))
	for _, w := range workers {
		if old, ok := byRank[w.Rank]; !ok || w.StartedAt.After(old.StartedAt) {
			byRank[w.Rank] = w
		}
	}
	var newest, newestOfPart int64
	var part []int64
	for _, r := range reported {
		if r.Attempt != attempt {
			continue
		}
		newest, ok = max(newest, r.Step), true
		if w, known := byRank[r.Rank]; !known || w.takesPart(r.At) {
			part = append(part, r.Step)
			newestOfPart = max(newestOfPart, r.Step)
		}
	}
	if len(part) == 0 {
		return newest, ok
	}
	step = newestOfPart
	for _, s := range part {
		if s >= newestOfPart-max(innerSteps, minLag) {
			step = min(step, s)
		}
	}
	return step, true
}

// takesPart reports whether a worker that reported last at this time trains with the others, or did until it finished or
// was stopped. One that was started anew since has still to report.
func (w Worker) takesPart(reportedAt int64) bool {
	switch w.State {
	case WorkerComplete:
		return true
	case WorkerRunning, WorkerPending:
		return w.StartedAt.IsZero() || reportedAt >= w.StartedAt.UnixMilli()
	default:
		return false
	}
}
