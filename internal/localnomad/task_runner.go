package localnomad

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
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

// exec runs the process once. An error says that it could not be started.
func (t *taskRunner) exec() (exit, error) {
	path, args, dir, err := t.command()
	if err != nil {
		return exit{}, err
	}
	outR, outW, err := os.Pipe()
	if err != nil {
		return exit{}, fmt.Errorf("make pipe: %w", err)
	}
	errR, errW, err := os.Pipe()
	if err != nil {
		return exit{}, errors.Join(fmt.Errorf("make pipe: %w", err), outR.Close(), outW.Close())
	}
	proc, err := t.s.spawn.start(path, args, t.env.list(), dir, outW, errW)
	closeErr := errors.Join(outW.Close(), errW.Close())
	if err != nil {
		return exit{}, errors.Join(fmt.Errorf("start %s: %w", path, err), closeErr, outR.Close(), errR.Close())
	}
	var copies sync.WaitGroup
	copies.Go(func() { _, _ = io.CopyBuffer(onlyWriter{t.stdout}, outR, make([]byte, 64<<10)) }) // ends with the pipe
	copies.Go(func() { _, _ = io.CopyBuffer(onlyWriter{t.stderr}, errR, make([]byte, 64<<10)) }) // ends with the pipe
	exited := make(chan struct{})
	t.started(proc, exited)
	t.r.setState(t.task.Name, func(st *api.TaskState) {
		st.State = statusRunning
		if st.StartedAt.IsZero() {
			st.StartedAt = t.s.now().UTC()
		}
		st.Events = append(st.Events, t.s.startedEvent())
	})
	t.r.report()
	stopKiller := t.killWhenDone(proc, exited)
	x := t.s.spawn.wait(proc)
	t.mu.Lock()
	t.proc = nil
	t.mu.Unlock()
	close(exited)
	stopKiller()
	drain(&copies, outR, errR)
	return x, nil
}

// onlyWriter hides everything but Write, so that the copy uses its buffer.
type onlyWriter struct{ w io.Writer }

func (o onlyWriter) Write(p []byte) (int, error) { return o.w.Write(p) }

func (t *taskRunner) started(proc *os.Process, exited chan struct{}) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.proc, t.exited = proc, exited
}

// drain lets the rest of the output through and then closes the pipes.
func drain(copies *sync.WaitGroup, pipes ...*os.File) {
	deadline := time.Now().Add(drainTimeout)
	for _, p := range pipes {
		_ = p.SetReadDeadline(deadline) // a pipe that cannot have one ends with its last writer
	}
	copies.Wait()
	for _, p := range pipes {
		_ = p.Close() // only read
	}
}

// killWhenDone ends the process when the task's context is done: the kill
// signal, the time-out, then SIGKILL for the whole group.
func (t *taskRunner) killWhenDone(proc *os.Process, exited chan struct{}) func() {
	finished := make(chan struct{})
	go func() {
		defer close(finished)
		select {
		case <-exited:
		case <-t.ctx.Done():
			t.terminate(proc, exited)
		}
	}()
	return func() { <-finished }
}

func (t *taskRunner) terminate(proc *os.Process, exited chan struct{}) {
	sig := syscall.SIGINT
	if s, err := signalByName(t.killSignal()); err == nil {
		sig = s
	}
	_ = proc.Signal(sig) // it may have ended meanwhile
	timer := time.NewTimer(t.killTimeout())
	defer timer.Stop()
	select {
	case <-exited:
	case <-timer.C:
		killGroup(proc.Pid)
	}
}

func (t *taskRunner) killSignal() string {
	if t.task.KillSignal != "" {
		return t.task.KillSignal
	}
	return defaultKillSignal
}

func (t *taskRunner) killTimeout() time.Duration {
	return min(deref(t.task.KillTimeout), maxKillTimeout)
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

// command resolves what to run: in the task's directories first, then on the
// task's PATH, as the drivers do.
func (t *taskRunner) command() (path string, args []string, dir string, err error) {
	command, _ := t.task.Config["command"].(string)
	command = t.env.replace(command)
	if command == "" {
		return "", nil, "", errors.New(`missing command for "raw_exec" driver`)
	}
	raw, err := stringList(t.task.Config["args"])
	if err != nil {
		return "", nil, "", fmt.Errorf("args: %w", err)
	}
	args = []string{command}
	for _, a := range raw {
		args = append(args, t.env.replace(a))
	}
	dir = t.r.dir.task(t.task.Name)
	if work, _ := t.task.Config["work_dir"].(string); work != "" {
		dir = t.env.replace(work)
		if !filepath.IsAbs(dir) {
			dir = filepath.Join(t.r.dir.task(t.task.Name), dir)
		}
	}
	path, err = t.lookPath(command)
	return path, args, dir, err
}

func (t *taskRunner) lookPath(command string) (string, error) {
	candidates := []string{}
	if !filepath.IsAbs(command) {
		candidates = append(candidates,
			filepath.Join(t.r.dir.local(t.task.Name), command), filepath.Join(t.r.dir.task(t.task.Name), command))
	}
	switch {
	case filepath.IsAbs(command):
		candidates = append(candidates, command)
	case !strings.ContainsRune(command, '/'):
		search, _ := t.env.get("PATH")
		for _, dir := range filepath.SplitList(search) {
			if filepath.IsAbs(dir) {
				candidates = append(candidates, filepath.Join(dir, command))
			}
		}
	}
	for _, c := range candidates {
		if st, err := os.Stat(c); err == nil && st.Mode().IsRegular() && st.Mode()&0o111 != 0 {
			return c, nil
		}
	}
	return "", fmt.Errorf("failed to launch command with executor: rpc error: code = Unknown desc = binary %q could not be found", command)
}

func stringList(v any) ([]string, error) {
	switch list := v.(type) {
	case nil:
		return nil, nil
	case []string:
		return list, nil
	case []any:
		out := make([]string, 0, len(list))
		for _, item := range list {
			switch item.(type) {
			case string, float64, int, int64, bool:
				out = append(out, fmt.Sprint(item))
			default:
				return nil, fmt.Errorf("%v is no text", item)
			}
		}
		return out, nil
	}
	return nil, fmt.Errorf("%v is no list", v)
}
