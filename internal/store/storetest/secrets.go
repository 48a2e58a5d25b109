package storetest

import (
	"errors"
	"testing"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store"
)

func testSecrets(t *testing.T, s Store) {
	ctx := t.Context()
	hub := run.Secret{Name: "HF_TOKEN", Note: "ü \u2028", In: run.InVault, Path: "secret/cotrain/a b/ü#?", Field: "to ken", Env: "HF_TOKEN", Projects: []string{"text", "vision"}}
	all := run.Secret{Name: "ALL", In: run.InNomad, Path: "nomad/jobs"}
	must(t, s.RegisterSecret(ctx, hub))
	must(t, s.RegisterSecret(ctx, all))
	if err := s.RegisterSecret(ctx, run.Secret{Name: "ALL", Path: "other"}); !errors.Is(err, fault.ErrConflict) {
		t.Errorf("registered twice: %v", err)
	}
	got, err := s.Secrets(ctx)
	must(t, err)
	same(t, "secrets", got, []run.Secret{all, hub})
	hub.Projects, hub.Path = nil, "secret/moved"
	must(t, s.ChangeSecret(ctx, hub))
	must(t, s.ChangeSecret(ctx, hub)) // which changes nothing
	must(t, s.RemoveSecret(ctx, "ALL"))
	got, err = s.Secrets(ctx)
	must(t, err)
	same(t, "secrets afterwards", got, []run.Secret{hub})
	for _, err := range []error{s.ChangeSecret(ctx, all), s.RemoveSecret(ctx, "ALL")} {
		if !errors.Is(err, fault.ErrNoSecret) {
			t.Errorf("one that is not there: %v", err)
		}
	}
}

func testAttemptSecrets(t *testing.T, s Store) {
	id := create(t, s, "r-0000000001", "a").ID
	refs := []run.SecretRef{{Env: "HF_TOKEN", In: run.InVault, Path: "secret/hub", Field: "token"}, {In: run.InNomad, Path: "cotrain/all"}}
	for _, want := range [][]run.SecretRef{refs, refs[:1], nil} {
		u, err := s.Update(t.Context(), id, func(u *store.Update) error {
			u.Attempt = run.Attempt{RunID: id, Number: 1, ParentJob: "p", Secrets: want, CreatedAt: epoch}
			u.Run.Shape.Vault = run.NeedVault(want)
			return nil
		})
		must(t, err)
		as, err := s.Attempts(t.Context(), id)
		must(t, err)
		same(t, "secrets of the attempt", as[0].Secrets, want)
		r, err := s.Run(t.Context(), id)
		must(t, err)
		same(t, "shape", r.Shape, u.Run.Shape)
		if r.Shape.Vault != (want != nil) {
			t.Errorf("shape %+v with %v", r.Shape, want)
		}
		groups, err := s.ReadyGroups(t.Context())
		must(t, err)
		if len(groups) != 1 || groups[0].Shape != r.Shape {
			t.Errorf("ready as %+v", groups)
		}
	}
}
