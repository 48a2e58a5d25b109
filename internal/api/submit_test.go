package api_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/cotrain/cotrain/internal/client"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/trainconf"
)

func TestASubmissionByPresetIsPutTogether(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	w := f.do("POST", "/api/v1/runs", `{"name":"x","preset":"DEBUG-diloco","set":{"optim.batch_size":"32","optim.total_steps":"1_000"},"shape":{"nodes":3,"gpus":0}}`, "Idempotency-Key", "k1")
	r := decode[run.Run](f, w, http.StatusCreated)
	if loc := w.Header().Get("Location"); loc != "/api/v1/runs/"+string(r.ID) {
		t.Errorf("Location %q of run %s", loc, r.ID)
	}
	got := f.Submissions()[0]
	cfg, err := trainconf.Parse([]byte(got.Config))
	if err != nil {
		t.Fatal(err)
	}
	if got.Name != "x" || got.Preset != "debug-diloco" || got.Key != "k1" || got.Shape != (run.Shape{Nodes: 3}) || cfg.Effective("optim.batch_size") != "32" ||
		cfg.Effective("optim.total_steps") != "1000" || cfg.Effective("diloco.inner_steps") != "5" {
		t.Errorf("%+v", got)
	}
	again := decode[run.Run](f, f.do("POST", "/api/v1/runs", `{"name":"x","preset":"debug"}`, "Idempotency-Key", "k1"), http.StatusCreated)
	if again.ID != r.ID {
		t.Errorf("the same key made %s and %s", r.ID, again.ID)
	}
}

func TestASubmittedConfigurationIsKeptAsItIsUnlessFieldsAreSet(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	const config = "# mine\n[train]\nmicro_bs = 4\n"
	submit := func(body map[string]any) run.Submission {
		b, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		decode[run.Run](f, f.do("POST", "/api/v1/runs", string(b)), http.StatusCreated)
		all := f.Submissions()
		return all[len(all)-1]
	}
	if got := submit(map[string]any{"name": "a", "config": config}); got.Config != config || got.Shape != (run.Shape{Nodes: 1}) || got.Preset != "" {
		t.Errorf("%+v", got)
	}
	got := submit(map[string]any{"name": "a", "config": config, "set": map[string]string{"train.micro_bs": "8"}})
	if !strings.Contains(got.Config, "micro_bs = 8") {
		t.Errorf("%s", got.Config)
	}
	got = submit(map[string]any{"name": "a", "preset": "7B-diloco", "set": map[string]string{"diloco.inner_steps": "", "ckpt.path": "", "ckpt.interval": ""}, "shape": map[string]any{"gpus": 0}})
	if strings.Contains(got.Config, "diloco") || got.Shape.GPUMinMemory != 0 || got.Shape.Nodes != 4 {
		t.Errorf("unset fields and GPUs: %+v", got)
	}
}

func TestEverythingWrongWithASubmissionIsSaidAtOnce(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for name, tc := range map[string]struct {
		body   string
		fields []string
	}{
		"two bases":         {`{"name":"x","preset":"debug","clone":"r-0000000000"}`, []string{"preset"}},
		"no priority":       {`{"name":"x","options":{"priority":0}}`, []string{"priority"}},
		"options":           {`{"name":"x","options":{"priority":101,"retries":-1,"max_duration":"soon","env":{"GLOBAL_RANK":"1"},"args":["x"],"tags":["a,b"],"secrets":["/x"]},"shape":{"site":"a b"}}`, []string{"args", "env", "max_duration", "priority", "retries", "secrets", "site", "tags"}},
		"short":             {`{"name":"x","options":{"max_duration":30}}`, []string{"max_duration"}},
		"placement in set":  {`{"name":"x","set":{"nodes":"many","max_duration":"1","colour":"red"}}`, []string{"colour", "max_duration", "nodes"}},
		"nothing":           {`{}`, []string{"name"}},
		"several":           {`{"name":" ","preset":"debug","set":{"optim.batch_size":"many","optim.nothing":"1"},"shape":{"nodes":0}}`, []string{"name", "nodes", "optim.batch_size", "optim.nothing"}},
		"from Submit":       {`{"name":"","preset":"debug"}`, []string{"name"}},
		"TOML with mistake": {`{"name":"x","config":"[optim]\nbatch_siz = 4\n[train]\nmicro_bs = \"x\""}`, []string{"optim.batch_siz", "train.micro_bs"}},
		"not TOML":          {`{"name":"x","config":"]["}`, []string{"config"}},
	} {
		t.Run(name, func(t *testing.T) {
			f := f.in(t)
			p := f.problem(f.do("POST", "/api/v1/runs", tc.body), 422)
			var fields []string
			for _, e := range p.Errors {
				fields = append(fields, e.Field)
				if e.Location != "body" || e.Rule == "" || e.Fix == "" {
					t.Errorf("%+v", e)
				}
			}
			slices.Sort(fields)
			if !slices.Equal(fields, tc.fields) {
				t.Errorf("fields %v, want %v", fields, tc.fields)
			}
		})
	}
	if len(f.Submissions()) != 0 {
		t.Errorf("submitted: %+v", f.Submissions())
	}
}

func TestABaseThatDoesNotExistIsNotFoundAndWhatElseIsWrongIsSaid(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for _, tc := range []struct{ body, code, detail, fields string }{
		{`"template":"mine@3"`, "no_template", `No template "mine" has a version 3`, ""},
		{`"template":"a b@x"`, "no_template", `"a b@x" is not the name of a template`, ""},
		{`"clone":"r-0000000000"`, "no_run", `No run has the ID "r-0000000000"`, ""},
		{`"clone":"../x"`, "no_run", `No run has the ID "../x"`, ""},
		{`"preset":"nope"`, "no_preset", `No preset is called "nope". Use one of debug,`, ""},
		{`"clone":"nope","set":{"optim.batch_size":"many"},"shape":{"nodes":0}`, "no_run", `No run has the ID "nope"`, "optim.batch_size nodes"},
	} {
		for _, target := range []string{"/api/v1/runs", "/api/v1/runs/dry-run"} {
			p := f.problem(f.do("POST", target, `{"name":"x",`+tc.body+`}`), 404)
			var fields []string
			for _, e := range p.Errors {
				fields = append(fields, e.Field)
			}
			if p.Code != fault.Kind(tc.code) || !strings.Contains(p.Detail, tc.detail) || strings.Join(fields, " ") != tc.fields {
				t.Errorf("%s: %+v", tc.body, p)
			}
		}
	}
	if len(f.Submissions()) != 0 {
		t.Errorf("submitted: %+v", f.Submissions())
	}
}

func TestBodiesThatDoNotFitTheSchemaAreRefused(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for name, tc := range map[string]struct {
		body   string
		status int
		field  string
	}{
		"unknown field":         {`{"name":"x","preset":"debug","nodes":3}`, 422, "nodes"},
		"unknown nested field":  {`{"name":"x","preset":"debug","shape":{"node":3}}`, 422, "shape.node"},
		"wrong type":            {`{"name":7,"preset":"debug"}`, 422, "name"},
		"a fraction":            {`{"name":"x","preset":"debug","shape":{"nodes":1.5}}`, 422, "shape.nodes"},
		"a fraction of time":    {`{"name":"x","options":{"max_duration":1.5}}`, 422, "options.max_duration"},
		"a number in set":       {`{"name":"x","preset":"debug","set":{"optim.batch_size":16}}`, 422, "set.optim.batch_size"},
		"not an object":         {`["name"]`, 422, ""},
		"null":                  {`null`, 422, ""},
		"not JSON":              {`{"name":`, 400, ""},
		"two documents":         {`{"name":"x","preset":"debug"}{}`, 400, ""},
		"not UTF-8 in a string": {"{\"name\":\"\xff\xfe\",\"preset\":\"debug\",\"x\":1}", 422, "x"},
	} {
		t.Run(name, func(t *testing.T) {
			f := f.in(t)
			p := f.problem(f.do("POST", "/api/v1/runs", tc.body), tc.status)
			if len(p.Errors) == 0 || p.Errors[0].Field != tc.field || p.Errors[0].Location != "body" || len(p.Errors[0].Value) > 200 {
				t.Errorf("%+v", p)
			}
		})
	}
	f.problem(f.do("POST", "/api/v1/runs", "", "Content-Type", "application/json"), 400)
	if len(f.Submissions()) != 0 {
		t.Errorf("submitted: %+v", f.Submissions())
	}
}

func TestBodiesAreBounded(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	body := func(size int) string {
		const head, tail = `{"name":"x","preset":"debug","config":"#`, `"}`
		return head + strings.Repeat("x", size-len(head)-len(tail)) + tail
	}
	if w := f.do("POST", "/api/v1/runs", body(64<<10)); w.Code == 413 {
		t.Errorf("64 KiB: %d %s", w.Code, w.Body)
	}
	for _, size := range []int{64<<10 + 1, 1 << 20} {
		if p := f.problem(f.do("POST", "/api/v1/runs", body(size)), 413); strings.Contains(p.Detail, "configuration") || !strings.Contains(p.Detail, "/api/v1/openapi.json says how long") {
			t.Errorf("%d bytes: %s", size, p.Detail)
		}
	}
}

func TestAConfigurationIsCheckedWithoutBeingSubmitted(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	type answer struct {
		Valid            bool
		Errors, Warnings []run.FieldError
		Config           string
		Shape            run.Shape
		Plan             map[string]any
	}
	good := decode[answer](f, f.do("POST", "/api/v1/config/validate", `{"preset":"debug-diloco"}`), 200)
	if !good.Valid || good.Errors == nil || len(good.Errors) != 0 || good.Plan["steps_total"] != 5.0 || good.Shape.Nodes != 2 || !strings.Contains(good.Config, "[diloco]") {
		t.Errorf("%+v", good)
	}
	bad := decode[answer](f, f.do("POST", "/api/v1/config/validate", `{"name":" ","preset":"debug","set":{"optim.batch_size":"15"},"shape":{"gpus":2}}`), 200)
	var fields []string
	for _, e := range bad.Errors {
		fields = append(fields, e.Field)
	}
	if bad.Valid || !slices.Contains(fields, "name") || !slices.Contains(fields, "optim.batch_size") {
		t.Errorf("%+v", bad)
	}
	if len(f.Submissions()) != 0 {
		t.Error("it was submitted")
	}
}

func TestWhatASubmissionIsWarnedOfIsInTheAnswer(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	const source = `"preset":"debug","set":{"optim.warmup_steps":"1000","optim.total_steps":"20"}`
	type warned struct{ Warnings []run.FieldError }
	dry := decode[warned](f, f.do("POST", "/api/v1/runs/dry-run", `{`+source+`}`), 200)
	checked := decode[warned](f, f.do("POST", "/api/v1/config/validate", `{`+source+`}`), 200)
	made := decode[client.SubmittedRun](f, f.do("POST", "/api/v1/runs", `{"name":"x",`+source+`}`), 201)
	if len(dry.Warnings) == 0 || !slices.Equal(made.Warnings, dry.Warnings) || !slices.Equal(made.Warnings, checked.Warnings) || made.ID == "" {
		t.Errorf("submitted: %+v, dry run: %+v, checked: %+v", made.Warnings, dry.Warnings, checked.Warnings)
	}
	clone := decode[client.SubmittedRun](f, f.do("POST", "/api/v1/runs", `{"clone":"`+string(made.ID)+`"}`), 201)
	if !slices.Equal(clone.Warnings, made.Warnings) {
		t.Errorf("clone: %+v", clone.Warnings)
	}
	sweep := decode[client.SubmittedSweep](f, f.do("POST", "/api/v1/sweeps", `{"name":"x",`+source+`,"grid":[{"field":"optim.optim.lr","values":["1e-4","2e-4","3e-4"]}]}`), 201)
	if len(sweep.Warnings) == 0 || len(sweep.Warnings) > len(made.Warnings) || sweep.ID == "" {
		t.Errorf("sweep: %+v", sweep.Warnings)
	}
	saved := decode[client.SavedTemplate](f, f.do("PUT", "/api/v1/templates/mine", `{`+source+`}`), 200)
	if !slices.Contains(saved.Warnings, made.Warnings[0]) || saved.Version != 1 {
		t.Errorf("template: %+v", saved)
	}
	if quiet := decode[client.SubmittedRun](f, f.do("POST", "/api/v1/runs", `{"name":"x","preset":"debug","set":{"optim.warmup_steps":"1","optim.total_steps":"100"}}`), 201); len(quiet.Warnings) != 0 {
		t.Errorf("nothing to warn of: %+v", quiet.Warnings)
	}
}
