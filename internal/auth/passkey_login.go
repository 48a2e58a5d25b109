package auth

import (
	"context"
	"errors"
	"net/http"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/auth/passkey"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/inbound"
)

// BeginPasskeyLogIn returns what to ask a browser for, to sign in with a passkey: one of who has entered the password, or
// anybody's. It binds the answer to the browser by the cookie of a log-in that is under way.
func (s *Service) BeginPasskeyLogIn(w http.ResponseWriter, r *http.Request) (options any, err error) {
	site, err := s.passkeySite(r)
	if err != nil {
		return nil, err
	}
	var some []access.Passkey
	if p, err := s.pending(r); err == nil {
		if some, err = s.usable(r.Context(), p.user.ID); err != nil {
			return nil, err
		}
	}
	browser, ok := cookie(r, pendingCookie)
	if !ok {
		browser = newSecret()
	}
	setCookie(w, r, pendingCookie, browser, pendingLifetime)
	return site.Use(s.challenges.New(signingInFrom(browser)), some)
}

func signingInFrom(browser string) string { return "sign in from " + browser }

// LogInPasskey signs in with a passkey alone, which is two factors: the device, and what it asks its owner for. It is refused,
// counted and told in the audit log as a password is.
func (s *Service) LogInPasskey(w http.ResponseWriter, r *http.Request, answer string) error {
	ctx := r.Context()
	site, err := s.passkeySite(r)
	if err != nil {
		return err
	}
	used, err := passkey.ParseUsed(answer)
	if err != nil {
		s.log.Info("log-in with a passkey failed", "address", addressOf(ctx), "err", fault.Cut(err.Error(), 1000))
		return errPasskeyAnswer.Because(err)
	}
	key, user, err := s.passkeyOf(ctx, used.Credential)
	if err != nil {
		return err
	}
	device, err := s.device(r, user.ID)
	if err != nil {
		return err
	}
	hash, err := s.accounts.Password(ctx, user.ID)
	if err != nil {
		return err
	}
	counters := []counter{{"net " + inbound.Of(ctx).Network().String(), perNet}} // nobody guesses a passkey: no limit by name
	if device != "" {
		counters = attempts(ctx, user.Name, device, hash)
	}
	forgive, err := s.lockout.begin(counters)
	if err != nil {
		return err
	}
	if err := s.checkPasskey(r, site, used, key, user); err != nil {
		if !errors.Is(err, fault.ErrSignedOut) {
			forgive()
		}
		s.log.Info("log-in with a passkey failed", "user", user.Name, "address", addressOf(ctx), "err", fault.Cut(err.Error(), 1000))
		s.refused(ctx, user, err)
		return err
	}
	forgive()
	if err := s.begin(w, r, user, device, hash, signedIn{issuer: access.PasskeyIssuer(key.ID)}); err != nil {
		return err
	}
	s.forget(w, r)
	return nil
}

// passkeyOf returns the passkey that devices call so, and whose it is; both are zero for one that is not known.
func (s *Service) passkeyOf(ctx context.Context, credential []byte) (key access.Passkey, user access.User, err error) {
	key, err = s.accounts.PasskeyByCredential(ctx, credential)
	if errors.Is(err, fault.ErrNotFound) {
		return access.Passkey{}, user, nil
	}
	return key, s.snapshot.Load().users[key.User], err
}

// checkPasskey checks what a passkey has signed, and has it count no more.
func (s *Service) checkPasskey(r *http.Request, site passkey.Site, used passkey.Used, key access.Passkey, user access.User) error {
	ctx := r.Context()
	browser, ok := cookie(r, pendingCookie)
	if key.ID == "" {
		return errPasskeyUnknown
	}
	if !ok || !s.challenges.Is(used.Challenge, signingInFrom(browser)) {
		return errPasskeyStale
	}
	key, err := site.Verify(used, key)
	if err != nil {
		return errPasskeyInvalid.Because(err)
	}
	if _, may := s.snapshot.Load().user(user.ID); !may || user.Kind != access.Person || !user.HasPassword {
		return errPasskeyAccount
	}
	if err := s.spend(ctx, used.Challenge); err != nil {
		return err
	}
	err = s.accounts.UsePasskey(ctx, key.ID, key.Uses, key.Synced, s.now())
	switch {
	case errors.Is(err, fault.ErrConflict):
		return errPasskeyCloned.Because(err)
	case errors.Is(err, fault.ErrNotFound):
		return errPasskeyUnknown.Because(err)
	}
	return err
}
