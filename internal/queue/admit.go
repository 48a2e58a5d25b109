package queue

import "github.com/cotrain/cotrain/internal/run"

// Ref is a run as the reasons of others name it: only those of the same project may.
type Ref struct {
	ID      run.ID
	Project string
}

// Waiting is a run that waits only for its turn and room.
type Waiting struct {
	Run Ref
	Fit *run.Fit // shared by all runs of a shape
	// Disputed is true when Nomad's scheduler and the numbers have long disagreed about this shape. Brief disagreement,
	// while workers end, means that both must agree.
	Disputed bool
}

// Sent is a run that was sent and whose workers are not all in the lists behind the fits.
type Sent struct {
	Run     Ref
	Fit     *run.Fit
	Workers int // missing from the lists
}

// Decision is what happens to a waiting run.
type Decision struct {
	ID     run.ID
	Send   bool
	Reason string // why not; "" when Send
}

// Admit decides which runs, given in queue order, are sent now. The rules are in the package documentation. It is pure,
// and its time depends on shapes and nodes more than on runs.
func Admit(waiting []Waiting, sent []Sent) []Decision {
	a := admission{first: map[*run.Fit]Ref{}, costs: map[[2]*run.Fit]int{}}
	for _, s := range sent {
		a.add(s)
	}
	out := make([]Decision, 0, len(waiting))
	for _, w := range waiting {
		reason := a.whyNot(w)
		if reason == "" {
			a.add(Sent{Run: w.Run, Fit: w.Fit, Workers: w.Fit.Workers})
		}
		out = append(out, Decision{ID: w.Run.ID, Send: reason == "", Reason: reason})
	}
	return out
}

// admission is the decisions so far.
type admission struct {
	sent  []Sent              // merged by shape under the first run
	ahead []Waiting           // the first unsent run of each shape that reserves room
	first map[*run.Fit]Ref    // the first unsent run of each shape
	costs map[[2]*run.Fit]int // see costs; by taker and victim
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

// whyNot returns the reason not to send a run, or "".
func (a *admission) whyNot(w Waiting) string {
	if first, ok := a.first[w.Fit]; ok { // what blocks the first of a shape blocks the rest
		return w.behind(first)
	}
	room, rival := a.room(w.Fit)
	reason := ""
	if first := a.blocker(w.Fit); !w.Fit.Now {
		reason = w.Fit.Reason
	} else if first != (Ref{}) {
		reason = w.behind(first)
	} else if !w.Disputed && w.Fit.Free() < w.Fit.Workers {
		reason = "waits for workers that are ending on nodes that it needs"
	} else if rival != (Ref{}) {
		reason = "waits until Nomad has placed the workers of " + w.named(rival)
	} else {
		return ""
	}
	a.first[w.Fit] = w.Run
	// Reserve only room that the console's own runs or a placement will free, and that the numbers know of.
	if w.Fit.Now || w.Fit.Freed() >= w.Fit.Workers && (room < w.Fit.Workers || !w.Disputed) {
		a.ahead = append(a.ahead, w)
	}
	return reason
}

func (w Waiting) behind(first Ref) string {
	return "waits for " + w.named(first) + ", which comes first and needs the same nodes"
}

// named is another run as this one's reason may name it.
func (w Waiting) named(other Ref) string {
	if other.Project != w.Run.Project {
		return run.OfAnotherProject
	}
	return "run " + string(other.ID)
}

// room is how many workers of a shape certainly fit, wherever Nomad puts what was sent. rival is the first sent run that
// makes it too little, or that would get too little itself.
func (a *admission) room(f *run.Fit) (room int, rival Ref) {
	room = a.beside(f)
	for _, s := range a.sent {
		takes, loses := a.cost(s.Fit, f), a.cost(f, s.Fit)
		if (takes > 0 && room < f.Workers) || (loses > 0 && a.beside(s.Fit) < f.Workers*loses) {
			return room, s.Run
		}
	}
	return room, Ref{}
}

// beside is how many places are left for a shape when everything sent is placed in the worst way.
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

// costs is the most places for f that one worker of another shape can take, on any node. Parts of a place count as
// whole, so k workers on one node never take more than k times as many.
func costs(taker, f *run.Fit) int {
	most := 0
	shared(taker, f, func(_, n run.NodeFit) { most = max(most, n.Free) })
	return min(most, max(
		parts(int64(taker.Need.GPUs), int64(f.Need.GPUs)),
		parts(taker.Need.CPU, f.Need.CPU),
		parts(taker.Need.Memory, f.Need.Memory),
	))
}

// parts is taken / of rounded up, 0 for a resource that is not needed.
func parts(taken, of int64) int {
	if of <= 0 || taken <= 0 {
		return 0
	}
	return int((taken + of - 1) / of)
}

// shared visits the nodes that could hold workers of both shapes.
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

// blocker returns the first run ahead that a shape could take something from, or none.
func (a *admission) blocker(f *run.Fit) Ref {
	for _, w := range a.ahead {
		if a.takes(f, w.Fit) {
			return w.Run
		}
	}
	return Ref{}
}

// takes reports whether workers of f could take what first is waiting for. They cannot if they never share a node, nor
// without GPUs of their own if they leave CPU and memory for workers on all of the node's GPUs.
func (a *admission) takes(f, first *run.Fit) bool {
	takes := false
	shared(f, first, func(_, n run.NodeFit) {
		if takes || f.Need.GPUs > 0 || first.Need.GPUs == 0 {
			takes = true
			return
		}
		cpu, memory := n.FreeCPU-int64(f.Workers)*f.Need.CPU, n.FreeMemory-int64(f.Workers)*f.Need.Memory
		for _, s := range a.sent { // at worst they all come to this node
			cpu, memory = cpu-int64(s.Workers)*s.Fit.Need.CPU, memory-int64(s.Workers)*s.Fit.Need.Memory
		}
		takes = cpu < int64(n.GPUs)*first.Need.CPU || memory < int64(n.GPUs)*first.Need.Memory
	})
	return takes
}
