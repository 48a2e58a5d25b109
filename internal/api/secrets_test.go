package api_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/cotrain/cotrain/internal/client"
	"github.com/cotrain/cotrain/internal/draft"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/run/runtest"
)

func TestSecretsAreManagedAndTheirValuesNeverComeBack(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	p := f.problem(f.do("POST", "/api/v1/secrets", `{"name":"a/b","in":"nomad","path":"/"}`), 422)
	if len(p.Errors) != 2 || p.Errors[0].Field != "name" || p.Errors[1].Field != "path" {
		t.Errorf("%+v", p.Errors)
	}
	made := decode[run.Secret](f, f.do("POST", "/api/v1/secrets", `{"name":"HF_TOKEN","in":"nomad","path":"cotrain/hub","field":"token","env":"HF_TOKEN","projects":["vision"]}`), 201)
	want := run.Secret{Name: "HF_TOKEN", In: run.InNomad, Path: "cotrain/hub", Field: "token", Env: "HF_TOKEN", Projects: []string{"vision"}}
	if got := get[client.SecretList](f, "/api/v1/secrets?project=vision"); !reflect.DeepEqual(made, want) || !reflect.DeepEqual(got.Items, []run.Secret{want}) {
		t.Errorf("made %+v, listed %+v", made, got)
	}
	if got := get[client.SecretList](f, "/api/v1/secrets?project=text"); len(got.Items) != 0 || got.Items == nil {
		t.Errorf("another project's: %+v", got)
	}
	w := f.do("PUT", "/api/v1/secrets/HF_TOKEN/value", `{"value":"geheim"}`)
	if got := decode[client.SecretStored](f, w, 200); !reflect.DeepEqual(got.Namespaces, []string{"default"}) || f.Secrets.Value("HF_TOKEN") != "geheim" || strings.Contains(w.Body.String()+f.log.String(), "geheim") {
		t.Errorf("stored in %+v", got)
	}
	changed := decode[run.Secret](f, f.do("PUT", "/api/v1/secrets/HF_TOKEN", `{"in":"nomad","path":"`+runtest.Refused+`"}`), 200)
	if changed.Name != "HF_TOKEN" || changed.Env != "" || changed.Projects != nil {
		t.Errorf("changed to %+v", changed)
	}
	if p := f.problem(f.do("PUT", "/api/v1/secrets/HF_TOKEN/value", `{"value":"geheim"}`), 409); !strings.Contains(p.Detail, "nomad var put") {
		t.Errorf("%+v", p)
	}
	if w := f.do("DELETE", "/api/v1/secrets/HF_TOKEN", ""); w.Code != 204 {
		t.Errorf("removed with %d", w.Code)
	}
	f.problem(f.do("GET", "/api/v1/secrets/HF_TOKEN", ""), 404)
}

func TestAnImportAsksForTheSecretsOfItsProject(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.do("POST", "/api/v1/secrets", `{"name":"wandb","in":"nomad","path":"cotrain/wandb","field":"key","env":"WANDB_API_KEY","projects":["vision"]}`)
	for project, want := range map[string]string{"vision": "wandb", "text": ""} {
		im := decode[draft.Import](f, f.do("POST", "/api/v1/config/import", `{"project":"`+project+`","text":"export WANDB_API_KEY=geheim"}`), 200)
		if len(im.Secrets) != 1 || im.Secrets[0].Name != want || strings.Join(im.Options.Secrets, ",") != want {
			t.Errorf("%s: %+v, %v", project, im.Secrets, im.Options.Secrets)
		}
	}
}
