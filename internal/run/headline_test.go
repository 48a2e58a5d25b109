package run

import (
	"testing"
	"time"
)

func TestTheSettledStepIsOfThoseWhoTakePart(t *testing.T) {
	t.Parallel()
	start := time.UnixMilli(1000)
	at := func(attempt int, steps ...int64) (out []WorkerStep) {
		for rank, step := range steps {
			out = append(out, WorkerStep{Rank: rank, Attempt: attempt, Step: step, At: 2000})
		}
		return out
	}
	workers := func(states ...WorkerState) (out []Worker) {
		for rank, state := range states {
			out = append(out, Worker{Rank: rank, State: state, StartedAt: start})
		}
		return out
	}
	for name, c := range map[string]struct {
		workers  []Worker
		reported []WorkerStep
		inner    int64
		want     int64
	}{
		"nobody has reported":                    {workers(WorkerRunning), nil, 0, -1},
		"one worker":                             {workers(WorkerRunning), at(2, 7), 0, 7},
		"the slowest counts":                     {workers(WorkerRunning, WorkerRunning), at(2, 9, 7), 0, 7},
		"workers that are not known run":         {nil, at(2, 9, 7), 0, 7},
		"a lost one does not count":              {workers(WorkerRunning, WorkerLost), at(2, 1000, 10), 5000, 1000},
		"a failed one does not count":            {workers(WorkerFailed, WorkerRunning), at(2, 10, 1000), 5000, 1000},
		"one that is cut off does not count":     {workers(WorkerRunning, WorkerUnknown), at(2, 1000, 10), 5000, 1000},
		"one that has finished counts":           {workers(WorkerRunning, WorkerComplete), at(2, 990, 1000), 0, 990},
		"one that has not reported yet":          {workers(WorkerRunning, WorkerRunning, WorkerRunning), at(2, 8, 9), 0, 8},
		"within an outer step it is behind":      {workers(WorkerRunning, WorkerRunning), at(2, 900, 401), 500, 401},
		"the others have gone on without it":     {workers(WorkerRunning, WorkerRunning), at(2, 902, 401), 500, 902},
		"without outer steps a little is fine":   {workers(WorkerRunning, WorkerRunning), at(2, 900, 800), 0, 800},
		"none is left: the newest of all":        {workers(WorkerFailed, WorkerLost), at(2, 12, 10), 0, 12},
		"an earlier attempt's step":              {workers(WorkerRunning, WorkerRunning), append(at(2, 50), WorkerStep{Rank: 1, Attempt: 1, Step: 49, At: 2000}), 0, 50},
		"the attempt alone":                      {workers(WorkerRunning), at(1, 50), 0, -1},
		"started anew, it has still to report":   {[]Worker{{Rank: 0, State: WorkerRunning}, {Rank: 1, State: WorkerRunning, StartedAt: time.UnixMilli(2001)}}, at(2, 60, 20), 500, 60},
		"an allocation that replaces a lost one": {append(workers(WorkerRunning, WorkerLost), Worker{Rank: 1, State: WorkerRunning, StartedAt: time.UnixMilli(1500)}), at(2, 60, 55), 0, 55},
	} {
		if got, ok := SettledStep(c.workers, c.reported, 2, c.inner); ok != (c.want >= 0) || ok && got != c.want {
			t.Errorf("%s: step %d, %v; want %d", name, got, ok, c.want)
		}
	}
}

func TestASettledCurveEndsWithItsStep(t *testing.T) {
	t.Parallel()
	curve := []CurvePoint{{Step: 1}, {Step: 3}, {Step: 5}}
	for step, want := range map[int64]int{0: 0, 1: 1, 2: 1, 3: 2, 5: 3, 9: 3} {
		if got := Settled(curve, step); len(got) != want {
			t.Errorf("up to step %d there are %d points, want %d", step, len(got), want)
		}
	}
}
