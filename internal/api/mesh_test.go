package api_test

import (
	"fmt"
	"testing"

	"github.com/cotrain/cotrain/internal/client"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store/points"
)

func TestRoundsAreReadInPages(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	alone, id := f.Add(run.Run{State: run.Running}), f.Add(run.Run{State: run.Running, InnerSteps: 5, Shape: run.Shape{Nodes: 2}})
	for k := range int64(7) {
		for rank := range 2 {
			f.Reports = append(f.Reports, points.RoundPoint{Metric: "sync_seconds", Attempt: 1, Rank: rank, Step: 5 * (k + 1), Value: float64(1 + rank), At: (1_700_000_000 + 10*k) * 1000})
		}
	}
	if got := get[client.Mesh](f, "/api/v1/runs/"+string(alone)+"/mesh"); got.Total != 0 || got.Rounds == nil || got.Workers == nil {
		t.Errorf("a run without DiLoCo has %+v", got)
	}
	target := "/api/v1/runs/" + string(id) + "/mesh"
	var steps []int64
	for before := ""; ; {
		page := get[client.Mesh](f, target+"?limit=3"+before)
		for _, r := range page.Rounds {
			steps = append(steps, r.Step)
			if r.Straggler != 0 || r.Cost != 1 || r.Workers != 2 || r.Syncs != nil {
				t.Errorf("%+v", r)
			}
		}
		if page.Total != 7 || !page.Receipt {
			t.Errorf("%+v", page)
		}
		if page.Next == 0 {
			break
		}
		before = fmt.Sprint("&before=", page.Next)
	}
	if fmt.Sprint(steps) != "[35 30 25 20 15 10 5]" {
		t.Errorf("the pages have %v", steps)
	}
	for _, bad := range []string{"?limit=0", "?limit=2000", "?before=0", "?syncs=perhaps"} {
		f.problem(f.do("GET", target+bad, ""), 422)
	}
}
