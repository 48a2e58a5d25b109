package localnomad

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/hashicorp/nomad/api"
)

const (
	// maxKillTimeout is the longest a task may take to end, as a client's max_kill_timeout.
	maxKillTimeout = 30 * time.Second
	// drainTimeout is how long output is still read after a task's processes are dead:
	// only a process that escaped the kill can hold the pipe open.
	drainTimeout = 2 * time.Second
	// defaultKillSignal is what raw_exec sends when a task names none.
	defaultKillSignal = "SIGINT"
)

// taskRunner runs one task: set-up, start, wait, restart, end.
type taskRunner struct {
	r      *allocRunner
	s      *Server
	task   *api.Task
	env    *taskEnv
	stdout *logWriter
	stderr *logWriter

	ctx    context.Context // done when the task must end
	cancel context.CancelFunc
	done   chan struct{}

	mu       sync.Mutex
	proc     *os.Process
	exited   chan struct{} // closed when proc has ended
	restart  bool          // the end that comes is asked for by a restart
	killOnce sync.Once
	usage    usageSample
}

func newTaskRunner(r *allocRunner, t *api.Task) *taskRunner {
	ctx, cancel := context.WithCancel(context.Background())
	return &taskRunner{r: r, s: r.s, task: t, ctx: ctx, cancel: cancel, done: make(chan struct{})}
}

func (t *taskRunner) state() *api.TaskState {
	t.r.mu.Lock()
	defer t.r.mu.Unlock()
	return t.r.states[t.task.Name]
}

func (t *taskRunner) event(e *api.TaskEvent) {
	t.r.setState(t.task.Name, func(st *api.TaskState) { st.Events = append(st.Events, e) })
}

// fail ends the task before it began.
func (t *taskRunner) fail(e *api.TaskEvent) {
	t.r.setState(t.task.Name, func(st *api.TaskState) {
		st.State, st.Failed, st.FinishedAt = statusDead, true, t.s.now().UTC()
		st.Events = append(st.Events, e)
	})
}

// skip ends a task that never runs because an earlier one failed.
func (t *taskRunner) skip() {
	t.r.setState(t.task.Name, func(st *api.TaskState) { st.State, st.FinishedAt = statusDead, t.s.now().UTC() })
}

// run runs the task to its end, restarts included.
func (t *taskRunner) run() {
	defer close(t.done)
	defer t.cancel()
	t.event(t.s.setupEvent()) // told with what comes next
	policy := t.task.RestartPolicy
	if policy == nil {
		policy = t.r.group.RestartPolicy
	}
	tracker := newRestartTracker(policy, t.restartsOnSuccess(), t.s.now)
	var templates *templateSet
	for {
		var err error
		if templates == nil {
			templates, err = t.prepare()
		}
		o := t.once(err)
		if o.stop || !o.restart && !t.again(tracker, o) {
			break
		}
	}
	templates.close()
	t.r.setState(t.task.Name, func(st *api.TaskState) {
		st.State, st.FinishedAt = statusDead, t.s.now().UTC()
	})
	t.r.report()
}

func (t *taskRunner) restartsOnSuccess() bool {
	if l := t.task.Lifecycle; l != nil {
		return l.Sidecar && l.Hook != api.TaskLifecycleHookPoststop
	}
	return *t.r.alloc.Job.Type != api.JobTypeBatch && *t.r.alloc.Job.Type != api.JobTypeSysbatch
}

// prepare makes everything the process needs: its environment, the payload,
// the templates, the logs.
func (t *taskRunner) prepare() (*templateSet, error) {
	t.env = t.s.newTaskEnv(t.r.alloc, t.r.node, t.task, t.r.dir)
	if err := t.writePayload(); err != nil {
		return nil, err
	}
	if err := t.openLogs(); err != nil {
		return nil, err
	}
	ts, err := t.startTemplates()
	if err != nil {
		return nil, templateError{err}
	}
	return ts, nil
}

func (t *taskRunner) writePayload() error {
	p, payload := t.task.DispatchPayload, t.r.alloc.Job.Payload
	if p == nil || p.File == "" || len(payload) == 0 {
		return nil
	}
	path, err := within(t.r.dir.local(t.task.Name), p.File)
	if err != nil {
		return fmt.Errorf("dispatch payload: %w", err)
	}
	if err := writeFile(path, payload, 0o644); err != nil {
		return fmt.Errorf("dispatch payload: %w", err)
	}
	return nil
}

func (t *taskRunner) openLogs() error {
	if t.stdout != nil {
		return nil
	}
	files, size := 10, 10
	if c := t.task.LogConfig; c != nil {
		files, size = deref(c.MaxFiles), deref(c.MaxFileSizeMB)
	}
	open := func(kind string) (*logWriter, error) {
		w, err := openLogWriter(t.r.dir.logs(), t.task.Name+"."+kind, files, int64(size)<<20, t.s.log)
		if err == nil {
			t.s.logs.add(t.r.alloc.ID, t.task.Name, kind, w)
		}
		return w, err
	}
	var err1, err2 error
	t.stdout, err1 = open("stdout")
	t.stderr, err2 = open("stderr")
	return errors.Join(err1, err2)
}

func (t *taskRunner) closeLogs() {
	for kind, w := range map[string]*logWriter{"stdout": t.stdout, "stderr": t.stderr} {
		if w == nil {
			continue
		}
		t.s.logs.remove(t.r.alloc.ID, t.task.Name, kind)
		if err := w.Close(); err != nil {
			t.s.log.Warn("close log", "alloc", t.r.alloc.ID, "error", err)
		}
	}
}

// outcome is how one try of a task ended.
type outcome struct {
	ok       bool // it ended well
	startErr bool // it did not start
	stop     bool // it must not run again, whatever its policy
	restart  bool // it must run again, whatever its policy
}

// once starts the process and waits for its end.
func (t *taskRunner) once(prepareErr error) outcome {
	if t.ctx.Err() != nil {
		t.event(t.s.killedEvent())
		return outcome{stop: true}
	}
	if prepareErr != nil {
		t.fail(t.s.prepareFailedEvent(prepareErr))
		return outcome{stop: true}
	}
	x, err := t.exec()
	t.mu.Lock()
	restart := t.restart
	t.restart = false
	t.mu.Unlock()
	switch {
	case err != nil && t.ctx.Err() == nil:
		t.event(t.s.driverFailureEvent(err))
		return outcome{startErr: true}
	case err == nil:
		if out, errs := t.stdout.lost(), t.stderr.lost(); out+errs > 0 {
			t.event(t.s.outputLostEvent(out, errs))
		}
		t.event(t.s.terminatedEvent(x))
	}
	if t.ctx.Err() != nil {
		t.event(t.s.killedEvent())
		return outcome{stop: true}
	}
	if restart {
		t.restarting("", 0)
		return outcome{restart: true}
	}
	return outcome{ok: x.ok()}
}

// restarting stores that the task is about to run again.
func (t *taskRunner) restarting(reason string, delay time.Duration) {
	t.r.setState(t.task.Name, func(st *api.TaskState) {
		st.State = statusPending
		st.Restarts++
		st.LastRestart = t.s.now().UTC()
		st.Events = append(st.Events, t.s.restartingEvent(reason, delay))
	})
	t.r.report()
}

// again applies the restart policy; it waits out the delay.
func (t *taskRunner) again(tracker *restartTracker, o outcome) bool {
	d := tracker.next(o.ok, o.startErr)
	if !d.restart {
		if d.failed {
			t.r.setState(t.task.Name, func(st *api.TaskState) {
				st.Failed = true
				st.Events = append(st.Events, t.s.notRestartingEvent(d.reason))
			})
		}
		return false
	}
	t.restarting(d.reason, d.delay)
	timer := time.NewTimer(d.delay)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-t.ctx.Done():
		t.event(t.s.killedEvent())
		return false
	}
}

// kill asks the task to end, once.
func (t *taskRunner) kill(cause func() *api.TaskEvent) {
	t.killOnce.Do(func() {
		if cause != nil {
			t.event(cause())
		}
		e := t.s.killingEvent(t.killTimeout())
		t.r.mu.Lock()
		timedOut, lost := t.r.timedOut, t.r.lostWhy
		t.r.mu.Unlock()
		switch {
		case timedOut:
			e.DisplayMessage = reasonMaxRunDuration
		case lost != "":
			e.KillReason, e.Details["kill_reason"], e.DisplayMessage = lost, lost, lost
		}
		t.event(e)
		t.r.report()
		t.cancel()
	})
}

// killNow kills the process group without asking.
func (t *taskRunner) killNow() {
	t.killOnce.Do(t.cancel)
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.proc != nil {
		killGroup(t.proc.Pid)
	}
}
