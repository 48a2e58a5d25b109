package localnomad

import (
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/nomad/api"
)

// runnerSet holds the runners of all allocations that have not ended.
type runnerSet struct {
	s  *Server
	mu sync.Mutex
	m  map[string]*allocRunner
	wg sync.WaitGroup
}

// apply starts what a plan placed and stops what it stopped.
func (rs *runnerSet) apply(p *plan) {
	for _, a := range p.updates {
		if serverTerminal(a) {
			if r := rs.get(a.ID); r != nil {
				r.stop("")
			}
		}
	}
	for _, a := range p.placed {
		rs.start(a)
	}
}

func (rs *runnerSet) get(id string) *allocRunner {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	return rs.m[id]
}

func (rs *runnerSet) all() []*allocRunner {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	return slices.Collect(maps.Values(rs.m))
}

func (rs *runnerSet) start(a *api.Allocation) {
	var node *api.Node
	rs.s.st.view(func() { node = rs.s.st.nodes[a.NodeID] })
	if node == nil {
		return
	}
	r := newAllocRunner(rs.s, a, node)
	rs.mu.Lock()
	rs.m[a.ID] = r
	rs.mu.Unlock()
	rs.wg.Go(func() {
		r.run()
		rs.mu.Lock()
		delete(rs.m, a.ID)
		rs.mu.Unlock()
		rs.s.sched.unblock() // only now is what it held free
	})
}

// allocRunner runs the tasks of one allocation.
type allocRunner struct {
	s     *Server
	alloc *api.Allocation // as placed
	group *api.TaskGroup
	node  *api.Node
	dir   allocDir
	tasks []*taskRunner

	stopOnce sync.Once
	stopping chan struct{}
	done     chan struct{}

	mu        sync.Mutex
	states    map[string]*api.TaskState // by task; never changed once stored
	abandoned bool                      // its node has failed: nobody reports any more
	timedOut  bool
	lostWhy   string // the end is not the task's own: the allocation is lost, for this reason
}

func newAllocRunner(s *Server, a *api.Allocation, node *api.Node) *allocRunner {
	r := &allocRunner{
		s: s, alloc: a, node: node, dir: s.allocDir(a.ID),
		stopping: make(chan struct{}), done: make(chan struct{}), states: map[string]*api.TaskState{},
	}
	for _, tg := range a.Job.TaskGroups {
		if *tg.Name == a.TaskGroup {
			r.group = tg
		}
	}
	for _, t := range r.group.Tasks {
		r.tasks = append(r.tasks, newTaskRunner(r, t))
		r.states[t.Name] = &api.TaskState{State: statusPending, Events: []*api.TaskEvent{s.receivedEvent()}}
	}
	return r
}

// stop ends the allocation's tasks. A reason makes it lost instead of complete.
func (r *allocRunner) stop(lostWhy string) {
	r.mu.Lock()
	if r.lostWhy == "" {
		r.lostWhy = lostWhy
	}
	r.mu.Unlock()
	r.stopOnce.Do(func() { close(r.stopping) })
}

// abandon kills everything at once and reports nothing, as when a node fails.
func (r *allocRunner) abandon() {
	r.mu.Lock()
	r.abandoned = true
	r.mu.Unlock()
	for _, t := range r.tasks {
		t.killNow()
	}
	r.stopOnce.Do(func() { close(r.stopping) })
}

func (r *allocRunner) taskNames() []string {
	names := make([]string, 0, len(r.tasks))
	for _, t := range r.tasks {
		names = append(names, t.task.Name)
	}
	return names
}

// run lives from the placement to the end of the last task.
func (r *allocRunner) run() {
	defer close(r.done)
	r.awaitPrevious()
	if err := r.prepareDir(); err != nil {
		for _, t := range r.tasks {
			t.fail(r.s.setupFailureEvent(err))
		}
		r.report()
		return
	}
	r.registerServices()
	stopTimer := r.limitRunTime()
	r.runPhases()
	stopTimer()
	r.deregisterServices()
	if r.asked() {
		killStrays(r.alloc.ID)
	}
	for _, t := range r.tasks {
		t.closeLogs()
	}
	r.report()
}

// limitRunTime applies max_run_duration.
func (r *allocRunner) limitRunTime() func() {
	limit := deref(r.group.MaxRunDuration)
	if limit <= 0 {
		return func() {}
	}
	t := time.AfterFunc(limit, func() {
		r.mu.Lock()
		r.timedOut = true
		r.mu.Unlock()
		r.stop("")
	})
	return func() { t.Stop() }
}

// phase tells when a task runs: 0 before the main tasks, to its end; 1 with
// them; 2 after them.
func phase(t *api.Task) int {
	if t.Lifecycle == nil {
		return 1
	}
	switch {
	case t.Lifecycle.Hook == api.TaskLifecycleHookPrestart && !t.Lifecycle.Sidecar:
		return 0
	case t.Lifecycle.Hook == api.TaskLifecycleHookPoststop:
		return 2
	}
	return 1
}

func (r *allocRunner) runPhases() {
	for p := range 3 {
		var now []*taskRunner
		for _, t := range r.tasks {
			if phase(t.task) == p {
				now = append(now, t)
			}
		}
		if p < 2 && (r.anyFailed() || r.asked()) {
			for _, t := range now {
				t.skip()
			}
			continue
		}
		stopping := r.stopping
		if p == 2 && !r.lost() {
			stopping = nil // what comes after a stop is not stopped by it
		}
		r.runTogether(now, stopping)
	}
}

// asked reports whether the allocation has been told to end.
func (r *allocRunner) asked() bool {
	select {
	case <-r.stopping:
		return true
	default:
		return false
	}
}

// lost reports whether the allocation ends with its agent or its node.
func (r *allocRunner) lost() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.lostWhy != "" || r.abandoned
}

func (r *allocRunner) anyFailed() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, st := range r.states {
		if st.Failed {
			return true
		}
	}
	return false
}

// runTogether runs tasks until all have ended. The end of one may be the end
// of all: when it failed, when it is the leader, or when only sidecars are left.
func (r *allocRunner) runTogether(tasks []*taskRunner, stopping <-chan struct{}) {
	ended := make(chan *taskRunner, len(tasks))
	for _, t := range tasks {
		go func() {
			t.run()
			ended <- t
		}()
	}
	live := len(tasks)
	for live > 0 {
		select {
		case <-stopping:
			stopping = nil
			r.killAll(tasks, nil)
		case t := <-ended:
			live--
			r.afterEnd(t, tasks, live)
		}
	}
}

func (r *allocRunner) afterEnd(t *taskRunner, tasks []*taskRunner, live int) {
	if live == 0 {
		return
	}
	switch {
	case t.state().Failed:
		r.killAll(tasks, func() *api.TaskEvent { return r.s.siblingEvent(t.task.Name) })
	case t.task.Leader:
		r.killAll(tasks, func() *api.TaskEvent {
			return r.s.newTaskEvent(api.TaskLeaderDead, "Leader Task in Group dead", nil)
		})
	case onlySidecars(tasks):
		r.killAll(tasks, func() *api.TaskEvent {
			return r.s.newTaskEvent(eventMainDead, "Main tasks in the group died", nil)
		})
	}
}

func onlySidecars(tasks []*taskRunner) bool {
	for _, t := range tasks {
		if t.state().State != statusDead && (t.task.Lifecycle == nil || !t.task.Lifecycle.Sidecar) {
			return false
		}
	}
	return true
}

// killAll asks all tasks to end, the leader first.
func (r *allocRunner) killAll(tasks []*taskRunner, cause func() *api.TaskEvent) {
	r.deregisterServices()
	for _, t := range tasks {
		if t.task.Leader && t.state().State != statusDead {
			t.kill(cause)
			<-t.done
		}
	}
	for _, t := range tasks {
		if t.state().State != statusDead {
			t.kill(cause)
		}
	}
}

// setState stores a task's new state; report tells the state's table.
func (r *allocRunner) setState(task string, change func(*api.TaskState)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := *r.states[task]
	c.Events = slices.Clone(c.Events)
	change(&c)
	if n := len(c.Events); n > maxTaskEvents {
		c.Events = c.Events[n-maxTaskEvents:]
	}
	r.states[task] = &c
}

// report stores what the client knows about the allocation.
func (r *allocRunner) report() {
	r.mu.Lock()
	states, abandoned := maps.Clone(r.states), r.abandoned
	timedOut, lostWhy := r.timedOut, r.lostWhy
	r.mu.Unlock()
	if abandoned {
		return
	}
	status, description := clientStatus(states)
	if allDead(states) {
		switch {
		case lostWhy != "":
			status, description = clientLost, lostWhy
		case timedOut:
			status, description = clientComplete, reasonMaxRunDuration
		}
	}
	var eval *api.Evaluation
	_, err := r.s.st.update(kindOfClient, r.s.now().UnixNano(), func(tx *txn) error {
		old := r.s.st.allocs[r.alloc.ID]
		if old == nil || old.ClientStatus == clientLost || old.ClientStatus == clientUnknown {
			return nil
		}
		if maps.Equal(old.TaskStates, states) && old.ClientStatus == status && old.ClientDescription == description {
			return nil // told already
		}
		a := copyAlloc(old)
		a.TaskStates, a.ClientStatus, a.ClientDescription = states, status, description
		switch {
		case status == clientLost:
			eval = r.s.lose(a)
		case status == clientFailed && old.ClientStatus != clientFailed && a.DesiredStatus == desiredRun:
			eval = r.s.failureEval(a)
		}
		tx.putAlloc(a, false)
		if eval != nil {
			tx.putEval(eval)
		}
		return nil
	})
	if err != nil {
		r.s.log.Error("store allocation", "alloc", r.alloc.ID, "error", err)
	}
	r.s.sched.enqueue(eval)
}

func allDead(states map[string]*api.TaskState) bool {
	for _, st := range states {
		if st.State != statusDead {
			return false
		}
	}
	return true
}

// failureEval is the evaluation that applies the reschedule policy to a
// failed allocation, or nil when the policy allows nothing.
func (s *Server) failureEval(a *api.Allocation) *api.Evaluation {
	job := s.st.jobs[a.JobID]
	if job == nil || deref(job.Stop) {
		return nil
	}
	for _, tg := range job.TaskGroups {
		if *tg.Name == a.TaskGroup {
			if _, ok := nextReschedule(a, tg.ReschedulePolicy); ok {
				return s.newEval(job, triggerFailure)
			}
		}
	}
	return nil
}
