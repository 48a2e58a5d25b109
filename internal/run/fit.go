package run

// Fit is what a shape finds on the cluster's nodes at one moment.
type Fit struct {
	Workers int    // that must all be placed at once
	Need    Amount // of one worker
	// Now is true when Nomad's scheduler would place every worker. It knows nothing of jobs that it has not placed yet.
	Now bool
	// Reason says why not, in one sentence; "" when Now.
	Reason string
	Nodes  []NodeFit // those that could hold at least one worker if nothing else ran there
}

// Amount is a part of a node.
type Amount struct {
	GPUs   int
	CPU    int64 // MHz
	Memory int64 // MiB
}

// NodeFit is what a shape finds on one node, in workers of the shape.
type NodeFit struct {
	ID    string
	Free  int // there is room for now
	Freed int // there would be room for if all of the console's own runs ended
	GPUs  int // the node's GPUs would do for, whatever is in use; without a need of GPUs no limit
	// FreeCPU and FreeMemory are what is not in use, MHz and MiB.
	FreeCPU, FreeMemory int64
}

// Free is how many workers there is room for now.
func (f *Fit) Free() int { return f.sum(func(n NodeFit) int { return n.Free }) }

// Freed is how many workers there would be room for if all of the console's own runs ended.
func (f *Fit) Freed() int { return f.sum(func(n NodeFit) int { return n.Freed }) }

func (f *Fit) sum(of func(NodeFit) int) int {
	total := 0
	for _, n := range f.Nodes {
		total += of(n)
	}
	return total
}
