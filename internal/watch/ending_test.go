package watch_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/nomad/nomadtest"
	"github.com/cotrain/cotrain/internal/run"
)

// newTrainingRig is newRig with three workers, 1000 steps and options for its run, all of them running.
func newTrainingRig(t *testing.T, inner int64, o run.Options) *rig {
	t.Helper()
	r := newRigOf(t, run.Run{ID: "r-0000000001", State: run.Queued, Shape: run.Shape{Nodes: 3}, StepsTotal: 1000, InnerSteps: inner, Options: o})
	for rank := range 3 {
		r.cluster.Set(r.child, rank, nomadtest.Start)
	}
	r.becomes(run.Running)
	return r
}

// leaves prints a step and perhaps more, and ends the worker.
func (r *rig) leaves(rank, step, code int, more ...string) {
	r.cluster.Print(r.child, rank, fmt.Sprintf("03:22:58 [INFO] [Rank 0] step: %d, loss: 2.5\n", step)+strings.Join(more, ""))
	r.cluster.Set(r.child, rank, nomadtest.End(code))
}

const finished = "03:22:59 [INFO] [Rank 0] Training finished, exiting ...\n"

func TestAMeshThatLosesAWorkerAndFinishesHasSucceeded(t *testing.T) {
	t.Parallel()
	r := newTrainingRig(t, 50, run.Options{Retries: 1})
	r.leaves(1, 10, 7)
	r.becomes(run.Degraded)
	r.leaves(0, 1000, 0, finished)
	r.leaves(2, 1000, 0, finished)
	const why = "finished, but worker 1 (node-1) exited with code 7 (step 10)"
	if got := r.becomes(run.Succeeded); got.Reason != why || got.Retried != 0 || got.Attempt != 1 {
		t.Errorf("it is %+v", got)
	}
	if ev := r.newest(); ev.Level != "warning" || ev.Message != why {
		t.Errorf("event is %+v", ev)
	}
}

func TestAWorldThatLosesAWorkerHasFailed(t *testing.T) {
	t.Parallel()
	r := newTrainingRig(t, 0, run.Options{})
	r.leaves(1, 10, 7)
	r.leaves(0, 1000, 0, finished) // a mesh would have succeeded
	r.leaves(2, 1000, 0, finished)
	if got := r.becomes(run.Failed); got.Reason != "worker 1 (node-1) exited with code 7" {
		t.Errorf("reason is %q", got.Reason)
	}
}

func TestExitCodeZeroFarFromTheEndIsNoSuccess(t *testing.T) {
	t.Parallel()
	r := newTrainingRig(t, 50, run.Options{})
	for rank := range 3 {
		r.leaves(rank, 120+rank, 0)
	}
	if got := r.becomes(run.Failed); got.Reason != "worker 0 (node-1) exited with code 0 at step 120 of 1000, without having finished" {
		t.Errorf("reason is %q", got.Reason)
	}
}

func TestATrainerThatSaysNothingSucceedsWithAWarning(t *testing.T) {
	t.Parallel()
	r := newTrainingRig(t, 50, run.Options{})
	for rank := range 3 {
		r.cluster.Print(r.child, rank, "hello\n")
		r.cluster.Set(r.child, rank, nomadtest.End(0))
	}
	if got := r.becomes(run.Succeeded); got.Reason != "finished, but no worker reported a step or the end of training" {
		t.Errorf("reason is %q", got.Reason)
	}
}

func TestALossThatIsNoNumberIsTold(t *testing.T) {
	t.Parallel()
	r := newTrainingRig(t, 50, run.Options{})
	for rank := range 3 {
		for _, step := range []int{4, 5, 1000} {
			r.cluster.Print(r.child, rank, fmt.Sprintf(`COTRAIN {"v":1,"kind":"metrics","step":%d,"loss":"NaN"}`+"\n", step))
		}
	}
	r.eventually("it is known while it runs", func() bool {
		got, err := r.store.Run(t.Context(), r.id)
		return err == nil && got.State == run.Running && got.LossNotice() == "the loss is NaN since step 4"
	})
	for rank := range 3 {
		r.cluster.Print(r.child, rank, finished)
		r.cluster.Set(r.child, rank, nomadtest.End(0))
	}
	if got := r.becomes(run.Succeeded); got.Reason != "finished, but the loss is NaN since step 4" {
		t.Errorf("reason is %q", got.Reason)
	}
	evs, err := r.store.Events(t.Context(), r.id, 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	var told []run.Event
	for _, ev := range evs {
		if ev.Kind == "diverged" {
			told = append(told, ev)
		}
	}
	if len(told) != 1 || told[0].Level != "warning" || told[0].Message != fmt.Sprintf("the loss of worker %d is NaN at step 4", told[0].Rank) {
		t.Errorf("it is told as %+v", told)
	}
}

// TestWhatTorchrunHidesIsToldOfTheWorker has torchrun's own exit code in Nomad, and the cause in the log.
func TestWhatTorchrunHidesIsToldOfTheWorker(t *testing.T) {
	t.Parallel()
	r := newTrainingRig(t, 50, run.Options{})
	r.cluster.Fail("TailLog", fault.ErrUnavailable) // so that the end is known first
	r.cluster.Print(r.child, 0, "Root Cause (first observed failure):\n[0]:\n  rank      : 1 (local_rank: 1)\n  exitcode  : -9 (pid: 124)\n")
	r.cluster.Set(r.child, 0, nomadtest.End(1))
	r.becomes(run.Stopping) // the others cannot go on
	r.cluster.Fail("TailLog", nil)
	for _, rank := range []int{1, 2} {
		r.cluster.Set(r.child, rank, nomadtest.End(1))
	}
	if got := r.becomes(run.Failed); got.Reason != "worker 0 (node-1) was ended by signal 9" {
		t.Errorf("reason is %q", got.Reason)
	}
	ws, err := r.store.Workers(t.Context(), r.id)
	if err != nil || ws[0].Report.Signal != 9 || !ws[0].Report.Read {
		t.Errorf("worker 0 is %+v, %v", ws[0], err)
	}
	evs, err := r.store.Events(t.Context(), r.id, 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	told := ""
	for _, ev := range evs {
		if ev.Kind == "worker" && ev.Rank == 0 {
			told = ev.Message
		}
	}
	if told != "worker 0 (node-1) was ended by signal 9" {
		t.Errorf("the last that is told of it is %q", told)
	}
}

func TestWhyTheLaunchScriptGivesUpIsToldOfTheWorker(t *testing.T) {
	t.Parallel()
	r := newTrainingRig(t, 50, run.Options{Retries: 2})
	for rank := range 3 {
		r.cluster.Print(r.child, rank, `COTRAIN {"v":1,"kind":"event","name":"command_missing","rank":0,"message":"there is no torchrun","level":"error","exit_code":127}`+"\n")
		r.cluster.Set(r.child, rank, nomadtest.End(127))
	}
	if got := r.becomes(run.Failed); !strings.HasPrefix(got.Reason, "worker 0 (node-1) exited with code 127: there is no torchrun; not tried again: unchanged it would fail") {
		t.Errorf("reason is %q", got.Reason)
	}
}

// TestAnEndThatTheNodesDiskCouldNotTakeIsNoEarlyEnd has the embedded agent tell that output is lost, at the end of a line and
// inside one, and a Nomad client that does not tell, where the log ends inside a line.
func TestAnEndThatTheNodesDiskCouldNotTakeIsNoEarlyEnd(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		more      string
		unwritten int64
		told      int
	}{
		"at the end of a line": {"", 4321, 3},
		"inside a line":        {"03:23:01 [INFO] [Rank 0] st", 4321, 3},
		"nobody tells":         {"03:23:01 [INFO] [Rank 0] st", 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newTrainingRig(t, 50, run.Options{})
			for rank := range 3 {
				r.cluster.Print(r.child, rank, "03:22:58 [INFO] [Rank 0] step: 25, loss: 2.5\n"+tc.more)
				r.cluster.Set(r.child, rank, func(w *run.Worker) {
					nomadtest.End(0)(w)
					w.Unwritten.Stdout = tc.unwritten
				})
			}
			if got := r.becomes(run.Succeeded); got.Reason != "" {
				t.Errorf("reason is %q", got.Reason)
			}
			evs, err := r.store.Events(t.Context(), r.id, 0, 100)
			if err != nil {
				t.Fatal(err)
			}
			told := 0
			for _, ev := range evs {
				if ev.Kind == "log_lost" && ev.Message == fmt.Sprintf("about 4 kB of worker %d's output is missing: the disk of its node could not take it", ev.Rank) {
					told++
				}
			}
			if told != tc.told {
				t.Errorf("it is told %d times, want %d: %+v", told, tc.told, evs)
			}
		})
	}
}
