package run

import (
	"math"
	"testing"
	"time"
)

// left is a worker that ended by itself with a code, and said so much.
func left(rank, code int, told ExitReport) Worker {
	w := Worker{Rank: rank, NodeName: "n", State: WorkerComplete, Started: true, Exited: true, ExitCode: code, EndedAt: time.Unix(int64(100+rank), 0), Report: told}
	if code != 0 {
		w.State = WorkerFailed
	}
	return w
}

func TestTheMeshsEndDecides(t *testing.T) {
	t.Parallel()
	finished := ExitReport{Finished: true, Step: 1000, Read: true}
	at := func(step int64) ExitReport { return ExitReport{Step: step, Read: true} }
	lost := Worker{Rank: 2, NodeName: "n", State: WorkerLost, Started: true, Detail: "its node is gone", Report: ExitReport{Step: 70}}
	anHourOn := func(w Worker) Worker { w.EndedAt = w.EndedAt.Add(time.Hour); return w }
	stopped := func(w Worker) Worker { w.State, w.Stopping = WorkerComplete, true; return w }
	late := left(2, ExitRendezvous, ExitReport{Read: true})
	late.StartedAt = time.Unix(101, 0) // worker 0 ends at 100
	for _, tc := range []struct {
		name   string
		world  bool // without DiLoCo
		ws     []Worker
		loss   float64
		stop   bool
		want   State
		reason string
	}{
		{name: "all finished", ws: []Worker{left(0, 0, finished), left(1, 0, finished), left(2, 0, finished)}, want: Succeeded},
		{name: "a trainer that says nothing", ws: []Worker{left(0, 0, ExitReport{Read: true}), left(1, 0, ExitReport{Read: true}), left(2, 0, ExitReport{Read: true})}, want: Succeeded,
			reason: "finished, but no worker reported a step or the end of training"},
		{name: "a trainer that reports now and then", ws: []Worker{left(0, 0, at(900)), left(1, 0, at(900)), left(2, 0, at(900))}, want: Succeeded},
		{name: "a worker failed early and the mesh went on", ws: []Worker{left(0, 0, finished), left(1, 7, at(10)), left(2, 0, finished)}, want: Succeeded,
			reason: "finished, but worker 1 (n) exited with code 7 (step 10)"},
		{name: "worker 0 reached the last step and says nothing", ws: []Worker{left(0, 0, at(1000)), left(1, 7, at(10)), left(2, 0, at(1000))}, want: Succeeded,
			reason: "finished, but worker 1 (n) exited with code 7 (step 10)"},
		{name: "one failed, one was lost", ws: []Worker{left(0, 0, finished), left(1, 7, ExitReport{Step: 10}), lost}, want: Succeeded,
			reason: "finished, but worker 1 (n) exited with code 7 (step 10); worker 2 (n) was lost: its node is gone (step 70)"},
		{name: "the mesh went on after a loss, and ended with worker 0", ws: []Worker{anHourOn(left(0, 1, at(500))), left(1, 7, at(10)), anHourOn(left(2, 1, at(500)))}, want: Failed,
			reason: "worker 0 (n) exited with code 1; before that, worker 1 (n) exited with code 7"},
		{name: "worker 0 failed", ws: []Worker{left(0, 1, at(500)), left(1, 0, at(500)), left(2, 0, at(500))}, want: Failed, reason: "worker 0 (n) exited with code 1"},
		{name: "worker 0 failed after it had finished", ws: []Worker{left(0, 1, finished), left(1, 0, finished), left(2, 0, finished)}, want: Failed, reason: "worker 0 (n) exited with code 1"},
		{name: "one failed, and nobody says that it is finished", ws: []Worker{left(0, 0, at(900)), left(1, 7, at(10)), left(2, 0, at(900))}, want: Failed, reason: "worker 1 (n) exited with code 7"},
		{name: "one came when worker 0 had finished", ws: []Worker{left(0, 0, finished), left(1, 0, finished), late}, want: Succeeded, reason: "finished, but worker 2 (n) exited with code 75"},
		{name: "one came when worker 0 had ended, which says nothing", ws: []Worker{left(0, 0, ExitReport{Read: true}), left(1, 0, ExitReport{Read: true}), late}, want: Succeeded,
			reason: "finished, but no worker reported a step or the end of training; worker 2 (n) exited with code 75"},
		{name: "one came too late, and another failed", ws: []Worker{left(0, 0, ExitReport{Read: true}), left(1, 7, ExitReport{Read: true}), late}, want: Failed, reason: "worker 1 (n) exited with code 7"},
		{name: "all left far from the end", ws: []Worker{left(0, 0, at(120)), left(1, 0, at(120)), left(2, 0, at(120))}, want: Failed,
			reason: "worker 0 (n) exited with code 0 at step 120 of 1000, without having finished"},
		{name: "one left far from the end", ws: []Worker{left(0, 0, finished), left(1, 0, at(120)), left(2, 0, finished)}, want: Succeeded,
			reason: "finished, but worker 1 (n) exited with code 0 at step 120 of 1000, without having finished"},
		{name: "the end of the log is missing", ws: []Worker{left(0, 0, ExitReport{Step: 120}), left(1, 0, ExitReport{Step: 120}), left(2, 0, ExitReport{Step: 120})}, want: Succeeded},
		{name: "it says finished sooner than asked", ws: []Worker{left(0, 0, ExitReport{Finished: true, Step: 20, Read: true}), left(1, 0, ExitReport{}), left(2, 0, ExitReport{})}, want: Succeeded},
		{name: "a stop that came too late", ws: []Worker{left(0, 0, finished), stopped(left(1, 1, at(990))), left(2, 0, finished)}, stop: true, want: Succeeded,
			reason: "finished, but worker 1 (n) was stopped (step 990)"},
		{name: "a stop before the end", ws: []Worker{left(0, 0, at(400)), stopped(left(1, 1, at(400))), stopped(left(2, 1, at(400)))}, stop: true, want: Stopped},
		{name: "one world, and one failed", world: true, ws: []Worker{left(0, 0, finished), left(1, 7, at(10)), left(2, 0, finished)}, want: Failed, reason: "worker 1 (n) exited with code 7"},
		{name: "one world, and one failed when all was done", world: true, ws: []Worker{left(0, 0, finished), left(1, 1, finished), left(2, 0, finished)}, want: Succeeded,
			reason: "finished, but worker 1 (n) exited with code 1"},
		{name: "one world that left early", world: true, ws: []Worker{left(0, 0, at(120)), left(1, 0, ExitReport{Read: true}), left(2, 0, ExitReport{Read: true})}, want: Failed,
			reason: "worker 0 (n) exited with code 0 at step 120 of 1000, without having finished"},
		{name: "the loss is not a number", ws: []Worker{left(0, 0, finished), left(1, 0, finished), left(2, 0, finished)}, loss: math.NaN(), want: Succeeded,
			reason: "finished, but the loss is NaN at step 1000"},
		{name: "the loss is beyond numbers", ws: []Worker{left(0, 0, finished), left(1, 0, finished), left(2, 0, finished)}, loss: math.Inf(1), want: Succeeded,
			reason: "finished, but the loss is +Inf at step 1000"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			r := Run{State: Running, Shape: Shape{Nodes: 3}, StepsTotal: 1000, InnerSteps: 50, StopRequested: tc.stop, Options: Options{Retries: 1},
				Progress: Progress{Step: 1000, HasLoss: true, Loss: 2}}
			if tc.world {
				r.InnerSteps = 0
			}
			if tc.loss != 0 {
				r.Progress.Loss = tc.loss
			}
			if got, why := r.Derive(Observation{Found: true, Dead: true, Workers: tc.ws}); got != tc.want || why != tc.reason {
				t.Errorf("it is %s: %q; want %s: %q", got, why, tc.want, tc.reason)
			}
		})
	}
}

func TestAShortTrainingIsNotTakenForCutShort(t *testing.T) {
	t.Parallel()
	for step, want := range map[int64]State{4: Succeeded, 3: Succeeded, 2: Failed} { // a trainer may count from 0
		r := Run{State: Running, Shape: Shape{Nodes: 1}, StepsTotal: 4}
		if got, why := r.Derive(Observation{Found: true, Dead: true, Workers: []Worker{left(0, 0, ExitReport{Step: step, Read: true})}}); got != want {
			t.Errorf("after step %d of 4 it has %s: %s", step, got, why)
		}
	}
}

func TestWorkersThatAreLeftBehindAreStopped(t *testing.T) {
	t.Parallel()
	end := time.Unix(1000, 0)
	first := func(told ExitReport) Worker { w := left(0, 0, told); w.EndedAt = end; return w }
	running, placed := Worker{Rank: 1, State: WorkerRunning, Started: true}, Worker{Rank: 1, State: WorkerPending}
	for _, tc := range []struct {
		name  string
		ws    []Worker
		after time.Duration
		want  bool
	}{
		{"worker 1 may save", []Worker{first(ExitReport{Finished: true}), running}, StragglerTimeout - 1, false},
		{"worker 1 does not end", []Worker{first(ExitReport{Finished: true}), running}, StragglerTimeout, true},
		{"worker 1 has not started", []Worker{first(ExitReport{Finished: true}), placed}, 0, true},
		{"worker 1 has come too late", []Worker{first(ExitReport{Finished: true}), {Rank: 1, State: WorkerRunning, Started: true, StartedAt: end.Add(1)}}, 0, true},
		{"worker 1 has no place", []Worker{first(ExitReport{Finished: true})}, 0, true},
		{"worker 1 has no place, and nobody knows that it is over", []Worker{first(ExitReport{})}, StragglerTimeout - 1, false},
		{"worker 1 has no place for long", []Worker{first(ExitReport{})}, StragglerTimeout, true},
		{"worker 0 left early", []Worker{first(ExitReport{Step: 10, Read: true}), running}, 0, true},
		{"all have ended", []Worker{first(ExitReport{Finished: true}), left(1, 7, ExitReport{})}, StragglerTimeout, false},
	} {
		r := Run{State: Running, Shape: Shape{Nodes: 2}, StepsTotal: 1000, InnerSteps: 50}
		if why := r.Doomed(Observation{Found: true, Workers: tc.ws}, end.Add(tc.after)); (why != "") != tc.want {
			t.Errorf("%s: %q", tc.name, why)
		}
	}
	r := Run{State: Stopping, Shape: Shape{Nodes: 2}, StepsTotal: 1000, InnerSteps: 50}
	got, why := r.Derive(Observation{Found: true, Stopped: true, Dead: true, Workers: []Worker{first(ExitReport{Finished: true})}})
	if got != Succeeded || why != "finished, but worker 1 never started" {
		t.Errorf("then it has %s: %s", got, why)
	}
}

func TestHowAWorkerEnded(t *testing.T) {
	t.Parallel()
	with := func(w Worker, change func(*Worker)) Worker { change(&w); return w }
	stop := func(w *Worker) { w.State, w.Stopping = WorkerComplete, true }
	for _, tc := range []struct {
		w    Worker
		want string
	}{
		{left(1, 3, ExitReport{}), "worker 1 (n) exited with code 3"},
		{left(1, 1, ExitReport{ExitCode: 7}), "worker 1 (n) exited with code 7"},
		{left(1, 1, ExitReport{Signal: 9}), "worker 1 (n) was ended by signal 9"},
		{left(1, 127, ExitReport{ExitCode: 127, Why: "no torchrun"}), "worker 1 (n) exited with code 127: no torchrun"},
		{with(left(1, 1, ExitReport{}), stop), "worker 1 (n) was stopped"},
		{with(left(1, 143, ExitReport{Signal: 15}), stop), "worker 1 (n) was stopped"},
		{with(left(1, 1, ExitReport{Signal: 9}), stop), "worker 1 (n) was killed after it was told to stop"},
		{with(left(1, 137, ExitReport{}), func(w *Worker) { w.Signal = 9 }), "worker 1 (n) was ended by signal 9"},
		{with(left(1, 137, ExitReport{}), func(w *Worker) { w.OOM = true }), "worker 1 (n) ran out of memory and was killed"},
		{Worker{Rank: 2, State: WorkerUnknown}, "worker 2 is on a node that is disconnected"},
		{Worker{Rank: 2, State: WorkerFailed, Detail: "no driver"}, "worker 2 failed: no driver"},
	} {
		if got := tc.w.Failure(); got != tc.want {
			t.Errorf("%q, want %q", got, tc.want)
		}
	}
}

func TestWhatTorchrunHidesIsNotTriedInVain(t *testing.T) {
	t.Parallel()
	for told, again := range map[ExitReport]bool{{}: true, {ExitCode: ExitUsage}: false, {ExitCode: 7}: true, {Signal: 9}: true} {
		r := Run{State: Running, Attempt: 1, Shape: Shape{Nodes: 1}, Options: Options{Retries: 1}}
		o := Observation{Found: true, Dead: true, Workers: []Worker{left(0, 1, told)}}
		_, why := r.Derive(o)
		if why, got := r.Retry(Failure{Observation: o, Why: why}, testRules, time.Unix(0, 0)); got != again {
			t.Errorf("%+v: tried again %v: %s", told, got, why)
		}
	}
}
