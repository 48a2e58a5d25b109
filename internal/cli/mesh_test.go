package cli

import (
	"fmt"
	"testing"

	"github.com/cotrain/cotrain/internal/client"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store/points"
)

func TestTheMeshNamesWhoTheOthersWaitedFor(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	alone, id := c.Add(run.Run{State: run.Running}), c.Add(run.Run{State: run.Running, InnerSteps: 50, Shape: run.Shape{Nodes: 3}, Config: "[diloco]\ninner_steps = 50\n[train]\nmicro_bs = 1\n"})
	c.cotrain("run", "mesh", string(alone)).want(t, exitDone, "without DiLoCo")
	c.cotrain("run", "mesh", string(id)).want(t, exitDone, "no outer step is done yet")
	for k := range int64(30) {
		for rank, sync := range []float64{6, 1, 6.5} {
			for metric, v := range map[string]float64{"sync_seconds": sync, "time": float64(1_700_000_000+10*k) - sync - float64(100*rank)} {
				c.Reports = append(c.Reports, points.RoundPoint{Metric: metric, Attempt: 1, Rank: rank, Step: 50 * (k + 1), Value: v, At: (1_700_000_000 + 10*k) * 1000})
			}
		}
	}
	c.cotrain("run", "mesh", string(id)).want(t, exitDone, "30 rounds of 50 steps", "Together they waited 315 s", "-200.000 ± 0.000 s", "1500", "10.5 s", "Faster without worker 1: +33.3 %")
	got := fromJSON[client.Mesh](t, c.cotrain("run", "mesh", string(id), "--rounds", "2", "--syncs", "--format", "json").want(t, exitDone))
	if got.Run != id || got.Total != 30 || len(got.Rounds) != 2 || got.Rounds[0].Straggler != 1 || got.Rounds[1].Step != 1450 || *got.Rounds[0].Syncs[2] != 6.5 || got.Next != 29 {
		t.Errorf("%+v", got)
	}
	if w := got.Workers[1]; w.Cost != 315 || w.Last != 30 || *w.Offset != -100 {
		t.Errorf("%+v", w)
	}
	for _, bad := range []string{"--rounds=0", "--rounds=1001", "--syncs"} {
		c.cotrain("run", "mesh", string(id), bad).want(t, exitUsage, fmt.Sprint(bad[:6]))
	}
	c.cotrain("run", "mesh", "r-0000000000").want(t, exitNotFound)
}
