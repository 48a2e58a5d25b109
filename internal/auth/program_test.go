package auth_test

import (
	"context"
	"errors"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/audit"
	"github.com/cotrain/cotrain/internal/auth"
	"github.com/cotrain/cotrain/internal/fault"
)

// from is a context of a request from an address.
func (c *console) from(address string) context.Context {
	ctx, err := c.Identify(c.request(address))
	must(c.t, err)
	return ctx
}

func (c *console) ask(p access.Program) access.ProgramCodes {
	c.t.Helper()
	codes, err := c.BeginProgram(c.from("192.0.2.9"), p)
	must(c.t, err)
	return codes
}

var anvil = access.Program{Name: "anvil", Scopes: []access.Scope{access.ScopeWrite}}

func TestAPersonSignsAProgramIn(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	ctx := c.as(c.mustLogIn("bob")...)
	codes := c.ask(access.Program{Name: "anvil", Scopes: []access.Scope{access.ScopeWrite, access.ScopeWrite}, Project: access.DefaultProject})
	if !regexp.MustCompile(`^[B-DF-HJ-NP-TV-XZ]{4}-[B-DF-HJ-NP-TV-XZ]{4}$`).MatchString(codes.User) || len(codes.Secret) != 43 {
		t.Errorf("%+v", codes)
	}
	_, secret, wait, err := c.EndProgram(t.Context(), codes.Secret)
	if err != nil || secret != "" || wait != 5*time.Second {
		t.Errorf("%q, %v, %v", secret, wait, err)
	}
	_, _, wait, err = c.EndProgram(t.Context(), codes.Secret)
	if err != nil || wait != 10*time.Second {
		t.Errorf("who asks too soon waits for %v, %v", wait, err)
	}
	asks, err := c.Program(ctx, " "+strings.ToLower(codes.User)+" ")
	if err != nil || asks.Name != "anvil" || asks.Address != "192.0.2.9" || len(asks.Scopes) != 1 {
		t.Errorf("%+v, %v", asks, err)
	}
	must(t, c.AnswerProgram(ctx, codes.User, true))
	if err := c.AnswerProgram(ctx, codes.User, true); !errors.Is(err, fault.ErrNotFound) {
		t.Errorf("a code counts twice: %v", err)
	}
	token, secret, _, err := c.EndProgram(t.Context(), codes.Secret)
	must(t, err)
	if token.User != "u-bob" || token.Project != access.DefaultProject || !token.ExpiresAt.Equal(c.clock().Add(90*24*time.Hour)) || token.Name != "anvil" {
		t.Errorf("%+v", token)
	}
	if _, _, _, err := c.EndProgram(t.Context(), codes.Secret); !errors.Is(err, fault.ErrNotFound) {
		t.Errorf("a token is given twice: %v", err)
	}
	r := c.request("192.0.2.9")
	r.Header.Set("Authorization", "Bearer "+secret)
	with, err := c.Identify(r)
	must(t, err)
	if access.From(with).Name != "bob" || access.From(with).MayAnywhere(access.Account) {
		t.Errorf("%+v", access.From(with))
	}
	if err := c.AnswerProgram(with, c.ask(anvil).User, true); !errors.Is(err, fault.ErrForbidden) {
		t.Errorf("a token signs another program in: %v", err)
	}
	must(t, c.RevokeOwnToken(with))
	if _, err := c.Identify(r); !errors.Is(err, auth.ErrToken) {
		t.Errorf("a token that revoked itself counts: %v", err)
	}
}

func TestWhatIsDeniedExpiredOrLostSignsNobodyIn(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	ctx := c.as(c.mustLogIn("bob")...)
	denied := c.ask(anvil)
	must(t, c.AnswerProgram(ctx, denied.User, false))
	_, _, _, err := c.EndProgram(t.Context(), denied.Secret)
	wants(t, fault.ErrForbidden, err)
	_, _, _, err = c.EndProgram(t.Context(), denied.Secret)
	wants(t, fault.ErrNotFound, err)

	late, agreed := c.ask(anvil), c.ask(anvil)
	must(t, c.AnswerProgram(ctx, agreed.User, true))
	c.pass(10 * time.Minute)
	wants(t, fault.ErrNotFound, c.AnswerProgram(ctx, late.User, true))
	for _, secret := range []string{late.Secret, agreed.Secret, "", strings.Repeat("x", 1<<20), late.User} {
		_, _, _, err := c.EndProgram(t.Context(), secret)
		wants(t, fault.ErrNotFound, err)
	}

	gone := c.ask(anvil)
	must(t, c.AnswerProgram(ctx, gone.User, true))
	_, _, err = c.store.ChangeUser(t.Context(), "u-bob", func(u *access.User) error {
		u.Disabled = true
		return nil
	})
	must(t, err)
	must(t, auth.Follow(c.Service, t.Context()))
	_, _, _, err = c.EndProgram(t.Context(), gone.Secret)
	wants(t, fault.ErrForbidden, err)
}

func TestWhatEndsASessionTakesBackWhatWasAgreedToInIt(t *testing.T) {
	t.Parallel()
	for what, end := range map[string]func(c *console, ann, bob context.Context){
		"a password reset": func(c *console, ann, _ context.Context) {
			_, _, err := c.ResetPassword(ann, "bob", false)
			must(c.t, err)
		},
		"an end by the admin": func(c *console, ann, _ context.Context) { must(c.t, c.EndUserSessions(ann, "bob")) },
		"a log-out":           func(c *console, _, bob context.Context) { must(c.t, c.EndSession(bob, access.From(bob).Session)) },
		"a duty": func(c *console, _, bob context.Context) {
			hash, err := c.store.Password(c.t.Context(), "u-bob")
			must(c.t, err)
			must(c.t, c.store.SetPassword(c.t.Context(), "u-bob", hash, true, access.From(bob).Session))
			must(c.t, auth.Follow(c.Service, c.t.Context()))
		},
		"a lost role": func(c *console, _, _ context.Context) {
			must(c.t, c.store.SetMember(c.t.Context(), access.DefaultProject, "u-bob", ""))
			must(c.t, auth.Follow(c.Service, c.t.Context()))
		},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			c := newConsole(t)
			ann, bob := c.as(c.mustLogIn("ann")...), c.as(c.mustLogIn("bob")...)
			codes := c.ask(access.Program{Name: "anvil", Scopes: anvil.Scopes, Project: access.DefaultProject})
			must(t, c.AnswerProgram(bob, codes.User, true))
			end(c, ann, bob)
			if token, secret, _, err := c.EndProgram(t.Context(), codes.Secret); err == nil || secret != "" {
				t.Errorf("the code gives %+v", token)
			}
			tokens, err := c.store.Tokens(t.Context(), "u-bob")
			must(t, err)
			if len(tokens) != 0 {
				t.Errorf("there is %+v", tokens)
			}
		})
	}
}

func TestOnesOwnProjectsOnlyAreGivenToPrograms(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	must(t, c.store.CreateProject(t.Context(), access.Project{Name: "secret"}))
	must(t, auth.Follow(c.Service, t.Context()))
	for _, project := range []string{"secret", "none"} {
		codes := c.ask(access.Program{Name: "x", Scopes: []access.Scope{access.ScopeRead}, Project: project})
		wants(t, fault.ErrNoProject, c.AnswerProgram(c.as(c.mustLogIn("bob")...), codes.User, true))
		must(t, c.AnswerProgram(c.as(c.mustLogIn("bob")...), codes.User, false))
	}
	for _, bad := range []access.Program{{}, {Name: "x"}, {Name: "x", Scopes: []access.Scope{"everything"}}, {Name: "a\nb", Scopes: anvil.Scopes}, {Name: "x", Scopes: anvil.Scopes, Project: "../x"}} {
		_, err := c.BeginProgram(c.from("192.0.2.9"), bad)
		wants(t, fault.ErrInvalid, err)
	}
}

func TestCodesCannotBeGuessed(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	codes, bob, ann := c.ask(anvil), c.as(c.mustLogIn("bob")...), c.as(c.mustLogIn("ann")...)
	for range 10 {
		_, err := c.Program(bob, "BBBB-BBBB")
		wants(t, fault.ErrNotFound, err)
	}
	_, err := c.Program(bob, codes.User)
	wants(t, fault.ErrRateLimited, err)
	_, err = c.Program(ann, codes.User)
	must(t, err)
	c.pass(15 * time.Minute)
	_, err = c.Program(bob, c.ask(anvil).User)
	must(t, err)
}

func TestProgramsThatWaitAreBounded(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	for range 20 {
		c.ask(anvil)
	}
	_, err := c.BeginProgram(c.from("192.0.2.9"), anvil)
	wants(t, fault.ErrBusy, err)
	_, err = c.BeginProgram(c.from("192.0.2.10"), anvil)
	must(t, err)
	c.pass(10 * time.Minute)
	c.ask(anvil)
}

func TestWhoMayNotSignAProgramInIsInTheAuditLog(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	must(t, c.store.CreateProject(t.Context(), access.Project{Name: "vision"}))
	must(t, auth.Follow(c.Service, t.Context()))
	bob := c.as(c.mustLogIn("bob")...)
	_, secret := c.token(bob, access.Token{Scopes: []access.Scope{access.ScopeAll}})
	program, err := c.bearer("Bearer " + secret)
	must(t, err)
	wants(t, fault.ErrForbidden, c.AnswerProgram(program, c.ask(anvil).User, true))
	wants(t, fault.ErrForbidden, c.RemoveFactor(program, good))
	wants(t, fault.ErrNoProject, c.AnswerProgram(bob, c.ask(access.Program{Name: "x", Scopes: anvil.Scopes, Project: "vision"}).User, true))
	wants(t, fault.ErrNotFound, c.AnswerProgram(bob, "BBBB-BBBB", true)) // a mistake
	page, err := c.store.Audit.Search(t.Context(), audit.Filter{AllProjects: true, Outcome: audit.Refused, Actor: "bob", Limit: 10})
	must(t, err)
	var told []string
	for _, e := range page.Rows {
		told = append(told, e.Action+" "+e.Subject+" "+e.Project)
		if (e.Actor.Token == "") != (e.Project == "vision") || e.Reason == "" {
			t.Errorf("entry %+v", e)
		}
	}
	if got := strings.Join(told, ", "); got != "program.approve user:bob vision, factor.remove user:bob , program.approve user:bob " {
		t.Errorf("the audit log tells %s", got)
	}
}

func TestWrongProofsAndTokensBeyondTheirMakerAreInTheAuditLog(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	bob := c.as(c.mustLogIn("bob")...)
	wants(t, fault.ErrInvalid, c.ChangePassword(bob, "not this", "other words that I like"))
	wants(t, fault.ErrInvalid, c.RemoveFactor(bob, "not this"))
	_, secret := c.token(bob, access.Token{Scopes: []access.Scope{access.ScopeAll}, ExpiresAt: c.clock().Add(time.Hour)})
	program, err := c.bearer("Bearer " + secret)
	must(t, err)
	_, _, err = c.CreateToken(program, access.Token{Name: "x", Scopes: []access.Scope{access.ScopeAll}})
	wants(t, fault.ErrForbidden, err)
	page, err := c.store.Audit.Search(t.Context(), audit.Filter{AllProjects: true, Outcome: audit.Refused, Actor: "bob", Limit: 10})
	must(t, err)
	var told []string
	for _, e := range page.Rows {
		told = append(told, e.Action)
	}
	if got := strings.Join(told, " "); got != "tokens.create factor.remove password.change" {
		t.Errorf("the audit log tells %s", got)
	}
}
