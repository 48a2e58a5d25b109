package run

// Fit says how many workers of a shape the nodes have room for at one moment.
type Fit struct {
	Workers int       // must all be placed at once
	Need    Resources // per worker
	// Now is true when Nomad's scheduler would place every worker. It ignores jobs that are not placed yet.
	Now bool
	// Reason says why not; "" when Now.
	Reason string
	Nodes  []NodeFit // nodes that could hold at least one worker if empty
}

// Resources is a part of a node.
type Resources struct {
	GPUs   int
	CPU    int64 // MHz
	Memory int64 // MiB
}

// NodeFit is one node's capacity, in workers of the shape.
type NodeFit struct {
	ID    string
	Free  int // fit now
	Freed int // would fit if all of the console's own runs ended
	GPUs  int // allowed by the node's GPUs when all are free; unlimited without GPUs
	// FreeCPU and FreeMemory are unused, in MHz and MiB.
	FreeCPU, FreeMemory int64
}

// Free is how many workers fit now.
func (f *Fit) Free() int { return f.sum(func(n NodeFit) int { return n.Free }) }

// Freed is how many workers would fit if all of the console's own runs ended.
func (f *Fit) Freed() int { return f.sum(func(n NodeFit) int { return n.Freed }) }

func (f *Fit) sum(of func(NodeFit) int) int {
	total := 0
	for _, n := range f.Nodes {
		total += of(n)
	}
	return total
}
