package auth_test

import (
	"context"
	"testing"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/auth"
	"github.com/cotrain/cotrain/internal/auth/oidc"
	"github.com/cotrain/cotrain/internal/fault"
)

func TestAOneTimePasswordIsChangedBeforeAnythingElse(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	ann := c.as(c.mustLogIn("ann")...)
	_, first, err := c.CreateUser(ann, access.User{Name: "cyd", Administrator: true})
	must(t, err)
	for _, reset := range []bool{false, true} {
		var robot string
		if reset {
			_, robot = c.token(c.asWith("cyd", "words of my own choice"), access.Token{Scopes: []access.Scope{access.ScopeAll}})
			first, _, err = c.ResetPassword(ann, "cyd", false)
			must(t, err)
		}
		cookies, err := c.logIn("cyd", first, "192.0.2.1")
		must(t, err)
		ctx := c.as(cookies...)
		who := access.From(ctx)
		for _, rule := range access.Rights() {
			if may := who.MayAnywhere(rule.Right); may != (rule.Right == access.Public || rule.Right == access.Password) {
				t.Errorf("with a one-time password %s: %t", rule.Right, may)
			}
		}
		_, _, err = c.CreateToken(ctx, access.Token{Name: "x", Scopes: []access.Scope{access.ScopeAll}})
		wants(t, fault.ErrForbidden, err)
		_, err = c.Program(ctx, "BBBB-BBBB")
		wants(t, fault.ErrForbidden, err)
		_, err = c.Users(ctx)
		wants(t, fault.ErrForbidden, err)
		wants(t, fault.ErrInvalid, c.ChangePassword(ctx, first, first))
		if reset {
			if program, err := c.bearer("Bearer " + robot); err != nil || access.From(program).First != nil {
				t.Errorf("a token: %+v, %v", access.From(program), err)
			}
		}
		must(t, c.ChangePassword(ctx, first, map[bool]string{false: "words of my own choice", true: "other words that I like"}[reset]))
		if who := access.From(c.as(cookies...)); who.First != nil || !who.May(access.UsersManage, "") {
			t.Errorf("then %+v", who)
		}
	}
	if u := c.user("cyd"); u.OneTimePassword || c.user("ann").OneTimePassword {
		t.Errorf("%+v", u)
	}
}

// asWith is the context of somebody who signs in with a password.
func (c *console) asWith(name, password string) context.Context {
	c.t.Helper()
	cookies, err := c.logIn(name, password, "192.0.2.1")
	must(c.t, err)
	return c.as(cookies...)
}

func TestWhoSignsInAtTheProviderNeedsAFactorUnlessItSaysThatItAskedForOne(t *testing.T) {
	t.Parallel()
	values := []string{"mfa", "phr"}
	for name, x := range map[string]struct {
		require string
		values  []string
		says    claims
		needs   bool
	}{
		"nothing is required":               {auth.RequireNone, values, nil, false},
		"of administrators, and it is none": {auth.RequireAdministrators, values, nil, false},
		"of an administrator by groups":     {auth.RequireAdministrators, values, claims{"groups": []string{"platform"}}, true},
		"the provider says nothing":         {auth.RequireEverybody, values, nil, true},
		"it asked for a password":           {auth.RequireEverybody, values, claims{"amr": []string{"pwd"}, "acr": "0"}, true},
		"it asked for a factor":             {auth.RequireEverybody, values, claims{"amr": []string{"pwd", "mfa"}}, false},
		"its level says so":                 {auth.RequireEverybody, values, claims{"acr": "phr"}, false},
		"what it says has another type":     {auth.RequireEverybody, values, claims{"amr": map[string]string{"mfa": "mfa"}, "acr": []string{"phr"}}, true},
		"it always does":                    {auth.RequireEverybody, []string{oidc.AnyLogIn}, nil, false},
		"nothing that it says counts":       {auth.RequireEverybody, nil, claims{"amr": []string{"mfa"}}, true},
		"only its user info says so":        {auth.RequireEverybody, values, claims{"groups": nil, "userinfo": claims{"sub": "eve-1", "amr": []string{"mfa"}, "groups": []string{"ml"}}}, true},
	} {
		c, p := withProvider(t, func(s *auth.Options, o *oidc.Options) {
			s.RequireSecondFactor, o.SecondFactor = x.require, x.values
		})
		if who := c.mustSignIn(p, eve(x.says)); (who.First == access.NewFactor) != x.needs {
			t.Errorf("%s: first %+v", name, who.First)
		}
	}
}

func TestTheFactorOfTheConsoleIsAskedForAfterTheProvider(t *testing.T) {
	t.Parallel()
	c, p := withProvider(t, func(s *auth.Options, o *oidc.Options) {
		s.RequireSecondFactor, o.SecondFactor = auth.RequireEverybody, []string{"mfa"}
	})
	cookies, err := c.signIn(p, eve())
	must(t, err)
	ctx := c.as(named(t, cookies, auth.SessionCookie))
	secret, recovery := c.enrolled(ctx)
	if who := access.From(c.as(named(t, cookies, auth.SessionCookie))); who.First != nil || !who.May(access.RunsRead, "default") {
		t.Errorf("with a factor: %+v", who)
	}

	pending, err := c.signIn(p, eve())
	wants(t, fault.ErrSecondFactor, err)
	for _, k := range pending {
		if k.Name == auth.SessionCookie {
			t.Error("signed in without the code")
		}
	}
	if _, err := c.enterCode("000000", pending...); err == nil {
		t.Error("any code signs in")
	}
	if _, err := c.enterCode(c.codeAt(secret, 0), pending...); err == nil {
		t.Error("the code that set the factor up counts again")
	}
	done, err := c.enterCode(recovery[0], pending...)
	must(t, err)
	session := named(t, done, auth.SessionCookie)
	if who := access.From(c.as(session)); who.Name != "eve" || who.First != nil || session.MaxAge != 24*60*60 {
		t.Errorf("%+v, for %d s", who, session.MaxAge)
	}
	sessions, err := c.Sessions(c.as(session))
	must(t, err)
	if sessions[0].Issuer != p.Issuer() || sessions[0].SecondFactor {
		t.Errorf("session %+v", sessions[0])
	}
	if who := c.mustSignIn(p, eve(claims{"amr": []string{"mfa"}})); who.First != nil {
		t.Errorf("the provider asked for a factor: %+v", who)
	}

	must(t, c.RemoveUserFactor(access.With(t.Context(), access.Local()), "eve"))
	if who := access.From(c.as(session)); who.First != access.NewFactor {
		t.Errorf("without a factor again: %+v", who.First)
	}
}
