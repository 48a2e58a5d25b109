package form_test

import (
	"context"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/web"
	"github.com/cotrain/cotrain/internal/web/webtest"
)

var (
	hub  = run.Secret{Name: "HF_TOKEN", Note: "For gated models", In: run.InNomad, Path: "cotrain/hub", Field: "token", Env: "HF_TOKEN"}
	wand = run.Secret{Name: "wandb", In: run.InVault, Path: "secret/wandb", Field: "key", Env: "WANDB_API_KEY"}
	s3   = run.Secret{Name: "s3", In: run.InVault, Path: "secret/s3", Projects: []string{"vision"}}
)

// registered is a site with these secrets, for an operator of two projects.
func registered(t *testing.T, who access.Identity, secrets ...run.Secret) *webtest.Site {
	t.Helper()
	s := webtest.New(t, func(d *web.Deps) {
		d.Auth, d.Projects = webtest.As(who), func(context.Context) []string { return []string{"text", "vision"} }
	})
	for _, x := range secrets {
		if _, err := s.Secrets.Register(t.Context(), x); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func operator() access.Identity {
	return access.Identity{User: "u1", Name: "ann", Roles: map[string]access.Role{"text": access.Operator, "vision": access.Operator}}
}

// tickable are the names beside the ticks, and which are ticked.
func tickable(a webtest.Answer) (all, ticked []string) {
	for _, n := range a.Doc.Find("#run-form [data-ticks] input").EachIter() {
		name, _ := n.Attr("value")
		all = append(all, name)
		if _, on := n.Attr("checked"); on {
			ticked = append(ticked, name)
		}
	}
	return all, ticked
}

func TestTheFormHasATickForEachSecretOfItsProject(t *testing.T) {
	t.Parallel()
	s := registered(t, operator(), hub, wand, s3)
	a := s.Get("/runs/new?project=text", 200)
	all, ticked := tickable(a)
	if !slices.Equal(all, []string{"HF_TOKEN", "wandb"}) || len(ticked) > 0 {
		t.Errorf("ticks %v, ticked %v", all, ticked)
	}
	text := a.Text(t, "[data-field=secrets]")
	for _, part := range []string{"For gated models", "as WANDB_API_KEY"} {
		if !strings.Contains(text, part) {
			t.Errorf("%q is not in %q", part, text)
		}
	}
	form := webtest.FormOf(t, a)
	form.Set("name", "x")
	form["secrets"] = []string{"wandb", "HF_TOKEN"}
	if a := s.Do("POST", "/runs", form); a.Status != 303 {
		t.Fatalf("status %d: %s", a.Status, a.Doc.Find("#form-summary").Text())
	}
	if got := s.Fake.Submitted[0].Options.Secrets; !slices.Equal(got, run.SecretNames{"HF_TOKEN", "wandb"}) {
		t.Errorf("asks for %v", got)
	}
	form.Del("secrets")
	form.Set("key", "other")
	if a := s.Do("POST", "/runs", form); a.Status != 303 || s.Fake.Submitted[1].Options.Secrets != nil {
		t.Errorf("status %d, asks for %v", a.Status, s.Fake.Submitted[len(s.Fake.Submitted)-1].Options.Secrets)
	}
}

func TestTicksFollowTheProject(t *testing.T) {
	t.Parallel()
	s := registered(t, operator(), hub, s3)
	form := webtest.FormOf(t, s.Get("/runs/new?project=text", 200))
	form.Set("in_project", "vision")
	form["secrets"] = []string{"HF_TOKEN"}
	a := s.Do("POST", "/runs/validate", form)
	if got := a.Count("#f-secrets-ticks[hx-swap-oob] input"); got != 2 || a.Count("#f-secrets-ticks input[checked]") > 0 {
		t.Errorf("%d ticks: %s", got, a.Body)
	}
	form.Set("shown", a.Doc.Find("#form-shown").AttrOr("value", ""))
	form["secrets"] = []string{"HF_TOKEN", "s3"}
	if a = s.Do("POST", "/runs/validate", form); a.Count("#f-secrets-ticks") != 0 {
		t.Errorf("a tick brings the ticks again: %s", a.Body)
	}
}

func TestWhatCannotBeHadStaysTickedWithTheReason(t *testing.T) {
	t.Parallel()
	s := registered(t, operator(), hub)
	form := webtest.FormOf(t, s.Get("/runs/new?project=text", 200))
	form.Set("name", "x")
	form["secrets"] = []string{"HF_TOKEN", "nomad/jobs/hub"}
	a := s.Do("POST", "/runs", form)
	if _, ticked := tickable(a); a.Status != 422 || !slices.Equal(ticked, []string{"HF_TOKEN", "nomad/jobs/hub"}) {
		t.Errorf("status %d, ticked %v", a.Status, ticked)
	}
	if got := a.Text(t, "#f-secrets-message"); !strings.Contains(got, "which is a path") {
		t.Errorf("message %q", got)
	}
}

func TestWithoutSecretsOnlyWhoMayRegisterThemIsToldSo(t *testing.T) {
	t.Parallel()
	if a := registered(t, operator()).Get("/runs/new?project=text", 200); a.Count("[data-field=secrets]") != 0 {
		t.Error("an operator sees a field for nothing")
	}
	root := access.Identity{User: "u2", Name: "root", Administrator: true}
	if a := registered(t, root).Get("/runs/new?project=text", 200); a.Count(`[data-field=secrets] a[href="/admin/secrets"]`) != 1 || a.Count("[data-field=secrets] input") != 0 {
		t.Error("an administrator is not led to the secrets")
	}
}

func TestAnImportTicksRegisteredSecrets(t *testing.T) {
	t.Parallel()
	s := registered(t, operator(), hub, wand)
	a := s.Do("POST", "/runs/import?project=text", url.Values{"text": {"export WANDB_API_KEY=geheim\nexport OTHER_TOKEN=geheim\n[train]\nmicro_bs = 4\n"}, "in_project": {"text"}})
	if _, ticked := tickable(a); a.Status != 200 || !slices.Equal(ticked, []string{"wandb"}) {
		t.Errorf("status %d, ticked %v", a.Status, ticked)
	}
	if got := a.Text(t, "[data-import-secret=OTHER_TOKEN]"); !strings.Contains(got, "No secret is registered") {
		t.Errorf("told %q", got)
	}
	if got := a.Text(t, "[data-import-secret=WANDB_API_KEY]"); !strings.Contains(got, "wandb") || strings.Contains(a.Body, "geheim") {
		t.Errorf("told %q", got)
	}
}

func TestADryRunShowsWhetherSecretsAreThere(t *testing.T) {
	t.Parallel()
	s := registered(t, operator(), hub)
	s.Fake.Dry = run.DryRun{Fits: true, Secrets: []run.SecretLook{
		{Name: "A", Where: "a of secret/a in Vault", State: run.SecretPresent}, {Name: "B", Where: "b", State: run.SecretMissing, Why: "There is nothing there.", Fix: "Store it."},
		{Name: "C", Where: "c", State: run.SecretForbidden}, {Name: "D", Where: "d", State: run.SecretUnknown},
	}}
	form := webtest.FormOf(t, s.Get("/runs/new?project=text", 200))
	a := s.Do("POST", "/runs/dryrun", form)
	for name, want := range map[string]string{"A": "present", "B": "There is nothing there. Store it.", "C": "forbidden", "D": "cannot be told"} {
		if got := a.Text(t, "[data-secrets] [data-secret="+name+"]"); !strings.Contains(got, want) {
			t.Errorf("%s: %q", name, got)
		}
	}
}
