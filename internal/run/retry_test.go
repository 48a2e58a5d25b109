package run

import (
	"strings"
	"testing"
	"time"
)

func ended(rank, code int, mod ...func(*Worker)) Worker {
	w := Worker{Rank: rank, State: WorkerFailed, Started: true, Exited: true, ExitCode: code, EndedAt: time.Unix(int64(100+rank), 0)}
	if code == 0 {
		w.State = WorkerComplete
	}
	for _, m := range mod {
		m(&w)
	}
	return w
}

func TestAnotherAttemptMayFollow(t *testing.T) {
	t.Parallel()
	for _, s := range States() {
		want := s == Pending || s == Running || s == Degraded || s == Stopping || s == Dispatching || s == Paused || s == Failed || s == Stopped
		if CanFollow(s, Queued) != want {
			t.Errorf("%s to queued: %v", s, !want)
		}
	}
}

func TestMaximumDuration(t *testing.T) {
	t.Parallel()
	start := time.Unix(1000, 0)
	r := Run{State: Stopping, StopRequested: true, Shape: Shape{Nodes: 1}, Options: Options{MaxDuration: 9000}}
	if r.Expired(start.Add(time.Hour * 100)) {
		t.Error("a run that has not started has expired")
	}
	r.StartedAt = start
	if r.Expired(start.Add(9000*time.Second-1)) || !r.Expired(start.Add(9000*time.Second)) {
		t.Error("it expires at another time")
	}
	expired := StopExpired.reason(&r)
	if expired != "stopped after its maximum duration of 2h30m" {
		t.Errorf("reason is %q", expired)
	}
	over := Observation{Found: true, Stopped: true, Dead: true, Workers: []Worker{ended(0, 143, func(w *Worker) { w.Stopping, w.State = true, WorkerComplete })}}
	r.Reason = ReasonStopping
	if state, why := r.Derive(over); state != Stopped || why != "" {
		t.Errorf("a stop by a person ends as %s: %s", state, why)
	}
	r.StopReason = expired
	if state, why := r.Derive(over); state != Stopped || why != expired {
		t.Errorf("an expired one ends as %s: %s", state, why)
	}
	if r.Options.MaxDuration = 0; r.Expired(start.Add(time.Hour * 100000)) {
		t.Error("a run without a limit has expired")
	}
}

func TestShortDuration(t *testing.T) {
	t.Parallel()
	for seconds, want := range map[int64]string{45: "45s", 60: "1m", 90: "1m30s", 3600: "1h", 9000: "2h30m", 3601: "1h0m1s", 86400: "24h", 600: "10m", 36000: "10h"} {
		if got := ShortDuration(time.Duration(seconds) * time.Second); got != want {
			t.Errorf("%d s is %q, want %q", seconds, got, want)
		}
	}
}

func TestResumeFromTheNewestCheckpointThatIsComplete(t *testing.T) {
	t.Parallel()
	const dir = "models/checkpoints/r-1"
	saved := func(attempt, rank int, step int64, path string) SavedCheckpoint {
		return SavedCheckpoint{Attempt: attempt, Rank: rank, Step: step, Path: path}
	}
	both := func(attempt int, step int64, name string) []SavedCheckpoint {
		return []SavedCheckpoint{saved(attempt, 0, step, dir+"/worker_0/"+name), saved(attempt, 1, step, dir+"/worker_1/"+name)}
	}
	join := func(parts ...[]SavedCheckpoint) (out []SavedCheckpoint) {
		for _, p := range parts {
			out = append(out, p...)
		}
		return out
	}
	for _, tc := range []struct {
		name  string
		inner int64
		dir   string
		saved []SavedCheckpoint
		want  string
	}{
		{"nothing was saved", 5, dir, nil, ""},
		{"every worker saved", 5, dir, both(1, 10, "step_10"), dir + "/step_10"},
		{"the newest", 5, dir, join(both(1, 10, "step_10"), both(1, 20, "step_20")), dir + "/step_20"},
		{"one worker has not saved the newest", 5, dir, join(both(1, 10, "step_10"), both(1, 20, "step_20")[:1]), dir + "/step_10"},
		{"worker 0 has not", 5, dir, join(both(1, 10, "step_10"), both(1, 20, "step_20")[1:]), dir + "/step_10"},
		{"halves of two attempts are no whole", 5, dir, join(both(1, 10, "step_10"), both(1, 20, "step_20")[:1], both(2, 20, "step_20")[1:]), dir + "/step_10"},
		{"an older attempt's is as good", 5, dir, join(both(1, 10, "step_10"), both(2, 20, "step_20")[:1]), dir + "/step_10"},
		{"one world is saved by worker 0", 0, dir, []SavedCheckpoint{saved(1, 0, 10, dir+"/step_10")}, dir + "/step_10"},
		{"and not by another", 0, dir, []SavedCheckpoint{saved(1, 1, 10, dir+"/step_10")}, ""},
		{"a path with the working directory", 0, dir, []SavedCheckpoint{saved(1, 0, 10, "/srv/storage/"+dir+"/step_10/")}, dir + "/step_10"},
		{"a path somewhere else", 0, dir, []SavedCheckpoint{saved(1, 0, 10, "/etc/step_10")}, ""},
		{"a path that leaves the folder", 0, dir, []SavedCheckpoint{saved(1, 0, 10, dir+"/../step_10")}, ""},
		{"a path of another step", 0, dir, []SavedCheckpoint{saved(1, 0, 10, dir+"/step_9")}, ""},
		{"an absolute folder is taken exactly", 0, "/c", []SavedCheckpoint{saved(1, 0, 10, "/tmp/c/step_10")}, ""},
		{"with a slash at its end", 0, "/c/", []SavedCheckpoint{saved(1, 0, 10, "/c/step_10")}, "/c/step_10"},
		{"a worker that the shape does not have", 5, dir, []SavedCheckpoint{saved(1, 0, 10, dir+"/step_10"), saved(1, 7, 10, dir+"/step_10")}, ""},
		{"a worker that says it twice", 5, dir, []SavedCheckpoint{saved(1, 0, 10, dir+"/step_10"), saved(1, 0, 10, dir+"/worker_0/step_10")}, ""},
		{"a run that saves nothing", 0, "", []SavedCheckpoint{saved(1, 0, 10, "/step_10")}, ""},
	} {
		r := Run{CheckpointPath: tc.dir, InnerSteps: tc.inner, Shape: Shape{Nodes: 2}}
		got := ""
		points := r.ResumeFrom(tc.saved)
		if len(points) > 0 {
			got = points[0].Folder
		}
		if got != tc.want || got != "" && !strings.HasSuffix(got, stepFolder(points[0].Step)) {
			t.Errorf("%s: %+v; want %q", tc.name, points, tc.want)
		}
		for i := 1; i < len(points); i++ {
			if points[i].Step >= points[i-1].Step {
				t.Errorf("%s: %+v are not newest first", tc.name, points)
			}
		}
	}
}
