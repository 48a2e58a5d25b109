package task

import (
	"maps"
	"slices"
	"sync"

	"github.com/hashicorp/nomad/api"

	"github.com/cotrain/cotrain/internal/localnomad/state"
)

// allocRunner runs the tasks of one allocation.
type allocRunner struct {
	rs    *Runners
	alloc *api.Allocation // as placed
	group *api.TaskGroup
	node  *api.Node
	dir   Dir
	tasks []*taskRunner

	stopOnce sync.Once
	stopping chan struct{}
	done     chan struct{}

	mu        sync.Mutex
	states    map[string]*api.TaskState // by task; never changed once stored
	abandoned bool                      // its node has failed: nobody reports any more
	lostWhy   string                    // the end is not the task's own: the allocation is lost, for this reason
}

func newAllocRunner(rs *Runners, a *api.Allocation, node *api.Node) *allocRunner {
	r := &allocRunner{
		rs: rs, alloc: a, group: state.Group(a), node: node, dir: rs.Dir(a.ID),
		stopping: make(chan struct{}), done: make(chan struct{}), states: map[string]*api.TaskState{},
	}
	for _, t := range r.group.Tasks {
		r.tasks = append(r.tasks, newTaskRunner(r, t))
		r.states[t.Name] = &api.TaskState{State: state.Pending, Events: []*api.TaskEvent{r.newEvent(api.TaskReceived, "Task received by client", nil)}}
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
	r.stop("")
}

// run lives from the placement to the end of the last task.
func (r *allocRunner) run() {
	defer close(r.done)
	if prev := r.rs.get(r.alloc.PreviousAllocation); prev != nil { // the two are never at work at once
		select {
		case <-prev.done:
		case <-r.stopping:
		}
	}
	if err := r.prepareDir(); err != nil {
		for _, t := range r.tasks {
			t.fail(r.setupFailed(err))
		}
		r.report()
		return
	}
	r.registerServices()
	r.runTasks()
	r.rs.dropServices(r.alloc.ID)
	if r.asked() {
		KillStrays(r.alloc.ID)
	}
	for _, t := range r.tasks {
		t.closeLogs()
	}
	r.report()
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

// runTasks runs the tasks until all have ended. The end of one is the end of all when it failed or is the leader.
func (r *allocRunner) runTasks() {
	ended := make(chan *taskRunner, len(r.tasks))
	for _, t := range r.tasks {
		if r.asked() {
			t.kill(nil) // it never starts
		}
		go func() {
			t.run()
			ended <- t
		}()
	}
	stopping := r.stopping
	for live := len(r.tasks); live > 0; {
		select {
		case <-stopping:
			stopping = nil
			r.killAll(nil)
		case t := <-ended:
			live--
			switch {
			case live == 0:
			case t.state().Failed:
				r.killAll(func() *api.TaskEvent { return r.siblingFailed(t.task.Name) })
			case t.task.Leader:
				r.killAll(func() *api.TaskEvent { return r.newEvent(api.TaskLeaderDead, "Leader Task in Group dead", nil) })
			}
		}
	}
}

// killAll asks all tasks to end, the leader first.
func (r *allocRunner) killAll(cause func() *api.TaskEvent) {
	r.rs.dropServices(r.alloc.ID)
	for _, leader := range []bool{true, false} {
		for _, t := range r.tasks {
			if t.task.Leader != leader || t.state().State == state.Dead {
				continue
			}
			t.kill(cause)
			if leader {
				<-t.done
			}
		}
	}
}

// setState changes what is known of a task; report tells the state's tables.
func (r *allocRunner) setState(task string, change func(*api.TaskState)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := *r.states[task]
	c.Events = slices.Clone(c.Events)
	change(&c)
	c.Events = c.Events[max(0, len(c.Events)-maxTaskEvents):]
	r.states[task] = &c
}

// report stores what the client knows about the allocation.
func (r *allocRunner) report() {
	r.mu.Lock()
	states, abandoned, lostWhy := maps.Clone(r.states), r.abandoned, r.lostWhy
	r.mu.Unlock()
	if abandoned {
		return
	}
	status, description, allDead := clientStatus(states)
	if allDead && lostWhy != "" {
		status, description = api.AllocClientStatusLost, lostWhy
	}
	var eval *api.Evaluation
	r.rs.update(state.AllocUpdated, func(tx *state.Tx) {
		old := tx.Allocs[r.alloc.ID]
		if old == nil || old.ClientStatus == api.AllocClientStatusLost || old.ClientStatus == api.AllocClientStatusUnknown ||
			maps.Equal(old.TaskStates, states) && old.ClientStatus == status && old.ClientDescription == description {
			return // given up, or told already
		}
		a := state.CopyAlloc(old)
		a.TaskStates, a.ClientStatus, a.ClientDescription = states, status, description
		if status == api.AllocClientStatusLost {
			eval = tx.Lose(a)
		} else {
			tx.PutAlloc(a, false)
		}
	})
	r.rs.Enqueue(eval)
}

// clientStatus derives an allocation's status from its tasks'.
func clientStatus(states map[string]*api.TaskState) (status, description string, allDead bool) {
	var pending, running, failed bool
	for _, t := range states {
		pending = pending || t.State == state.Pending
		running = running || t.State == state.Running
		failed = failed || t.State == state.Dead && t.Failed
	}
	allDead = !pending && !running
	switch {
	case failed:
		return api.AllocClientStatusFailed, "Failed tasks", allDead
	case running:
		return api.AllocClientStatusRunning, "Tasks are running", false
	case pending:
		return api.AllocClientStatusPending, "No tasks have started", false
	}
	return api.AllocClientStatusComplete, "All tasks have completed", true
}
