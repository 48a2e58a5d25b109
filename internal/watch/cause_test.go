package watch_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/cotrain/cotrain/internal/nomad/nomadtest"
	"github.com/cotrain/cotrain/internal/run"
)

const (
	lostPeer = "[rank1]: torch.distributed.DistBackendError: NCCL error in: ProcessGroupNCCL.cpp:2690, remote process exited or there was a network error\n"
	oom      = "12:00:01 [INFO] [Rank 0] step: 10, loss: 4.1\nTraceback (most recent call last):\n  File \"/opt/core/train.py\", line 412, in train\n    loss.backward()\n" +
		"torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.25 GiB. GPU 0 has a total capacity of 79.10 GiB of which 1.50 GiB is free.\n"
)

// TestTheWorkerThatFailedFirstIsTold has a worker run out of memory, and one that says only that it lost another end before it.
func TestTheWorkerThatFailedFirstIsTold(t *testing.T) {
	t.Parallel()
	r := newRetryRig(t, run.Options{Retries: 2})
	r.startBoth()
	r.cluster.Print(r.child, 0, oom)
	r.cluster.Print(r.child, 1, lostPeer)
	for _, rank := range []int{1, 0} {
		r.cluster.Set(r.child, rank, nomadtest.End(1))
	}
	got := r.becomes(run.Failed)
	c := got.Cause
	if c == nil || c.Category != "cuda_oom" || c.Retryable || c.Rank != 0 || c.Node != "node-1" || !slices.Equal(c.Victims, []int{1}) || c.Attempt != 1 || c.Title == "" || c.Hint == "" || !strings.Contains(c.Summary, "2.25 GiB") {
		t.Fatalf("the cause is %+v", c)
	}
	if !strings.HasPrefix(got.Reason, "GPU memory ran out on GPU 0 of worker 0 (node-1): ") || !strings.HasPrefix(got.Reason, strings.TrimSuffix(c.Summary, ".")+" (exited with code 1)") || !strings.HasSuffix(got.Reason, "; not tried again: unchanged it would fail in the same way") {
		t.Errorf("the reason is %q", got.Reason)
	}
	lines, err := r.store.Logs(t.Context(), r.id, run.LogQuery{Rank: 0, Limit: 100})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range c.Evidence {
		if !slices.ContainsFunc(lines, func(l run.LogLine) bool { return l.Pos == e.Pos && strings.Contains(l.Text, strings.TrimSpace(e.Text)) }) {
			t.Errorf("%+v is no line of the log", e)
		}
	}
	as, err := r.store.Attempts(t.Context(), r.id)
	if err != nil || len(as) != 1 || as[0].Cause == nil || as[0].Cause.Summary != c.Summary {
		t.Errorf("attempts %+v, %v", as, err)
	}
}

// TestACauseThatCanPassIsTriedAgain has the only cause be that another was lost, and then none at all.
func TestACauseThatCanPassIsTriedAgain(t *testing.T) {
	t.Parallel()
	for text, category := range map[string]string{lostPeer: "peer_lost", "nothing of interest\n": run.UnknownCause} {
		r := newRetryRig(t, run.Options{Retries: 2})
		r.startBoth()
		for rank := range 2 {
			r.cluster.Print(r.child, rank, text)
			r.cluster.Set(r.child, rank, nomadtest.End(1))
		}
		if got := r.becomes(run.Queued); got.Cause == nil || got.Cause.Category != category || got.Retried != 1 {
			t.Errorf("%q: %+v of %s", text, got.Cause, got.Reason)
		}
	}
}

// TestFailuresOfACauseAreCounted has two runs of a project miss the same file, and one another.
func TestFailuresOfACauseAreCounted(t *testing.T) {
	t.Parallel()
	r := newRetryRig(t, run.Options{})
	missing := func(r *rig, file string) *run.Cause {
		r.startBoth()
		r.cluster.Print(r.child, 0, fmt.Sprintf("Traceback (most recent call last):\n  File \"data.py\", line 1, in load\n    open(name)\nFileNotFoundError: [Errno 2] No such file or directory: 'datasets/%s'\n", file))
		for rank := range 2 {
			r.cluster.Set(r.child, rank, nomadtest.End(1))
		}
		return r.becomes(run.Failed).Cause
	}
	first := missing(r, "a.parquet")
	if first.Seen.Failures != 1 || first.Seen.String() != "" {
		t.Errorf("the first time it is seen as %+v", first.Seen)
	}
	count, err := r.store.CountCause(t.Context(), run.AllProjects(), first.Fingerprint, first.At.Add(-run.CauseWindow))
	if err != nil || count.Failures != 1 || count.Runs != 1 || count.Node != first.Node || count.OnNode != 1 {
		t.Errorf("%+v, %v", count, err)
	}
	for name, in := range map[string]run.Projects{"of another project": run.InProjects("other"), "of none": {}} {
		if count, err := r.store.CountCause(t.Context(), in, first.Fingerprint, first.At.Add(-run.CauseWindow)); err != nil || count.Failures != 0 {
			t.Errorf("%s: %+v, %v", name, count, err)
		}
	}
	if count, err := r.store.CountCause(t.Context(), run.AllProjects(), first.Fingerprint, first.At.Add(run.CauseWindow)); err != nil || count.Failures != 0 {
		t.Errorf("later: %+v, %v", count, err)
	}
	if second := count.With(first.Node); second.String() != "The 2nd time in 7 days, 2 of them on "+first.Node+"." {
		t.Errorf("the second time is %q", second)
	}
}

// TestAProcessThatWasOnlyKilledIsTriedAgain has a worker killed, as Nomad and a launcher say it: nobody says that memory ran out.
func TestAProcessThatWasOnlyKilledIsTriedAgain(t *testing.T) {
	t.Parallel()
	for text, oom := range map[string]bool{"step: 3\n": false, "failed (exitcode: -9) local_rank: 0 (pid: 7) of binary: /usr/bin/python\n": false, "step: 4\n": true} {
		r := newRetryRig(t, run.Options{Retries: 2})
		r.startBoth()
		for rank := range 2 {
			r.cluster.Print(r.child, rank, text)
			r.cluster.Set(r.child, rank, func(w *run.Worker) {
				nomadtest.End(137)(w)
				w.Detail, w.OOM = "Exit Code: 137, Signal: 9, Exit Message: \"Docker container exited with non-zero exit code: 137\"", oom
			})
		}
		if oom {
			if got := r.becomes(run.Failed); got.Cause == nil || got.Cause.Category != "host_oom_sigkill" {
				t.Errorf("out of memory: %+v", got.Cause)
			}
			continue
		}
		if got := r.becomes(run.Queued); got.Cause == nil || got.Cause.Category != run.UnknownCause || !got.Cause.Retryable {
			t.Errorf("%q: %+v", text, got.Cause)
		}
	}
}
