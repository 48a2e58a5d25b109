package auth_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/auth"
	"github.com/cotrain/cotrain/internal/fault"
)

// enrolled sets a second factor up for who is signed in, and returns its secret and recovery codes.
func (c *console) enrolled(ctx context.Context) (secret string, recovery []string) {
	c.t.Helper()
	address, secret, err := c.Enrol(ctx, "CoTrain example.org")
	must(c.t, err)
	if !strings.HasPrefix(address, "otpauth://totp/CoTrain%20example.org:") || !strings.Contains(address, "secret="+secret) {
		c.t.Errorf("address %s", address)
	}
	recovery, err = c.ConfirmFactor(ctx, c.codeAt(secret, 0))
	must(c.t, err)
	return secret, recovery
}

func (c *console) codeAt(secret string, off time.Duration) string {
	c.t.Helper()
	code, err := totp.GenerateCode(secret, c.clock().Add(off))
	must(c.t, err)
	return code
}

// password enters the password, and returns the cookies that a code then needs.
func (c *console) password(name string, cookies ...*http.Cookie) []*http.Cookie {
	c.t.Helper()
	got, err := c.logIn(name, good, "192.0.2.1", cookies...)
	if !errors.Is(err, fault.ErrSecondFactor) || len(got) != 1 {
		c.t.Fatalf("%v, cookies %v", err, got)
	}
	return got
}

func (c *console) enterCode(code string, cookies ...*http.Cookie) ([]*http.Cookie, error) {
	c.t.Helper()
	w := httptest.NewRecorder()
	r := c.request("192.0.2.1", cookies...)
	ctx, err := c.Identify(r)
	must(c.t, err)
	err = c.LogInCode(w, r.WithContext(ctx), code)
	return w.Result().Cookies(), err
}

func TestACodeIsAskedForAfterThePassword(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	session := c.mustLogIn("bob")
	secret, recovery := c.enrolled(c.as(session...))
	if len(recovery) != 10 || len(recovery[0]) != 19 {
		t.Errorf("recovery codes %v", recovery)
	}
	c.pass(time.Minute)
	pending := c.password("bob")
	if access.From(c.as(pending...)).Known() {
		t.Fatal("a log-in without its code is a session")
	}
	for _, code := range []string{"", "000000", "12345", strings.Repeat("1", 1<<16), c.codeAt(secret, -time.Minute), c.codeAt(secret, time.Minute), "BBBB-BBBB-BBBB-BBBB"} {
		if _, err := c.enterCode(code, pending...); !errors.Is(err, auth.ErrCode) {
			t.Errorf("%.20q: %v", code, err)
		}
	}
	code := c.codeAt(secret, 30*time.Second) // a clock may be a step off
	cookies, err := c.enterCode(" "+code[:3]+" "+code[3:], pending...)
	must(t, err)
	if access.From(c.as(named(t, cookies, auth.SessionCookie))).Name != "bob" {
		t.Error("nobody is signed in")
	}
	if _, err := c.enterCode(c.codeAt(secret, 30*time.Second), pending...); !errors.Is(err, auth.ErrPending) {
		t.Errorf("a password serves twice: %v", err)
	}
	// The code of this step, and that of the step before, were not used, and count no more.
	again := c.password("bob", cookies...)
	for _, off := range []time.Duration{-30 * time.Second, 0, 30 * time.Second} {
		if _, err := c.enterCode(c.codeAt(secret, off), again...); !errors.Is(err, auth.ErrCode) {
			t.Errorf("a code is replayed: %v", err)
		}
	}
	_, err = c.enterCode(strings.ToLower(recovery[3]), again...)
	must(t, err)
	if _, err := c.enterCode(recovery[3], c.password("bob", cookies...)...); !errors.Is(err, auth.ErrCode) {
		t.Errorf("a recovery code counts twice: %v", err)
	}
	if _, left, err := c.Factor(c.as(session...)); err != nil || left != 9 {
		t.Errorf("%d recovery codes are left, %v", left, err)
	}
}

func TestAPasswordWithoutItsCodeEnds(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	ctx := c.as(c.mustLogIn("bob")...)
	secret, _ := c.enrolled(ctx)
	late := c.password("bob")
	c.pass(5 * time.Minute)
	_, err := c.enterCode(c.codeAt(secret, 0), late...)
	if !errors.Is(err, auth.ErrPending) {
		t.Errorf("late: %v", err)
	}
	before := c.password("bob")
	must(t, c.ChangePassword(ctx, good, "another otter in the sea"))
	_, err = c.enterCode(c.codeAt(secret, 0), before...)
	wants(t, fault.ErrSignedOut, err)
}

func TestCodesAreLimitedAsPasswordsAre(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	secret, _ := c.enrolled(c.as(c.mustLogIn("bob")...))
	c.pass(time.Minute)
	for range 10 {
		_, err := c.enterCode("000000", c.password("bob")...)
		if errors.Is(err, fault.ErrRateLimited) {
			break
		}
		wants(t, fault.ErrSignedOut, err)
	}
	if _, err := c.logIn("bob", good, "192.0.2.1"); !errors.Is(err, fault.ErrRateLimited) {
		t.Errorf("after ten wrong codes: %v", err)
	}
	c.pass(15 * time.Minute)
	_, err := c.enterCode(c.codeAt(secret, 0), c.password("bob")...)
	must(t, err)
}

func TestASecondFactorIsConfirmedAndRemovedWithProof(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	ctx := c.as(c.mustLogIn("bob")...)
	wants(t, fault.ErrInvalid, c.RemoveFactor(ctx, "there is none"))
	_, secret, err := c.Enrol(ctx, "x")
	must(t, err)
	if _, same, err := c.Enrol(ctx, "x"); err != nil || same != secret {
		t.Errorf("a reload makes another secret: %v", err)
	}
	_, err = c.ConfirmFactor(ctx, "000000")
	wants(t, fault.ErrInvalid, err)
	c.mustLogIn("bob") // needs no code yet
	_, err = c.ConfirmFactor(c.as(c.mustLogIn("bob")...), c.codeAt(secret, 0))
	wants(t, fault.ErrConflict, err) // another session's
	c.pass(15 * time.Minute)
	_, err = c.ConfirmFactor(ctx, c.codeAt(secret, 0))
	wants(t, fault.ErrConflict, err)

	secret, recovery := c.enrolled(ctx)
	_, _, err = c.Enrol(ctx, "x")
	wants(t, fault.ErrConflict, err)
	wants(t, fault.ErrInvalid, c.RemoveFactor(ctx, "wrong"))
	wants(t, fault.ErrInvalid, c.RemoveFactor(ctx, c.codeAt(secret, 0))) // used when it was set up
	_, token := c.token(ctx, access.Token{Name: "x", Scopes: []access.Scope{access.ScopeAll}})
	with, err := c.bearer("Bearer " + token)
	must(t, err)
	wants(t, fault.ErrForbidden, c.RemoveFactor(with, recovery[0]))
	must(t, c.RemoveFactor(ctx, recovery[0]))
	c.mustLogIn("bob")
	c.enrolled(ctx)
	must(t, c.RemoveFactor(ctx, good))
	c.enrolled(ctx)
	wants(t, fault.ErrForbidden, c.RemoveUserFactor(ctx, "bob"))
	must(t, c.RemoveUserFactor(c.as(c.mustLogIn("ann")...), "bob"))
	c.mustLogIn("bob")
}

func TestWhoNeedsASecondFactorDoesNothingBefore(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	service := c.again(auth.Options{RequireSecondFactor: auth.RequireAdministrators})
	c.Service = service
	ctx := c.as(c.mustLogIn("ann")...)
	who := access.From(ctx)
	if who.First != access.NewFactor || who.May(access.UsersManage, "") || who.MayAnywhere(access.RunsRead) || who.May(access.SignedIn, "") || who.May(access.Account, "") || !who.May(access.Factor, "") {
		t.Errorf("%+v", who)
	}
	_, _, err := c.CreateToken(ctx, access.Token{Name: "x", Scopes: []access.Scope{access.ScopeAll}})
	wants(t, fault.ErrForbidden, err)
	_, err = c.Program(ctx, "BBBB-BBBB")
	wants(t, fault.ErrForbidden, err)
	if access.From(c.as(c.mustLogIn("bob")...)).First != nil {
		t.Error("bob is no administrator")
	}
	cookies := c.mustLogIn("ann")
	c.enrolled(c.as(cookies...))
	if who := access.From(c.as(cookies...)); who.First != nil || !who.May(access.UsersManage, "") {
		t.Errorf("%+v", who)
	}
}

func TestSecretsOfSecondFactorsAreEncryptedWithAKey(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	plain := c.Service
	c.Service = c.again(auth.Options{SecretKey: strings.Repeat("k", 32)})
	secret, _ := c.enrolled(c.as(c.mustLogIn("bob")...))
	f, err := c.store.Factor(t.Context(), "u-bob")
	must(t, err)
	if strings.Contains(f.Secret, secret) || !strings.HasPrefix(f.Secret, "aes-gcm:") {
		t.Errorf("stored as %s", f.Secret)
	}
	c.pass(time.Minute)
	for name, other := range map[string]*auth.Service{"without the key": plain, "with another key": c.again(auth.Options{SecretKey: strings.Repeat("x", 32)})} {
		must(t, auth.Follow(other, t.Context()))
		c := &console{t: t, Service: other, store: c.store, now: c.now}
		_, err := c.enterCode(c.codeAt(secret, 0), c.password("bob")...)
		if err == nil || errors.Is(err, fault.ErrSignedOut) {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err = c.enterCode(c.codeAt(secret, 0), c.password("bob")...)
	must(t, err)
}
