package app

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/audit"
	"github.com/cotrain/cotrain/internal/config"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/store"
	"github.com/cotrain/cotrain/internal/store/accounts"
	"github.com/cotrain/cotrain/internal/store/pgtest"
)

func TestAPasswordIsResetBesideARunningConsole(t *testing.T) {
	t.Parallel()
	for name, url := range map[string]func(testing.TB) string{"SQLite": func(testing.TB) string { return "" }, "PostgreSQL": pgtest.URL} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := config.Config{DataDir: t.TempDir(), Auth: config.Auth{Local: true}}
			cfg.Database.URL = config.Secret(url(t))
			ctx := t.Context()
			_, _, _, err := ResetPassword(ctx, cfg, "ann", false, false)
			if err == nil {
				t.Fatal("a database that is not there was changed")
			}
			console, err := store.OpenAt(ctx, cfg.DataDir, database(cfg)) // and has it, as a console does
			must(t, err)
			t.Cleanup(func() { must(t, console.Close()) })
			if _, _, _, err := ResetPassword(ctx, cfg, "ann", false, false); !errors.Is(err, fault.ErrNoUser) || !strings.Contains(fault.Of(err).Text(), "set-up link") {
				t.Errorf("without any user: %v", err)
			}

			now := time.Now()
			change, _ := audit.Begin(ctx, audit.Entry{Action: "users.manage"})
			must(t, console.CreateUser(change, access.User{ID: "u-ann", Name: "ann", Kind: access.Person, Administrator: true}, "hash"))
			must(t, console.CreateUser(change, access.User{ID: "u-bot", Name: "bot", Kind: access.Service}, ""))
			must(t, console.CreateToken(change, "t-key", access.Token{ID: "t", User: "u-ann", Name: "nightly", Scopes: []access.Scope{access.ScopeAll}, CreatedAt: now}))
			must(t, console.SetFactor(change, "u-ann", accounts.Factor{Secret: "s", CreatedAt: now}, 1, []string{"r"}))
			must(t, console.CreateSession(change, "k", access.Session{ID: "s", User: "u-ann", CreatedAt: now, SeenAt: now, ExpiresAt: now.Add(time.Hour)}, "hash"))
			before, err := console.AccessRevision(ctx)
			must(t, err)

			first, tokens, notes, err := ResetPassword(ctx, cfg, "ann", false, false)
			must(t, err)
			if u, err := console.User(ctx, "u-ann"); err != nil || !u.OneTimePassword || !u.SecondFactor || tokens != 1 || len(notes) != 1 || !strings.Contains(notes[0], "--remove-second-factor") {
				t.Errorf("%+v, %v, notes %q, %d tokens", u, err, notes, tokens)
			}
			if sessions, err := console.Sessions(ctx, "u-ann"); err != nil || len(sessions) != 0 {
				t.Errorf("sessions %+v, %v", sessions, err)
			}
			if after, err := console.AccessRevision(ctx); err != nil || after <= before {
				t.Errorf("the console does not notice: revision %d after %d, %v", after, before, err)
			}
			_, _, err = console.ChangeUser(change, "u-ann", func(u *access.User) error { u.Administrator, u.DisplayName = true, "Ann"; return nil })
			must(t, err)
			cfg.Auth.Local = false
			second, revoked, notes, err := ResetPassword(ctx, cfg, "ann", true, true)
			must(t, err)
			if u, err := console.User(ctx, "u-ann"); err != nil || u.SecondFactor || revoked != 0 || first == second || len(second) != 20 || len(notes) != 1 || !strings.Contains(notes[0], "--auth-local") {
				t.Errorf("%+v, %v, notes %q, %d tokens", u, err, notes, revoked)
			}
			for name, kind := range map[string]fault.Kind{"bot": fault.ErrConflict, "nobody": fault.ErrNoUser} {
				if _, _, _, err := ResetPassword(ctx, cfg, name, true, false); !errors.Is(err, kind) {
					t.Errorf("%s: %v", name, err)
				}
			}

			page, err := console.Audit.Search(ctx, audit.Filter{AllProjects: true, Actor: access.Machine().Name, Limit: 10})
			must(t, err)
			if len(page.Rows) != 3 || page.Rows[0].Subject != "user:ann" || !strings.Contains(page.Rows[0].Actor.Agent, "cotrain user reset-password") || page.Rows[0].Outcome != audit.Done ||
				page.Rows[0].Action != "password.reset" || !strings.Contains(string(page.Rows[0].After), `"api":"1 tokens revoked"`) || page.Rows[1].Action != "factor.remove" || !strings.Contains(string(page.Rows[2].After), `"one_time_password":true,"sessions_ended":1`) {
				t.Errorf("the audit log has %+v", page.Rows)
			}
			v := console.Audit.NewVerification()
			if done, err := v.Next(ctx, 100); err != nil || !done || len(v.Verdict().Problems) > 0 || v.Verdict().Entries != 9 {
				t.Errorf("verified: %v, %v, %+v", done, err, v.Verdict())
			}
		})
	}
}

func TestAPasswordIsNotResetWhereThereIsNoConsole(t *testing.T) {
	t.Parallel()
	for what, dir := range map[string]string{"no folder": filepath.Join(t.TempDir(), "no"), "an empty one": t.TempDir()} {
		if _, _, _, err := ResetPassword(t.Context(), config.Config{DataDir: dir}, "ann", false, false); !errors.Is(err, fault.ErrNotFound) {
			t.Errorf("%s: %v", what, err)
		}
	}
}
