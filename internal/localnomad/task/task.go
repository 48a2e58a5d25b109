package task

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/hashicorp/nomad/api"

	"github.com/cotrain/cotrain/internal/localnomad/logfile"
	"github.com/cotrain/cotrain/internal/localnomad/state"
)

const (
	// MaxKillTimeout is the longest a task may take to end, as a client's max_kill_timeout.
	MaxKillTimeout = 30 * time.Second
	// drainTimeout is how long output is still read after a task's processes are dead:
	// only a process that escaped the kill can hold the pipe open.
	drainTimeout = 2 * time.Second
)

// taskRunner runs one task: set-up, start, wait, restart, end.
type taskRunner struct {
	r      *allocRunner
	task   *api.Task
	env    *environment
	stdout *logfile.Writer
	stderr *logfile.Writer

	ctx    context.Context // done when the task must end
	cancel context.CancelFunc
	done   chan struct{}

	mu       sync.Mutex
	proc     *os.Process
	exited   chan struct{} // closed when proc has ended
	restart  bool          // the end that comes is asked for by a restart
	killOnce sync.Once
}

func newTaskRunner(r *allocRunner, t *api.Task) *taskRunner {
	ctx, cancel := context.WithCancel(context.Background())
	return &taskRunner{r: r, task: t, ctx: ctx, cancel: cancel, done: make(chan struct{})}
}

func (t *taskRunner) now() time.Time { return t.r.rs.Store.Now().UTC() }

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
		st.State, st.Failed, st.FinishedAt = state.Dead, true, t.now()
		st.Events = append(st.Events, e)
	})
}

// run runs the task to its end, restarts included.
func (t *taskRunner) run() {
	defer close(t.done)
	defer t.cancel()
	setup := t.r.newEvent(api.TaskSetup, messageBuildDir, map[string]string{"message": messageBuildDir})
	setup.Message = messageBuildDir
	t.event(setup) // told with what comes next
	policy := t.task.RestartPolicy
	if policy == nil {
		policy = t.r.group.RestartPolicy
	}
	tracker := newRestartTracker(policy, t.r.rs.Store.Now)
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
		st.State, st.FinishedAt = state.Dead, t.now()
	})
	t.r.report()
}

// prepare makes everything the process needs: its environment, the payload, the templates, the logs.
func (t *taskRunner) prepare() (*templateSet, error) {
	t.env = t.r.environment(t.task)
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
	path, err := within(t.r.dir.Local(t.task.Name), p.File)
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
		files, size = state.Deref(c.MaxFiles), state.Deref(c.MaxFileSizeMB)
	}
	open := func(kind string) (*logfile.Writer, error) {
		stream := logfile.Stream{Alloc: t.r.alloc.ID, Task: t.task.Name, Kind: kind}
		return t.r.rs.Logs.Open(t.r.dir.Logs(), stream, files, int64(size)<<20, t.r.rs.Log)
	}
	var err1, err2 error
	t.stdout, err1 = open("stdout")
	t.stderr, err2 = open("stderr")
	return errors.Join(err1, err2)
}

func (t *taskRunner) closeLogs() {
	for _, w := range []*logfile.Writer{t.stdout, t.stderr} {
		if w == nil {
			continue
		}
		if err := w.Close(); err != nil {
			t.r.rs.Log.Warn("close log", "alloc", t.r.alloc.ID, "error", err)
		}
	}
}

// outcome is how one start of a task ended.
type outcome struct {
	ok      bool // it ended well
	stop    bool // it must not run again, whatever its policy
	restart bool // it must run again, whatever its policy
}

// once starts the process and waits for its end.
func (t *taskRunner) once(prepareErr error) outcome {
	if t.ctx.Err() != nil {
		t.event(t.r.killed())
		return outcome{stop: true}
	}
	if prepareErr != nil {
		t.fail(t.r.prepareFailed(prepareErr))
		return outcome{stop: true}
	}
	x, err := t.exec()
	t.mu.Lock()
	restart := t.restart
	t.restart = false
	t.mu.Unlock()
	switch {
	case err != nil && t.ctx.Err() == nil:
		t.event(t.r.driverFailed(err))
		return outcome{}
	case err == nil:
		if out, errs := t.stdout.Lost(), t.stderr.Lost(); out+errs > 0 {
			t.event(t.r.outputLost(out, errs))
		}
		t.event(t.r.terminated(x))
	}
	if t.ctx.Err() != nil {
		t.event(t.r.killed())
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
		st.State = state.Pending
		st.Restarts++
		st.LastRestart = t.now()
		st.Events = append(st.Events, t.r.restarting(reason, delay))
	})
	t.r.report()
}

// again applies the restart policy; it waits out the delay.
func (t *taskRunner) again(tracker *restartTracker, o outcome) bool {
	d := tracker.next(o.ok)
	if !d.restart {
		if d.failed {
			t.r.setState(t.task.Name, func(st *api.TaskState) {
				st.Failed = true
				st.Events = append(st.Events, t.r.notRestarting(d.reason))
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
		t.event(t.r.killed())
		return false
	}
}

// kill asks the task to end, once.
func (t *taskRunner) kill(cause func() *api.TaskEvent) {
	t.killOnce.Do(func() {
		if cause != nil {
			t.event(cause())
		}
		t.event(t.r.killing(t.killTimeout()))
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

// signal sends a signal to the process.
func (t *taskRunner) signal(sig syscall.Signal) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.proc == nil:
		return ErrNotRunning
	case sig == syscall.SIGKILL:
		killGroup(t.proc.Pid)
		return nil
	}
	return t.proc.Signal(sig)
}

// requestRestart ends the process and has it started again at once, outside the restart policy.
func (t *taskRunner) requestRestart(reason string) error {
	t.mu.Lock()
	proc, exited := t.proc, t.exited
	t.restart = t.restart || proc != nil
	t.mu.Unlock()
	if proc == nil {
		return ErrNotRunning
	}
	e := t.r.newEvent(api.TaskRestartSignal, reason, map[string]string{"restart_reason": reason})
	e.RestartReason = reason
	t.event(e)
	t.r.report()
	t.terminate(proc, exited)
	<-exited
	return nil
}
