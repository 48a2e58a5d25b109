package task

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/hashicorp/nomad/api"

	"github.com/cotrain/cotrain/internal/localnomad/state"
)

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
	proc, err := t.r.rs.spawn.start(path, args, t.env.list(), dir, outW, errW)
	closeErr := errors.Join(outW.Close(), errW.Close())
	if err != nil {
		return exit{}, errors.Join(fmt.Errorf("start %s: %w", path, err), closeErr, outR.Close(), errR.Close())
	}
	var copies sync.WaitGroup
	copies.Go(func() { _, _ = io.CopyBuffer(onlyWriter{t.stdout}, outR, make([]byte, 64<<10)) }) // ends with the pipe
	copies.Go(func() { _, _ = io.CopyBuffer(onlyWriter{t.stderr}, errR, make([]byte, 64<<10)) }) // ends with the pipe
	exited := make(chan struct{})
	t.mu.Lock()
	t.proc, t.exited = proc, exited
	t.mu.Unlock()
	t.r.setState(t.task.Name, func(st *api.TaskState) {
		st.State = state.Running
		if st.StartedAt.IsZero() {
			st.StartedAt = t.now()
		}
		st.Events = append(st.Events, t.r.newEvent(api.TaskStarted, "Task started by client", nil))
	})
	t.r.report()
	killer := make(chan struct{})
	go func() {
		defer close(killer)
		select {
		case <-exited:
		case <-t.ctx.Done():
			t.terminate(proc, exited)
		}
	}()
	x := t.r.rs.spawn.wait(proc)
	t.mu.Lock()
	t.proc = nil
	t.mu.Unlock()
	close(exited)
	<-killer
	drain(&copies, outR, errR)
	return x, nil
}

// onlyWriter hides everything but Write, so that the copy uses its buffer.
type onlyWriter struct{ w io.Writer }

func (o onlyWriter) Write(p []byte) (int, error) { return o.w.Write(p) }

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

// terminate ends the process: the kill signal, the time-out, then SIGKILL for the whole group.
func (t *taskRunner) terminate(proc *os.Process, exited chan struct{}) {
	sig, err := signalByName(t.task.KillSignal)
	if err != nil {
		sig = syscall.SIGINT // what raw_exec sends when a task names none
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

func (t *taskRunner) killTimeout() time.Duration {
	return min(state.Deref(t.task.KillTimeout), MaxKillTimeout)
}

// command resolves what to run: in the task's directories first, then on the task's PATH, as the drivers do.
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
	dir = t.r.dir.Task(t.task.Name)
	if work, _ := t.task.Config["work_dir"].(string); work != "" {
		dir = t.env.replace(work)
		if !filepath.IsAbs(dir) {
			dir = filepath.Join(t.r.dir.Task(t.task.Name), dir)
		}
	}
	path, err = t.lookPath(command)
	return path, args, dir, err
}

func (t *taskRunner) lookPath(command string) (string, error) {
	candidates := []string{}
	if !filepath.IsAbs(command) {
		candidates = append(candidates,
			filepath.Join(t.r.dir.Local(t.task.Name), command), filepath.Join(t.r.dir.Task(t.task.Name), command))
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

// stringList reads a list of texts, where numbers are such as well.
func stringList(v any) ([]string, error) {
	list, ok := v.([]any)
	if !ok && v != nil {
		return nil, fmt.Errorf("%v is no list", v)
	}
	var out []string
	for _, item := range list {
		switch item := item.(type) {
		case string:
			out = append(out, item)
		case float64:
			out = append(out, strconv.FormatFloat(item, 'f', -1, 64))
		case bool:
			out = append(out, strconv.FormatBool(item))
		default:
			return nil, fmt.Errorf("%v is no text", item)
		}
	}
	return out, nil
}
