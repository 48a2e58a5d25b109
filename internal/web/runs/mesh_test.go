package runs_test

import (
	"testing"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/web/webtest"
)

func TestTheMeshTellsOfTheNewestOuterSteps(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	r := webtest.Run(run.Running)
	s.Fake.AllRuns = []run.Run{r}
	path := "/runs/" + string(r.ID) + "/mesh"
	if got := s.Get(path, 200).Text(t, "#run-mesh .card-empty"); got != "No outer step done yet" {
		t.Errorf("before the first: %q", got)
	}
	s.Fake.Curves = map[string][]run.CurvePoint{"num_peers": {{Step: 49, Min: 9}}}
	for step := int64(50); step <= 1500; step += 50 {
		p := run.CurvePoint{Step: step, Mean: float64(step) / 1000, Min: 3, Max: float64(step) / 500}
		for _, metric := range []string{"sync_seconds", "num_peers"} {
			s.Fake.Curves[metric] = append(s.Fake.Curves[metric], p)
		}
	}
	a := s.Get(path, 200)
	if got := a.Text(t, "tbody tr:first-child"); got != "1,500 – 3 1.50 3.00 –" || a.Count("tbody tr") != 20 {
		t.Errorf("%d outer steps, the newest is %q", a.Count("tbody tr"), got)
	}
	for metric, want := range map[string]string{"outer-step": "10 / 20", "peers": "3", "sync": "1.50 s", "slowest": "3.00 s", "all-reduce": "–"} {
		if got := a.Text(t, `.stats [data-metric="`+metric+`"]`); got != want {
			t.Errorf("%s: %q, want %q", metric, got, want)
		}
	}
}
