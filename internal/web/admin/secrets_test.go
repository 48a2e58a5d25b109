package admin_test

import (
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/run/runtest"
)

func TestSecretsAreRegisteredChangedAndRemoved(t *testing.T) {
	t.Parallel()
	service := accounts(t)
	if _, err := service.CreateProject(access.With(t.Context(), access.Local()), access.Project{Name: "vision"}); err != nil {
		t.Fatal(err)
	}
	s := site(t, service, boss)
	if a := s.Get("/admin/secrets", 200); a.Count("[data-secret]") != 0 || a.Count("[data-action=register-secret]") != 1 {
		t.Error("the empty list does not lead on")
	}
	a := post(t, s, "/admin/secrets", 422, "name", "a/b", "in", "vault", "path", "hub", "field", "x")
	for _, field := range []string{"name", "path", "env"} {
		if a.Count("#f-"+field+"-message.field-error") != 1 {
			t.Errorf("nothing is said of %s", field)
		}
	}
	if v, _ := a.Doc.Find("#f-path").Attr("value"); v != "hub" {
		t.Errorf("the path is %q now", v)
	}
	fields := url.Values{"name": {"HF_TOKEN"}, "in": {"nomad"}, "path": {" cotrain/hub "}, "field": {"token"}, "env": {"HF_TOKEN"}, "projects": {"vision"}, "note": {"gated <b>"}}
	if got := s.Do("POST", "/admin/secrets", fields); got.Status != 303 || got.Header.Get("Location") != "/admin/secrets/HF_TOKEN?done=registered" {
		t.Fatalf("%d to %s", got.Status, got.Header.Get("Location"))
	}
	if a := s.Do("POST", "/admin/secrets", fields); a.Status != 422 || a.Count("[data-problem]") != 1 {
		t.Error("a second of the name")
	}
	want := run.Secret{Name: "HF_TOKEN", In: run.InNomad, Path: "cotrain/hub", Field: "token", Env: "HF_TOKEN", Note: "gated <b>", Projects: []string{"vision"}}
	if got, _, err := s.Secrets.Secret(t.Context(), "HF_TOKEN"); err != nil || got.Path != want.Path || !slices.Equal(got.Projects, want.Projects) || got.Note != want.Note {
		t.Errorf("registered %+v, %v", got, err)
	}
	if got := s.Get("/admin/secrets", 200).Text(t, "tr[data-secret=HF_TOKEN]"); !strings.Contains(got, "gated <b>") || !strings.Contains(got, "token of the Nomad variable cotrain/hub") || !strings.Contains(got, "vision") {
		t.Errorf("row %q", got)
	}
	post(t, s, "/admin/secrets/HF_TOKEN", 422, "in", "nomad", "path", "/")
	post(t, s, "/admin/secrets/HF_TOKEN", 303, "in", "vault", "path", "secret/hub", "field", "token", "env", "HF_TOKEN")
	a = s.Get("/admin/secrets/HF_TOKEN", 200)
	if a.Count("#f-value") != 0 || !strings.Contains(a.Text(t, "main"), "vault kv patch secret/hub token=-") {
		t.Error("a value for Vault is asked for, or how to store it is not said")
	}
	if got, _, _ := s.Secrets.Secret(t.Context(), "HF_TOKEN"); got.In != run.InVault || got.Projects != nil {
		t.Errorf("changed to %+v", got)
	}
	s.Secrets.SetUses(run.SecretUses{Count: 7, Runs: []run.SecretUse{{ID: "r-0000000001", Name: "night <run>", Project: "vision"}}, Templates: []string{"mine@2"}})
	if a := s.Get("/admin/secrets/HF_TOKEN", 200); a.Count(`[data-uses] a[href="/runs/r-0000000001"]`) != 1 || a.Count(`[data-template="mine@2"]`) != 1 {
		t.Error("what asks for it is not shown")
	}
	if got := s.Get("/admin/secrets/HF_TOKEN/remove", 200).Text(t, "main"); !strings.Contains(got, "7 runs") || !strings.Contains(got, "night <run> (r-0000000001) and 6 more") || !strings.Contains(got, "mine@2") {
		t.Errorf("asked %q", got)
	}
	if got := post(t, s, "/admin/secrets/HF_TOKEN/remove", 303).Header.Get("Location"); got != "/admin/secrets?done=unregistered" {
		t.Errorf("led to %s", got)
	}
	s.Get("/admin/secrets/HF_TOKEN", 404)
	post(t, s, "/admin/secrets/HF_TOKEN/remove", 404)
}

func TestAValueIsPassedOnAndShownNowhere(t *testing.T) {
	t.Parallel()
	s := site(t, accounts(t), boss)
	post(t, s, "/admin/secrets", 303, "name", "A", "in", "nomad", "path", "cotrain/a", "field", "a", "env", "A")
	post(t, s, "/admin/secrets", 303, "name", "B", "in", "nomad", "path", runtest.Refused, "field", "b", "env", "B")
	if got := post(t, s, "/admin/secrets/A/value", 303, "value", " geheim%1 ").Header.Get("Location"); got != "/admin/secrets/A?done=stored" || s.Secrets.Value("A") != " geheim%1 " {
		t.Errorf("led to %s, stored %q", got, s.Secrets.Value("A"))
	}
	a := post(t, s, "/admin/secrets/B/value", 422, "value", "geheim%2")
	if got := a.Text(t, "[data-problem]"); !strings.Contains(got, "nomad var put "+runtest.Refused) {
		t.Errorf("refused with %q", got)
	}
	for _, page := range []string{a.Body, s.Get("/admin/secrets/A", 200).Body, s.Get("/admin/secrets/B", 200).Body, s.Get("/admin/secrets", 200).Body, s.Log.String()} {
		if strings.Contains(page, "geheim") {
			t.Error("a value is shown or logged")
		}
	}
	if got := a.Header.Get("Cache-Control"); !strings.Contains(got, "no-store") {
		t.Errorf("Cache-Control %q", got)
	}
}

func TestOnlyAdministratorsSeeTheSecrets(t *testing.T) {
	t.Parallel()
	service := accounts(t)
	if got := site(t, service, boss).Get("/admin", 200).Text(t, "[data-admin=secrets]"); !strings.Contains(got, "0 secrets") {
		t.Errorf("card %q", got)
	}
	ann := site(t, service, access.Identity{User: "u1", Name: "ann", Roles: map[string]access.Role{"default": access.Admin}})
	if a := ann.Get("/admin", 200); a.Count("[data-admin=secrets]") != 0 {
		t.Error("an admin of a project is led to the secrets")
	}
}
