package nomad

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/nomad/api"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
)

// planChild ends a planned job's ID in the form of a dispatched child's.
const planChild = "/dispatch-0-00000000"

// Job returns the ID and definition of the shape's parent job, and what a submission would do with it. It changes
// nothing. Errors are those of [Client.EnsureParent].
func (c *Client) Job(ctx context.Context, shape run.Shape) (string, json.RawMessage, run.ParentState, error) {
	job, state, err := c.wouldRegister(ctx, shape)
	if err != nil {
		return "", nil, "", err
	}
	text, err := json.Marshal(job)
	if err != nil {
		return "", nil, "", fmt.Errorf("encode job %s: %w", deref(job.ID), err)
	}
	return deref(job.ID), text, state, nil
}

// wouldRegister parses a shape's job and compares it with the registered one.
func (c *Client) wouldRegister(ctx context.Context, shape run.Shape) (*api.Job, run.ParentState, error) {
	if err := c.checkShape(shape); err != nil {
		return nil, "", err
	}
	text, err := c.jobText(ctx)
	if err != nil {
		return nil, "", err
	}
	id, vars := shape.ParentJob(), c.cfg.Job.variables(shape)
	job, err := c.parse(ctx, text, shape)
	if err != nil {
		return nil, "", err
	}
	want := contentHash(text, vars)
	job.Meta[contentKey] = want
	index, current, err := c.parentContent(ctx, id)
	switch {
	case err != nil:
		return nil, "", err
	case index == 0:
		return job, run.ParentNew, nil
	case current == want:
		return job, run.ParentCurrent, nil
	}
	return job, run.ParentUpdate, nil
}

// Plan asks Nomad's scheduler whether a shape's workers would all be placed now, at a priority of 1 to 100 (0 for the
// job's). It changes nothing. If not, reason is as in [Client.WhyPending]. places are the nodes with room, most first; a
// constraint of the site's job file counts in fits but not in places. With ACLs the token needs submit-job. Errors are
// those of [Client.EnsureParent].
func (c *Client) Plan(ctx context.Context, shape run.Shape, priority int) (fits bool, reason string, places []run.Place, err error) {
	if err := c.checkShape(shape); err != nil {
		return false, "", nil, err
	}
	if priority < 0 || priority > 100 {
		return false, "", nil, fmt.Errorf("priority %d: %w: Nomad takes 1 to 100", priority, fault.ErrInvalid)
	}
	text, err := c.jobText(ctx)
	if err != nil {
		return false, "", nil, err
	}
	job, err := c.parse(ctx, text, shape)
	if err != nil {
		return false, "", nil, err
	}
	asChild(job, priority)
	failed, err := c.plan(ctx, job)
	if err != nil {
		return false, "", nil, err
	}
	need, ok := demandOf(job)
	if !ok {
		return false, "", nil, fmt.Errorf("job %s: %w: it has no task to place", deref(job.ID), fault.ErrInvalid)
	}
	in, err := c.Room(ctx)
	if err != nil {
		return false, "", nil, err
	}
	places = roomFor(need, in.nodes, in.use)
	if failed == nil {
		return true, "", places, nil
	}
	return false, why(need, failed, in.nodes, in.use), places, nil
}

// asChild turns a parent into its child: Nomad plans no parameterized job.
func asChild(job *api.Job, priority int) {
	id, parent := deref(job.ID)+planChild, deref(job.ID)
	job.ID, job.Name, job.ParentID = &id, &id, &parent
	job.ParameterizedJob, job.Dispatched = nil, true
	if priority != 0 {
		job.Priority = &priority
	}
}

// plan returns why the workers would not all be placed, or nil.
func (c *Client) plan(ctx context.Context, job *api.Job) (*api.AllocationMetric, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	resp, _, err := c.calls.Jobs().PlanOpts(job, &api.PlanOptions{}, c.change(ctx, deref(job.ID)))
	if err = c.ofNamespace(c.namespace(deref(job.ID)), classify("plan job "+deref(job.ID), err)); err != nil {
		return nil, err
	}
	if failed, ok := resp.FailedTGAllocs[groupName]; ok && failed != nil {
		return failed, nil
	}
	for _, failed := range resp.FailedTGAllocs { // a group that the site added
		if failed != nil {
			return failed, nil
		}
	}
	return nil, nil
}

// roomFor lists nodes with room for at least one worker.
func roomFor(d demand, nodes []*api.NodeListStub, use map[string]used) []run.Place {
	out := []run.Place{}
	for _, n := range nodes {
		if !d.suitable(n) || !d.hasDriver(n) {
			continue
		}
		if fit := least(places(d, n, use[n.ID])); fit > 0 {
			out = append(out, run.Place{Node: n.Name, NodeID: n.ID, Datacenter: n.Datacenter, Workers: fit})
		}
	}
	slices.SortFunc(out, func(a, b run.Place) int {
		return cmp.Or(cmp.Compare(b.Workers, a.Workers), strings.Compare(a.Node, b.Node), strings.Compare(a.NodeID, b.NodeID))
	})
	return out
}
