package nomad

import (
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/nomad/api"

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
