package api_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/cotrain/cotrain/internal/client"
	"github.com/cotrain/cotrain/internal/draft"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/trainconf"
)

func TestATextIsImportedWithoutItsSecrets(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	text := strings.Join([]string{
		`[train]`, `micro_bs = 4`, ``, `[monitor]`, `auth_token = "hunter2"`, ``, `[optim]`, `batch_sise = 5`, ``,
		`export ZERO_BAND_OPTIM_BATCH_SIZE=64`, `export GLOBAL_WORLD_SIZE=3`, `export GLOBAL_ADDR=10.0.0.1`,
	}, "\n")
	w := f.do("POST", "/api/v1/config/import", encode(t, map[string]string{"text": text}))
	im := decode[draft.Import](f, w, 200)
	if strings.Contains(w.Body.String(), "hunter2") {
		t.Errorf("the secret is in %s", w.Body)
	}
	if !strings.Contains(im.Config, "batch_size = 64") || !strings.Contains(im.Config, "micro_bs = 4") || im.Shape.Nodes != 3 || len(im.Options.Secrets) > 0 {
		t.Errorf("%+v", im)
	}
	if len(im.Secrets) != 1 || im.Secrets[0] != (draft.ImportSecret{Field: "monitor.auth_token", Line: 5, Env: "ZERO_BAND_MONITOR_AUTH_TOKEN"}) {
		t.Errorf("secrets %+v", im.Secrets)
	}
	if len(im.Errors) != 1 || im.Errors[0].Field != "optim.batch_sise" || !strings.Contains(im.Errors[0].Rule, "line 8") {
		t.Errorf("errors %+v", im.Errors)
	}
	if len(im.Ignored) != 1 || im.Ignored[0].Number != 12 || len(im.Understood) < 4 {
		t.Errorf("ignored %+v, understood %+v", im.Ignored, im.Understood)
	}
}

func TestAnImportThatIsNotValidAsItStandsSaysSo(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	im := decode[draft.Import](f, f.do("POST", "/api/v1/config/import", encode(t, map[string]string{"text": "[ckpt]\ninterval = 500\n[train]\n"})), 200)
	if len(im.Errors) != 0 || len(im.Invalid) != 1 || im.Invalid[0].Field != "ckpt.path" {
		t.Errorf("%+v", im)
	}
}

func TestAnImportIsBounded(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	im := decode[draft.Import](f, f.do("POST", "/api/v1/config/import", encode(t, map[string]string{"text": strings.Repeat("\n", 100<<10)})), 200)
	if len(im.Errors) != 1 || im.Errors[0].Field != "config" || im.Understood == nil || im.Ignored == nil || im.Secrets == nil || im.Invalid == nil {
		t.Errorf("%+v", im)
	}
	p := f.problem(f.do("POST", "/api/v1/config/import", encode(t, map[string]string{"text": strings.Repeat("x", 512<<10)})), 413)
	if !strings.Contains(p.Detail, "524288") {
		t.Errorf("%+v", p)
	}
	f.problem(f.do("POST", "/api/v1/config/import", `{}`), 422)
}

func TestTheSchemaIsForEditors(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	w := f.do("GET", "/api/v1/config/schema", "")
	schema := decode[map[string]any](f, w, 200)
	if w.Header().Get("Content-Type") != "application/schema+json" || schema["$schema"] == nil || schema["properties"] == nil {
		t.Errorf("%v %s", w.Header(), w.Body)
	}
}

func TestADiffListsWhatDiffers(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	one := f.Add(run.Run{Name: "one", Config: "[train]\nmicro_bs = 4\n[ckpt]\npath = \"out/{run}\"\ninterval = 5\n", Shape: run.Shape{Nodes: 1}})
	f.Change(one, func(r *run.Run) { r.Config = strings.ReplaceAll(r.Config, "{run}", string(one)) })
	two := f.Add(run.Run{Name: "two", Config: "[ckpt]\npath = \"out/{run}\"\ninterval = 5\n[train]\nmicro_bs = 8\n[data]\nseq_length = 1024\n", Shape: run.Shape{Nodes: 3}})
	f.Change(two, func(r *run.Run) { r.Config = strings.ReplaceAll(r.Config, "{run}", string(two)) })
	d := get[client.Diff](f, "/api/v1/diff?a=run:"+string(one)+"&b=run:"+string(two))
	want := []trainconf.Change{{Field: "name", Label: "Name", Before: "one", After: "two"}, {Field: "train.micro_bs", Label: d.Changes[1].Label, Before: "4", After: "8"}, {Field: "nodes", Label: "Nodes", Before: "1", After: "3"}}
	if encode(t, d.Changes) != encode(t, want) {
		t.Errorf("%+v", d)
	}
	decode[run.Template](f, f.do("PUT", "/api/v1/templates/mine", `{"clone":"`+string(one)+`","set":{"train.micro_bs":"2"}}`), 200)
	d = get[client.Diff](f, "/api/v1/diff?a=template:mine@1&b=run:"+string(one))
	if len(d.Changes) != 1 || d.Changes[0].Before != "2" || d.Changes[0].After != "4" {
		t.Errorf("%+v", d)
	}
	if d := get[client.Diff](f, "/api/v1/diff?a=preset:debug&b=template:debug"); d.Changes == nil || len(d.Changes) != 0 {
		t.Errorf("%+v", d)
	}
	p := f.problem(f.do("GET", "/api/v1/diff?a=run:r-0000000000&b=file:x", ""), 404)
	if p.Code != "no_run" || len(p.Errors) != 2 || p.Errors[0].Field != "a" || p.Errors[1].Field != "b" || p.Errors[0].Location != "query" {
		t.Errorf("%+v", p)
	}
	f.problem(f.do("GET", "/api/v1/diff?a=preset:debug", ""), 422)
	f.Fail(fault.ErrUnavailable)
	f.problem(f.do("GET", "/api/v1/diff?a=preset:debug&b=template:mine", ""), 503)
}

func TestTheSchemaIsJSONOfAKnownVersion(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	var schema struct {
		Schema     string `json:"$schema"`
		Properties map[string]json.RawMessage
	}
	if err := json.Unmarshal(f.do("GET", "/api/v1/config/schema", "").Body.Bytes(), &schema); err != nil || !strings.Contains(schema.Schema, "json-schema.org") || schema.Properties["optim"] == nil {
		t.Errorf("%+v %v", schema, err)
	}
}
