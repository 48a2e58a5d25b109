package localnomad

import (
	"context"
	"crypto/rand"
	"fmt"
	"sort"
	"sync"
	"time"

	"github.com/hashicorp/nomad/api"
)

// What an evaluation was triggered by, as Nomad names it.
const (
	triggerRegister   = "job-register"
	triggerDeregister = "job-deregister"
	triggerAllocStop  = "alloc-stop"
	triggerNode       = "node-update"
	triggerQueued     = "queued-allocs"
	triggerFailure    = "alloc-failure"
	triggerReschedule = "alloc-reschedule"
	triggerDisconnect = "max-disconnect-timeout"
)

// scheduler works off evaluations, one at a time, highest priority first.
// Only its goroutine places and stops allocations.
type scheduler struct {
	s       *Server
	mu      sync.Mutex
	queue   []*api.Evaluation
	queued  map[string]bool
	retry   bool // capacity may have come free: try the blocked ones again
	timers  map[string]*time.Timer
	stopped bool
	wake    chan struct{}
}

func newScheduler(s *Server) *scheduler {
	return &scheduler{s: s, queued: map[string]bool{}, timers: map[string]*time.Timer{}, wake: make(chan struct{}, 1)}
}

// newEval makes a pending evaluation of a job.
func (s *Server) newEval(job *api.Job, trigger string) *api.Evaluation {
	return &api.Evaluation{
		ID: newUUID(), Namespace: *job.Namespace, Priority: *job.Priority, Type: *job.Type,
		TriggeredBy: trigger, JobID: *job.ID, Status: evalPending,
	}
}

// enqueue hands over stored evaluations; one with a WaitUntil waits until then.
func (c *scheduler) enqueue(evals ...*api.Evaluation) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, e := range evals {
		if e == nil || c.queued[e.ID] || c.stopped {
			continue
		}
		if wait := e.WaitUntil.Sub(c.s.now()); !e.WaitUntil.IsZero() && wait > 0 {
			c.delay(e, wait)
			continue
		}
		c.queued[e.ID] = true
		c.queue = append(c.queue, e)
	}
	c.signal()
}

// delay starts a timer for an evaluation. The lock is held.
func (c *scheduler) delay(e *api.Evaluation, wait time.Duration) {
	if c.timers[e.ID] != nil {
		return
	}
	due := *e
	due.WaitUntil = time.Time{}
	c.timers[e.ID] = time.AfterFunc(wait, func() {
		c.mu.Lock()
		delete(c.timers, due.ID)
		c.mu.Unlock()
		c.enqueue(&due)
	})
}

// unblock makes the scheduler try blocked evaluations again.
func (c *scheduler) unblock() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.retry = true
	c.signal()
}

// signal wakes the goroutine. The lock is held.
func (c *scheduler) signal() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// next takes the most important evaluation, or nil.
func (c *scheduler) next() *api.Evaluation {
	c.mu.Lock()
	defer c.mu.Unlock()
	best := -1
	for i, e := range c.queue {
		if best < 0 || e.Priority > c.queue[best].Priority ||
			e.Priority == c.queue[best].Priority && evalLess(e, c.queue[best]) {
			best = i
		}
	}
	if best < 0 {
		return nil
	}
	e := c.queue[best]
	c.queue = append(c.queue[:best], c.queue[best+1:]...)
	delete(c.queued, e.ID)
	return e
}

// run works until ctx is done.
func (c *scheduler) run(ctx context.Context) {
	defer c.stop()
	for {
		for e := c.next(); e != nil; e = c.next() {
			if ctx.Err() != nil {
				return
			}
			c.process(e.ID)
		}
		if c.takeRetry() {
			c.enqueue(c.blocked()...)
			continue
		}
		select {
		case <-c.wake:
		case <-ctx.Done():
			return
		}
	}
}

func (c *scheduler) stop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stopped = true
	for _, t := range c.timers {
		t.Stop()
	}
}

func (c *scheduler) takeRetry() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.retry
	c.retry = false
	return r
}

func (c *scheduler) blocked() []*api.Evaluation {
	var out []*api.Evaluation
	c.s.st.view(func() {
		for _, e := range c.s.st.evals {
			if e.Status == evalBlocked {
				out = append(out, e)
			}
		}
	})
	sort.Slice(out, func(i, j int) bool { return evalLess(out[i], out[j]) })
	return out
}

// process decides what a job needs and stores it: first the placements and
// stops, then the evaluation, as two changes like Nomad's.
func (c *scheduler) process(id string) {
	now := c.s.now()
	var p *plan
	_, err := c.s.st.update(kindOfPlan, now.UnixNano(), func(tx *txn) error {
		e := c.s.st.evals[id]
		if e == nil || evalTerminal(e) {
			return nil
		}
		p = c.s.makePlan(e, now)
		for _, a := range p.updates {
			tx.putAlloc(a, true)
		}
		for _, a := range p.placed {
			tx.putAlloc(a, true)
		}
		return nil
	})
	if err != nil || p == nil {
		return // nothing of it was stored, or the evaluation is done
	}
	var follow []*api.Evaluation
	_, err = c.s.st.update(kindOfEval, now.UnixNano(), func(tx *txn) error {
		follow = c.finish(tx, p)
		return nil
	})
	if err != nil {
		c.s.log.Error("store evaluation", "eval", id, "error", err)
	}
	c.enqueue(follow...)
	c.s.runners.apply(p)
}

// finish stores the evaluation's outcome and what follows from it, and
// returns the evaluations that must run later.
func (c *scheduler) finish(tx *txn, p *plan) []*api.Evaluation {
	old := c.s.st.evals[p.eval.ID]
	if old == nil {
		return nil
	}
	e := *old
	e.QueuedAllocations = p.queued
	if e.Status == evalBlocked && len(p.failed) > 0 {
		if len(p.placed) > 0 {
			e.FailedTGAllocs = p.failed
			tx.putEval(&e)
		}
		return nil // still blocked
	}
	e.Status, e.StatusDescription = evalComplete, ""
	e.FailedTGAllocs = p.failed
	e.SnapshotIndex = tx.index - 1
	for _, f := range p.follow {
		f.PreviousEval = e.ID
		e.NextEval = f.ID
		tx.putEval(f)
	}
	if len(p.failed) > 0 {
		b := c.blockedEval(&e, p)
		e.BlockedEval = b.ID
		c.cancelBlocked(tx, e.JobID, b.ID, "existing blocked evaluation exists for this job")
		tx.putEval(b)
	} else {
		c.cancelBlocked(tx, e.JobID, e.ID, fmt.Sprintf("evaluation %q successful", e.ID))
	}
	tx.putEval(&e)
	return p.follow
}

func (c *scheduler) blockedEval(e *api.Evaluation, p *plan) *api.Evaluation {
	return &api.Evaluation{
		ID: newUUID(), Namespace: e.Namespace, Priority: e.Priority, Type: e.Type, TriggeredBy: triggerQueued,
		JobID: e.JobID, JobModifyIndex: e.JobModifyIndex, Status: evalBlocked, PreviousEval: e.ID,
		StatusDescription: "created to place remaining allocations", FailedTGAllocs: p.failed,
		ClassEligibility: p.classes,
	}
}

// cancelBlocked ends a job's other blocked evaluations: one is enough.
func (c *scheduler) cancelBlocked(tx *txn, jobID, except, why string) {
	for _, other := range c.s.st.jobEvals(jobID) {
		if other.Status == evalBlocked && other.ID != except {
			b := *other
			b.Status, b.StatusDescription = evalCancelled, why
			tx.putEval(&b)
		}
	}
}

// newUUID returns a random UUID, version 4.
func newUUID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
