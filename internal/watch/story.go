package watch

import (
	"fmt"
	"slices"
	"time"

	"github.com/cotrain/cotrain/internal/run"
)

// story is how the workers of an attempt failed, in the order in which they ended.
type story struct {
	r       run.Run
	attempt run.Attempt
	all     []suspect
}

const (
	// atOnce is by how much the ends of workers may differ that ended of one blow.
	atOnce = time.Second
	// mostAlso bounds what is told beside the cause.
	mostAlso  = 8
	aloneHint = "No other process of the attempt has ended: see whether one hangs, in its log and on its node, and whether the nodes still reach each other."
)

// ofInterest are the failures to look at, in the order in which they came: the first of many, and that of worker 0, without which none goes on.
func ofInterest(own []run.Worker) []run.Worker {
	if len(own) <= diagnosed {
		return own
	}
	out := slices.Clone(own[:diagnosed])
	if i := slices.IndexFunc(own[diagnosed:], func(wk run.Worker) bool { return wk.Rank == 0 }); i >= 0 {
		out[diagnosed-1] = own[diagnosed+i]
	}
	return out
}

// root is the failure that ended the attempt: of those that came together, the one that explains the others. What the attempt has survived
// before is not it.
func (st story) root() suspect {
	root := st.all[0]
	for _, s := range st.all[1:] {
		switch {
		case st.later(s, root):
			root = s
		case terminated(s.worker) && !terminated(root.worker): // told to end because of it
		case s.beats(root) && !st.later(root, s):
			root = s
		}
	}
	return root
}

// later reports whether s failed by itself after the attempt had survived the end of another: its worker went on without that one, or was
// ended from outside while the mesh stood on it.
func (st story) later(s, other suspect) bool {
	switch {
	case s.worker.EndedAt.Sub(other.worker.EndedAt) < atOnce || st.r.InnerSteps == 0:
		return false
	case st.r.WentOn(st.attempt, s.worker, other.worker):
		return true
	}
	return s.worker.Rank == 0 && s.struck() && !other.follows()
}

// others tells the workers that ended because of the root from those that failed by themselves, of which it says what happened.
func (st story) others(root suspect, failed []run.Worker) (victims []int, also []string) {
	for _, wk := range failed {
		if wk.Rank == root.worker.Rank {
			continue
		}
		i := slices.IndexFunc(st.all, func(s suspect) bool { return s.worker.AllocID == wk.AllocID && s.worker.Rank == wk.Rank })
		s := suspect{worker: wk}
		if i >= 0 {
			s = st.all[i]
		}
		if st.victim(root, s) {
			victims = append(victims, wk.Rank)
			continue
		}
		also = append(also, st.told(root, s))
	}
	slices.Sort(victims)
	if more := len(also) - mostAlso; more > 0 {
		also = append(also[:mostAlso], fmt.Sprintf("%d more workers failed by themselves.", more))
	}
	return victims, also
}

// victim reports whether another worker ended because of the root: told to, of a lost connection, or soon after it. A node that goes away,
// and a process that is killed, end for reasons of their own.
func (st story) victim(root, other suspect) bool {
	after := other.worker.EndedAt.Sub(root.worker.EndedAt)
	switch {
	case other.worker.Stopping:
		return true
	case other.worker.State == run.WorkerLost || st.later(root, other) || other.struck():
		return false
	case other.follows():
		return true
	}
	return after > -atOnce && (terminated(other.worker) || after <= aftermath)
}

// told says how a worker failed by itself, and when.
func (st story) told(root, other suspect) string {
	text, title := run.Sentence(other.worker.Brief()), ""
	text = text[:len(text)-1]
	if c := other.worker.Cause; c.Known() {
		title = " (" + c.Title + ")"
	}
	earlier := root.worker.EndedAt.Sub(other.worker.EndedAt)
	switch step := other.worker.Report.Step; {
	case earlier.Abs() < atOnce || other.worker.State == run.WorkerLost && earlier <= aftermath:
		return text + title + ", too."
	case earlier > 0 && st.r.WentOn(st.attempt, root.worker, other.worker) && step > 0:
		return fmt.Sprintf("%s at step %d already%s, and the others went on without it.", text, step, title)
	case earlier > 0:
		return fmt.Sprintf("%s %s before%s, for a reason of its own.", text, run.ShortDuration(earlier), title)
	}
	return fmt.Sprintf("%s %s later%s, for a reason of its own.", text, run.ShortDuration(-earlier), title)
}

// alone reports whether a worker ended because of another, though none of those beside it has ended.
func (x Explainer) alone(root suspect, failed []run.Worker) bool {
	return root.cause.Echo && len(failed) == 1 && len(x.Others) > 0 &&
		!slices.ContainsFunc(x.Others, func(wk run.Worker) bool { return wk.State.Terminal() || wk.State == run.WorkerUnknown })
}
