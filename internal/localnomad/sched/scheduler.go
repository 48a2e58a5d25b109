package sched

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/nomad/api"

	"github.com/cotrain/cotrain/internal/localnomad/state"
)

// Runners run what is placed.
type Runners interface {
	// Apply stops and starts what an evaluation decided.
	Apply(stopped, placed []*api.Allocation)
	// Holds reports whether an allocation still has processes, and so what it was given.
	Holds(allocID string) bool
}

// Scheduler works off evaluations, one at a time, highest priority first. Only [Scheduler.Run] places and stops allocations.
type Scheduler struct {
	store    *state.Store
	runners  Runners
	log      *slog.Logger
	cordoned atomic.Bool

	mu    sync.Mutex
	queue map[string]*api.Evaluation
	retry bool // capacity may have come free: try the blocked ones again
	ended bool
	wake  chan struct{}
}

// New returns a scheduler for what is in the store.
func New(store *state.Store, runners Runners, log *slog.Logger) *Scheduler {
	return &Scheduler{store: store, runners: runners, log: log, queue: map[string]*api.Evaluation{}, wake: make(chan struct{}, 1)}
}

// Cordon keeps everything from being placed from now on.
func (s *Scheduler) Cordon() { s.cordoned.Store(true) }

// Enqueue hands over stored evaluations; one with a WaitUntil waits until then, nil is nothing.
func (s *Scheduler) Enqueue(evals ...*api.Evaluation) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range evals {
		if e == nil || s.ended {
			continue
		}
		if wait := e.WaitUntil.Sub(s.store.Now()); !e.WaitUntil.IsZero() && wait > 0 {
			due := *e
			due.WaitUntil = time.Time{}
			time.AfterFunc(wait, func() { s.Enqueue(&due) })
			continue
		}
		s.queue[e.ID] = e
	}
	s.signal()
}

// Unblock makes the scheduler try blocked evaluations again.
func (s *Scheduler) Unblock() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.retry = true
	s.signal()
}

// signal wakes the goroutine. The lock is held.
func (s *Scheduler) signal() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Run works until ctx is done.
func (s *Scheduler) Run(ctx context.Context) {
	for ctx.Err() == nil {
		if e := s.next(); e != nil {
			s.process(e.ID)
			continue
		}
		select {
		case <-s.wake:
		case <-ctx.Done():
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
}

// next takes the most important evaluation, or nil. When none is left, blocked ones are tried that may fit now.
func (s *Scheduler) next() *api.Evaluation {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.queue) == 0 && s.retry {
		s.retry = false
		s.store.View(func(t *state.Tables) {
			for _, e := range t.Evals {
				if e.Status == api.EvalStatusBlocked {
					s.queue[e.ID] = e
				}
			}
		})
	}
	var best *api.Evaluation
	for _, e := range s.queue {
		if best == nil || e.Priority > best.Priority || e.Priority == best.Priority && state.OldestEval(e, best) < 0 {
			best = e
		}
	}
	if best != nil {
		delete(s.queue, best.ID)
	}
	return best
}

// process decides what a job needs and stores it: first the placements and stops, then the evaluation, as two changes like
// Nomad's.
func (s *Scheduler) process(id string) {
	var p *Plan
	_, err := s.store.Update(state.PlanResult, func(tx *state.Tx) error {
		e := tx.Evals[id]
		if e == nil || state.EvalTerminal(e) {
			return nil
		}
		p = s.plan(tx.Tables, e, tx.Jobs[e.JobID], tx.Now)
		for _, a := range slices.Concat(p.Updated, p.Placed) {
			tx.PutAlloc(a, true)
		}
		return nil
	})
	if err != nil || p == nil {
		return // nothing of it was stored, or the evaluation is done
	}
	_, err = s.store.Update(state.EvalUpdated, func(tx *state.Tx) error {
		s.finish(tx, p)
		return nil
	})
	if err != nil {
		s.log.Error("store evaluation", "eval", id, "error", err)
	}
	s.Enqueue(p.later...)
	s.runners.Apply(slices.DeleteFunc(p.Updated, func(a *api.Allocation) bool { return !state.ServerTerminal(a) }), p.Placed)
}

// finish stores the evaluation's outcome and what follows from it.
func (s *Scheduler) finish(tx *state.Tx, p *Plan) {
	old := tx.Evals[p.eval.ID]
	if old == nil {
		return
	}
	e := *old
	e.QueuedAllocations, e.FailedTGAllocs = p.Queued, p.Failed
	if e.Status == api.EvalStatusBlocked && len(p.Failed) > 0 { // still
		if len(p.Placed) > 0 {
			tx.PutEval(&e)
		}
		return
	}
	e.Status, e.StatusDescription, e.SnapshotIndex = api.EvalStatusComplete, "", tx.Index-1
	for _, f := range p.later {
		f.PreviousEval, e.NextEval = e.ID, f.ID
		tx.PutEval(f)
	}
	keep, why := e.ID, fmt.Sprintf("evaluation %q successful", e.ID)
	if len(p.Failed) > 0 {
		b := p.Blocked()
		e.BlockedEval = b.ID
		keep, why = b.ID, "existing blocked evaluation exists for this job"
		tx.PutEval(b)
	}
	for _, other := range tx.JobEvals(e.JobID) { // one blocked evaluation of a job is enough
		if other.Status == api.EvalStatusBlocked && other.ID != keep {
			b := *other
			b.Status, b.StatusDescription = api.EvalStatusCancelled, why
			tx.PutEval(&b)
		}
	}
	tx.PutEval(&e)
}
