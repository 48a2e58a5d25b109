package auth

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/audit"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/inbound"
	"github.com/cotrain/cotrain/internal/store/accounts"
)

const (
	// sessionLifetime is how long a session lasts at most: a browser that is used every day asks for the password once a month.
	sessionLifetime = 30 * 24 * time.Hour
	// providerLifetime is that of one that the provider has signed in: who leaves the team there is out here within a day, and who
	// stays is mostly signed in by a click.
	providerLifetime = 24 * time.Hour
	// idleLifetime is how long a session lasts that is not used: over a weekend or a short leave, not longer.
	idleLifetime = 7 * 24 * time.Hour
	// maxCredentials bounds those in memory; the rest is looked up again.
	maxCredentials = 20_000
	// maxAgent is what is kept of a User-Agent, in bytes.
	maxAgent = 200
)

// ErrToken is the fault for a bearer token that counts no more, or never did.
var ErrToken = fault.New(fault.ErrSignedOut, "The API token is not valid: it is mistyped, has expired or was revoked, or its user was disabled.", "Make another one on the page of your account.")

// credential is a session or an API token that exists.
type credential struct {
	user    access.UserID
	session string
	issuer  string // the provider that the session was signed in by
	factor  bool   // the provider asked for a second factor, or it is a passkey's
	token   access.Token
	limit   *access.Limit
	expires time.Time
	seen    atomic.Int64 // Unix milliseconds
}

// reference is what a request presents, as it is looked up.
type reference struct {
	key     string // "" for nothing
	isToken bool
}

type referenceKey struct{}

// Identify finds out who sends a request, and returns the request's context with the identity and what the audit log tells of
// it. A session that is not valid, or of a user who may not use the console, is nobody's; such a token is [ErrToken].
func (s *Service) Identify(r *http.Request) (context.Context, error) {
	ctx := access.WithServices(audit.WithRequest(r.Context(), requestOf(r)), s.isService)
	ref, err := presented(r)
	if err != nil || ref.key == "" {
		return ctx, err
	}
	identity, err := s.identity(ctx, ref, addressOf(r.Context()))
	switch {
	case err == nil:
		return access.With(context.WithValue(ctx, referenceKey{}, ref), identity), nil
	case !errors.Is(err, fault.ErrSignedOut):
		return ctx, err
	case ref.isToken:
		return ctx, ErrToken
	}
	return ctx, nil
}

func (s *Service) isService(name string) bool {
	snap := s.snapshot.Load()
	return snap.users[snap.byName[name]].Kind == access.Service
}

// Still returns who a request's identity is now, or [fault.ErrSignedOut] if its session or token is valid no more; see
// [Service.Changed].
func (s *Service) Still(ctx context.Context) (access.Identity, error) {
	ref, ok := ctx.Value(referenceKey{}).(reference)
	if !ok {
		return access.Identity{}, nil // nobody, still
	}
	return s.identity(ctx, ref, "")
}

// presented returns what a request presents.
func presented(r *http.Request) (reference, error) {
	given := r.Header["Authorization"]
	for _, value := range given {
		scheme, token, _ := strings.Cut(value, " ")
		if !strings.EqualFold(scheme, "Bearer") {
			continue // a proxy's
		}
		if len(given) > 1 || !isTokenForm(token) {
			return reference{}, ErrToken
		}
		return reference{keyOf(token), true}, nil
	}
	if value, ok := cookie(r, sessionCookie); ok {
		return reference{key: keyOf(value)}, nil
	}
	return reference{}, nil
}

// identity is who has a credential now, [fault.ErrSignedOut] if nobody. from is the address that uses it, "" if none does.
func (s *Service) identity(ctx context.Context, ref reference, from string) (access.Identity, error) {
	now, snap := s.now(), s.snapshot.Load()
	c, err := s.credential(ctx, snap, ref)
	if err != nil {
		return access.Identity{}, err
	}
	user, ok := snap.user(c.user)
	seen := c.seen.Load()
	idle := c.session != "" && now.UnixMilli()-seen > idleLifetime.Milliseconds()
	if !ok || idle || !c.expires.IsZero() && !now.Before(c.expires) {
		return access.Identity{}, fault.ErrSignedOut
	}
	if from != "" && now.UnixMilli()-seen >= saveEvery.Milliseconds() && c.seen.CompareAndSwap(seen, now.UnixMilli()) {
		s.note(ref, accounts.Seen{Session: c.session, Token: c.token.ID, User: c.user, At: now, From: from})
	}
	return access.Identity{
		User: user.ID, Name: user.Name, Administrator: user.Administrator || user.ByGroups, Roles: snap.roles[user.ID],
		First: s.first(user, c), Session: c.session, Token: c.token.ID, Limit: c.limit,
	}, nil
}

// credential looks one up, in the store if it was not used since the snapshot.
//
// It belongs to the snapshot: what ends a credential makes another snapshot, whose credentials are read after that.
func (s *Service) credential(ctx context.Context, snap *snapshot, ref reference) (*credential, error) {
	snap.mu.RLock()
	c := snap.credentials[ref]
	snap.mu.RUnlock()
	if c != nil {
		return c, nil
	}
	c, err := s.stored(ctx, ref)
	if err != nil {
		return nil, err
	}
	snap.mu.Lock()
	defer snap.mu.Unlock()
	if known := snap.credentials[ref]; known != nil {
		return known, nil
	}
	if len(snap.credentials) >= maxCredentials {
		clear(snap.credentials)
	}
	snap.credentials[ref] = c
	return c, nil
}

func (s *Service) stored(ctx context.Context, ref reference) (*credential, error) {
	c := &credential{}
	if ref.isToken {
		token, err := s.accounts.TokenByKey(ctx, ref.key)
		if errors.Is(err, fault.ErrNoToken) {
			return nil, fault.ErrSignedOut
		}
		c.user, c.token, c.expires = token.User, token, token.ExpiresAt
		c.limit = &access.Limit{Project: token.Project, Scopes: token.Scopes}
		c.seen.Store(token.UsedAt.UnixMilli())
		return c, err
	}
	session, err := s.accounts.SessionByKey(ctx, ref.key)
	if errors.Is(err, fault.ErrNoSession) {
		return nil, fault.ErrSignedOut
	}
	c.user, c.session, c.issuer, c.expires = session.User, session.ID, session.Issuer, session.ExpiresAt
	c.factor = session.SecondFactor || session.Passkey() != ""
	c.seen.Store(session.SeenAt.UnixMilli())
	return c, err
}

func requestOf(r *http.Request) audit.Request {
	return audit.Request{ID: newRequestID(), Address: addressOf(r.Context()), Agent: fault.Cut(r.UserAgent(), maxAgent)}
}

// addressOf is a client's, "" if it is not known.
func addressOf(ctx context.Context) string {
	if client := inbound.Of(ctx).Client; client.IsValid() {
		return client.String()
	}
	return ""
}
