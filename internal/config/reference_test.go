package config

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
)

func TestAnySettingMayBeInVault(t *testing.T) {
	t.Parallel()
	w := world{
		flags: Flags{"config": "c.toml", "nomad.namespace": "vault:kv/app#namespace"},
		env:   map[string]string{"NOMAD_TOKEN": "vault:nomad/creds/cotrain#secret_id", "COTRAIN_DATABASE_PASSWORD": "plain", "NOMAD_REGION": "eu"},
		files: map[string]string{"c.toml": `
nomad.region = "vault:kv/app#region"
job.kill_timeout = "vault:kv/app#timeout"
oidc.client_secret = "vault:kv/oidc#secret"
database.url = "vault:kv/db#url"
database.password = "vault:kv/db#password"
oidc.issuer = "https://id.example"
oidc.client_id = "cotrain"
vault.address = "https://vault.example:8200"
vault.auth = "approle"
`},
	}
	cfg, err := w.load()
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"nomad.namespace": "vault:kv/app#namespace", "nomad.token": "vault:nomad/creds/cotrain#secret_id", "job.kill_timeout": "vault:kv/app#timeout",
		"oidc.client_secret": "vault:kv/oidc#secret", "database.url": "vault:kv/db#url",
	}
	refs := cfg.References()
	for _, r := range refs {
		if want[r.Key] != r.Ref {
			t.Errorf("%s is %s", r.Key, r.Ref)
		}
	}
	if len(refs) != len(want) {
		t.Errorf("%d references: what was set later and plainly does not win", len(refs))
	}
	values := map[string]string{
		"vault:kv/app#namespace": "training", "vault:nomad/creds/cotrain#secret_id": "s3cret", "vault:kv/app#timeout": "90s", "vault:kv/oidc#secret": " o1dc ", "vault:kv/db#url": "postgres://db.example/cotrain",
	}
	got, err := cfg.Resolve(func(r Reference) (string, error) { return values[r.Ref], nil })
	if err != nil {
		t.Fatal(err)
	}
	if got.Nomad.Namespace != "training" || got.Nomad.Token != "s3cret" || got.Job.KillTimeout.Seconds() != 90 || got.OIDC.ClientSecret != "o1dc" || got.Database.URL != "postgres://db.example/cotrain" ||
		got.Nomad.Region != "eu" || got.Database.Password != "plain" {
		t.Errorf("got %+v", got)
	}
	if len(got.References()) != 0 {
		t.Error("it still has references")
	}
}

func TestWhatIsWrongWithAValueInVaultIsSaidWithoutIt(t *testing.T) {
	t.Parallel()
	load := func(env map[string]string) (Config, error) { return world{env: env}.load() }
	for name, tc := range map[string]struct {
		env   map[string]string
		value string
		err   error
		want  []string
	}{
		"it cannot be read":     {map[string]string{"NOMAD_TOKEN": "vault:kv/a#b"}, "", fault.New(fault.ErrForbidden, "Vault does not let the console read kv/a.", "Give it a policy."), []string{"NOMAD_TOKEN", "vault:kv/a#b", "does not let the console", "give it a policy"}},
		"it is empty":           {map[string]string{"NOMAD_TOKEN": "vault:kv/a#b"}, " ", nil, []string{"NOMAD_TOKEN", "is empty"}},
		"it has lines":          {map[string]string{"NOMAD_TOKEN": "vault:kv/a#b"}, "hush\nhush", nil, []string{"NOMAD_TOKEN"}},
		"it is no number":       {map[string]string{"COTRAIN_DATABASE_MAX_CONNECTIONS": "vault:kv/a#b"}, "hush", nil, []string{"COTRAIN_DATABASE_MAX_CONNECTIONS", "whole number"}},
		"it is out of range":    {map[string]string{"COTRAIN_DATABASE_MAX_CONNECTIONS": "vault:kv/a#b"}, "100000", nil, []string{"COTRAIN_DATABASE_MAX_CONNECTIONS"}},
		"it breaks another":     {map[string]string{"COTRAIN_JOB_DRIVER": "vault:kv/a#b"}, "docker", nil, []string{"job.image"}},
		"it is of Vault itself": {map[string]string{"VAULT_TOKEN": "vault:kv/a#b"}, "", nil, []string{"VAULT_TOKEN", "cannot be there itself"}},
	} {
		cfg, err := load(tc.env)
		if err == nil {
			_, err = cfg.Resolve(func(Reference) (string, error) { return tc.value, tc.err })
		}
		var errs run.FieldErrors
		if !errors.As(err, &errs) {
			t.Errorf("%s: %v", name, err)
			continue
		}
		text := fmt.Sprintf("%+v", errs)
		for _, part := range tc.want {
			if !strings.Contains(text, part) {
				t.Errorf("%s: no %q in %s", name, part, text)
			}
		}
		if strings.Contains(text, "hush") || strings.Contains(text, "100000") {
			t.Errorf("%s: the value is told: %s", name, text)
		}
	}
}
