//go:build unix

package task

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// exit is how a process ended.
type exit struct {
	code   int
	signal int
	oom    bool // the kernel killed it for want of memory
	err    error
}

func (x exit) ok() bool { return x.code == 0 && x.signal == 0 && x.err == nil }

// exitOf converts a process state. Death by signal n is exit code 128+n.
func exitOf(st *os.ProcessState, err error) exit {
	if err != nil {
		return exit{code: 1, err: err}
	}
	ws, ok := st.Sys().(syscall.WaitStatus)
	if ok && ws.Signaled() {
		return exit{code: 128 + int(ws.Signal()), signal: int(ws.Signal())}
	}
	return exit{code: st.ExitCode()}
}

// spawner starts processes from one thread that lives as long as the server: the kernel's parent-death signal follows the
// thread that made the child, not the process.
type spawner struct {
	requests chan spawnRequest
	reaper   *reaper
	done     chan struct{}
}

type spawnRequest struct {
	path   string
	args   []string
	attr   *os.ProcAttr
	answer chan spawnAnswer
}

type spawnAnswer struct {
	proc *os.Process
	err  error
}

func newSpawner(r *reaper) *spawner {
	sp := &spawner{requests: make(chan spawnRequest), reaper: r, done: make(chan struct{})}
	go sp.run()
	return sp
}

func (sp *spawner) run() {
	defer close(sp.done)
	runtime.LockOSThread() // never unlocked: the thread ends with this goroutine
	for req := range sp.requests {
		proc, err := os.StartProcess(req.path, req.args, req.attr)
		if err == nil {
			sp.reaper.add(proc.Pid)
		}
		req.answer <- spawnAnswer{proc, err}
	}
}

// start runs a command as the leader of a new process group.
func (sp *spawner) start(path string, args, env []string, dir string, stdout, stderr *os.File) (*os.Process, error) {
	null, err := os.Open(os.DevNull)
	if err != nil {
		return nil, err
	}
	defer func() { _ = null.Close() }() // only read, and by the child
	answer := make(chan spawnAnswer, 1)
	sp.requests <- spawnRequest{path, args, &os.ProcAttr{
		Dir: dir, Env: env, Files: []*os.File{null, stdout, stderr}, Sys: groupAttr(),
	}, answer}
	a := <-answer
	return a.proc, a.err
}

// close ends the thread and the reaper. No task may be running.
func (sp *spawner) close() {
	close(sp.requests)
	<-sp.done
	sp.reaper.close()
}

// wait waits for a process, kills what is left of its group, and only then lets the process ID be used again.
func (sp *spawner) wait(proc *os.Process) exit {
	waitUnreaped(proc.Pid)
	oom := outOfMemory(proc.Pid)
	killGroup(proc.Pid)
	x := exitOf(proc.Wait())
	x.oom = oom && x.signal == int(syscall.SIGKILL)
	sp.reaper.remove(proc.Pid)
	return x
}

// killGroup sends SIGKILL to a whole process group.
func killGroup(pgid int) {
	if pgid > 1 {
		_ = syscall.Kill(-pgid, syscall.SIGKILL) // ESRCH: all gone already
	}
}

// reaperScript keeps a set of process groups and kills them when its standard input ends, however this process ends. The
// parent-death signal reaches only the direct child; this reaches its children too.
const reaperScript = `trap '' INT TERM HUP QUIT
groups=
while read -r op group; do
	case $op in
	+) groups="$groups $group" ;;
	-) kept=
		for g in $groups; do [ "$g" = "$group" ] || kept="$kept $g"; done
		groups=$kept ;;
	esac
done
for g in $groups; do kill -9 "-$g" 2>/dev/null; done
`

// reaper is the process that outlives this one just long enough to kill what it has left behind.
type reaper struct {
	mu   sync.Mutex
	pipe *os.File
	proc *os.Process
}

// startReaper starts the reaper. Without a shell there is none, and a nil reaper does nothing.
func startReaper() (*reaper, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer func() { _ = r.Close() }() // the child has its own
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return nil, errors.Join(err, w.Close())
	}
	defer func() { _ = null.Close() }() // the child has its own
	proc, err := os.StartProcess("/bin/sh", []string{"sh", "-c", reaperScript}, &os.ProcAttr{
		Dir: "/", Env: []string{}, Files: []*os.File{r, null, null}, Sys: &syscall.SysProcAttr{Setsid: true},
	})
	if err != nil {
		return nil, errors.Join(err, w.Close())
	}
	return &reaper{pipe: w, proc: proc}, nil
}

func (r *reaper) add(pgid int)    { r.tell("+", pgid) }
func (r *reaper) remove(pgid int) { r.tell("-", pgid) }

func (r *reaper) tell(op string, pgid int) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	_ = r.pipe.SetWriteDeadline(time.Now().Add(time.Second)) // a stopped reaper must not stop us
	_, _ = fmt.Fprintf(r.pipe, "%s %d\n", op, pgid)          // without it, only direct children die with us
}

// close ends the reaper.
func (r *reaper) close() {
	if r == nil {
		return
	}
	_ = r.pipe.Close()   // its end of file
	_, _ = r.proc.Wait() // ends by itself, at once
}

// signalByName finds a signal by its name, with or without SIG.
func signalByName(name string) (syscall.Signal, error) {
	upper := strings.ToUpper(strings.TrimSpace(name))
	if !strings.HasPrefix(upper, "SIG") {
		upper = "SIG" + upper
	}
	if n := unix.SignalNum(upper); n != 0 {
		return n, nil
	}
	return 0, fmt.Errorf("unknown signal %q", name)
}
