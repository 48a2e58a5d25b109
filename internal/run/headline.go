package run

// WorkerStep is the newest step that a worker has reported in an attempt.
type WorkerStep struct {
	Rank, Attempt int
	Step          int64
	At            int64 // when, in Unix milliseconds
}

// minLag is how many steps a worker may always lag behind: not every trainer reports each step.
const minLag = 100

// SettledStep returns the newest step that every participating worker of an attempt has reported: the step of the
// headline. Lost and failed workers do not count, nor do those more than an outer step behind, since the others have
// gone on without them. When none is left it is the newest step of all. A worker missing from workers counts as running.
// ok is false before the first step.
func SettledStep(workers []Worker, reported []WorkerStep, attempt int, innerSteps int64) (step int64, ok bool) {
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

// takesPart reports whether a worker with this last report trains with the others, or did until it finished or was
// stopped. A restarted worker takes part again once it reports.
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
