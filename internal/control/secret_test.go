package control_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/nomad/nomadtest"
	"github.com/cotrain/cotrain/internal/run"
)

var hub = run.Secret{Name: "HF_TOKEN", In: run.InNomad, Path: "cotrain/hub", Field: "token", Env: "HF_TOKEN"}

// changed is a secret with some of it changed.
func changed(s run.Secret, change func(*run.Secret)) run.Secret {
	change(&s)
	return s
}

// teams are projects with a namespace each.
type teams map[string]string

func (t teams) Settings(project string) access.Settings {
	return access.Settings{Namespace: t[project]}
}

func (t teams) ProjectNames(context.Context) []string {
	return []string{access.DefaultProject, "text", "vision"}
}

func saidOf(t *testing.T, err error) map[string]string {
	t.Helper()
	var errs run.FieldErrors
	if err != nil && !errors.As(err, &errs) {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, e := range errs {
		out[e.Field] += e.Error() + "\n"
	}
	return out
}

func TestASecretIsCheckedBeforeItIsRegistered(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.projects = teams{}
	r.useCluster(r.cluster)
	for name, tc := range map[string]struct {
		secret run.Secret
		field  string
		says   string
	}{
		"a name with a slash":   {changed(hub, func(s *run.Secret) { s.Name = "a/b" }), "name", "HF_TOKEN"},
		"another's variable":    {changed(hub, func(s *run.Secret) { s.Env = "NOMAD_TOKEN" }), "env", "NOMAD_"},
		"unknown to the core":   {changed(hub, func(s *run.Secret) { s.Env = "ZERO_BAND_NONSENSE" }), "env", "refuses to start"},
		"a project that is not": {changed(hub, func(s *run.Secret) { s.Projects = []string{"gone"} }), "projects", "no project gone"},
		"a path of nobody":      {changed(hub, func(s *run.Secret) { s.Path = "" }), "path", "cotrain/hub"},
	} {
		_, err := r.control.RegisterSecret(t.Context(), tc.secret)
		if got := saidOf(t, err); !strings.Contains(got[tc.field], tc.says) || len(got) != 1 {
			t.Errorf("%s: %v", name, got)
		}
	}
	made, err := r.control.RegisterSecret(t.Context(), changed(hub, func(s *run.Secret) { s.Projects = []string{"vision", "text", "vision"} }))
	if err != nil || !reflect.DeepEqual(made.Projects, []string{"text", "vision"}) {
		t.Errorf("made %+v, %v", made, err)
	}
	if _, err := r.control.RegisterSecret(t.Context(), changed(hub, func(s *run.Secret) { s.Env = "ZERO_BAND_MONITOR_AUTH_TOKEN" })); !errors.Is(err, fault.ErrConflict) {
		t.Errorf("twice: %v", err)
	}
}

func TestARunAsksForSecretsThatItsProjectMayUse(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.projects = teams{}
	r.useCluster(r.cluster)
	r.register(changed(hub, func(s *run.Secret) { s.Projects = []string{"vision"} }))
	r.register(changed(hub, func(s *run.Secret) { s.Name, s.Field = "OTHER", "other" }))
	r.register(run.Secret{Name: "KEYS", In: run.InVault, Path: "secret/cotrain/shared/keys"})
	for name, tc := range map[string]struct {
		project string
		names   run.SecretNames
		env     map[string]string
		says    []string
	}{
		"not registered":       {"vision", run.SecretNames{"GONE"}, nil, []string{"the secret GONE is not registered"}},
		"of another project":   {"text", run.SecretNames{"HF_TOKEN"}, nil, []string{"the secret HF_TOKEN is not for the project text"}},
		"two of one name":      {"vision", run.SecretNames{"HF_TOKEN", "OTHER"}, nil, []string{"becomes HF_TOKEN, and so does HF_TOKEN"}},
		"also in environment":  {"vision", run.SecretNames{"HF_TOKEN"}, map[string]string{"HF_TOKEN": "x"}, []string{"the environment of the run"}},
		"a path as before":     {"vision", run.SecretNames{"nomad/jobs/hub"}, nil, []string{"nomad/jobs/hub, which is a path"}},
		"everything wrong":     {"text", run.SecretNames{"GONE", "HF_TOKEN"}, nil, []string{"GONE is not registered", "HF_TOKEN is not for"}},
		"what it may have":     {"vision", run.SecretNames{"HF_TOKEN", "KEYS"}, nil, nil},
		"what every one may":   {"text", run.SecretNames{"KEYS", "OTHER"}, map[string]string{"X": "1"}, nil},
		"of the default":       {"", run.SecretNames{"OTHER"}, nil, nil},
		"nothing, and nothing": {"text", nil, map[string]string{"HF_TOKEN": "x"}, nil},
	} {
		s := submission()
		s.Project, s.Options.Secrets, s.Options.Env = tc.project, tc.names, tc.env
		errs, _ := r.control.Check(t.Context())(s)
		_, err := r.control.DryRun(t.Context(), s)
		said := saidOf(t, err)
		if len(tc.says) == 0 && (err != nil || len(errs) > 0) {
			t.Errorf("%s: %v, %v", name, err, errs)
		}
		for _, part := range tc.says {
			if !strings.Contains(said["secrets"], part) || len(said) != 1 {
				t.Errorf("%s: %v", name, said)
			}
		}
	}
}

func TestOnlyRunsWithSecretsInVaultNeedIt(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.register(hub)
	r.register(run.Secret{Name: "KEYS", In: run.InVault, Path: "secret/cotrain/shared/keys"})
	for name, vault := range map[string]bool{"HF_TOKEN": false, "KEYS": true} {
		s := submission()
		s.Key, s.Shape.Vault, s.Options.Secrets = name, !vault, run.SecretNames{name}
		got, err := r.control.Submit(t.Context(), "test", s)
		if err != nil || got.Shape.Vault != vault {
			t.Errorf("%s: %+v, %v", name, got.Shape, err)
		}
		again, err := r.control.Submit(t.Context(), "test", s)
		if err != nil || again.ID != got.ID {
			t.Errorf("repeated: %s, %v", again.ID, err)
		}
	}
	s := submission()
	s.Options.Secrets = run.SecretNames{"KEYS", "HF_TOKEN"}
	l, err := r.control.LaunchOf(t.Context(), s)
	if text := fmt.Sprint(l.Env); err != nil || !strings.Contains(text, "every field of secret/cotrain/shared/keys in Vault") || !strings.Contains(text, "token of the Nomad variable cotrain/hub") {
		t.Errorf("launch %+v, %v", l.Env, err)
	}
}

// vaults answers by path.
type vaults map[string]error

func (v vaults) Find(_ context.Context, path, field string) error { return v[path+"#"+field] }

func TestADryRunTellsWhetherSecretsAreThere(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.projects = teams{"vision": "team-v"}
	r.vault = vaults{
		"secret/cotrain/shared/a#x": nil, "secret/elsewhere#x": nil,
		"secret/cotrain/shared/b#x": fault.New(fault.ErrNotFound, "There is nothing at secret/cotrain/shared/b in Vault.", "Store it."),
		"secret/cotrain/shared/c#x": fault.New(fault.ErrForbidden, "Vault does not let the console look.", ""),
		"secret/cotrain/shared/d#x": fault.New(fault.ErrUnavailable, "Vault is sealed.", "Unseal it."),
	}
	r.useCluster(r.cluster)
	names := run.SecretNames{}
	for _, name := range []string{"a", "b", "c", "d"} {
		r.register(run.Secret{Name: name, In: run.InVault, Path: "secret/cotrain/shared/" + name, Field: "x", Env: strings.ToUpper(name)})
		names = append(names, name)
	}
	r.register(run.Secret{Name: "e", In: run.InVault, Path: "secret/elsewhere", Field: "x", Env: "E"})
	r.register(changed(hub, func(s *run.Secret) { s.Name = "f" }))
	s := submission()
	s.Project, s.Options.Secrets = "vision", append(names, "e", "f")
	got, err := r.control.DryRun(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	want := []run.SecretState{run.SecretPresent, run.SecretMissing, run.SecretForbidden, run.SecretUnknown, run.SecretPresent, run.SecretMissing}
	for i, l := range got.Secrets {
		if l.State != want[i] || l.Name != s.Options.Secrets[i] || l.Where == "" || (l.Why == "") != (i == 0) {
			t.Errorf("%+v, want %s", l, want[i])
		}
	}
	if len(got.Secrets) != len(want) || !strings.Contains(got.Secrets[4].Why, "cotrain/team-v/") {
		t.Errorf("got %+v", got.Secrets)
	}
	if err := r.cluster.PutVariable(t.Context(), "team-v", "cotrain/hub", "token", "x"); err != nil {
		t.Fatal(err)
	}
	r.vault = nil
	r.useCluster(r.cluster)
	s.Options.Secrets = run.SecretNames{"a", "f"}
	if got, err = r.control.DryRun(t.Context(), s); err != nil || got.Secrets[0].State != run.SecretUnknown || got.Secrets[1].State != run.SecretPresent {
		t.Errorf("without Vault: %+v, %v", got.Secrets, err)
	}
	r.cluster.FailVariables(fault.New(fault.ErrNomadDenied, "It may not list.", ""))
	if got, err = r.control.DryRun(t.Context(), s); err != nil || got.Secrets[1].State != run.SecretForbidden || got.Secrets[1].Why != "It may not list." {
		t.Errorf("denied: %+v, %v", got.Secrets, err)
	}
}

func TestAValueGoesToNomadInEveryNamespaceThatUsesIt(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.projects = teams{"vision": "team-v", "text": "team-t"}
	r.useCluster(r.cluster)
	r.register(hub)
	r.register(changed(hub, func(s *run.Secret) {
		s.Name, s.Env, s.Path, s.Projects = "ONE", "ONE", "cotrain/one", []string{"vision"}
	}))
	where, err := r.control.SetSecret(t.Context(), "HF_TOKEN", "geheim")
	if err != nil || !reflect.DeepEqual(where, []string{"default", "team-t", "team-v"}) {
		t.Errorf("stored in %v, %v", where, err)
	}
	r.register(changed(hub, func(s *run.Secret) {
		s.Name, s.Env, s.Field, s.Path, s.Projects = "TWO", "TWO", "second", "cotrain/one", []string{"vision"}
	}))
	if _, err := r.control.SetSecret(t.Context(), "TWO", "zwei"); err != nil {
		t.Error(err)
	}
	if where, err = r.control.SetSecret(t.Context(), "ONE", "eins"); err != nil || !reflect.DeepEqual(where, []string{"team-v"}) {
		t.Errorf("stored in %v, %v", where, err)
	}
	token := map[string]string{"token": "geheim"}
	want := map[string]map[string]string{"default cotrain/hub": token, "team-t cotrain/hub": token, "team-v cotrain/hub": token, "team-v cotrain/one": {"token": "eins", "second": "zwei"}}
	if got := r.cluster.Variables(); !reflect.DeepEqual(got, want) {
		t.Errorf("there are %v", got)
	}
	r.cluster.FailVariables(fault.New(fault.ErrNotPossible, "Nomad does not let it.", "nomad var put"))
	if where, err = r.control.SetSecret(t.Context(), "HF_TOKEN", "geheim"); !errors.Is(err, fault.ErrNotPossible) || len(where) > 0 || fault.Of(err).Fix != "nomad var put" {
		t.Errorf("refused: %v, %v", where, err)
	}
}

func TestAValueThatTheConsoleCannotStoreIsRefused(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.register(hub)
	r.register(changed(hub, func(s *run.Secret) { s.Name, s.Path, s.Field, s.Env = "ALL", "cotrain/all", "", "" }))
	r.register(run.Secret{Name: "KEYS", In: run.InVault, Path: "secret/keys", Field: "k", Env: "KEYS"})
	long := strings.Repeat("geheim", 20000)
	for name, tc := range map[string]struct{ secret, value, field, says string }{
		"in Vault":        {"KEYS", "geheim", "in", "vault kv patch secret/keys k=-"},
		"without a field": {"ALL", "geheim", "field", "nomad var put cotrain/all"},
		"empty":           {"HF_TOKEN", "", "value", "empty"},
		"too long":        {"HF_TOKEN", long, "value", "120000 bytes"},
		"no text":         {"HF_TOKEN", "geheim\xff", "value", "must be text"},
	} {
		_, err := r.control.SetSecret(t.Context(), tc.secret, tc.value)
		if got := saidOf(t, err); !strings.Contains(got[tc.field], tc.says) || strings.Contains(fmt.Sprint(err), "geheim") {
			t.Errorf("%s: %v", name, got)
		}
	}
	if _, err := r.control.SetSecret(t.Context(), "GONE", "x"); !errors.Is(err, fault.ErrNotFound) {
		t.Errorf("one that is not registered: %v", err)
	}
	if len(r.cluster.Variables()) > 0 {
		t.Errorf("stored: %v", r.cluster.Variables())
	}
}

func TestWhatAsksForASecretIsFound(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.register(hub)
	r.cluster.SetPlan(nomadtest.Plan{Reason: "full"})
	s := submission()
	s.Options.Secrets = run.SecretNames{"HF_TOKEN"}
	made, err := r.control.Submit(t.Context(), "test", s)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.control.SaveTemplate(t.Context(), "test", run.Template{Name: "mine", Config: config, Shape: s.Shape, Options: s.Options}, run.AnyVersion); err != nil {
		t.Fatal(err)
	}
	s.Options.Secrets = nil
	if _, err := r.control.Submit(t.Context(), "test", s); err != nil {
		t.Fatal(err)
	}
	got, err := r.control.SecretUses(t.Context(), "HF_TOKEN")
	if err != nil || got.Count != 1 || got.Runs[0].ID != made.ID || len(got.Templates) != 1 || !strings.Contains(got.Templates[0], "mine@1") {
		t.Errorf("uses %+v, %v", got, err)
	}
}
