package nomad

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/nomad/api"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
)

func TestPlacesAreTheNodesWithRoomMostFirst(t *testing.T) {
	t.Parallel()
	d := demand{workers: 2, cpu: 1000, memory: 1000, gpus: 2, driver: "docker", datacenters: []string{"*"}, pool: "default", device: &api.RequestedDevice{Name: "gpu"}}
	nodes := []*api.NodeListStub{gpuNode("small", 2), gpuNode("big", 6), gpuNode("none", 0), gpuNode("busy", 2), gpuNode("down", 8), gpuNode("nodriver", 8), gpuNode("also", 2)}
	for _, n := range nodes {
		n.Name = "node-" + n.ID
	}
	nodes[4].Status, nodes[5].Drivers = "down", nil
	got := roomFor(d, nodes, usage([]*api.AllocationListStub{taken("busy", 10, "a"), taken("big", 8000)}, ""))
	want := []run.Place{
		{Node: "node-big", NodeID: "big", Datacenter: "dc1", Workers: 2}, {Node: "node-also", NodeID: "also", Datacenter: "dc1", Workers: 1},
		{Node: "node-small", NodeID: "small", Datacenter: "dc1", Workers: 1},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if got := roomFor(d, nil, nil); got == nil || len(got) != 0 {
		t.Errorf("without nodes: %#v, want an empty list", got)
	}
}

// planned serves what Plan asks for, with answer for the plan itself, and returns the job that was planned.
func planned(t *testing.T, answer any) (*Client, *map[string]any) {
	t.Helper()
	f, c := newFake(t)
	(&fakeParents{}).serve(f)
	var seen map[string]any
	f.HandleFunc("PUT /v1/job/{id}/plan", func(w http.ResponseWriter, r *http.Request) {
		var req struct{ Job map[string]any }
		if err := json.NewDecoder(r.Body).Decode(&req); err != nil || req.Job["ID"] != r.PathValue("id") {
			t.Errorf("planned %v as %q, %v", req.Job["ID"], r.PathValue("id"), err)
		}
		seen = req.Job
		if h, ok := answer.(http.HandlerFunc); ok {
			h(w, r)
			return
		}
		answerJSON(w, answer)
	})
	f.HandleFunc("GET /v1/nodes", func(w http.ResponseWriter, _ *http.Request) { answerJSON(w, []any{gpuNode("1", 0)}) })
	f.HandleFunc("GET /v1/allocations", func(w http.ResponseWriter, _ *http.Request) { answerJSON(w, []any{}) })
	return c, &seen
}

func TestAPlanIsOfWhatADispatchWouldBe(t *testing.T) {
	t.Parallel()
	c, job := planned(t, map[string]any{"FailedTGAllocs": nil})
	fits, reason, _, err := c.Plan(t.Context(), testShape, 70)
	if err != nil || !fits || reason != "" {
		t.Errorf("%v %q %v", fits, reason, err)
	}
	if got := *job; got["ParameterizedJob"] != nil || got["Priority"] != 70.0 || got["ParentID"] != testShape.ParentJob() ||
		!strings.HasPrefix(got["ID"].(string), testShape.ParentJob()+"/dispatch-") {
		t.Errorf("planned %v", got)
	}
}

func TestAPlanThatDoesNotFitHasAReason(t *testing.T) {
	t.Parallel()
	for _, group := range []string{groupName, "of the site"} {
		c, _ := planned(t, map[string]any{"FailedTGAllocs": map[string]any{group: map[string]any{"ConstraintFiltered": map[string]int{"${meta.rack} = 7": 1}}}})
		fits, reason, _, err := c.Plan(t.Context(), testShape, 0)
		if err != nil || fits || !strings.Contains(reason, "${meta.rack} = 7 on 1 node") {
			t.Errorf("group %s: %v %q %v", group, fits, reason, err)
		}
	}
}

func TestPlanPassesRefusalsOn(t *testing.T) {
	t.Parallel()
	c, _ := planned(t, refuse(403, "Permission denied"))
	if _, _, _, err := c.Plan(t.Context(), testShape, 0); !errors.Is(err, ErrDenied) {
		t.Errorf("without the right to submit: %v", err)
	}
	if _, _, _, err := c.Plan(t.Context(), run.Shape{}, 0); !errors.Is(err, fault.ErrInvalid) {
		t.Errorf("no nodes: %v", err)
	}
	c.cfg.Job.File = jobFileWith(t, "broken")
	if _, _, _, err := c.Plan(t.Context(), testShape, 0); !errors.Is(err, fault.ErrInvalid) {
		t.Errorf("a broken file: %v", err)
	}
	if _, _, _, err := c.Job(t.Context(), testShape); !errors.Is(err, fault.ErrInvalid) {
		t.Errorf("the job of a broken file: %v", err)
	}
	if _, err := c.Launch(t.Context(), testShape, testDispatch()); !errors.Is(err, fault.ErrInvalid) {
		t.Errorf("the start of a broken file: %v", err)
	}
	if _, err := c.Launch(t.Context(), testShape, Dispatch{Args: []string{""}}); !errors.Is(err, fault.ErrInvalid) {
		t.Errorf("what cannot be sent: %v", err)
	}
}
