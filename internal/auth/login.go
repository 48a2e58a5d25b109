package auth

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/fault"
)

// deviceLifetime is how long a browser is known after the last log-in.
const deviceLifetime = 365 * 24 * time.Hour

// ErrWrong is the fault for a name or password that is wrong; it does not tell which.
var ErrWrong = fault.New(fault.ErrSignedOut, "The name or the password is wrong.", "Check both and try again.")

// LogIn signs in with a password: it sets the cookie of a new session, whatever session there was before. It fails with
// [ErrWrong], [ErrSecondFactor], [fault.ErrRateLimited] or [fault.ErrBusy].
func (s *Service) LogIn(w http.ResponseWriter, r *http.Request, name, password string) error {
	ctx := r.Context()
	if s.noPasswords {
		return ErrNoPasswords
	}
	name = strings.ToLower(strings.TrimSpace(name))
	user := s.person(name)
	device, err := s.device(r, user.ID)
	if err != nil {
		return err
	}
	hash, err := s.accounts.Password(ctx, user.ID)
	if err != nil {
		return err
	}
	counters := attempts(ctx, fault.Cut(name, 127), device, hash)
	hash, err = s.verify(ctx, counters, user.ID, password, hash)
	if err != nil {
		// An unknown name may be a password that was typed into the wrong field.
		tried := s.called(name)
		s.log.Info("log-in failed", "user", tried.Name, "address", addressOf(ctx), "err", err)
		s.refused(ctx, tried, err)
		return err
	}
	asks := user.SecondFactor
	if !asks && s.needsFactor(user) { // a passkey will do, for who has one
		has, err := s.usable(ctx, user.ID)
		if err != nil {
			return err
		}
		asks = len(has) > 0
	}
	if asks {
		return s.suspend(w, r, pending{user: user, device: device, hash: hash, counters: counters})
	}
	return s.begin(w, r, user, device, hash, signedIn{})
}

// person returns the person with a login name who may use the console; nobody has no ID.
func (s *Service) person(name string) access.User {
	user := s.called(name)
	if user.Disabled || user.Kind != access.Person {
		return access.User{}
	}
	return user
}

// called returns who has a login name, whether they may sign in or not; nobody has no ID.
func (s *Service) called(name string) access.User {
	snap := s.snapshot.Load()
	user := snap.users[snap.byName[name]]
	if user.Deleted {
		return access.User{}
	}
	return user
}

// device returns the device cookie of a browser in which a user has signed in before, "" for others.
func (s *Service) device(r *http.Request, user access.UserID) (string, error) {
	value, ok := cookie(r, deviceCookie)
	if !ok || user == "" {
		return "", nil
	}
	known, err := s.accounts.KnowsDevice(r.Context(), keyOf(value), user)
	if !known {
		value = ""
	}
	return value, err
}

// verify checks a password against a hash, unless there were too many failures, and returns the hash, which may have been
// renewed.
func (s *Service) verify(ctx context.Context, counters []counter, user access.UserID, password, hash string) (string, error) {
	forgive, err := s.lockout.begin(counters)
	if err != nil {
		return "", err
	}
	ok, renew, err := s.hashes.Verify(ctx, password, hash)
	if err != nil {
		forgive()
		return "", err
	}
	if !ok {
		return "", ErrWrong
	}
	forgive()
	if renew {
		stronger, err := s.hashes.Hash(ctx, password)
		if err == nil {
			err = s.accounts.RenewPassword(ctx, user, hash, stronger)
		}
		if err != nil {
			return "", err
		}
		hash = stronger
	}
	return hash, nil
}

// signedIn is how somebody was signed in.
type signedIn struct {
	issuer string // the provider, or the passkey, that did; "" for a password
	factor bool   // the provider says that it asked for a second factor
}

// begin starts a session of a user whose password has a hash, and remembers the browser.
func (s *Service) begin(w http.ResponseWriter, r *http.Request, user access.User, device, hash string, how signedIn) error {
	ctx, now, secret, lifetime := r.Context(), s.now(), newSecret(), sessionLifetime
	if s.provider != nil && how.issuer == s.provider.Issuer {
		lifetime = providerLifetime
	}
	session := access.Session{
		ID: newID(), User: user.ID, CreatedAt: now, SeenAt: now, ExpiresAt: now.Add(lifetime),
		Address: addressOf(ctx), Agent: fault.Cut(r.UserAgent(), maxAgent), Issuer: how.issuer, SecondFactor: how.factor,
	}
	if err := s.accounts.CreateSession(s.auditedAs(ctx, user, actionLogIn), keyOf(secret), session, hash); err != nil {
		return err
	}
	if device == "" {
		device = newSecret()
	}
	if err := s.accounts.RememberDevice(ctx, keyOf(device), user.ID, now); err != nil {
		return err
	}
	if before := access.From(ctx); before.Session != "" {
		if err := s.after(ctx, s.accounts.EndSession(ctx, before.User, before.Session)); err != nil {
			s.log.Warn("the session before a log-in stays", "user", before.Name, "err", err) // it ended meanwhile
		}
	}
	setCookie(w, r, sessionCookie, secret, lifetime)
	setCookie(w, r, deviceCookie, device, deviceLifetime)
	s.log.Info("signed in", "user", user.Name, "session", session.ID, "address", session.Address)
	return nil
}

// Ended reports whether a request has a session that counts no more, or never did.
func (s *Service) Ended(r *http.Request) bool {
	_, has := cookie(r, sessionCookie)
	return has && !access.From(r.Context()).Known()
}

// LogOut ends the session of a request and removes its cookie. It returns where the provider that has signed the user in ends
// its own session, "" for nowhere.
func (s *Service) LogOut(w http.ResponseWriter, r *http.Request) (elsewhere string, err error) {
	ctx := r.Context()
	setCookie(w, r, sessionCookie, "", 0)
	identity := access.From(ctx)
	if identity.Session == "" {
		return "", nil
	}
	if ref, ok := ctx.Value(referenceKey{}).(reference); ok && s.provider != nil {
		if c, err := s.credential(ctx, s.snapshot.Load(), ref); err == nil && c.issuer == s.provider.Issuer {
			elsewhere = s.provider.OIDC.LogOutURL(s.address(r, "/login"))
		}
	}
	return elsewhere, s.after(ctx, s.accounts.EndSession(s.audited(ctx, actionLogOut), identity.User, identity.Session))
}
