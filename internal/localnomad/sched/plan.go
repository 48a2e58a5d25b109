package sched

import (
	"fmt"
	"time"

	"github.com/hashicorp/nomad/api"

	"github.com/cotrain/cotrain/internal/localnomad/state"
)

// Why the scheduler changed an allocation, with Nomad's texts.
const (
	descNotNeeded = "alloc not needed due to job update"
	descMigrating = "alloc is being migrated"
	descUpdating  = "alloc is being updated due to job update"
	descUnknown   = "alloc is unknown since its node is disconnected"
)

// Plan is what one evaluation decided.
type Plan struct {
	// Updated are changed copies of existing allocations, Placed the new ones.
	Updated, Placed []*api.Allocation
	// Failed says why groups have allocations without a place, Queued how many each.
	Failed map[string]*api.AllocationMetric
	Queued map[string]int

	eval  *api.Evaluation
	later []*api.Evaluation // that must run once their time has come
}

// Blocked is the evaluation that waits for room for what could not be placed.
func (p *Plan) Blocked() *api.Evaluation {
	return &api.Evaluation{
		ID: state.NewID(), Namespace: p.eval.Namespace, Priority: p.eval.Priority, Type: p.eval.Type, TriggeredBy: state.TriggerQueued,
		JobID: p.eval.JobID, JobModifyIndex: p.eval.JobModifyIndex, Status: api.EvalStatusBlocked, PreviousEval: p.eval.ID,
		StatusDescription: "created to place remaining allocations", FailedTGAllocs: p.Failed,
	}
}

// Plan returns what registering a job would do.
func (s *Scheduler) Plan(t *state.Tables, job *api.Job) *Plan {
	return s.plan(t, state.NewEval(job, state.TriggerRegister), job, s.store.Now())
}

// ask is one allocation to place.
type ask struct {
	group *api.TaskGroup
	name  string
	prev  *api.Allocation // the copy in Plan.Updated that it replaces, or nil
}

// plan compares what a job wants with what there is.
func (s *Scheduler) plan(t *state.Tables, e *api.Evaluation, job *api.Job, now time.Time) *Plan {
	p := &Plan{eval: e, Queued: map[string]int{}}
	groups := map[string][]*api.Allocation{}
	wanted := job != nil && !state.Deref(job.Stop) && !state.Parameterized(job)
	if wanted {
		for _, tg := range job.TaskGroups {
			groups[*tg.Name], p.Queued[*tg.Name] = nil, 0
		}
	}
	for _, a := range t.JobAllocs(e.JobID) {
		if _, ok := groups[a.TaskGroup]; ok && !state.Foreign(a, job) {
			groups[a.TaskGroup] = append(groups[a.TaskGroup], a)
		} else if !state.Terminal(a) {
			p.update(stopOf(t, a, descNotNeeded))
		}
	}
	if !wanted {
		return p
	}
	var asks []ask
	for _, tg := range job.TaskGroups {
		g := &group{t: t, p: p, job: job, tg: tg, now: now, taken: map[int]*api.Allocation{}}
		asks = append(asks, g.reconcile(groups[*tg.Name])...)
	}
	s.place(t, p, job, asks)
	return p
}

func (p *Plan) update(a *api.Allocation) *api.Allocation {
	p.Updated = append(p.Updated, a)
	return a
}

// stopOf is a copy of an allocation that is no longer wanted. On a node that is down nobody can stop it: it is lost.
func stopOf(t *state.Tables, a *api.Allocation, why string) *api.Allocation {
	c := state.CopyAlloc(a)
	c.DesiredStatus, c.DesiredDescription = api.AllocDesiredStatusStop, why
	if state.Gone(t.Nodes[a.NodeID]) && !state.ClientTerminal(a) {
		c.ClientStatus = api.AllocClientStatusLost
	}
	return c
}

// group reconciles one task group.
type group struct {
	t     *state.Tables
	p     *Plan
	job   *api.Job
	tg    *api.TaskGroup
	now   time.Time
	taken map[int]*api.Allocation // by index: the allocations that count
	asks  []ask
}

func (g *group) reconcile(allocs []*api.Allocation) []ask {
	for _, a := range allocs {
		g.one(a)
	}
	count := *g.tg.Count
	for i, a := range g.taken {
		if i >= count && !state.Terminal(a) {
			g.p.update(stopOf(g.t, a, descNotNeeded))
		}
	}
	replaced := map[int]bool{}
	asks := g.asks[:0]
	for _, k := range g.asks {
		if i := state.AllocIndex(k.name); i < count && !replaced[i] {
			replaced[i] = true
			asks = append(asks, k)
		}
	}
	for i := range count {
		if g.taken[i] == nil && !replaced[i] {
			asks = append(asks, ask{group: g.tg, name: fmt.Sprintf("%s.%s[%d]", *g.job.ID, *g.tg.Name, i)})
		}
	}
	return asks
}

// one decides about one existing allocation: it counts, it is replaced, or it no longer matters.
func (g *group) one(a *api.Allocation) {
	switch {
	case a.NextAllocation != "" && state.Terminal(a):
	case state.Terminal(a) && *a.Job.Version < *g.job.Version:
	case state.ServerTerminal(a) && !ranWell(a):
	case state.Terminal(a):
		g.keep(a) // ended, or lost but not to be replaced
	default:
		g.live(a)
	}
}

// expired reports whether an unknown allocation has been so for too long.
func (g *group) expired(a *api.Allocation) bool {
	d := state.LostAfter(a)
	return d > 0 && !g.now.Before(time.Unix(0, a.ModifyTime).Add(d)) // becoming unknown was its last change
}

func (g *group) keep(a *api.Allocation) { g.taken[state.AllocIndex(a.Name)] = a }

func (g *group) replace(a *api.Allocation, why string) {
	g.asks = append(g.asks, ask{group: g.tg, name: a.Name, prev: g.p.update(stopOf(g.t, a, why))})
}

// live decides about an allocation that has not ended.
func (g *group) live(a *api.Allocation) {
	switch {
	case state.Gone(g.t.Nodes[a.NodeID]):
		g.onDownNode(a)
	case a.DesiredTransition.ShouldMigrate():
		g.replace(a, descMigrating)
	case *a.Job.Version != *g.job.Version:
		g.replace(a, descUpdating)
	default:
		g.keep(a)
	}
}

// onDownNode decides about an allocation whose node has failed. With disconnect { replace = false } it is unknown at first,
// since its node may come back with it.
func (g *group) onDownNode(a *api.Allocation) {
	switch {
	case a.ClientStatus == api.AllocClientStatusPending || state.Replaceable(a):
		g.replace(a, state.DescLost)
	case a.ClientStatus != api.AllocClientStatusUnknown:
		g.disconnected(a)
	case g.expired(a):
		c := g.p.update(state.CopyAlloc(a))
		c.ClientStatus = api.AllocClientStatusLost
		g.keep(c)
	default:
		g.keep(a)
	}
}

// disconnected makes an allocation unknown, and sees to its end when lost_after has passed.
func (g *group) disconnected(a *api.Allocation) {
	c := g.p.update(state.CopyAlloc(a))
	c.ClientStatus, c.ClientDescription = api.AllocClientStatusUnknown, descUnknown
	if lostAfter := state.LostAfter(a); lostAfter > 0 {
		f := state.NewEval(g.job, state.TriggerDisconnect)
		f.WaitUntil = g.now.Add(lostAfter)
		f.StatusDescription = "created for delayed disconnect timeout"
		c.FollowupEvalID = f.ID
		g.p.later = append(g.p.later, f)
	}
	g.keep(c)
}

// ranWell reports whether all tasks ended and none failed.
func ranWell(a *api.Allocation) bool {
	if a.ClientStatus != api.AllocClientStatusComplete || len(a.TaskStates) == 0 {
		return false
	}
	for _, t := range a.TaskStates {
		if t.State != state.Dead || t.Failed {
			return false
		}
	}
	return true
}
