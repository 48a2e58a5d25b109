package auth

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store/accounts"
)

var (
	errInBrowser = fault.New(fault.ErrForbidden, "Only a person who is signed in with a browser does that.", "Open the page in a browser.")
)

// maxTokenName is in characters.
const maxTokenName = 80

// Account returns who is signed in, and the token that the request used, nil for none.
func (s *Service) Account(ctx context.Context) (access.User, *access.Token, error) {
	identity, snap := access.From(ctx), s.snapshot.Load()
	user, ok := snap.user(identity.User)
	if !ok {
		return user, nil, fault.ErrSignedOut
	}
	if identity.Token == "" {
		return user, nil, nil
	}
	token, err := s.ownToken(ctx)
	return user, &token, err
}

// ownToken is the token that the request used.
func (s *Service) ownToken(ctx context.Context) (access.Token, error) {
	ref, ok := ctx.Value(referenceKey{}).(reference)
	if !ok || !ref.isToken {
		return access.Token{}, fault.ErrSignedOut
	}
	c, err := s.credential(ctx, s.snapshot.Load(), ref)
	if err != nil {
		return access.Token{}, err
	}
	return c.token, nil
}

// ChangePassword changes the password of who is signed in, and ends all other sessions.
func (s *Service) ChangePassword(ctx context.Context, current, password string) error {
	user, _, err := s.Account(ctx)
	if err != nil {
		return err
	}
	hash, err := s.accounts.Password(ctx, user.ID)
	if err != nil {
		return err
	}
	_, err = s.verify(ctx, proofs(user.ID, hash), user.ID, current, hash)
	if fault.Of(err).Kind == fault.ErrSignedOut {
		_ = s.denied(ctx, actionPassword, "", ErrWrong)
		return run.FieldErrors{{Field: "current", Rule: "is not your password", Fix: "type the password that you sign in with"}}
	}
	if err != nil {
		return err
	}
	if errs := checkPassword("password", user.Name, password); errs != nil {
		return errs
	}
	if password == current {
		return run.FieldErrors{{Field: "password", Rule: "is your password already", Fix: "choose another"}}
	}
	fresh, err := s.hashes.Hash(ctx, password)
	if err != nil {
		return err
	}
	s.log.Info("password changed", "user", user.Name)
	return s.after(ctx, s.accounts.SetPassword(s.audited(ctx, actionPassword), user.ID, fresh, false, access.From(ctx).Session))
}

// Sessions returns the sessions of who is signed in, the newest first.
func (s *Service) Sessions(ctx context.Context) ([]access.Session, error) {
	return s.sessions(ctx, access.From(ctx).User)
}

func (s *Service) sessions(ctx context.Context, user access.UserID) ([]access.Session, error) {
	all, err := s.accounts.Sessions(ctx, user)
	for i := range all {
		all[i].Current = all[i].ID == access.From(ctx).Session
		all[i].SeenAt = s.lastSeen(all[i].SeenAt, func(seen accounts.Seen) bool { return seen.Session == all[i].ID })
	}
	now := s.now()
	return slices.DeleteFunc(all, func(se access.Session) bool {
		return !se.Current && (!now.Before(se.ExpiresAt) || now.Sub(se.SeenAt) > idleLifetime)
	}), err
}

// EndSession ends a session of who is signed in.
func (s *Service) EndSession(ctx context.Context, id string) error {
	return s.after(ctx, s.accounts.EndSession(s.audited(ctx, actionEndSessions), access.From(ctx).User, id))
}

// EndOtherSessions ends all sessions of who is signed in but the one of the request.
func (s *Service) EndOtherSessions(ctx context.Context) error {
	identity := access.From(ctx)
	return s.after(ctx, s.accounts.EndSessions(s.audited(ctx, actionEndSessions), identity.User, identity.Session))
}

// Tokens returns the API tokens of who is signed in, the newest first.
func (s *Service) Tokens(ctx context.Context) ([]access.Token, error) {
	return s.tokens(ctx, access.From(ctx).User)
}

// CreateToken makes an API token of who is signed in, of which name, scopes, project and expiry are given. The secret is
// nowhere else. A token makes no token that may do more, or for longer.
func (s *Service) CreateToken(ctx context.Context, t access.Token) (token access.Token, secret string, err error) {
	identity := access.From(ctx)
	if identity.First != nil {
		return t, "", s.denied(ctx, actionCreateToken, "", identity.First.Err())
	}
	if err := s.checkToken(identity, &t); err != nil {
		return t, "", err
	}
	if identity.Token != "" {
		own, err := s.ownToken(ctx)
		if err != nil {
			return t, "", err
		}
		if err := within(own, t); err != nil {
			return t, "", s.denied(ctx, actionCreateToken, t.Project, err)
		}
	}
	t.ID, secret = newToken()
	t.User, t.CreatedAt, t.UsedAt, t.UsedFrom = identity.User, s.now(), time.Time{}, ""
	if err := s.after(ctx, s.accounts.CreateToken(s.audited(ctx, actionCreateToken), keyOf(secret), t)); err != nil {
		return t, "", err
	}
	s.log.Info("token created", "user", identity.Name, "token", t.ID)
	return t, secret, nil
}

// checkToken says what is wrong with a token that an identity asks for.
func (s *Service) checkToken(identity access.Identity, t *access.Token) error {
	var errs run.FieldErrors
	bad := func(field, value, rule, fix string) {
		errs = append(errs, run.FieldError{Field: field, Value: fault.Quote(value), Rule: rule, Fix: fix})
	}
	t.Name = strings.TrimSpace(t.Name)
	switch n := utf8.RuneCountInString(t.Name); {
	case n == 0:
		bad("name", "", "is empty", "say what the token is for")
	case n > maxTokenName || !utf8.ValidString(t.Name) || strings.ContainsFunc(t.Name, fault.Unseen):
		bad("name", t.Name, fmt.Sprintf("has more than %d characters, or one that cannot be shown", maxTokenName), "use a shorter one")
	}
	slices.Sort(t.Scopes)
	t.Scopes = slices.Compact(t.Scopes)
	if len(t.Scopes) == 0 {
		bad("scopes", "", "is empty", "use read, write or all")
	}
	for _, scope := range t.Scopes {
		if _, err := access.ParseScope(string(scope)); err != nil {
			bad("scopes", string(scope), "is no scope", "use read, write, all, or a right such as runs.submit")
		}
	}
	if t.Project != "" && !identity.May(access.ProjectRead, t.Project) {
		bad("project", t.Project, "is no project of yours", "leave it out for all of yours")
	}
	if !t.ExpiresAt.IsZero() && !t.ExpiresAt.After(s.now()) {
		bad("expires_at", t.ExpiresAt.Format(time.RFC3339), "is past", "use a later time, or leave it out for a token that does not expire")
	}
	if len(errs) > 0 {
		return errs
	}
	return nil
}

// within is an error unless a token may make another one.
func within(own, t access.Token) error {
	switch {
	case !slices.Contains(own.Scopes, access.ScopeAll):
		return fault.New(fault.ErrForbidden, "The API token that you use may not make others: its scope is not all.", "Make it on the page of your account.")
	case own.Project != "" && t.Project != own.Project:
		return fault.New(fault.ErrForbidden, "The API token that you use is for project "+own.Project+" only, and so must be those that it makes.", "Name that project.")
	case !own.ExpiresAt.IsZero() && (t.ExpiresAt.IsZero() || t.ExpiresAt.After(own.ExpiresAt)):
		return fault.New(fault.ErrForbidden, "The API token that you use makes none that outlive it.", "Use an expiry before "+own.ExpiresAt.UTC().Format(time.RFC3339)+".")
	}
	return nil
}

// RevokeToken ends an API token of who is signed in.
func (s *Service) RevokeToken(ctx context.Context, id access.TokenID) error {
	return s.after(ctx, s.accounts.RevokeToken(s.audited(ctx, actionRevokeToken), access.From(ctx).User, id))
}
