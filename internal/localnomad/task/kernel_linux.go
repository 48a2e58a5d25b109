package task

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// initialPIDs is the namespace that process IDs in the kernel's log are of: PROC_PID_INIT_INO of include/linux/proc_ns.h.
	initialPIDs = "pid:[4026531836]"
	// tick is the unit of times in /proc/<pid>/stat: USER_HZ is 100 on every architecture that Go knows.
	tick = time.Second / 100
	// maxRecord is how long a record of the log is at most: PRINTK_MESSAGE_MAX of kernel/printk/internal.h, and what precedes the text.
	maxRecord = 8 << 10
)

// outOfMemory reports whether the kernel's log says that it killed a process for want of memory, its cgroup's or the machine's. The process
// must not be reaped yet, so that no other can have had its ID since it started. Where the log cannot be read nothing is known.
func outOfMemory(pid int) bool {
	if ns, err := os.Readlink("/proc/self/ns/pid"); err != nil || ns != initialPIDs {
		return false
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	// Not os.Open, which would wait for records to come.
	log, err := unix.Open("/dev/kmsg", unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return false
	}
	defer func() { _ = unix.Close(log) }() // only read
	return killedForMemory(pid, startOf(stat), func(b []byte) (int, error) { return unix.Read(log, b) })
}

// startOf is how long after the machine's start a process started, from its /proc/<pid>/stat.
func startOf(stat []byte) time.Duration {
	_, rest, _ := bytes.Cut(stat[bytes.LastIndexByte(stat, ')')+1:], []byte(" "))
	fields := bytes.Fields(rest)
	const start = 22 - 3 // of proc_pid_stat(5), counted from the state
	if len(fields) <= start {
		return 0
	}
	ticks, err := strconv.ParseInt(string(fields[start]), 10, 64)
	if err != nil {
		return 0
	}
	return time.Duration(ticks) * tick
}

// killedForMemory looks for the kernel's words among its records, one a read, since a time after the machine's start:
//
//	3,1042,14749603470,-;Memory cgroup out of memory: Killed process 487 (python3) total-vm:68992kB, anon-rss:58368kB
func killedForMemory(pid int, since time.Duration, read func([]byte) (int, error)) bool {
	words := fmt.Appendf(nil, "ut of memory: Killed process %d ", pid) // "Out of memory", or that of a cgroup
	record := make([]byte, maxRecord)
	for {
		n, err := read(record)
		if errors.Is(err, unix.EPIPE) || errors.Is(err, unix.EINTR) { // it was overwritten; the next read has the next one
			continue
		}
		if err != nil || n <= 0 {
			return false
		}
		head, text, _ := bytes.Cut(record[:n], []byte(";"))
		fields := bytes.Split(head, []byte(","))
		if len(fields) < 3 || !bytes.Contains(text, words) {
			continue
		}
		// Its clock and that of /proc differ by what the machine slept; a second is for rounding.
		if at, err := strconv.ParseInt(string(fields[2]), 10, 64); err == nil && time.Duration(at)*time.Microsecond+time.Second >= since {
			return true
		}
	}
}
