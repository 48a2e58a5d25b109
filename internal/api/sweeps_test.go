package api_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/cotrain/cotrain/internal/client"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
)

const grid = `{"name":"lr","preset":"debug","grid":[{"field":"optim.optim.lr","values":["1e-4","3e-4"]},{"field":"nodes","values":["1","2"]}],"parallel":2}`

func TestASweepMakesItsRuns(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	w := f.do("POST", "/api/v1/sweeps", grid, "Idempotency-Key", "k")
	sw := decode[run.Sweep](f, w, 201)
	if w.Header().Get("Location") != "/api/v1/sweeps/"+string(sw.ID) || sw.Spec.Parallel != 2 || sw.Spec.Preset != "debug" || sw.Counts[run.Queued] != 4 || !slices.Equal(sw.Fields, []string{"optim.optim.lr", "nodes"}) {
		t.Errorf("%v %+v", w.Header(), sw)
	}
	if again := decode[run.Sweep](f, f.do("POST", "/api/v1/sweeps", grid, "Idempotency-Key", "k"), 201); again.ID != sw.ID {
		t.Errorf("the same key made %s and %s", sw.ID, again.ID)
	}
	d := get[client.SweepDetail](f, "/api/v1/sweeps/"+string(sw.ID))
	if len(d.Runs) != 4 || d.Runs[0].Name != "lr #1" || d.Runs[3].Values["nodes"] != "2" || d.Runs[3].Values["optim.optim.lr"] != "3e-4" {
		t.Errorf("%+v", d)
	}
	f.Change(d.Runs[1].ID, func(r *run.Run) { r.Progress = run.Progress{Step: 3, Loss: math.NaN(), HasLoss: true} })
	if d := get[client.SweepDetail](f, "/api/v1/sweeps/"+string(sw.ID)); !math.IsNaN(d.Runs[1].Progress.Loss) || d.Runs[1].Progress.Step != 3 {
		t.Errorf("%+v", d.Runs[1])
	}
	f.Add(run.Run{Name: "alone"})
	if page := get[runPage](f, "/api/v1/runs?sweep="+string(sw.ID)); len(page.Items) != 4 {
		t.Errorf("%d runs of the sweep", len(page.Items))
	}
	for _, id := range []string{"x", "s-0000000000"} {
		if p := f.problem(f.do("GET", "/api/v1/runs?sweep="+id, ""), 404); p.Code != "no_sweep" {
			t.Errorf("%s: %+v", id, p)
		}
	}

	f.problem(f.do("DELETE", "/api/v1/sweeps/"+string(sw.ID), ""), 409)
	if stopped := decode[run.Sweep](f, f.do("POST", "/api/v1/sweeps/"+string(sw.ID)+"/stop", ""), 202); stopped.Counts[run.Stopping] != 4 {
		t.Errorf("%+v", stopped)
	}
	for _, r := range d.Runs {
		f.Change(r.ID, func(r *run.Run) { r.State = run.Stopped })
	}
	f.problem(f.do("POST", "/api/v1/sweeps/"+string(sw.ID)+"/stop", ""), 409)
	if w := f.do("DELETE", "/api/v1/sweeps/"+string(sw.ID), ""); w.Code != 204 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	for _, id := range []string{string(sw.ID), "s-0000000000", "r-0000000000", "..%2Fx"} {
		f.problem(f.do("GET", "/api/v1/sweeps/"+id, ""), 404)
		f.problem(f.do("POST", "/api/v1/sweeps/"+id+"/stop", ""), 404)
		f.problem(f.do("DELETE", "/api/v1/sweeps/"+id, ""), 404)
	}
}

func TestASweepMayBeAList(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	sw := decode[run.Sweep](f, f.do("POST", "/api/v1/sweeps", `{"name":"x","preset":"debug","list":[{"optim.optim.lr":"1e-4"},{"optim.optim.lr":"2e-4","nodes":"2"}]}`), 201)
	if len(sw.Spec.List) != 2 || sw.Counts[run.Queued] != 2 {
		t.Errorf("%+v", sw)
	}
	var points []string
	for i := range run.MaxSweepRuns {
		points = append(points, fmt.Sprintf(`{"optim.optim.lr":"%g","description":"%s"}`, 1e-4+float64(i)*1e-6, strings.Repeat("x", 200)))
	}
	decode[run.Sweep](f, f.do("POST", "/api/v1/sweeps", `{"name":"x","preset":"debug","list":[`+strings.Join(points, ",")+`]}`), 201)
}

func TestWhatIsWrongWithASweepIsSaid(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for body, field := range map[string]string{
		`{"name":"x","preset":"debug"}`: "grid",
		`{"name":"x","preset":"debug","grid":[{"field":"nodes","values":["1","many"]}]}`:                      "nodes",
		`{"name":"x","preset":"debug","grid":[{"field":"nodes"}]}`:                                            "grid[0]",
		`{"name":"x","preset":"debug","parallel":501,"grid":[{"field":"nodes","values":["1","2"]}]}`:          "parallel",
		`{"name":"x","preset":"debug","set":{"nodes":"x"},"grid":[{"field":"optim.batch_size","values":[]}]}`: "nodes",
	} {
		if p := f.problem(f.do("POST", "/api/v1/sweeps", body), 422); p.Errors[0].Field != field {
			t.Errorf("%s: %+v", body, p.Errors)
		}
	}
	p := f.problem(f.do("POST", "/api/v1/sweeps", `{"name":" ","preset":"nope","grid":[{"field":"nodes","values":["1","2"]}]}`), 404)
	if p.Code != "no_preset" || len(p.Errors) != 1 || p.Errors[0].Field != "name" {
		t.Errorf("%+v", p)
	}
	f.Fail(fault.ErrUnavailable)
	f.problem(f.do("GET", "/api/v1/sweeps", ""), 503)
}

func TestSweepsArePagedNewestFirst(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	var want []run.SweepID
	for range 5 {
		want = append(want, decode[run.Sweep](f, f.do("POST", "/api/v1/sweeps", grid), 201).ID)
	}
	slices.Reverse(want)
	var got []run.SweepID
	next := ""
	for range 3 {
		page := get[struct {
			Items []run.Sweep
			Next  string
		}](f, "/api/v1/sweeps?limit=2&before="+next)
		for _, sw := range page.Items {
			got = append(got, sw.ID)
		}
		next = page.Next
	}
	if !slices.Equal(got, want) || next != "" {
		t.Errorf("%v, next %q, want %v", got, next, want)
	}
	f.problem(f.do("GET", "/api/v1/sweeps?before=x", ""), 422)
}
