package guard_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/audit"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
)

func (b *behind) Secrets(context.Context) ([]run.Secret, error) {
	return []run.Secret{{Name: "ALL"}, {Name: "BOTH", Projects: []string{theirs, "text"}}, {Name: "TEXT", Projects: []string{"text"}}}, nil
}

func (b *behind) SecretUses(context.Context, string) (run.SecretUses, error) {
	return run.SecretUses{}, b.passed("SecretUses")
}

func (b *behind) RegisterSecret(ctx context.Context, s run.Secret) (run.Secret, error) {
	return s, b.acted(ctx, "RegisterSecret", access.From(ctx).Name)
}

func (b *behind) ChangeSecret(ctx context.Context, s run.Secret) (run.Secret, error) {
	return s, b.acted(ctx, "ChangeSecret", access.From(ctx).Name)
}

func (b *behind) RemoveSecret(ctx context.Context, _ string) error {
	return b.acted(ctx, "RemoveSecret", access.From(ctx).Name)
}

func (b *behind) CheckValue(_ context.Context, name, _ string) error {
	if name != "HF_TOKEN" {
		return run.NoSecret(name)
	}
	return nil
}

func (b *behind) SetSecret(_ context.Context, _, value string) ([]string, error) {
	if value == "refused" {
		return []string{"default"}, fault.New(fault.ErrNotPossible, "Nomad does not let it.", "")
	}
	return []string{"default", "team"}, b.passed("SetSecret")
}

func namesOf(secrets []run.Secret) string {
	var out []string
	for _, s := range secrets {
		out = append(out, s.Name+"("+strings.Join(s.Projects, ",")+")")
	}
	return strings.Join(out, " ")
}

func TestSecretsAreSeenByWhoMayUseThem(t *testing.T) {
	t.Parallel()
	g, _ := newGuard(t)
	for name, tc := range map[string]struct {
		ctx     context.Context
		project string
		want    string
	}{
		"an administrator":            {access.With(t.Context(), access.Local()), "", "ALL() BOTH(vision,text) TEXT(text)"},
		"an administrator, a project": {access.With(t.Context(), access.Local()), theirs, "ALL() BOTH(vision,text)"},
		"an operator":                 {as(t.Context(), map[string]access.Role{theirs: access.Operator}), "", "ALL() BOTH(vision)"},
		"an operator elsewhere":       {as(t.Context(), map[string]access.Role{theirs: access.Operator}), "text", ""},
		"an operator and viewer":      {as(t.Context(), map[string]access.Role{theirs: access.Operator, "text": access.Viewer}), "", "ALL() BOTH(vision)"},
	} {
		got, err := g.Registry().Secrets(tc.ctx, tc.project)
		if err != nil || namesOf(got) != tc.want {
			t.Errorf("%s: %s, %v", name, namesOf(got), err)
		}
	}
	if _, err := g.Registry().Secrets(as(t.Context(), map[string]access.Role{theirs: access.Viewer}), ""); !errors.Is(err, fault.ErrForbidden) {
		t.Errorf("a viewer: %v", err)
	}
}

func TestOnlyAdministratorsManageSecrets(t *testing.T) {
	t.Parallel()
	g, b := newGuard(t)
	for name, err := range callAll(as(t.Context(), map[string]access.Role{theirs: access.Admin}), g.Registry()) {
		if name != "Secrets" && !errors.Is(err, fault.ErrForbidden) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, err := range callAll(t.Context(), g.Registry()) {
		if !errors.Is(err, fault.ErrSignedOut) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if len(b.through) > 0 || len(b.log) != 5 {
		t.Errorf("got through: %v; in the audit log: %+v", b.through, b.log)
	}
}

func TestWhatIsDoneToSecretsIsAudited(t *testing.T) {
	t.Parallel()
	g, b := newGuard(t)
	root := access.With(t.Context(), access.Identity{User: "u9", Name: "root", Administrator: true})
	for name, err := range callAll(root, g.Registry()) {
		if err != nil && !errors.Is(err, fault.ErrNotFound) { // the secret of that name
			t.Errorf("%s: %v", name, err)
		}
	}
	var did []string
	for _, p := range b.pending {
		did = append(did, p.Action+" "+p.Subject)
	}
	slices.Sort(did)
	if want := []string{"secret.change secret:", "secret.register secret:", "secret.remove secret:vision"}; !slices.Equal(did, want) {
		t.Errorf("did %v", did)
	}
	b.log = nil
	if _, err := g.Registry().Set(root, "HF_TOKEN", "geheim"); err != nil {
		t.Fatal(err)
	}
	if _, err := g.Registry().Set(root, "HF_TOKEN", "refused"); !errors.Is(err, fault.ErrNotPossible) {
		t.Errorf("refused: %v", err)
	}
	var outcomes []audit.Outcome
	for _, e := range b.log {
		outcomes = append(outcomes, e.Outcome)
		if e.Action != "secret.set" || e.Subject != "secret:HF_TOKEN" || e.Actor.Name != "root" || strings.Contains(string(e.After)+e.Reason, "geheim") {
			t.Errorf("in the audit log: %+v", e)
		}
	}
	if want := []audit.Outcome{audit.Begun, audit.Done, audit.Begun, audit.Failed}; !slices.Equal(outcomes, want) || string(b.log[1].After) != `{"namespaces":["default","team"]}` {
		t.Errorf("in the audit log: %+v", b.log)
	}
}
