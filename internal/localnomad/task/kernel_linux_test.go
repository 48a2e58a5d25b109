package task

import (
	"os"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestTheKernelsLogSaysWhomItKilledForMemory(t *testing.T) {
	t.Parallel()
	const (
		cgroup  = "3,1042,14749603470,-;Memory cgroup out of memory: Killed process 487 (python3) total-vm:68992kB, anon-rss:58368kB, UID:0 oom_score_adj:0\n SUBSYSTEM=x\n"
		machine = "3,1043,14749603471,-;Out of memory: Killed process 487 (python3) total-vm:68992kB\n"
		other   = "3,1044,14749603472,-;Memory cgroup out of memory: Killed process 4870 (python3) total-vm:68992kB\n"
		forged  = "nonsense\n"
	)
	for name, c := range map[string]struct {
		records []any
		since   time.Duration
		want    bool
	}{
		"of its cgroup":           {[]any{forged, unix.EPIPE, other, cgroup}, 14_000 * time.Second, true},
		"of the machine":          {[]any{unix.EINTR, machine}, 14_749 * time.Second, true},
		"of one before it":        {[]any{cgroup}, 15_000 * time.Second, false},
		"of another":              {[]any{other}, 0, false},
		"a log that is not there": {[]any{unix.EPERM, cgroup}, 0, false},
		"an empty one":            {nil, 0, false},
	} {
		got := killedForMemory(487, c.since, func(b []byte) (int, error) {
			if len(c.records) == 0 {
				return 0, unix.EAGAIN
			}
			next := c.records[0]
			c.records = c.records[1:]
			if err, ok := next.(unix.Errno); ok {
				return 0, err
			}
			return copy(b, next.(string)), nil
		})
		if got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestAProcessStartedAfterTheMachine(t *testing.T) {
	t.Parallel()
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(os.Getpid()) + "/stat")
	if err != nil {
		t.Fatal(err)
	}
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		t.Fatal(err)
	}
	up := time.Duration(info.Uptime+1) * time.Second
	if at := startOf(stat); at <= 0 || at > up {
		t.Errorf("it started %v after a machine that is up for %v", at, up)
	}
	if at := startOf([]byte("1 (a) b) R 1")); at != 0 {
		t.Errorf("half a record says %v", at)
	}
}
