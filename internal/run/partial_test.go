package run_test

import (
	"testing"
	"time"

	"github.com/cotrain/cotrain/internal/run"
)

func TestPendingReasonSaysWhatRuns(t *testing.T) {
	t.Parallel()
	const why = "needs 3 nodes with 1 x A100"
	at := func(states ...run.WorkerState) (o run.Observation) {
		for rank, s := range states {
			if s != "" {
				o.Workers = append(o.Workers, run.Worker{Rank: rank, State: s})
			}
		}
		return o
	}
	for name, tc := range map[string]struct {
		o      run.Observation
		why    string
		trains bool
		want   string
	}{
		"nothing is placed":     {at(), why, false, why},
		"nothing runs yet":      {at(run.WorkerPending), why, false, why},
		"all are starting":      {at(run.WorkerPending, run.WorkerPending, run.WorkerPending), "", false, ""},
		"one waits for a place": {at(run.WorkerRunning, run.WorkerRunning), why, true, "2 of 3 workers run and train; worker 2 waits for a place: " + why},
		"two wait for a place":  {at(run.WorkerRunning), why, false, "1 of 3 workers run; workers 1, 2 wait for a place: " + why},
		"the first waits":       {at("", run.WorkerRunning, run.WorkerRunning), "", false, "2 of 3 workers run; worker 0 waits for a place"},
		"one is starting":       {at(run.WorkerRunning, run.WorkerRunning, run.WorkerPending), "", false, "2 of 3 workers run; worker 2 is starting"},
		"one lacks a secret":    {at(run.WorkerRunning, run.WorkerRunning, run.WorkerPending), "waits for x", true, "2 of 3 workers run and train; worker 2 is starting: waits for x"},
		"one of each":           {at(run.WorkerRunning, run.WorkerPending), why, false, "1 of 3 workers run; worker 2 waits for a place: " + why + "; worker 1 is starting"},
	} {
		r := run.Run{Shape: run.Shape{Nodes: 3}}
		if got := r.PendingReason(tc.o, tc.why, tc.trains); got != tc.want {
			t.Errorf("%s: %q, want %q", name, got, tc.want)
		}
	}
}

func TestAnAttemptIsOverdueOnlyWhileWorkersHaveNoPlace(t *testing.T) {
	t.Parallel()
	sent := time.Unix(1000, 0)
	part := run.Observation{Found: true, Workers: []run.Worker{{Rank: 0, State: run.WorkerRunning}}}
	whole := run.Observation{Found: true, Workers: []run.Worker{{Rank: 0, State: run.WorkerRunning}, {Rank: 1, State: run.WorkerPending}}}
	lost := run.Observation{Found: true, Workers: []run.Worker{{Rank: 0, State: run.WorkerRunning}, {Rank: 1, State: run.WorkerLost}}}
	gone, ended := lost, part
	gone.Workers = []run.Worker{{Rank: 0, State: run.WorkerRunning}, {Rank: 1, State: run.WorkerLost, Started: true}}
	ended.Workers = []run.Worker{{Rank: 0, State: run.WorkerComplete, Exited: true}}
	stopped := part
	stopped.Stopped = true
	for name, tc := range map[string]struct {
		o     run.Observation
		r     run.Run
		after time.Duration
		want  bool
	}{
		"in time":                         {part, run.Run{}, run.PlacementTimeout - time.Second, false},
		"too late":                        {part, run.Run{}, run.PlacementTimeout, true},
		"one was lost before it started":  {lost, run.Run{}, run.PlacementTimeout, true},
		"one was lost after it started":   {gone, run.Run{}, time.Hour, false},
		"worker 0 has ended":              {ended, run.Run{}, time.Hour, false},
		"slow to start is not unplaced":   {whole, run.Run{}, time.Hour, false},
		"a stop was asked for":            {part, run.Run{StopRequested: true}, time.Hour, false},
		"it is stopped already":           {stopped, run.Run{}, time.Hour, false},
		"Nomad does not know it any more": {run.Observation{}, run.Run{}, time.Hour, false},
	} {
		tc.r.Shape.Nodes = 2
		if got := tc.r.Overdue(tc.o, sent, sent.Add(tc.after)); got != tc.want {
			t.Errorf("%s: %v", name, got)
		}
	}
	r := run.Run{Shape: run.Shape{Nodes: 3}}
	if got := r.OverdueReason(part); got != "Nomad placed 1 of 3 workers within 5m: taken back, to be sent again when all fit" {
		t.Error(got)
	}
}
