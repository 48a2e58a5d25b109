package nomad

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/nomad/api"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/jobs"
)

func TestAFitTellsWhatIsFreeAndWhatOurRunsWouldFree(t *testing.T) {
	t.Parallel()
	d := demand{workers: 3, cpu: 1000, memory: 1000, gpus: 1, driver: "docker", datacenters: []string{"*"}, pool: "default", device: &api.RequestedDevice{Name: "gpu"}}
	down := gpuNode("down", 4)
	down.Status = "down"
	ours := taken("mixed", 2000, "a")
	ours.JobID = "cotrain-core-x/dispatch-1"
	others := taken("mixed", 1000, "b", "c")
	in := roomOf([]*api.NodeListStub{gpuNode("mixed", 4), gpuNode("none", 0), down}, []*api.AllocationListStub{ours, others})
	want := run.Fit{
		Workers: 3, Need: run.Resources{GPUs: 1, CPU: 1000, Memory: 1000},
		Nodes: []run.NodeFit{{ID: "mixed", Free: 1, Freed: 2, GPUs: 4, FreeCPU: 10000, FreeMemory: 7000}},
	}
	if d := cmp.Diff(want, d.fit(in)); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(map[string]int{"cotrain-core-x/dispatch-1": 1, "other": 1}, in.Placed); d != "" {
		t.Error(d)
	}
}

func TestAvoidedNodesHaveNoRoom(t *testing.T) {
	t.Parallel()
	f, c := newFake(t)
	p := &fakeParents{}
	p.serve(f)
	f.HandleFunc("PUT /v1/job/{id}/plan", func(w http.ResponseWriter, _ *http.Request) {
		answerJSON(w, map[string]any{"FailedTGAllocs": map[string]any{groupName: map[string]any{}}})
	})
	shape := testShape
	shape.Nodes, shape.Avoid = 3, run.NewNodeIDs("a", "gone")
	job, need, err := c.child(t.Context(), shape)
	if err != nil {
		t.Fatal(err)
	}
	var ruled []string
	for _, k := range job.Constraints {
		ruled = append(ruled, k.LTarget+" "+k.Operand+" "+k.RTarget)
	}
	if !slices.Equal(ruled, []string{"${node.unique.id} != a", "${node.unique.id} != gone"}) {
		t.Errorf("the job is sent with %q", ruled)
	}
	avoided := gpuNode("a", 4)
	avoided.Name = "gpu-a"
	in := roomOf([]*api.NodeListStub{avoided, gpuNode("b", 1)}, nil)
	need.workers, need.driver, need.device, need.gpus, need.datacenters, need.pool = 3, "docker", &api.RequestedDevice{Name: "gpu"}, 1, []string{"*"}, "default"
	if fit := need.fit(in); len(fit.Nodes) != 1 || fit.Nodes[0].ID != "b" {
		t.Errorf("it fits on %+v", fit.Nodes)
	}
	if text := why(need, &api.AllocationMetric{}, in.nodes, in.use); !strings.Contains(text, "the cluster has room for 1") || !strings.HasSuffix(text, "; it avoids gpu-a") {
		t.Errorf("it waits because %q", text)
	}
	plain := testShape
	plain.Nodes = 3
	if job, _, err := c.child(t.Context(), plain); err != nil || len(job.Constraints) != 0 {
		t.Errorf("one that avoids none is sent with %+v, %v", job.Constraints, err)
	}
	shape.Avoid = run.NewNodeIDs("1", "2", "3", "4", "5", "6", "7", "8", "9")
	if _, err := c.Fit(t.Context(), shape, Room{}); !errors.Is(err, fault.ErrInvalid) {
		t.Errorf("nine of them: %v", err)
	}
}

func TestTheJobFileIsParsedOncePerShapeUntilItChanges(t *testing.T) {
	t.Parallel()
	f, c := newFake(t)
	p := &fakeParents{}
	p.serve(f)
	f.HandleFunc("PUT /v1/job/{id}/plan", func(w http.ResponseWriter, _ *http.Request) { answerJSON(w, map[string]any{}) })
	for range 3 {
		if fit, err := c.Fit(t.Context(), testShape, Room{}); err != nil || !fit.Now || fit.Workers != testShape.Nodes {
			t.Fatalf("%+v, %v", fit, err)
		}
	}
	once := f.count("PUT /v1/jobs/parse")
	c.cfg.Job.File = filepath.Join(t.TempDir(), "site.nomad.hcl")
	if err := os.WriteFile(c.cfg.Job.File, []byte(jobs.CotrainCore+"\n# changed\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Fit(t.Context(), testShape, Room{}); err != nil {
		t.Fatal(err)
	}
	if again := f.count("PUT /v1/jobs/parse"); once != 1 || again != 3 {
		t.Errorf("parsed %d times, and %d after a change, one of them to see that it can be used", once, again)
	}
}
