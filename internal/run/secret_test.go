package run_test

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
)

func TestARegisteredSecret(t *testing.T) {
	t.Parallel()
	good := run.Secret{Name: "HF_TOKEN", In: run.InVault, Path: "secret/cotrain/shared/hub", Field: "token", Env: "HF_TOKEN"}
	with := func(change func(*run.Secret)) run.Secret {
		s := good
		change(&s)
		return s
	}
	for name, tt := range map[string]struct {
		secret run.Secret
		wrong  string // what the error names, "" for none
	}{
		"vault":                 {good, ""},
		"all fields of a path":  {with(func(s *run.Secret) { s.Field, s.Env = "", "" }), ""},
		"odd characters":        {with(func(s *run.Secret) { s.Path, s.Field = "kv/team a/ü#?", "to ken" }), ""},
		"nomad":                 {with(func(s *run.Secret) { s.In, s.Path = run.InNomad, "cotrain/hub" }), ""},
		"nomad's own":           {with(func(s *run.Secret) { s.In, s.Path = run.InNomad, "nomad/jobs/cotrain" }), ""},
		"no name":               {with(func(s *run.Secret) { s.Name = "" }), "name"},
		"name of a path":        {with(func(s *run.Secret) { s.Name = "a/b" }), "name"},
		"field without env":     {with(func(s *run.Secret) { s.Env = "" }), "env"},
		"env without field":     {with(func(s *run.Secret) { s.Field = "" }), "field"},
		"env of a shell":        {with(func(s *run.Secret) { s.Env = "A=B" }), "env"},
		"no mount":              {with(func(s *run.Secret) { s.Path = "hub" }), "path"},
		"a tab":                 {with(func(s *run.Secret) { s.Path = "secret/a\tb" }), "path"},
		"a line":                {with(func(s *run.Secret) { s.Field = "a\nb" }), "field"},
		"long":                  {with(func(s *run.Secret) { s.Path = "secret/" + strings.Repeat("a", run.MaxSecretPath) }), "path"},
		"reserved by nomad":     {with(func(s *run.Secret) { s.In, s.Path = run.InNomad, "nomad/other" }), "path"},
		"not a nomad path":      {with(func(s *run.Secret) { s.In, s.Path = run.InNomad, "a b" }), "path"},
		"two slashes":           {with(func(s *run.Secret) { s.Path = "secret//a" }), "path"},
		"a way out":             {with(func(s *run.Secret) { s.Path = "secret/../a" }), "path"},
		"slash at an end":       {with(func(s *run.Secret) { s.Path = "secret/a/" }), "path"},
		"somewhere else":        {with(func(s *run.Secret) { s.In = "file" }), "in"},
		"a note without an end": {with(func(s *run.Secret) { s.Note = strings.Repeat("a", run.MaxSecretNote+1) }), "note"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			switch err := tt.secret.Check(); {
			case tt.wrong == "" && err != nil:
				t.Error(err)
			case tt.wrong != "" && (!errors.Is(err, fault.ErrInvalid) || !strings.HasPrefix(err.Error(), tt.wrong)):
				t.Errorf("the error is %v, want one about the %s", err, tt.wrong)
			}
		})
	}
}

func TestProjectsOfASecret(t *testing.T) {
	t.Parallel()
	if all := (run.Secret{}); !all.UsableBy("vision") {
		t.Error("a secret without projects is for all")
	}
	one := run.Secret{Projects: []string{"vision"}}
	if !one.UsableBy("vision") || one.UsableBy("text") {
		t.Error("a secret is for the projects that it names")
	}
}

func TestNamesOfSecretsAsTheyWereStored(t *testing.T) {
	t.Parallel()
	for stored, want := range map[string]run.SecretNames{
		`["A","B"]`: {"A", "B"}, `"cotrain/hub"`: {"cotrain/hub"}, `""`: nil, `null`: nil, `[]`: {},
	} {
		got := run.SecretNames{"old"}
		if err := json.Unmarshal([]byte(stored), &got); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s is %q, %v; want %q", stored, got, err, want)
		}
	}
	var n run.SecretNames
	if json.Unmarshal([]byte(`3`), &n) == nil {
		t.Error("a number is no list of names")
	}
}
