package task

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// groupAttr makes a child the leader of its own process group and has the
// kernel kill it when the thread that started it ends.
func groupAttr() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// waitUnreaped waits until a child has ended and leaves it a zombie, so that
// its process ID, which is its group's, cannot be taken by another process.
func waitUnreaped(pid int) {
	for {
		err := unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			return
		}
	}
}

// KillStrays kills every process that carries the allocation's ID in its environment: what left its process group, or
// survived an agent that was killed. It returns how many there were.
func KillStrays(allocID string) int {
	want := []byte("NOMAD_ALLOC_ID=" + allocID + "\x00")
	paths, err := filepath.Glob("/proc/[0-9]*/environ")
	if err != nil {
		return 0
	}
	n := 0
	for _, p := range paths {
		env, err := os.ReadFile(p)
		if err != nil || !bytes.Contains(env, want) {
			continue // gone, or another user's
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(p)))
		if err == nil && pid > 1 && pid != os.Getpid() && syscall.Kill(pid, syscall.SIGKILL) == nil {
			n++
		}
	}
	return n
}
