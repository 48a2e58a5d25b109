package auth

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/auth/oidc"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/inbound"
)

// The paths of a log-in at a provider.
const (
	ProviderPath = "/login/oidc"
	CallbackPath = "/login/oidc/callback"
)

const (
	// loginCookie has what binds a log-in at a provider to the browser.
	loginCookie = "cotrain_login"
	// loginLifetime is how long somebody may take there.
	loginLifetime = 10 * time.Minute
)

// Provider is where people sign in by OpenID Connect.
type Provider struct {
	OIDC   *oidc.Provider
	Issuer string
	Name   string // for people
	// Groups say what groups give; Allowed, unless empty, are those of which one must be a member.
	Groups  []access.GroupGrant
	Allowed []string
}

// The faults of a log-in at a provider, beside those of package oidc.
var (
	ErrNoPasswords = fault.New(fault.ErrForbidden, "Nobody signs in with a password on this console.", "Use the log-in provider. Whoever runs the console can allow passwords again (auth.local).")

	errStale    = fault.New(fault.ErrForbidden, "This sign-in did not begin in this browser, took more than 10 minutes, or has been used.", "Sign in again.")
	errOutside  = fault.New(fault.ErrForbidden, "You are in none of the groups that may use this console.", "Ask whoever runs the log-in provider to add you to one.")
	errDisabled = fault.New(fault.ErrForbidden, "Your account on this console is disabled.", "Ask an administrator to enable it.")
	errNameless = fault.New(fault.ErrForbidden, "The log-in provider tells no name that could be a login name: lower-case letters, digits and . _ @ + -, or a verified email address.", "Ask an administrator to make you an account and link it, or to choose another claim (oidc.user_claim).")
)

// Ways returns how one signs in: with a password, and at a provider, "" for none. link leads to the latter and back to next.
func (s *Service) Ways(r *http.Request, next string) (passwords bool, provider, link string) {
	if s.provider == nil {
		return !s.noPasswords, "", ""
	}
	link = ProviderPath + "?" + url.Values{"next": {next}}.Encode()
	if u := s.public; u != nil && !strings.EqualFold(inbound.Hostname(r.Host), u.Hostname()) {
		link = u.String() + link // where the cookie must be
	}
	return !s.noPasswords, s.provider.Name, link
}

// address is that of a path of the console, as browsers know it.
func (s *Service) address(r *http.Request, path string) string {
	if s.public != nil {
		return s.public.String() + path
	}
	scheme := "http"
	if inbound.Of(r.Context()).TLS {
		scheme = "https"
	}
	return scheme + "://" + r.Host + path
}

// BeginAtProvider returns where the browser signs in, and sets the cookie that binds it. next is where to go then.
func (s *Service) BeginAtProvider(w http.ResponseWriter, r *http.Request, next string) (string, error) {
	if s.provider == nil {
		return "", fault.ErrNotFound
	}
	value := fmt.Sprintf("%s.%d.%s", newSecret(), s.now().Unix(), base64.RawURLEncoding.EncodeToString([]byte(inbound.LocalPath(next))))
	to, err := s.provider.OIDC.Begin(r.Context(), value, s.address(r, CallbackPath))
	if err != nil {
		return "", err
	}
	setCookie(w, r, loginCookie, value, loginLifetime)
	return to, nil
}

// FinishAtProvider signs in who came back from the provider, and returns where to go. The cookie is used up in any case. Who has a
// second factor here is asked for it ([ErrSecondFactor]), unless the provider says that it has asked for one.
func (s *Service) FinishAtProvider(w http.ResponseWriter, r *http.Request) (next string, err error) {
	if s.provider == nil {
		return "/", fault.ErrNotFound
	}
	ctx := r.Context()
	value, next := s.begun(r)
	setCookie(w, r, loginCookie, "", 0)
	user, person, err := s.atProvider(ctx, r, value)
	if err == nil {
		err = s.enter(w, r, user, person.SecondFactor)
	}
	if err != nil && !errors.Is(err, fault.ErrSecondFactor) {
		s.log.Info("log-in at the provider failed", "user", user.Name, "address", addressOf(ctx), "err", fault.Cut(err.Error(), 1000))
		s.refusedAtProvider(ctx, user, person, err)
	}
	return next, err
}

// enter begins a session of who has signed in at the provider, or asks for a code first.
func (s *Service) enter(w http.ResponseWriter, r *http.Request, user access.User, factor bool) error {
	ctx := r.Context()
	device, err := s.device(r, user.ID)
	if err != nil {
		return err
	}
	hash, err := s.accounts.Password(ctx, user.ID)
	if err != nil {
		return err
	}
	if user.SecondFactor && !factor {
		return s.suspend(w, r, pending{user: user, device: device, hash: hash, issuer: s.provider.Issuer, counters: attempts(ctx, user.Name, device, hash)})
	}
	return s.begin(w, r, user, device, hash, signedIn{s.provider.Issuer, factor})
}

// begun reads the cookie of a log-in that began not long ago; without one the value is "".
func (s *Service) begun(r *http.Request) (value, next string) {
	all := r.CookiesNamed(inbound.CookieName(r.Context(), loginCookie))
	if len(all) != 1 {
		return "", "/"
	}
	parts := strings.Split(all[0].Value, ".")
	if len(parts) != 3 || len(parts[0]) != base64.RawURLEncoding.EncodedLen(secretBytes) {
		return "", "/"
	}
	path, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil {
		return "", "/"
	}
	next = inbound.LocalPath(string(path))
	began, err := strconv.ParseInt(parts[1], 10, 64)
	if age := s.now().Sub(time.Unix(began, 0)); err != nil || age < -oidc.Skew || age > loginLifetime {
		return "", next
	}
	return all[0].Value, next
}

// atProvider finds out who has signed in there, and as whom here. value is the cookie's.
func (s *Service) atProvider(ctx context.Context, r *http.Request, value string) (access.User, oidc.Person, error) {
	query := r.URL.Query()
	if len(query["state"]) != 1 || !oidc.IsState(query.Get("state"), value) {
		return access.User{}, oidc.Person{}, errStale
	}
	if err := s.accounts.UseLogIn(ctx, keyOf(value), s.now()); errors.Is(err, fault.ErrSignedOut) {
		return access.User{}, oidc.Person{}, errStale.Because(err)
	} else if err != nil {
		return access.User{}, oidc.Person{}, err
	}
	person, err := s.provider.OIDC.Finish(ctx, value, s.address(r, CallbackPath), query)
	if err != nil {
		return access.User{}, person, err
	}
	user, err := s.admit(ctx, person)
	return user, person, err
}

// admit returns the user that a person is, who is made at the first time, with what the groups give.
func (s *Service) admit(ctx context.Context, p oidc.Person) (access.User, error) {
	if allowed := s.provider.Allowed; len(allowed) > 0 && !slices.ContainsFunc(p.Groups, func(g string) bool { return slices.Contains(allowed, g) }) {
		return access.User{}, errOutside
	}
	user, err := s.accounts.ByIdentity(ctx, p.Issuer, p.Subject)
	if errors.Is(err, fault.ErrNoUser) {
		user, err = s.join(ctx, p)
	}
	switch {
	case err != nil:
		return user, err
	case user.Deleted:
		return user, notYours("Your account on this console was deleted.", "an account", p)
	case user.Disabled:
		return user, errDisabled
	}
	return user, s.applyGroups(ctx, user, p.Groups)
}

// join makes a user of a person whom the console does not know. A name that somebody has is never taken for the same person:
// names and email addresses are what a provider, or whoever may change them there, likes.
func (s *Service) join(ctx context.Context, p oidc.Person) (access.User, error) {
	if p.Name == "" {
		return access.User{}, errNameless
	}
	u := access.User{ID: access.UserID("u-" + newID()), Name: p.Name, Kind: access.Person, CreatedAt: s.now()}
	if checkLine("display_name", p.DisplayName) == nil {
		u.DisplayName = p.DisplayName
	}
	if checkProfile(access.User{Email: p.Email}) == nil {
		u.Email = p.Email
	}
	err := s.after(ctx, s.accounts.CreateFromIdentity(s.auditedAs(ctx, u, actionJoin), u, access.ProviderIdentity{Issuer: p.Issuer, Subject: p.Subject, User: u.ID, CreatedAt: u.CreatedAt}))
	if errors.Is(err, fault.ErrConflict) {
		known, again := s.accounts.ByIdentity(ctx, p.Issuer, p.Subject) // made by another tab
		if again == nil {
			return known, nil
		}
		return access.User{}, notYours(fmt.Sprintf("The login name %s is taken on this console.", p.Name), p.Name, p).Because(err)
	}
	if err == nil {
		s.log.Info("user joined by the provider", "user", u.Name, "address", addressOf(ctx))
	}
	return u, err
}

// notYours is the fault for a person who needs an administrator's help, and what that needs.
func notYours(what, account string, p oidc.Person) *fault.Error {
	return fault.New(fault.ErrForbidden, what, fmt.Sprintf("If it is yours, ask an administrator to link %s to your subject at the log-in provider, %s.", account, fault.Quote(p.Subject)))
}

// applyGroups gives a user what its groups give, and takes what they gave before.
func (s *Service) applyGroups(ctx context.Context, user access.User, groups []string) error {
	before, err := s.accounts.GroupGrants(ctx, user.ID)
	if err != nil {
		return err
	}
	after := s.granted(ctx, groups)
	if maps.Equal(before, after) {
		return nil
	}
	s.log.Info("groups change what a user may do", "user", user.Name, "before", len(before), "after", len(after))
	return s.after(ctx, s.accounts.SetGroupGrants(s.auditedAs(ctx, user, actionGroups), user.ID, after))
}

// granted is what groups give, by project: the highest role of each that exists.
func (s *Service) granted(ctx context.Context, groups []string) map[string]access.Grant {
	out, projects := map[string]access.Grant{}, s.ProjectNames(ctx)
	for _, g := range s.provider.Groups {
		has, already := out[g.Project]
		switch {
		case !slices.Contains(groups, g.Group), already && has.Role.Includes(g.Role):
		case g.Administrates(), slices.Contains(projects, g.Project):
			out[g.Project] = g.Grant
		default:
			s.log.Warn("groups are mapped to a project that does not exist", "project", g.Project)
		}
	}
	return out
}
