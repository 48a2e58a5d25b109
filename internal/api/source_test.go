package api_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cotrain/cotrain/internal/draft"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/trainconf"
	"github.com/cotrain/cotrain/internal/trainconf/trainconftest"
)

// encode is v as JSON.
func encode(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// submit sends a submission and returns what control got.
func (f *fixture) submit(body string) run.Submission {
	f.t.Helper()
	decode[run.Run](f, f.do("POST", "/api/v1/runs", body), http.StatusCreated)
	all := f.Submissions()
	return all[len(all)-1]
}

func TestOptionsAndPlacementReachTheRunHoweverTheyAreGiven(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	want := run.Options{
		Description: "why", Tags: []string{"a", "b"}, Priority: 70, MaxDuration: 9000, Retries: 2,
		Env: map[string]string{"NCCL_DEBUG": "INFO", "A": "b=c"}, Args: []string{"--train.torch_compile=false"}, Secrets: run.SecretNames{"HF_TOKEN", "WANDB_API_KEY"}, Retry: run.RetryPolicy{"cuda_oom": 0},
	}
	shape := run.Shape{Nodes: 2, GPUs: 1, GPUModel: "A100", GPUMinMemory: 40000, CPU: 500, Memory: 1000, Site: "dc1"}
	for name, body := range map[string]string{
		"as objects": `{"name":"x","preset":"debug","shape":{"nodes":2,"gpus":1,"gpu_model":"A100","gpu_min_memory":40000,"cpu":500,"memory":1000,"site":"dc1"},
			"options":{"description":"why","tags":["b","a","b"],"priority":70,"max_duration":"2h30m","retries":2,"retry":{"cuda_oom":0},"env":{"NCCL_DEBUG":"INFO","A":"b=c"},"args":["--train.torch_compile=false"],"secrets":["WANDB_API_KEY","HF_TOKEN","HF_TOKEN"]}}`,
		"seconds": `{"name":"x","preset":"debug","shape":{"nodes":2,"gpus":1,"gpu_model":"A100","gpu_min_memory":40000,"cpu":500,"memory":1000,"site":"dc1"},
			"options":{"description":"why","tags":["a","b"],"priority":70,"max_duration":9000,"retries":2,"retry":{"cuda_oom":0},"env":{"NCCL_DEBUG":"INFO","A":"b=c"},"args":["--train.torch_compile=false"],"secrets":["WANDB_API_KEY","HF_TOKEN","HF_TOKEN"]}}`,
		"in set": `{"name":"x","preset":"debug","set":{"nodes":"2","gpus":"1","gpu_model":"A100","gpu_min_memory":"40000","cpu":"500","memory":"1000","site":"dc1",
			"description":"why","tags":"b, a","priority":"70","max_duration":"2h30m","retries":"2","retry":"cuda_oom=0","env":"NCCL_DEBUG=INFO\nA=b=c","args":"--train.torch_compile=false","secrets":"WANDB_API_KEY, HF_TOKEN"}}`,
		"as a run has them": encode(t, map[string]any{"name": "x", "preset": "debug", "shape": shape, "options": want}),
	} {
		got := f.in(t).submit(body)
		if diff := cmp.Diff(want, got.Options); diff != "" || got.Shape != shape || got.Origin.Template != "debug" {
			t.Errorf("%s: %+v %s", name, got, diff)
		}
	}
	got := f.submit(`{"name":"x","preset":"7B","set":{"gpu_min_memory":"","gpus":"0"}}`)
	if got.Shape.GPUs != 0 || got.Shape.GPUMinMemory != 0 {
		t.Errorf("%+v", got.Shape)
	}
	if got := f.submit(`{"name":"x","options":{"max_duration":0}}`); got.Options.MaxDuration != 0 {
		t.Errorf("%+v", got.Options)
	}
}

func TestWithNothingToBeginWithTheCoresDefaultsAreTaken(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	got := f.submit(`{"name":"x","set":{"optim.total_steps":"100000"}}`)
	if got.Config != "[optim]\ntotal_steps = 100000\n\n[train]\n" || got.Shape != (run.Shape{Nodes: 1}) || got.Preset != "" {
		t.Errorf("%+v", got)
	}
}

func TestARunIsClonedWithWhatDiffers(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	config := "# mine\n[train]\nmicro_bs = 4\n\n[ckpt]\npath = \"out/{run}\"\ninterval = 10\n"
	first := decode[run.Run](f, f.do("POST", "/api/v1/runs", encode(t, map[string]any{
		"name": "first", "config": config, "options": map[string]any{"tags": []string{"a"}, "args": []string{"--project={run}"}}, "shape": map[string]any{"nodes": 2}})), 201)
	if !strings.Contains(first.Config, string(first.ID)) {
		t.Fatalf("the ID is not filled in: %s", first.Config)
	}
	got := f.submit(`{"clone":"` + string(first.ID) + `","set":{"nodes":"3"}}`)
	if got.Name != "first" || got.Config != config || got.Shape.Nodes != 3 || got.Origin.Clone != first.ID || !slices.Equal(got.Options.Tags, []string{"a"}) {
		t.Errorf("%+v", got)
	}
	got = f.submit(`{"name":"second","clone":"` + string(first.ID) + `","set":{"train.micro_bs":"8"}}`)
	if got.Name != "second" || !strings.Contains(got.Config, "micro_bs = 8") || !strings.Contains(got.Config, `"out/{run}"`) {
		t.Errorf("%+v", got)
	}
}

func TestARunIsMadeFromATemplate(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	save := func(body string) { decode[run.Template](f, f.do("PUT", "/api/v1/templates/mine", body), 200) }
	save(`{"config":"# one\n[train]\nmicro_bs = 1\n","shape":{"nodes":2},"options":{"priority":60}}`)
	save(`{"config":"# two\n[train]\nmicro_bs = 2\n"}`)
	got := f.submit(`{"name":"x","template":"default/mine@1"}`)
	if got.Config != "# one\n[train]\nmicro_bs = 1\n" || got.Shape.Nodes != 2 || got.Options.Priority != 60 || got.Origin.Template != "default/mine@1" {
		t.Errorf("%+v", got)
	}
	if got := f.submit(`{"name":"x","template":"MINE","set":{"optim.batch_size":"64"}}`); !strings.Contains(got.Config, "micro_bs = 2") || !strings.Contains(got.Config, "batch_size = 64") || got.Origin.Template != "default/mine@2" {
		t.Errorf("%+v", got)
	}
	if got := f.submit(`{"name":"x","template":"debug"}`); got.Preset != "debug" {
		t.Errorf("a preset is no template: %+v", got)
	}
}

// caseBody is what a client sends of a case.
func caseBody(t *testing.T, config string, shape run.Shape) string {
	t.Helper()
	return encode(t, map[string]any{"name": "x", "config": config, "shape": shape})
}

func TestEveryRuleBetweenFieldsIsToldInTheWordsOfTrainconf(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for _, c := range trainconftest.Cases() {
		t.Run(c.Name, func(t *testing.T) {
			f := f.in(t)
			for _, config := range []string{c.Bad, c.Good} {
				req, err := trainconf.RequestOf(run.Submission{Name: "x", Config: config, Shape: c.Shape})
				if err != nil {
					t.Fatal(err)
				}
				errs, warns := req.Check()
				v := decode[draft.Validation](f, f.do("POST", "/api/v1/config/validate", caseBody(t, config, c.Shape)), 200)
				if diff := cmp.Diff([]run.FieldError(errs), v.Errors); diff != "" && len(errs)+len(v.Errors) > 0 || v.Valid != (len(errs) == 0) {
					t.Errorf("errors of\n%s\n%s", config, diff)
				}
				if len(v.Warnings) < len(warns) || len(warns) > 0 && cmp.Diff([]run.FieldError(warns), v.Warnings[:len(warns)]) != "" {
					t.Errorf("warnings %v, want %v", v.Warnings, warns)
				}
				w := f.do("POST", "/api/v1/runs", caseBody(t, config, c.Shape))
				if len(errs) == 0 {
					decode[run.Run](f, w, 201)
					continue
				}
				var got run.FieldErrors
				for _, e := range f.problem(w, 422).Errors {
					got = append(got, run.FieldError{Field: e.Field, Value: e.Value, Rule: e.Rule, Fix: e.Fix})
				}
				if diff := cmp.Diff(errs, got); diff != "" {
					t.Error(diff)
				}
			}
		})
	}
}

func TestValuesThatCannotBeReadAreToldInTheWordsOfTrainconf(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	config := "[train]\nmicro_bs = 0\n\n[optim]\nbatch = 1\n"
	_, err := trainconf.Parse([]byte(config))
	want := trainconf.AsFieldErrors(err)
	if len(want) != 2 || !strings.Contains(want[0].Rule, "line 2") {
		t.Fatalf("%v", err)
	}
	v := decode[draft.Validation](f, f.do("POST", "/api/v1/config/validate", encode(t, map[string]any{"config": config, "shape": run.Shape{Nodes: 1}})), 200)
	if diff := cmp.Diff([]run.FieldError(want), v.Errors); diff != "" {
		t.Error(diff)
	}
	for field, value := range map[string]string{"nodes": "0", "max_duration": "1", "optim.optim.lr": "fast", "env": "A", "node": "1", "priority": "0"} {
		req := trainconf.NewRequest()
		want := trainconf.AsFieldErrors(req.Set(field, value))
		v := decode[draft.Validation](f, f.do("POST", "/api/v1/config/validate", encode(t, map[string]any{"set": map[string]string{field: value}})), 200)
		if len(want) != 1 || len(v.Errors) != 1 || v.Errors[0] != want[0] {
			t.Errorf("%s = %s: %v, want %v", field, value, v.Errors, want)
		}
	}
}

func TestAValidationEstimatesWhatTheRunNeeds(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	body := `{"preset":"7B-diloco","set":{"gpu_model":"NVIDIA H100 80GB HBM3","memory":"300"},"bandwidth_bits_per_second":1e9}`
	v := decode[draft.Validation](f, f.do("POST", "/api/v1/config/validate", body), 200)
	p, _ := trainconf.PresetByName("7B-diloco")
	req := trainconf.RequestOfPreset(p)
	if err := errors.Join(req.Set("gpu_model", "NVIDIA H100 80GB HBM3"), req.Set("memory", "300")); err != nil {
		t.Fatal(err)
	}
	want := req.Estimate(trainconf.EstimateInput{BandwidthBits: 1e9})
	e := v.Estimate
	if e.CheckpointBytes != want.CheckpointBytes || e.SyncBytes != want.SyncBytes || e.SyncSeconds != want.SyncSeconds || e.SyncShare != want.SyncShare || e.SyncShare <= 0 ||
		e.GPUMemory.Total != want.GPUMemory.Total || e.GPUMemory.Total == 0 || len(e.Curve) != len(want.Curve) || e.Curve[5].LR != want.Curve[5].LR {
		t.Errorf("%+v, want %+v", e, want)
	}
	if len(want.Warnings) == 0 || len(v.Warnings) < len(want.Warnings) {
		t.Errorf("what cannot fit is not told: %v, want %v", v.Warnings, want.Warnings)
	}
	f.problem(f.do("POST", "/api/v1/config/validate", `{"preset":"7B","bandwidth_bits_per_second":1e-300}`), 422)
}

func TestADryRunChangesNothingAndTellsWhereTheRunWouldLand(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.SetDryRun(run.DryRun{Reason: "no node has 8 GPUs free", ParentJob: "cotrain-core-x", Parent: run.ParentNew, Places: []run.Place{{Node: "n1", Workers: 1}}})
	d := decode[run.DryRun](f, f.do("POST", "/api/v1/runs/dry-run", `{"preset":"debug","set":{"optim.warmup_steps":"4"}}`), 200)
	if d.Fits || d.Reason != "no node has 8 GPUs free" || len(d.Places) != 1 || len(d.Warnings) == 0 || !strings.Contains(d.Launch.Config, "debugmodel") {
		t.Errorf("%+v", d)
	}
	if p := f.problem(f.do("POST", "/api/v1/runs/dry-run", `{"name":" ","preset":"debug"}`), 422); p.Errors[0].Field != "name" {
		t.Errorf("%+v", p)
	}
	if p := f.problem(f.do("POST", "/api/v1/runs/dry-run", `{"preset":"debug","set":{"optim.batch_size":"many"}}`), 422); len(p.Errors) != 1 {
		t.Errorf("%+v", p)
	}
	if len(f.Submissions()) != 0 {
		t.Errorf("submitted: %+v", f.Submissions())
	}
	f.Fail(fault.ErrUnavailable)
	f.problem(f.do("POST", "/api/v1/runs/dry-run", `{"preset":"debug"}`), 503)
}

func TestTheLaunchOfARunIsShown(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.SetLaunch(run.Launch{ParentJob: "cotrain-core-x", Job: json.RawMessage(`{"ID":"x"}`), Script: "#!/bin/sh\n", Env: []run.EnvVar{{Name: "A", Value: "b", From: "run"}}, Command: "torchrun"})
	id := f.Add(run.Run{Config: "[train]\n"})
	l := get[run.Launch](f, "/api/v1/runs/"+string(id)+"/launch")
	if string(l.Job) != `{"ID":"x"}` || l.Config != "[train]\n" || l.Script != "#!/bin/sh\n" || len(l.Env) != 1 || l.Command != "torchrun" {
		t.Errorf("%+v", l)
	}
	f.problem(f.do("GET", "/api/v1/runs/r-0000000000/launch", ""), 404)
}
