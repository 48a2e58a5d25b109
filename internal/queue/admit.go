package queue

import (
	"fmt"

	"github.com/cotrain/cotrain/internal/run"
)

// Waiting is a run that waits for nothing but its turn and room.
type Waiting struct {
	ID  run.ID
	Fit *run.Fit // one for all runs of a shape
	// Odd is true when Nomad's scheduler and the numbers have disagreed for long about this shape. Otherwise they do so for a
	// moment, while workers end, and both must agree.
	Odd bool
}

// Sent is a run that was sent and whose workers are not all in the lists that the fits were made from.
type Sent struct {
	ID      run.ID
	Fit     *run.Fit
	Workers int // that are not in them
}

// Decision is what is to happen with a run that waits.
type Decision struct {
	ID     run.ID
	Send   bool
	Reason string // why not, one sentence; "" when Send
}

// Admit decides which runs that wait, given in the order of their turns, are sent now. The rules are those of the package's
// documentation. It depends on nothing but its arguments, and its time on shapes and nodes more than on runs.
func Admit(waiting []Waiting, sent []Sent) []Decision {
	a := admission{first: map[*run.Fit]run.ID{}, costs: map[[2]*run.Fit]int{}}
	for _, s := range sent {
		a.add(s)
	}
	out := make([]Decision, 0, len(waiting))
	for _, w := range waiting {
		reason := a.whyNot(w)
		if reason == "" {
			a.add(Sent{ID: w.ID, Fit: w.Fit, Workers: w.Fit.Workers})
		}
		out = append(out, Decision{ID: w.ID, Send: reason == "", Reason: reason})
	}
	return out
}

// admission is what has been decided so far.
type admission struct {
	sent  []Sent              // by shape; the ID is that of the first
	ahead []Waiting           // by shape: the first of those that are not sent and keep what they need
	first map[*run.Fit]run.ID // the first run of each shape that is not sent
	costs map[[2]*run.Fit]int // see costs; by who takes and from whom
}

func (a *admission) add(s Sent) {
	for i := range a.sent {
		if a.sent[i].Fit == s.Fit {
			a.sent[i].Workers += s.Workers
			return
		}
	}
	a.sent = append(a.sent, s)
}

// whyNot says why a run is not sent; "" when it is.
func (a *admission) whyNot(w Waiting) string {
	if first, ok := a.first[w.Fit]; ok { // what kept that one keeps this one
		return behind(first)
	}
	room, rival := a.room(w.Fit)
	reason := ""
	if first := a.blocker(w.Fit); !w.Fit.Now {
		reason = w.Fit.Reason
	} else if first != "" {
		reason = behind(first)
	} else if !w.Odd && w.Fit.Free() < w.Fit.Workers {
		reason = "waits for workers that are ending on nodes that it needs"
	} else if rival != "" {
		reason = fmt.Sprintf("waits until Nomad has placed the workers of run %s", rival)
	} else {
		return ""
	}
	a.first[w.Fit] = w.ID
	// Room that neither the console's own runs nor a placement will free is not worth keeping the others from; nor is what
	// the numbers do not know of.
	if w.Fit.Now || w.Fit.Freed() >= w.Fit.Workers && (room < w.Fit.Workers || !w.Odd) {
		a.ahead = append(a.ahead, w)
	}
	return reason
}

func behind(first run.ID) string {
	return fmt.Sprintf("waits for run %s, which comes first and needs the same nodes", first)
}

// room is how many workers of a shape surely find a place, wherever Nomad puts those that were sent. When that is not
// enough, or leaves too little for one of those, rival is the first that stands against it.
func (a *admission) room(f *run.Fit) (room int, rival run.ID) {
	room = a.beside(f)
	for _, s := range a.sent {
		takes, loses := a.cost(s.Fit, f), a.cost(f, s.Fit)
		if (takes > 0 && room < f.Workers) || (loses > 0 && a.beside(s.Fit) < f.Workers*loses) {
			return room, s.ID
		}
	}
	return room, ""
}

// beside is how many places for workers of a shape are left when all that were sent are placed, at worst.
func (a *admission) beside(f *run.Fit) int {
	left := f.Free()
	for _, s := range a.sent {
		left -= s.Workers * a.cost(s.Fit, f)
	}
	return left
}

func (a *admission) cost(taker, f *run.Fit) int {
	pair := [2]*run.Fit{taker, f}
	cost, known := a.costs[pair]
	if !known {
		cost = costs(taker, f)
		a.costs[pair] = cost
	}
	return cost
}

// costs is how many places for workers of f one worker of another shape takes at most, wherever it is put. Parts of a place
// count as a whole one, so that k workers on one node never take more than k times as many.
func costs(taker, f *run.Fit) int {
	most := 0
	shared(taker, f, func(_, n run.NodeFit) { most = max(most, n.Free) })
	return min(most, max(
		parts(int64(taker.Need.GPUs), int64(f.Need.GPUs)),
		parts(taker.Need.CPU, f.Need.CPU),
		parts(taker.Need.Memory, f.Need.Memory),
	))
}

// parts is taken / of, rounded up; what is not needed is not missed.
func parts(taken, of int64) int {
	if of <= 0 || taken <= 0 {
		return 0
	}
	return int((taken + of - 1) / of)
}

// shared calls fn with what two shapes find on each node that could hold workers of both.
func shared(a, b *run.Fit, fn func(a, b run.NodeFit)) {
	at := make(map[string]run.NodeFit, len(a.Nodes))
	for _, n := range a.Nodes {
		at[n.ID] = n
	}
	for _, n := range b.Nodes {
		if of, ok := at[n.ID]; ok {
			fn(of, n)
		}
	}
}

// blocker returns the first run ahead that workers of a shape could take something from, or "".
func (a *admission) blocker(f *run.Fit) run.ID {
	for _, w := range a.ahead {
		if a.takes(f, w.Fit) {
			return w.ID
		}
	}
	return ""
}

// takes reports whether workers of f could take what those of first, which wait for room, need. They cannot where they never
// run on one node, nor where they use no GPUs and leave the CPU and the memory for workers on all GPUs of the node.
func (a *admission) takes(f, first *run.Fit) bool {
	takes := false
	shared(f, first, func(_, n run.NodeFit) {
		if takes || f.Need.GPUs > 0 || first.Need.GPUs == 0 {
			takes = true
			return
		}
		cpu, memory := n.FreeCPU-int64(f.Workers)*f.Need.CPU, n.FreeMemory-int64(f.Workers)*f.Need.Memory
		for _, s := range a.sent { // at worst all of them come to this node
			cpu, memory = cpu-int64(s.Workers)*s.Fit.Need.CPU, memory-int64(s.Workers)*s.Fit.Need.Memory
		}
		takes = cpu < int64(n.GPUs)*first.Need.CPU || memory < int64(n.GPUs)*first.Need.Memory
	})
	return takes
}
