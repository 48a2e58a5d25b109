package nomadtest

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/cotrain/cotrain/internal/nomad"
	"github.com/cotrain/cotrain/internal/run"
)

// manyPlaces is what a node has without [Cluster.SetPlaces].
const manyPlaces = 1000

// SetPlaces is how many workers each node has room for, by name; without it node-1 has a thousand places. A worker of any
// shape takes one, from when Set puts it on the node until it ends.
func (c *Cluster) SetPlaces(places map[string]int) {
	c.change(func() { c.places = maps.Clone(places) })
}

// Forbid makes the scheduler refuse every shape for a reason that the numbers do not show; "" ends that.
func (c *Cluster) Forbid(why string) { c.change(func() { c.forbidden = why }) }

// Room tells how many workers of each child live.
func (c *Cluster) Room(context.Context) (nomad.Room, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := nomad.Room{Placed: map[string]int{}}
	for id, j := range c.jobs {
		for _, w := range j.workers {
			if !w.State.Terminal() {
				r.Placed[id]++
			}
		}
	}
	return r, c.call("Room")
}

// Fit counts places.
func (c *Cluster) Fit(_ context.Context, shape run.Shape, _ nomad.Room) (run.Fit, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f := run.Fit{Workers: shape.Nodes, Need: run.Resources{GPUs: 1, CPU: 1, Memory: 1}, Reason: c.forbidden}
	taken := map[string]int{}
	for _, j := range c.jobs {
		for _, w := range j.workers {
			if !w.State.Terminal() {
				taken[w.NodeName]++
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.places)) {
		if shape.Avoid.Has(name) {
			continue
		}
		n := c.places[name]
		f.Nodes = append(f.Nodes, run.NodeFit{ID: name, Free: max(0, n-taken[name]), Freed: n, GPUs: n, FreeCPU: int64(n), FreeMemory: int64(n)})
	}
	if f.Reason == "" && f.Free() < shape.Nodes {
		f.Reason = fmt.Sprintf("needs %d places, %d of %d are free", shape.Nodes, f.Free(), f.Freed())
	}
	f.Now = f.Reason == ""
	return f, c.call("Fit")
}
