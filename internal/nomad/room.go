package nomad

import (
	"context"
	"fmt"
	"strings"

	"github.com/hashicorp/nomad/api"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
)

// Room is the nodes' resources and their use at one moment. The zero value has no nodes.
type Room struct {
	// Placed counts live allocations by job.
	Placed map[string]int

	nodes   []*api.NodeListStub
	use     map[string]used // by all jobs
	foreign map[string]used // by others' jobs
}

// Room reads nodes and allocations. With ACLs the token needs node:read, and sees other namespaces' use only where it
// may read their jobs.
func (c *Client) Room(ctx context.Context) (Room, error) {
	nodes, err := c.nodeStubs(ctx)
	if err != nil {
		return Room{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	allocs, err := c.liveAllocations(ctx)
	if err != nil {
		return Room{}, err
	}
	return roomOf(nodes, allocs), nil
}

func roomOf(nodes []*api.NodeListStub, allocs []*api.AllocationListStub) Room {
	r := Room{Placed: map[string]int{}, nodes: nodes, use: usage(allocs, "")}
	var foreign []*api.AllocationListStub
	for _, a := range allocs {
		r.Placed[a.JobID]++
		if !strings.HasPrefix(a.JobID, parentPrefix) {
			foreign = append(foreign, a)
		}
	}
	r.foreign = usage(foreign, "")
	return r
}

// Fit returns how a shape fits in a fresh room, and asks Nomad's scheduler: it knows the site's job file, the room what
// else is free. Known shapes cost one call. Errors are those of [Client.EnsureParent].
func (c *Client) Fit(ctx context.Context, shape run.Shape, in Room) (run.Fit, error) {
	job, need, err := c.child(ctx, shape)
	if err != nil {
		return run.Fit{}, err
	}
	failed, err := c.plan(ctx, job)
	if err != nil {
		return run.Fit{}, err
	}
	f := need.fit(in)
	f.Workers = shape.Nodes // as the dispatch expects
	if f.Now = failed == nil; !f.Now {
		f.Reason = why(need, failed, in.nodes, in.use)
	}
	return f, nil
}

// child returns a shape's job as dispatched, and its demand. It is parsed once until file or settings change, and
// shared: do not modify.
func (c *Client) child(ctx context.Context, shape run.Shape) (*api.Job, demand, error) {
	if err := c.checkShape(shape); err != nil {
		return nil, demand{}, err
	}
	text, err := c.jobText(ctx)
	if err != nil {
		return nil, demand{}, err
	}
	id := shape.ParentJob()
	c.mu.Lock()
	known, ok := c.children[id]
	c.mu.Unlock()
	if ok && known.text == text { // settings never change
		return known.job, known.need, nil
	}
	job, err := c.parse(ctx, text, shape)
	if err != nil {
		return nil, demand{}, err
	}
	asChild(job, 0)
	need, ok := demandOf(job)
	if !ok {
		return nil, demand{}, fmt.Errorf("job %s: %w: it has no task to place", id, fault.ErrInvalid)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.children) >= maxChildren {
		clear(c.children) // parsed again on demand
	}
	c.children[id] = child{text: text, job: job, need: need}
	return job, need, nil
}

type child struct {
	text string // the job file it was made from
	job  *api.Job
	need demand
}

// maxChildren bounds the cached jobs, some 30 KB each.
const maxChildren = 256

func (d demand) fit(in Room) run.Fit {
	f := run.Fit{Workers: d.workers, Need: run.Resources{GPUs: d.gpus, CPU: d.cpu, Memory: d.memory}}
	for _, n := range in.nodes {
		if !d.suitable(n) || !d.hasDriver(n) {
			continue
		}
		empty := places(d, n, used{})
		if least(empty) == 0 {
			continue
		}
		cpu, memory := unused(n, in.use[n.ID])
		f.Nodes = append(f.Nodes, run.NodeFit{
			ID: n.ID, Free: least(places(d, n, in.use[n.ID])), Freed: least(places(d, n, in.foreign[n.ID])), GPUs: empty[0],
			FreeCPU: cpu, FreeMemory: memory,
		})
	}
	return f
}

// least is how many workers fit by all resources.
func least(places [3]int) int { return min(places[0], places[1], places[2]) }
