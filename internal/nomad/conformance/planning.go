package conformance

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/nomad"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/jobs"
)

// tooMuch is more memory than a node has, MiB.
const tooMuch = 1 << 24

func testPlan(t *testing.T, target Target) {
	b := newBench(t, target, nil)
	b.shape.Nodes = 2
	fits, reason, places, err := b.client.Plan(b.context(), b.shape, 0)
	if err != nil || !fits || reason != "" {
		t.Fatalf("a small shape: %v, %q, %v", fits, reason, err)
	}
	b.checkPlaces(places, b.shape.Nodes)
	parent := b.shape.ParentJob()
	for _, id := range []string{parent, parent + "/dispatch-0-00000000"} {
		b.expect(b.raw("GET", "/v1/job/"+url.PathEscape(id), nil), 404, "job not found")
		if evals := decode[[]any](b, b.raw("GET", "/v1/job/"+url.PathEscape(id)+"/evaluations", nil)); len(evals) != 0 {
			t.Errorf("planning made %d evaluations of %s", len(evals), id)
		}
	}
	for _, priority := range []int{-1, 101} {
		if _, _, _, err := b.client.Plan(b.context(), b.shape, priority); !errors.Is(err, fault.ErrInvalid) {
			t.Errorf("priority %d: %v", priority, err)
		}
	}

	t.Run("what does not fit has the reason that a waiting run has", func(t *testing.T) {
		big := newBench(t, target, nil)
		big.shape.Memory = tooMuch
		fits, reason, places, err := big.client.Plan(big.context(), big.shape, 70)
		if err != nil || fits || len(places) != 0 {
			t.Errorf("%v, %v, %v", fits, places, err)
		}
		child := big.dispatch("exit 0")
		big.eventually("the same reason: "+reason, func(ctx ctx) (bool, string) {
			why, err := big.client.WhyPending(ctx, child)
			return err == nil && why == reason && strings.Contains(why, fmt.Sprintf("%d MiB of memory", tooMuch)), fmt.Sprint(why, err)
		})
	})
	t.Run("a site that does not exist", func(t *testing.T) {
		b := newBench(t, target, nil)
		b.shape.Site = "no-such-site"
		fits, reason, places, err := b.client.Plan(b.context(), b.shape, 0)
		if err != nil || fits || len(places) != 0 || !strings.Contains(reason, "no node is in datacenter no-such-site") {
			t.Errorf("%v, %q, %v, %v", fits, reason, places, err)
		}
	})
	t.Run("shared storage that no node has", func(t *testing.T) {
		b := newBench(t, target, func(j *nomad.JobSettings) { j.Storage, j.StorageVolume = "/srv/cotrain", "no-such-volume" })
		fits, reason, _, err := b.client.Plan(b.context(), b.shape, 0)
		if err != nil || fits || !strings.Contains(reason, "missing compatible host volumes") {
			t.Errorf("%v, %q, %v", fits, reason, err)
		}
	})
	t.Run("the site of a node", func(t *testing.T) {
		nodes, err := b.client.Nodes(b.context())
		if err != nil || len(nodes) == 0 {
			t.Fatal(nodes, err)
		}
		b := newBench(t, target, nil)
		b.shape.Site = nodes[0].Datacenter
		fits, _, places, err := b.client.Plan(b.context(), b.shape, 0)
		if err != nil || !fits || slices.ContainsFunc(places, func(p run.Place) bool { return p.Datacenter != b.shape.Site }) {
			t.Errorf("%v, %v, %v", fits, places, err)
		}
		w := b.ended(b.dispatch(`echo "dc=$NOMAD_DC"`))
		b.printed(w.AllocID, "stdout", "dc="+b.shape.Site+"\n")
	})
	testRawPlan(t, b)
}

// checkPlaces asserts that places are nodes, in order, with room for all workers of a shape that fits.
func (b *bench) checkPlaces(places []run.Place, workers int) {
	b.Helper()
	nodes, err := b.client.Nodes(b.context())
	if err != nil {
		b.Fatal(err)
	}
	room := 0
	for i, p := range places {
		room += p.Workers
		if i > 0 && p.Workers > places[i-1].Workers {
			b.Errorf("place %d has more room than the one before: %+v", i, places)
		}
		if !slices.ContainsFunc(nodes, func(n run.Node) bool {
			return n.ID == p.NodeID && n.Name == p.Node && n.Datacenter == p.Datacenter
		}) {
			b.Errorf("place %+v is none of the nodes %+v", p, nodes)
		}
	}
	if room < workers {
		b.Errorf("%d workers fit, and there are places for %d: %+v", workers, room, places)
	}
}

// testRawPlan looks at codes, texts and fields of the call itself.
func testRawPlan(t *testing.T, b *bench) {
	t.Run("the call", func(t *testing.T) {
		b := newBench(t, b.target, nil)
		const id = "cotrain-plan-only"
		task := map[string]any{"Name": "t", "Driver": b.target.ShellDriver, "Config": map[string]any{"command": "/bin/true"}, "Resources": map[string]any{"CPU": 10, "MemoryMB": 16}}
		job := func(memory int, more map[string]any) map[string]any {
			sized := map[string]any{"CPU": 10, "MemoryMB": memory}
			t := map[string]any{}
			for k, v := range task {
				t[k] = v
			}
			t["Resources"] = sized
			j := map[string]any{"ID": id, "Name": id, "Type": "batch", "Datacenters": []string{"*"},
				"TaskGroups": []any{map[string]any{"Name": "g", "Count": 2, "Tasks": []any{t}}}}
			for k, v := range more {
				j[k] = v
			}
			return map[string]any{"Job": j}
		}
		path := "/v1/job/" + id + "/plan"
		b.expect(b.raw("PUT", path, map[string]any{}), 400, "Job must be specified")
		b.expect(b.raw("PUT", path, map[string]any{"Job": map[string]any{}}), 400, "Job must have a valid ID")
		b.expect(b.raw("PUT", "/v1/job/other/plan", job(16, nil)), 400, "Job ID does not match")
		b.expect(b.raw("GET", path, nil), 405, "Invalid method")
		b.expect(b.raw("PUT", path, job(16, map[string]any{"Priority": 101})), 500, "job priority must be between [1, 100]")
		type answer struct {
			Annotations struct {
				DesiredTGUpdates map[string]struct{ Place, Stop int }
			}
			CreatedEvals []struct {
				Status, TriggeredBy string
				FailedTGAllocs      map[string]json.RawMessage
			}
			FailedTGAllocs map[string]struct {
				NodesEvaluated, NodesExhausted int
				DimensionExhausted             map[string]int
			}
			JobModifyIndex, Index int
		}
		for name, more := range map[string]map[string]any{
			"a job": nil, "a dispatched child": {"Dispatched": true, "ParentID": "p"}, "a parameterized job": {"ParameterizedJob": map[string]any{"Payload": "required"}},
		} {
			got := decode[answer](b, b.raw("PUT", path, job(16, more)))
			if u := got.Annotations.DesiredTGUpdates["g"]; u.Place != 2 || u.Stop != 0 || len(got.FailedTGAllocs)+len(got.CreatedEvals)+got.JobModifyIndex+got.Index != 0 {
				t.Errorf("%s that fits: %+v", name, got)
			}
			got = decode[answer](b, b.raw("PUT", path, job(tooMuch, more)))
			f := got.FailedTGAllocs["g"]
			if f.NodesEvaluated == 0 || f.DimensionExhausted["memory"] != f.NodesEvaluated || f.NodesExhausted != f.NodesEvaluated || got.Annotations.DesiredTGUpdates["g"].Place != 2 {
				t.Errorf("%s that does not fit: %+v", name, got)
			}
			if len(got.CreatedEvals) != 1 || got.CreatedEvals[0].Status != "blocked" || got.CreatedEvals[0].TriggeredBy != "queued-allocs" || len(got.CreatedEvals[0].FailedTGAllocs) != 1 {
				t.Errorf("%s that does not fit would make the evaluations %+v", name, got.CreatedEvals)
			}
		}
		b.expect(b.raw("GET", "/v1/job/"+id, nil), 404, "job not found")
	})
}

func testJobBeforeRegistration(t *testing.T, target Target) {
	b := newBench(t, target, nil)
	state := func(b *bench, want run.ParentState) {
		t.Helper()
		id, text, got, err := b.client.Job(b.context(), b.shape)
		if err != nil || id != b.shape.ParentJob() || got != want {
			t.Fatalf("Job gives %s, %s, %v; want %s", id, got, err, want)
		}
		var job parentJob
		if err := json.Unmarshal(text, &job); err != nil || job.ID != id || job.Type != "batch" || job.ParameterizedJob == nil || job.Meta["cotrain_content"] == "" {
			t.Errorf("the job is %+v, %v", job, err)
		}
	}
	state(b, run.ParentNew)
	b.expect(b.raw("GET", "/v1/job/"+b.shape.ParentJob(), nil), 404, "job not found")
	parent, err := b.client.EnsureParent(b.context(), b.shape)
	if err != nil {
		t.Fatal(err)
	}
	b.track(parent, "")
	state(b, run.ParentCurrent)
	changed := newBench(t, target, func(j *nomad.JobSettings) {
		j.File = jobFile(t, strings.Replace(jobs.CotrainCore, "priority    = var.priority", "priority    = 42", 1))
	})
	changed.shape = b.shape
	state(changed, run.ParentUpdate)
	if err := b.client.Stop(b.context(), parent); err != nil {
		t.Fatal(err)
	}
	state(b, run.ParentUpdate)
	if job := decode[parentJob](b, b.raw("GET", "/v1/job/"+parent, nil)); job.Version > 1 || !job.Stop {
		t.Errorf("asking changed the parent: %+v", job)
	}
}
