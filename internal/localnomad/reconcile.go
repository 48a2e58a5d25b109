package localnomad

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/nomad/api"
)

// Why the scheduler stopped an allocation, with Nomad's texts.
const (
	descNotNeeded = "alloc not needed due to job update"
	descMigrating = "alloc is being migrated"
	descUpdating  = "alloc is being updated due to job update"
	descLost      = "alloc is lost since its node is down"
	descUnknown   = "alloc is unknown since its node is disconnected"
)

// rescheduleWindow is how early a delayed reschedule may happen.
const rescheduleWindow = time.Second

// plan is what one evaluation decided.
type plan struct {
	eval    *api.Evaluation
	updates []*api.Allocation // changed copies of existing allocations
	placed  []*api.Allocation
	failed  map[string]*api.AllocationMetric
	queued  map[string]int
	follow  []*api.Evaluation
	classes map[string]bool
}

// ask is one allocation to place.
type ask struct {
	group *api.TaskGroup
	name  string
	prev  *api.Allocation // the copy in plan.updates, or nil
	// reschedule says that prev failed and counts as an attempt.
	reschedule bool
}

// makePlan compares what a job wants with what there is. The lock is held.
func (s *Server) makePlan(e *api.Evaluation, now time.Time) *plan {
	p := &plan{eval: e, queued: map[string]int{}}
	job := s.st.jobs[e.JobID]
	allocs := s.st.jobAllocs(e.JobID)
	if job == nil || deref(job.Stop) || isParameterized(job) {
		for _, a := range allocs {
			if !terminal(a) {
				p.stop(s.stopOf(a, descNotNeeded))
			}
		}
		if job != nil && !isParameterized(job) {
			for _, tg := range job.TaskGroups {
				p.queued[*tg.Name] = 0
			}
		}
		return p
	}
	byGroup := map[string][]*api.Allocation{}
	for _, a := range allocs {
		switch {
		case !foreign(a, job):
			byGroup[a.TaskGroup] = append(byGroup[a.TaskGroup], a)
		case !terminal(a):
			p.stop(s.stopOf(a, descNotNeeded))
		}
	}
	var asks []ask
	for _, tg := range job.TaskGroups {
		p.queued[*tg.Name] = 0
		g := &groupState{s: s, p: p, job: job, tg: tg, now: now, taken: map[int]*api.Allocation{}}
		asks = append(asks, g.reconcile(byGroup[*tg.Name])...)
		delete(byGroup, *tg.Name)
	}
	for _, gone := range byGroup {
		for _, a := range gone {
			if !terminal(a) {
				p.stop(s.stopOf(a, descNotNeeded))
			}
		}
	}
	s.place(p, job, asks)
	return p
}

func (p *plan) stop(a *api.Allocation) *api.Allocation {
	p.updates = append(p.updates, a)
	return a
}

// stopOf is a copy of an allocation that is no longer wanted. On a node that
// is down nobody can stop it: it is lost.
func (s *Server) stopOf(a *api.Allocation, why string) *api.Allocation {
	c := copyAlloc(a)
	c.DesiredStatus, c.DesiredDescription = desiredStop, why
	if gone(s.st.nodes[a.NodeID]) && !clientTerminal(a) {
		c.ClientStatus = clientLost
	}
	return c
}

// gone reports whether a node has failed or left.
func gone(n *api.Node) bool {
	return n == nil || n.Status == nodeDown || n.Status == nodeDisconnected
}

// groupState reconciles one task group.
type groupState struct {
	s     *Server
	p     *plan
	job   *api.Job
	tg    *api.TaskGroup
	now   time.Time
	taken map[int]*api.Allocation // by index: the allocations that count
	asks  []ask
}

func (g *groupState) reconcile(allocs []*api.Allocation) []ask {
	for _, a := range allocs {
		g.one(a)
	}
	count := *g.tg.Count
	for i, a := range g.taken {
		if i >= count && a != nil && !terminal(a) {
			g.p.stop(g.s.stopOf(a, descNotNeeded))
		}
	}
	replaced := map[int]bool{}
	asks := g.asks[:0]
	for _, k := range g.asks {
		if i := allocIndex(k.name); i < count && !replaced[i] {
			replaced[i] = true
			asks = append(asks, k)
		}
	}
	for i := range count {
		if _, ok := g.taken[i]; !ok && !replaced[i] {
			asks = append(asks, ask{group: g.tg, name: allocName(*g.job.ID, *g.tg.Name, i)})
		}
	}
	return asks
}

// one decides about one existing allocation: it counts, it is replaced, or
// it no longer matters.
func (g *groupState) one(a *api.Allocation) {
	batch := *g.job.Type == api.JobTypeBatch
	switch {
	case a.NextAllocation != "" && (terminal(a) || a.ClientStatus == clientUnknown && !g.expired(a)):
	case terminal(a) && batch && *a.Job.Version < *g.job.Version:
	case serverTerminal(a):
		if batch && ranWell(a) {
			g.keep(a)
		}
	case a.ClientStatus == clientFailed:
		g.failed(a)
	case a.ClientStatus == clientLost:
		g.keep(a) // lost but not to be replaced
	case a.ClientStatus == clientComplete:
		if batch {
			g.keep(a)
		}
	default:
		g.live(a)
	}
}

// expired reports whether an unknown allocation has been so for too long.
func (g *groupState) expired(a *api.Allocation) bool {
	d := disconnectTime(a)
	return d > 0 && !g.now.Before(unknownSince(a).Add(d))
}

func (g *groupState) keep(a *api.Allocation) { g.taken[allocIndex(a.Name)] = a }

func (g *groupState) replace(a *api.Allocation, why string, reschedule bool) {
	c := g.p.stop(g.s.stopOf(a, why))
	g.asks = append(g.asks, ask{group: g.tg, name: a.Name, prev: c, reschedule: reschedule})
}

// live decides about an allocation that has not ended.
func (g *groupState) live(a *api.Allocation) {
	switch {
	case gone(g.s.st.nodes[a.NodeID]):
		g.onDownNode(a)
	case a.DesiredTransition.ShouldMigrate():
		g.replace(a, descMigrating, false)
	case *a.Job.Version == *g.job.Version:
		g.keep(a)
	case groupChanged(a.Job, g.job, *g.tg.Name):
		g.replace(a, descUpdating, false)
	default:
		c := copyAlloc(a)
		c.Job = g.job
		g.p.stop(c) // stored in place; it goes on running
		g.keep(c)
	}
}

// onDownNode decides about an allocation whose node has failed. With
// disconnect { replace = false } or a lost_after it is unknown at first, since
// its node may come back with it.
func (g *groupState) onDownNode(a *api.Allocation) {
	replace, lostAfter := replaceable(a), disconnectTime(a)
	switch {
	case a.ClientStatus == clientPending || replace && lostAfter == 0:
		g.replace(a, descLost, false)
	case a.ClientStatus != clientUnknown:
		g.disconnected(a, replace, lostAfter)
	case lostAfter > 0 && !g.now.Before(unknownSince(a).Add(lostAfter)):
		c := g.s.stopOf(a, descLost)
		if !replace {
			c.DesiredStatus, c.DesiredDescription = a.DesiredStatus, a.DesiredDescription
			g.keep(c)
		}
		g.p.stop(c)
	case !replace:
		g.keep(a)
	}
}

// disconnected makes an allocation unknown, sees to its end when lost_after
// has passed, and replaces it at once where that is wanted.
func (g *groupState) disconnected(a *api.Allocation, replace bool, lostAfter time.Duration) {
	c := copyAlloc(a)
	c.ClientStatus, c.ClientDescription = clientUnknown, descUnknown
	if lostAfter > 0 {
		f := g.s.newEval(g.job, triggerDisconnect)
		f.WaitUntil = g.now.Add(lostAfter)
		f.StatusDescription = "created for delayed disconnect timeout"
		c.FollowupEvalID = f.ID
		g.p.follow = append(g.p.follow, f)
	}
	g.p.stop(c)
	if replace {
		g.asks = append(g.asks, ask{group: g.tg, name: a.Name, prev: c})
		return
	}
	g.keep(c)
}

// disconnectTime is the lost_after of an allocation's group.
func disconnectTime(a *api.Allocation) time.Duration {
	for _, tg := range a.Job.TaskGroups {
		if *tg.Name == a.TaskGroup && tg.Disconnect != nil {
			return deref(tg.Disconnect.LostAfter)
		}
	}
	return 0
}

// unknownSince is when an allocation became unknown: its last change.
func unknownSince(a *api.Allocation) time.Time { return time.Unix(0, a.ModifyTime) }

// failed applies the reschedule policy to a failed allocation.
func (g *groupState) failed(a *api.Allocation) {
	at, ok := nextReschedule(a, g.tg.ReschedulePolicy)
	switch {
	case !ok:
		g.keep(a)
	case a.FollowupEvalID == g.p.eval.ID || at.Sub(g.now) <= rescheduleWindow:
		g.replace(a, "", true)
	case a.FollowupEvalID == "":
		f := g.s.newEval(g.job, triggerReschedule)
		f.WaitUntil = at
		f.StatusDescription = "created for delayed rescheduling"
		c := copyAlloc(a)
		c.FollowupEvalID = f.ID
		g.p.follow = append(g.p.follow, f)
		g.p.stop(c)
		g.keep(c)
	default:
		g.keep(a)
	}
}

// nextReschedule returns when a failed allocation may be placed again; ok is
// false when its policy does not allow it.
func nextReschedule(a *api.Allocation, policy *api.ReschedulePolicy) (at time.Time, ok bool) {
	if policy == nil {
		return at, false
	}
	attempts, interval := deref(policy.Attempts), deref(policy.Interval)
	unlimited := deref(policy.Unlimited)
	if attempts == 0 && !unlimited {
		return at, false
	}
	ended := lastEnd(a)
	tries := 0
	if t := a.RescheduleTracker; t != nil {
		for _, ev := range t.Events {
			if ended.Sub(time.Unix(0, ev.RescheduleTime)) < interval || unlimited {
				tries++
			}
		}
	}
	if !unlimited && tries >= attempts {
		return at, false
	}
	return ended.Add(rescheduleDelay(policy, tries)), true
}

func rescheduleDelay(policy *api.ReschedulePolicy, tries int) time.Duration {
	delay, limit := deref(policy.Delay), deref(policy.MaxDelay)
	a, b := delay, delay
	for range min(tries, 60) {
		switch deref(policy.DelayFunction) {
		case "exponential":
			a *= 2
		case "fibonacci":
			a, b = a+b, a
		}
		if limit > 0 && a > limit {
			return limit
		}
	}
	return a
}

// lastEnd is when an allocation's last task ended.
func lastEnd(a *api.Allocation) time.Time {
	var end time.Time
	for _, t := range a.TaskStates {
		if t.FinishedAt.After(end) {
			end = t.FinishedAt
		}
	}
	if end.IsZero() {
		return time.Unix(0, a.ModifyTime)
	}
	return end
}

// ranWell reports whether all tasks ended and none failed.
func ranWell(a *api.Allocation) bool {
	if a.ClientStatus != clientComplete || len(a.TaskStates) == 0 {
		return false
	}
	for _, t := range a.TaskStates {
		if t.State != statusDead || t.Failed {
			return false
		}
	}
	return true
}

// groupChanged reports whether a group must be restarted to follow the new
// version of its job.
func groupChanged(old, job *api.Job, name string) bool {
	return groupText(old, name) != groupText(job, name)
}

func groupText(job *api.Job, name string) string {
	for _, tg := range job.TaskGroups {
		if *tg.Name != name {
			continue
		}
		c := *tg
		c.Count = nil // a new count alone restarts nothing
		text, err := json.Marshal(struct {
			Group *api.TaskGroup
			Meta  map[string]string
		}{&c, job.Meta})
		if err != nil {
			return "" // the wire types always encode
		}
		return string(text)
	}
	return ""
}

// allocName is job.group[index].
func allocName(jobID, group string, index int) string {
	return fmt.Sprintf("%s.%s[%d]", jobID, group, index)
}

// allocIndex is the index in an allocation's name, or -1.
func allocIndex(name string) int {
	i := strings.LastIndexByte(name, '[')
	if i < 0 || !strings.HasSuffix(name, "]") {
		return -1
	}
	n, err := strconv.Atoi(name[i+1 : len(name)-1])
	if err != nil {
		return -1
	}
	return n
}
