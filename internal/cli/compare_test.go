package cli

import (
	"strings"
	"testing"

	"github.com/cotrain/cotrain/internal/client"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store/points"
)

func TestRunsAreComparedAsATableAndAsJSON(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	var ids []string
	for i, lr := range []string{"0.1", "0.2"} {
		id := c.Add(run.Run{Name: "rate " + lr, State: run.Succeeded, Config: "[optim.optim]\nlr = " + lr + "\n"})
		v := float64(4 - i)
		c.SetMetric(id, "loss", []points.WorkerPoint{{}}, []run.CurvePoint{{Step: 10, Mean: v, Min: v, Max: v, Sum: v, Workers: 1}})
		ids = append(ids, string(id))
	}
	r := c.cotrain("compare", ids[0], ids[1], "--base", ids[0], "--group", "optim.optim.lr").want(t, exitDone)
	var rows []string
	for line := range strings.Lines(r.out) {
		rows = append(rows, strings.Join(strings.Fields(line), " "))
	}
	want := []string{
		"ID NAME STATE STEP FINAL loss BEST loss", ids[0] + " rate 0.1 succeeded 0 4 4", ids[1] + " rate 0.2 succeeded 0 3 (-25%) 3 (-25%)", "",
		"GROUP RUNS MEAN loss LOWEST TO HIGHEST", "0.1 1 4 4 to 4", "0.2 1 3 3 to 3", "", "SETTING " + ids[0] + " " + ids[1], "optim.optim.lr 0.1 0.2",
	}
	if got := strings.Join(rows, "\n"); got != strings.Join(want, "\n") {
		t.Errorf("%s", got)
	}
	if got := fromJSON[client.Comparison](t, c.cotrain("compare", ids[0], ids[1], "--format", "json", "--at", "12")); len(got.Runs) != 2 || got.Runs[1].Values["loss"].At.Value != 3 {
		t.Errorf("%+v", got)
	}
	c.cotrain("compare", ids[0], "--metric", "nothing").want(t, exitRefused, `metric = "nothing": is reported by none of the runs; use one of loss`)
	c.cotrain("compare", "r-0000000000").want(t, exitNotFound, "r-0000000000")
	c.cotrain("compare").want(t, exitRefused, "name 1 to 200 runs")
}
