package webtest

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/cotrain/cotrain/internal/run"
)

// WithSweep starts a site that has a sweep of four runs, of which one has no loss.
func WithSweep(t *testing.T) (*Site, run.Sweep) {
	s := New(t)
	sweep := run.Sweep{
		ID: run.NewSweepID(Now), Name: `rates <script>"`, Fields: []string{"optim.optim.lr"}, CreatedAt: Now, Actor: "ann",
		Spec: run.SweepSpec{Parallel: 2}, Counts: map[run.State]int{run.Running: 2, run.Succeeded: 1, run.Queued: 1},
	}
	s.Fake.AllSweeps = []run.Sweep{sweep}
	for i, state := range []run.State{run.Succeeded, run.Running, run.Running, run.Queued} {
		r := Run(state)
		r.ID = run.NewID(Now.Add(time.Duration(i) * time.Second))
		r.Name = fmt.Sprintf("%s #%d", sweep.Name, i+1)
		r.Origin = run.Origin{Sweep: sweep.ID, Point: map[string]string{"optim.optim.lr": []string{"0.1", "0.02", "0.003", "1e-4"}[i]}}
		if r.Progress.HasLoss {
			r.Progress.Loss, r.Progress.TokensPerSec = []float64{3, math.NaN(), 2.5}[i], []float64{10, 30, 20}[i]
		}
		s.Fake.AllRuns = append([]run.Run{r}, s.Fake.AllRuns...)
	}
	s.Fake.AllRuns = append(s.Fake.AllRuns, Run(run.Failed)) // of no sweep
	return s, sweep
}
