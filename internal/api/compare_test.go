package api_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cotrain/cotrain/internal/client"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store/points"
)

// curveTo is a curve of a run that falls or rises to a value, with one step beyond it before.
func curveTo(last, beyond float64) []run.CurvePoint {
	var out []run.CurvePoint
	for step, v := range []float64{9, beyond, last} {
		out = append(out, run.CurvePoint{Step: int64(10 * (step + 1)), Mean: v, Min: v, Max: v, Sum: v, Workers: 1})
	}
	return out
}

func TestRunsAreComparedToABaseline(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	rate := func(lr string) string { return "[optim.optim]\nlr = " + lr + "\n" }
	one := f.Add(run.Run{Name: "one", State: run.Succeeded, Config: rate("0.1")})
	two := f.Add(run.Run{Name: "two", State: run.Running, Config: rate("0.2"), Options: run.Options{Env: map[string]string{"SEED": "2"}}})
	f.SetMetric(one, "loss", []points.WorkerPoint{{}}, curveTo(4, 2.5))
	f.SetMetric(two, "loss", []points.WorkerPoint{{}}, curveTo(5, 2))
	f.SetMetric(two, "lr", []points.WorkerPoint{{}}, curveTo(0.2, 0.1))
	target := "/api/v1/compare?run=" + string(one) + "&run=" + string(two)

	got := get[client.Comparison](f, target+"&metric=loss&metric=lr&base="+string(one)+"&at=25&group=settings")
	n := func(v float64) *run.Number { x := run.Number(v); return &x }
	yes, no := true, false
	want := []map[string]client.ComparedMetric{
		{"loss": {Final: &client.Reached{Value: 4, Step: 30}, Best: &client.Reached{Value: 2.5, Step: 20}, At: &client.Reached{Value: 2.5, Step: 20}}},
		{
			"loss": {
				Final: &client.Reached{Value: 5, Step: 30, Difference: n(1), Percent: n(25), Better: &no}, Best: &client.Reached{Value: 2, Step: 20, Difference: n(-0.5), Percent: n(-20), Better: &yes},
				At: &client.Reached{Value: 2, Step: 20, Difference: n(-0.5), Percent: n(-20), Better: &yes},
			},
			"lr": {Final: &client.Reached{Value: 0.2, Step: 30}, At: &client.Reached{Value: 0.1, Step: 20}},
		},
	}
	if len(got.Runs) != 2 || got.Base != one || got.Runs[1].Name != "two" || got.Runs[1].State != run.Running {
		t.Fatalf("%+v", got)
	}
	for i := range want {
		if diff := cmp.Diff(want[i], got.Runs[i].Values); diff != "" {
			t.Errorf("run %d (-want +got):\n%s", i, diff)
		}
	}
	fields := map[string][]string{}
	for _, d := range got.Differences {
		fields[d.Field] = d.Values
	}
	if diff := cmp.Diff([]string{"0.1", "0.2"}, fields["optim.optim.lr"]); diff != "" || fields["name"] != nil {
		t.Errorf("differences %v", fields)
	}
	if len(got.Groups) != 2 || got.Groups[0].Label != "lr 0.1" || got.Groups[0].Runs[0] != one || got.Groups[0].Final["loss"] != (client.GroupSpread{Runs: 1, Mean: 4, Low: 4, High: 4}) {
		t.Errorf("groups %+v", got.Groups)
	}
	if usual := get[client.Comparison](f, target); len(usual.Metrics) != 1 || usual.Metrics[0] != "loss" || usual.Runs[1].Values["loss"].Final.Difference != nil || usual.Runs[0].Values["loss"].At != nil || len(usual.Names) != 2 {
		t.Errorf("%+v", usual)
	}
}

func TestAWrongComparisonNamesTheField(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	id := f.Add(run.Run{State: run.Succeeded})
	f.SetMetric(id, "loss", []points.WorkerPoint{{}}, curveTo(4, 3))
	of := "/api/v1/compare?run=" + string(id)
	for target, field := range map[string]string{
		of + "&metric=val_loss": "metric", of + "&metric=%3Dloss%2B1": "metric", of + "&base=r-0000000000": "base", of + "&group=no.such": "group", of + "&at=-2": "at", of + "&sweep=s-0000000000": "sweep", "/api/v1/compare": "run",
	} {
		p := decode[client.Problem](f, f.do("GET", target, ""), 422)
		if len(p.Errors) != 1 || p.Errors[0].Field != field || p.Errors[0].Rule == "" {
			t.Errorf("%s: %+v", target, p)
		}
	}
	if p := decode[client.Problem](f, f.do("GET", of+"&metric=val_loss", ""), 422); !strings.Contains(p.Errors[0].Fix, "use one of loss") || p.Errors[0].Value != "val_loss" {
		t.Errorf("%+v", p)
	}
	decode[client.Problem](f, f.do("GET", of+"&run=r-0000000000", ""), 404)
	decode[client.Problem](f, f.do("GET", "/api/v1/compare?sweep=s-0000000000", ""), 404)
}
