package cli

import (
	"math"
	"strings"
	"testing"

	"github.com/cotrain/cotrain/internal/client"
	"github.com/cotrain/cotrain/internal/run"
)

func TestASweepIsSubmittedShownStoppedAndDeleted(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	c.cotrain("sweep", "list").want(t, exitDone, "no sweeps")
	r := c.cotrain("sweep", "submit", "--name", "lr", "--preset", "debug", "--grid", "optim.optim.lr=1e-4..1e-3 log 2, 3e-4", "--grid", "nodes=1,2", "--parallel", "2", "--tags", "a").want(t, exitDone, "6 runs: 6 queued")
	id := strings.TrimSpace(r.out)
	d := fromJSON[client.SweepDetail](t, c.cotrain("sweep", "show", id, "--format", "json").want(t, exitDone))
	if len(d.Runs) != 6 || d.Sweep.Spec.Parallel != 2 || d.Runs[5].Values["optim.optim.lr"] != "3e-4" || d.Sweep.Spec.Options.Tags[0] != "a" {
		t.Errorf("%+v", d)
	}
	for i, loss := range []float64{math.NaN(), 3.5, 2.25, 4} {
		c.Change(d.Runs[i].ID, func(r *run.Run) {
			r.State, r.StepsTotal, r.Progress = run.Running, 4, run.Progress{Step: 2, Loss: loss, HasLoss: true, TokensPerSec: float64(1000 * (i + 1))}
		})
	}
	r = c.cotrain("sweep", "show", id).want(t, exitDone, "6 runs: 2 queued, 4 running", "at most 2", "optim.optim.lr  nodes  STATE", "2.25 *", "4.00 k tok/s *", "NaN", "2/4 (50%)")
	if strings.Count(r.out, "*") != 2 {
		t.Errorf("not one best of each: %s", r.out)
	}
	c.cotrain("sweep", "list").want(t, exitDone, id, "lr", "optim.optim.lr, nodes")
	if got := fromJSON[client.RunPage](t, c.cotrain("run", "list", "--sweep", id, "--format", "json")); len(got.Items) != 6 {
		t.Errorf("%d runs", len(got.Items))
	}
	c.cotrain("run", "show", string(d.Runs[3].ID)).want(t, exitDone, "Sweep", id, "Varied", "nodes = 2")
	c.cotrain("sweep", "delete", id, "--yes").want(t, exitRefused, "Stop it first")
	c.cotrain("sweep", "stop", id).want(t, exitDone, "6 runs: 6 stopping")
	for _, r := range d.Runs {
		c.Change(r.ID, func(r *run.Run) { r.State = run.Stopped })
	}
	c.cotrain("sweep", "stop", id).want(t, exitRefused, "nothing left to stop")
	c.cotrain("sweep", "delete", id, "--yes").want(t, exitDone, "deleted")
	for _, args := range []string{"show " + id, "stop " + id, "delete --yes " + id, "show ../x"} {
		c.cotrain(append([]string{"sweep"}, strings.Fields(args)...)...).want(t, exitNotFound)
	}
}

func TestASweepIsFollowedToItsEnd(t *testing.T) {
	t.Parallel()
	for state, code := range map[run.State]int{run.Succeeded: exitDone, run.Failed: exitFailed} {
		c := newConsole(t)
		c.files["points.jsonl"] = "{\"nodes\": 1}\n{\"nodes\": 2}\n"
		said := 0
		c.onOutput = func(string) { // told in the middle of the command, between two of its requests
			said++
			runs, err := c.Runs(t.Context(), run.RunFilter{Projects: run.AllProjects(), Limit: 2})
			if err != nil || said > 2 {
				return
			}
			c.Change(runs[said-1].ID, func(r *run.Run) { r.State = []run.State{run.Succeeded, state}[said-1] })
		}
		r := c.cotrain("sweep", "submit", "--name", "x", "--preset", "debug", "--list", "points.jsonl", "--follow").want(t, code, "2 runs: 2 queued", "2 runs: 1 queued, 1 succeeded")
		if strings.Count(r.out, "== sweep s-") != 3 {
			t.Errorf("%s", r.out)
		}
		if (code == exitFailed) != strings.Contains(r.errOut, "not every run") {
			t.Errorf("%s", r.errOut)
		}
	}
}

func TestStoppingASweepWaitsForItsRuns(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	id := strings.TrimSpace(c.cotrain("sweep", "submit", "--name", "x", "--preset", "debug", "--grid", "nodes=1,2").want(t, exitDone).out)
	done := make(chan result, 1)
	go func() { done <- c.cotrain("sweep", "stop", id, "--wait", "--format", "json") }()
	for stopping := 0; stopping < 2; {
		runs, err := c.Runs(t.Context(), run.RunFilter{Projects: run.AllProjects(), States: []run.State{run.Stopping}, Limit: 2})
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range runs {
			c.Change(r.ID, func(r *run.Run) { r.State = run.Stopped })
			stopping++
		}
	}
	if sw := fromJSON[run.Sweep](t, (<-done).want(t, exitDone)); sw.Counts[run.Stopped] != 2 {
		t.Errorf("%+v", sw)
	}
}
