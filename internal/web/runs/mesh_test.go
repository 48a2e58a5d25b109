package runs_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store/points"
	"github.com/cotrain/cotrain/internal/web/webtest"
)

// meshed has three workers report rounds of 10 s, of which the last but one takes two seconds longer than the rest.
func meshed(rounds int) (out []points.RoundPoint) {
	start := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for k := 1; k <= rounds; k++ {
		end := start.Add(time.Duration(k) * 10 * time.Second)
		for rank := range 3 {
			sync := 3.0
			if rank == 1 {
				sync = 1
			}
			own := end.Add(time.Duration(rank)*time.Minute - time.Duration(sync*float64(time.Second)))
			for metric, v := range map[string]float64{"sync_seconds": sync, "all_reduce_seconds": sync, "time": float64(own.UnixMilli()) / 1000} {
				out = append(out, points.RoundPoint{Metric: metric, Attempt: 1, Rank: rank, Step: int64(k) * 50, Value: v, At: end.Add(300 * time.Millisecond).UnixMilli()})
			}
		}
	}
	return out
}

func TestTheMeshNamesStragglersAndWhatTheyCost(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	r := webtest.Run(run.Running)
	s.Fake.AllRuns = []run.Run{r}
	path := "/runs/" + string(r.ID) + "/mesh"
	before := s.Get(path, 200)
	if got := before.Text(t, "#run-mesh .card-empty"); got != "No outer step done yet" || before.Count("[data-lanes][hidden]") != 1 {
		t.Errorf("before the first: %q", got)
	}
	s.Fake.Reports = meshed(30)
	a := s.Get(path, 200)
	for metric, want := range map[string]string{"outer-step": "30 / 20", "workers": "3", "straggler": "1", "sync": "3.00 s", "all-reduce": "1.00 s", "computing": "76.7 %", "waiting": "13.3 %"} {
		if got := a.Text(t, `.stats [data-metric="`+metric+`"]`); got != want {
			t.Errorf("%s: %q, want %q", metric, got, want)
		}
	}
	for cell, want := range map[string]string{
		`[data-mesh-worker="1"] [data-cost]`: "120 s", `[data-mesh-worker="0"] [data-cost]`: "0 s", `[data-mesh-worker="1"] [data-label="Last in"]`: "30",
		`[data-mesh-worker="2"] [data-label="Clock"]`: "+120 ± 0.001 s", `[data-round="30"] [data-label="Straggler"]`: "worker 1",
		`[data-round="30"] [data-label="Cost"]`: "4.00 s", `[data-round="30"] [data-label="Late by"]`: "2.00 s", `[data-round="30"] [data-label="Step"]`: "1,500",
	} {
		if got := a.Text(t, cell); got != want {
			t.Errorf("%s: %q, want %q", cell, got, want)
		}
	}
	if got := a.Doc.Find(`[data-round="30"] [data-label="Straggler"] a`).AttrOr("href", ""); got != "/runs/"+string(r.ID)+"/logs?step=1500&metric=sync_seconds&worker=1" {
		t.Errorf("its log is at %q", got)
	}
	if got := a.Count("[data-round]"); got != 20 {
		t.Errorf("%d rounds on a page", got)
	}
	earlier := s.Get(a.Doc.Find("[data-earlier]").AttrOr("href", ""), 200)
	if earlier.Count("[data-round]") != 10 || earlier.Count(`[data-round="10"]`) != 1 || earlier.Count("#mesh-rounds") != 0 {
		t.Errorf("the page of earlier rounds has %d, and is live: %d", earlier.Count("[data-round]"), earlier.Count("#mesh-rounds"))
	}
	s.Get(path+"?before=none", 422)
}

func TestTheTimelineIsExactWhereItCanBeAndElseSummedUp(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	r := webtest.Run(run.Running)
	s.Fake.AllRuns = []run.Run{r}
	s.Fake.Reports = meshed(2000)
	path := "/runs/" + string(r.ID) + "/mesh/timeline"
	type answer struct {
		Version, Start, End int64
		Same                bool
		Total, Columns      int
		Cells               string
		Lanes               []struct{ Rank int }
		Rounds              []struct {
			Number, Straggler int
			Start, End        int64
			Syncs             []int64
		}
	}
	get := func(query string) (out answer) {
		t.Helper()
		if err := json.Unmarshal([]byte(s.Get(path+query, 200).Body), &out); err != nil {
			t.Fatal(err)
		}
		return out
	}
	all := get("?columns=500")
	if all.Total != 2000 || all.Columns != 500 || len(all.Cells) != 500*3*5*4/3 || len(all.Rounds) != 0 || len(all.Lanes) != 3 {
		t.Errorf("all: %d rounds, %d columns, %d bytes, %d told", all.Total, all.Columns, len(all.Cells), len(all.Rounds))
	}
	some := get(fmt.Sprintf("?from=%d&to=%d", all.Start+1000_000, all.Start+1099_000))
	if len(some.Rounds) != 10 || some.Cells != "" || some.Rounds[0].Number != 101 || some.Rounds[0].Straggler != 1 || some.Rounds[0].Syncs[2] != 3000 || some.Rounds[0].End-some.Rounds[0].Start != 10_000 {
		t.Errorf("a window: %+v", some)
	}
	if again := get(fmt.Sprintf("?since=%d", some.Version)); !again.Same {
		t.Error("nothing is new, and all is told")
	}
	for _, bad := range []string{"?from=-1", "?columns=9999", "?to=x", "?since=1.5"} {
		s.Get(path+bad, 422)
	}
}

func TestHealthHasARuleBesideEachChart(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	r := webtest.Run(run.Running)
	s.Fake.AllRuns = []run.Run{r}
	s.Fake.Curves = map[string][]run.CurvePoint{"loss": nil, "diloco/cosine": nil, "diloco/outer_lr": nil, "diloco/of_its_own": nil}
	a := s.Get("/runs/"+string(r.ID)+"/mesh", 200)
	if a.Count(".mesh-chart") != 3 || a.Count(".mesh-rule") != 2 || a.Text(t, "#chart-diloco-of-its-own .chart-name") != "diloco/of_its_own" {
		t.Errorf("%d charts, %d rules", a.Count(".mesh-chart"), a.Count(".mesh-rule"))
	}
	if got := a.Doc.Find(".mesh-rule a").AttrOr("href", ""); got != "https://arxiv.org/abs/2407.07852" {
		t.Errorf("the source is %q", got)
	}
}
