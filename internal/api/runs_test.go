package api_test

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cotrain/cotrain/internal/run"
)

type runPage struct {
	Items []run.Run
	Next  string
}

func TestRunsArePagedNewestFirst(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	var want []run.ID
	for i := range 7 {
		want = append(want, f.Add(run.Run{Name: fmt.Sprint("run ", i), State: run.Succeeded}))
	}
	slices.Reverse(want)
	var got []run.ID
	next, pages := "", 0
	for {
		page := get[runPage](f, "/api/v1/runs?limit=3&before="+next)
		for _, r := range page.Items {
			got = append(got, r.ID)
		}
		pages++
		if next = page.Next; next == "" {
			break
		}
	}
	if !slices.Equal(got, want) || pages != 3 {
		t.Errorf("%d pages with %v, want 3 with %v", pages, got, want)
	}
	if page := get[runPage](f, "/api/v1/runs?limit=7"); page.Next != "" || len(page.Items) != 7 {
		t.Errorf("a page that holds all has a next: %q, %d items", page.Next, len(page.Items))
	}
}

func TestRunsAreFilteredByStatesAndText(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.Add(run.Run{Name: "Alpha", State: run.Running})
	f.Add(run.Run{Name: "beta", State: run.Failed})
	f.Add(run.Run{Name: "alphabet", State: run.Queued})
	for query, want := range map[string]string{
		"":                                      "alphabet beta Alpha",
		"?state=running":                        "Alpha",
		"?state=running,failed":                 "beta Alpha",
		"?state=running&state=failed":           "beta Alpha",
		"?state=running,failed&state=queued":    "alphabet beta Alpha",
		"?text=ALPHA":                           "alphabet Alpha",
		"?text=alpha&state=queued":              "alphabet",
		"?text=nothing":                         "",
		"?state=succeeded&text=alpha&limit=500": "",
	} {
		var names []string
		w := f.do("GET", "/api/v1/runs"+query, "")
		for _, r := range decode[runPage](f, w, 200).Items {
			names = append(names, r.Name)
		}
		if got := strings.Join(names, " "); got != want {
			t.Errorf("%s gives %q, want %q", query, got, want)
		}
		if strings.Contains(w.Body.String(), "null") {
			t.Errorf("%s: %s", query, w.Body)
		}
	}
}

func TestQueriesThatBreakARuleSayWhich(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	id := f.Add(run.Run{State: run.Running})
	of := "/api/v1/runs/" + string(id)
	for target, field := range map[string]string{
		"/api/v1/runs?state=sleeping":                                   "state",
		"/api/v1/runs?before=xyz":                                       "before",
		"/api/v1/runs?limit=0":                                          "limit",
		"/api/v1/runs?limit=501":                                        "limit",
		"/api/v1/runs?limit=ten":                                        "limit",
		"/api/v1/runs?limit=5&limit=6":                                  "limit",
		of + "/logs?worker=1&worker=1":                                  "worker",
		"/api/v1/runs?stat=running":                                     "stat",
		"/api/v1/runs?text=" + strings.Repeat("x", 201):                 "text",
		of + "/logs?worker=-2":                                          "worker",
		of + "/logs?after=-1":                                           "after",
		of + "/logs?after=1&tail=5":                                     "after",
		of + "/logs?tail=5001":                                          "tail",
		of + "/logs?limit=9223372036854775808":                          "limit",
		of + "/events?after=x":                                          "after",
		of + "/events?after=1&before=5":                                 "after",
		of + "/events?before=0":                                         "before",
		of + "/events?tail=5001":                                        "tail",
		of + "/metrics?mode=both":                                       "mode",
		of + "/metrics?limit=0":                                         "limit",
		of + "/metrics?limit=50001":                                     "limit",
		of + "/metrics?worker=-2":                                       "worker",
		of + "/metrics?mode=curve&worker=1":                             "worker",
		of + "/metrics?metric=" + strings.Repeat("a&metric=", 20) + "b": "metric",
	} {
		p := f.problem(f.do("GET", target, ""), 422)
		if len(p.Errors) != 1 || p.Errors[0].Field != field || p.Errors[0].Location != "query" || p.Errors[0].Rule == "" || p.Errors[0].Fix == "" {
			t.Errorf("%s: %+v", target, p.Errors)
		}
	}
}

func TestARunComesWithItsWorkersAndAttempts(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	id := f.Add(run.Run{Name: "x", State: run.Running, Progress: run.Progress{Step: 3, Loss: math.NaN(), HasLoss: true, TokensPerSec: math.Inf(1)}})
	f.SetWorkers(id, []run.Worker{{AllocID: "a0", RunID: id, NodeName: "n", State: run.WorkerRunning}}, run.Attempt{RunID: id, Number: 1})
	w := f.do("GET", "/api/v1/runs/"+string(id), "")
	got := decode[struct {
		Run      run.Run
		Workers  []run.Worker
		Attempts []run.Attempt
	}](f, w, 200)
	if got.Run.ID != id || len(got.Workers) != 1 || len(got.Attempts) != 1 || !math.IsNaN(got.Run.Progress.Loss) || !math.IsInf(got.Run.Progress.TokensPerSec, 1) {
		t.Errorf("%s", w.Body)
	}
	workers := get[struct{ Items []run.Worker }](f, "/api/v1/runs/"+string(id)+"/workers")
	if len(workers.Items) != 1 || workers.Items[0].AllocID != "a0" {
		t.Errorf("%+v", workers)
	}
}

func TestARunThatIsNotThereIsNotFoundEverywhere(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for _, id := range []string{"r-0000000000", "nonsense", "r-000000000Z", "%00", "..%2f..", "%F0%9F%98%80"} {
		for _, rest := range []string{"", "/workers", "/events", "/logs", "/metrics"} {
			f.problem(f.do("GET", "/api/v1/runs/"+id+rest, ""), 404)
		}
		f.problem(f.do("POST", "/api/v1/runs/"+id+"/stop", ""), 404)
		f.problem(f.do("DELETE", "/api/v1/runs/"+id, ""), 404)
	}
}

func TestAnETagAnswers304UntilTheRunChanges(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	id := f.Add(run.Run{State: run.Running})
	target := "/api/v1/runs/" + string(id)
	w := f.do("GET", target, "")
	tag := w.Header().Get("ETag")
	if tag == "" || w.Header().Get("Cache-Control") != "private, no-cache" {
		t.Fatalf("headers %v", w.Header())
	}
	for _, match := range []string{tag, "W/" + tag, `"other", ` + tag, "*"} {
		if w := f.do("GET", target, "", "If-None-Match", match); w.Code != http.StatusNotModified || w.Body.Len() != 0 || w.Header().Get("ETag") != tag {
			t.Errorf("If-None-Match %s: %d %q %v", match, w.Code, w.Body, w.Header())
		}
	}
	if w := f.do("GET", target, "", "If-None-Match", `"other"`); w.Code != 200 {
		t.Errorf("another tag: %d", w.Code)
	}
	f.Change(id, func(r *run.Run) { r.Progress.Step++ })
	if w := f.do("GET", target, "", "If-None-Match", tag); w.Code != 200 || w.Header().Get("ETag") == tag {
		t.Errorf("after a change: %d %v", w.Code, w.Header())
	}
}

func TestStopAndDeleteFollowTheState(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	id := f.Add(run.Run{State: run.Running})
	target := "/api/v1/runs/" + string(id)
	if p := f.problem(f.do("DELETE", target, ""), 409); !strings.Contains(p.Detail, "is running") || !strings.Contains(p.Detail, "Stop it first") {
		t.Errorf("%+v", p)
	}
	if r := decode[run.Run](f, f.do("POST", target+"/stop", ""), 202); r.State != run.Stopping {
		t.Errorf("%+v", r)
	}
	f.Change(id, func(r *run.Run) { r.State = run.Stopped })
	if p := f.problem(f.do("POST", target+"/stop", "{}"), 409); p.Code != "already_ended" || !strings.Contains(p.Detail, "has already ended") {
		t.Errorf("%+v", p)
	}
	if w := f.do("DELETE", target, ""); w.Code != 204 || w.Body.Len() != 0 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	f.problem(f.do("DELETE", target, ""), 404)
}

func TestNodesAndPresetsAreListed(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	if w := f.do("GET", "/api/v1/nodes", ""); !strings.Contains(w.Body.String(), `"items":[]`) {
		t.Errorf("%s", w.Body)
	}
	f.SetNodes(run.Node{ID: "1", Name: "a", GPUs: []run.GPU{{ID: "g", Model: "m"}}, Simulated: true})
	if got := get[struct{ Items []run.Node }](f, "/api/v1/nodes"); len(got.Items) != 1 || !got.Items[0].Simulated {
		t.Errorf("%+v", got)
	}
	f.SetCatalog(&run.Catalog{Nodes: []run.ConsulNode{{Name: "a", Datacenter: "ams", Health: run.ConsulCritical}}, At: time.Unix(100, 0).UTC(), Problem: "Consul is away."})
	type nodeList struct {
		Items  []run.Node
		Consul struct {
			At      time.Time
			Problem string
			Stale   []run.ConsulNode
		}
	}
	f.SetNodes(run.Node{ID: "1", Name: "a", Status: "ready"})
	if got := get[nodeList](f, "/api/v1/nodes"); got.Consul.At.Unix() != 100 || got.Consul.Problem == "" || got.Consul.Stale == nil || got.Items[0].Consul.Datacenter != "ams" || got.Items[0].Disagreement == "" {
		t.Errorf("with Consul: %+v", got)
	}
	presets := get[struct {
		Items []struct {
			Name, Config string
			Shape        run.Shape
		}
	}](f, "/api/v1/presets")
	found := false
	for _, p := range presets.Items {
		found = found || p.Name == "debug-diloco" && strings.Contains(p.Config, "inner_steps") && p.Shape.Nodes == 2
	}
	if !found {
		b, _ := json.Marshal(presets)
		t.Errorf("no debug-diloco in %s", b)
	}
}

func TestARunThatWaitsTellsWhereItStands(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	first := f.Add(run.Run{Name: "first", State: run.Queued})
	second := f.Add(run.Run{Name: "second", State: run.Queued})
	got := decode[struct{ Run run.Run }](f, f.do("GET", "/api/v1/runs/"+string(second), ""), 200).Run.QueuePlace
	if got == nil || got.Position != 2 || len(got.Ahead) != 1 || got.Ahead[0] != (run.Ahead{ID: first, Name: "first"}) {
		t.Errorf("line is %+v", got)
	}
	if got := decode[runPage](f, f.do("GET", "/api/v1/runs", ""), 200).Items[1].QueuePlace; got == nil || got.Position != 1 {
		t.Errorf("in the list the first's line is %+v", got)
	}
}
