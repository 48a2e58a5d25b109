package auth

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/totp"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store/accounts"
)

// Who must have a second factor.
const (
	RequireNone           = "none"
	RequireAdministrators = "administrators"
	RequireEverybody      = "everybody"
)

const (
	factorPeriod  = 30 // seconds of a step
	factorSkew    = 1  // steps that a clock may be off
	recoveryCodes = 10
	recoveryChars = 16 // of 5 bits: nobody guesses one, so that a fast hash is enough
	// pendingLifetime is how long one has to enter a code after the password, and enrolLifetime to confirm a new factor.
	pendingLifetime = 5 * time.Minute
	enrolLifetime   = 15 * time.Minute
	maxPending      = 10_000
)

var factorOptions = totp.ValidateOpts{Period: factorPeriod, Digits: otp.DigitsSix, Algorithm: otp.AlgorithmSHA1}

var (
	// ErrSecondFactor is the fault for a log-in that needs a code, too: [Service.LogInCode] completes it.
	ErrSecondFactor = fault.ErrSecondFactor.Fault()
	// ErrCode is the fault for a code that does not count.
	ErrCode = fault.New(fault.ErrSignedOut, "The code is wrong, or was used already.", "Enter the one that is shown now.")
	// ErrPending is the fault for a code without a password before it.
	ErrPending = fault.New(fault.ErrSignedOut, "The log-in began too long ago.", "Sign in again.")
)

// pending is a log-in that has its password, or comes from the provider, and is no session yet.
type pending struct {
	user     access.User
	device   string
	hash     string // of the password: if it changes meanwhile, it counts no more
	issuer   string // the provider that has signed the user in, "" for a password
	counters []counter
	until    time.Time
}

// enrolment is a second factor that is not confirmed yet.
type enrolment struct {
	key   *otp.Key
	until time.Time
}

// factors is what is under way: log-ins by the key of their cookie, and enrolments by session.
type factors struct {
	mu         sync.Mutex
	logIns     map[string]pending
	enrolments map[string]enrolment
}

// sweep forgets what is too old.
func (f *factors) sweep(now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for key, p := range f.logIns {
		if !now.Before(p.until) {
			delete(f.logIns, key)
		}
	}
	for key, e := range f.enrolments {
		if !now.Before(e.until) {
			delete(f.enrolments, key)
		}
	}
}

// suspend keeps a log-in until its code arrives, and returns [ErrSecondFactor].
func (s *Service) suspend(w http.ResponseWriter, r *http.Request, p pending) error {
	secret := newSecret()
	p.until = s.now().Add(pendingLifetime)
	s.factors.mu.Lock()
	defer s.factors.mu.Unlock()
	if len(s.factors.logIns) >= maxPending {
		return fault.ErrBusy.Fault()
	}
	s.factors.logIns[keyOf(secret)] = p
	setCookie(w, r, pendingCookie, secret, pendingLifetime)
	return ErrSecondFactor
}

// PendingLogIn tells what completes the log-in of a request's browser, which has entered a password: a code, a passkey, or
// either. It is [ErrPending] where none is under way.
func (s *Service) PendingLogIn(r *http.Request) (code, passkey bool, err error) {
	p, err := s.pending(r)
	if err != nil {
		return false, false, err
	}
	has, err := s.usable(r.Context(), p.user.ID)
	return s.snapshot.Load().users[p.user.ID].SecondFactor, len(has) > 0, err
}

func (s *Service) pending(r *http.Request) (pending, error) {
	value, _ := cookie(r, pendingCookie)
	s.factors.mu.Lock()
	defer s.factors.mu.Unlock()
	p, ok := s.factors.logIns[keyOf(value)]
	if !ok || !s.now().Before(p.until) {
		return p, ErrPending
	}
	return p, nil
}

// LogInCode completes a log-in with a code of the second factor, or a recovery code. Wrong ones count as wrong passwords do.
func (s *Service) LogInCode(w http.ResponseWriter, r *http.Request, code string) error {
	ctx := r.Context()
	p, err := s.pending(r)
	if err != nil {
		return err
	}
	user, ok := s.snapshot.Load().user(p.user.ID)
	if !ok {
		return ErrPending
	}
	if err := s.checkCode(ctx, p.counters, user.ID, code); err != nil {
		s.log.Info("second factor failed", "user", user.Name, "address", addressOf(ctx), "err", err)
		s.refused(ctx, user, err)
		return err
	}
	if !s.forget(w, r) {
		return ErrPending
	}
	return s.begin(w, r, user, p.device, p.hash, signedIn{issuer: p.issuer})
}

// forget ends the log-in that is under way in a request's browser, and reports whether a password was entered.
func (s *Service) forget(w http.ResponseWriter, r *http.Request) bool {
	value, _ := cookie(r, pendingCookie)
	setCookie(w, r, pendingCookie, "", 0)
	s.factors.mu.Lock()
	defer s.factors.mu.Unlock()
	_, ok := s.factors.logIns[keyOf(value)]
	delete(s.factors.logIns, keyOf(value))
	return ok
}

// checkCode takes a code of a user's second factor, unless there were too many failures.
func (s *Service) checkCode(ctx context.Context, counters []counter, user access.UserID, code string) error {
	forgive, err := s.lockout.begin(counters)
	if err != nil {
		return err
	}
	err = s.takeCode(ctx, user, strings.ToUpper(strings.NewReplacer(" ", "", "-", "").Replace(fault.Cut(code, 64))))
	if errors.Is(err, fault.ErrSignedOut) {
		return ErrCode
	}
	forgive()
	return err
}

func (s *Service) takeCode(ctx context.Context, user access.UserID, code string) error {
	if len(code) == recoveryChars {
		return s.accounts.UseRecovery(ctx, user, recoveryKey(user, code))
	}
	f, err := s.accounts.Factor(ctx, user)
	if errors.Is(err, fault.ErrNotFound) {
		return fault.ErrSignedOut
	}
	if err != nil {
		return err
	}
	secret, err := s.open(user, f.Secret)
	if err != nil {
		return err
	}
	step, ok := stepOf(secret, code, s.now())
	if !ok {
		return fault.ErrSignedOut
	}
	return s.accounts.UseFactor(ctx, user, step)
}

// stepOf returns the step of which a code is, of those about now.
func stepOf(secret, code string, now time.Time) (step int64, ok bool) {
	for d := int64(-factorSkew); d <= factorSkew; d++ {
		at := now.Unix()/factorPeriod + d
		want, err := totp.GenerateCodeCustom(secret, time.Unix(at*factorPeriod, 0), factorOptions)
		if err == nil && subtle.ConstantTimeCompare([]byte(want), []byte(code)) == 1 {
			step, ok = at, true
		}
	}
	return step, ok
}

func recoveryKey(user access.UserID, code string) string { return keyOf(string(user) + " " + code) }

// Factor returns the second factor of who is signed in, without its secret: since when, and how many recovery codes are left.
func (s *Service) Factor(ctx context.Context) (since time.Time, recovery int, err error) {
	f, err := s.accounts.Factor(ctx, access.From(ctx).User)
	if errors.Is(err, fault.ErrNotFound) {
		return time.Time{}, 0, nil
	}
	return f.CreatedAt, f.Recovery, err
}

// Enrol returns the address (otpauth:) and the secret of a new second factor of who is signed in, which counts once it is
// confirmed. It stays the same in a session until then.
func (s *Service) Enrol(ctx context.Context, issuer string) (address, secret string, err error) {
	who := access.From(ctx)
	if who.Session == "" {
		return "", "", errInBrowser
	}
	if u, ok := s.snapshot.Load().user(who.User); !ok || u.SecondFactor {
		return "", "", fault.New(fault.ErrConflict, "There is a second factor already.", "Remove it first.")
	}
	s.factors.mu.Lock()
	defer s.factors.mu.Unlock()
	e, ok := s.factors.enrolments[who.Session]
	if !ok || !s.now().Before(e.until) {
		if e.key, err = totp.Generate(totp.GenerateOpts{Issuer: issuer, AccountName: who.Name, SecretSize: 20}); err != nil {
			return "", "", wrap("make a second factor", err)
		}
		e.until = s.now().Add(enrolLifetime)
		s.factors.enrolments[who.Session] = e
	}
	return e.key.URL(), e.key.Secret(), nil
}

// ConfirmFactor makes the new second factor count, with a code of it, and returns the recovery codes, which are nowhere else.
func (s *Service) ConfirmFactor(ctx context.Context, code string) (recovery []string, err error) {
	who := access.From(ctx)
	s.factors.mu.Lock()
	e, ok := s.factors.enrolments[who.Session]
	s.factors.mu.Unlock()
	if !ok || who.Session == "" || !s.now().Before(e.until) {
		return nil, fault.New(fault.ErrConflict, "Setting it up took too long.", "Begin again.")
	}
	forgive, err := s.lockout.begin([]counter{{"enrol " + string(who.User), perDevice}})
	if err != nil {
		return nil, err
	}
	step, ok := stepOf(e.key.Secret(), strings.ReplaceAll(fault.Cut(code, 64), " ", ""), s.now())
	if !ok {
		return nil, run.FieldErrors{{Field: "code", Rule: "is not the code that the app shows now", Fix: "wait for the next one, and check the clock of the device"}}
	}
	forgive()
	sealed, err := s.seal(who.User, e.key.Secret())
	if err != nil {
		return nil, err
	}
	keys := make([]string, recoveryCodes)
	for i := range keys {
		text := rand.Text()[:recoveryChars]
		keys[i] = recoveryKey(who.User, text)
		recovery = append(recovery, text[:4]+"-"+text[4:8]+"-"+text[8:12]+"-"+text[12:])
	}
	err = s.after(ctx, s.accounts.SetFactor(s.audited(ctx, actionSetFactor), who.User, accounts.Factor{Secret: sealed, CreatedAt: s.now()}, step, keys))
	if err != nil {
		return nil, err
	}
	s.factors.mu.Lock()
	delete(s.factors.enrolments, who.Session)
	s.factors.mu.Unlock()
	s.log.Info("second factor set up", "user", who.Name)
	return recovery, nil
}

// RemoveFactor removes the second factor of who is signed in, but for passkeys. They prove that it is them.
func (s *Service) RemoveFactor(ctx context.Context, proof string) error {
	user, err := s.prove(ctx, actionRemoveFactor, proof)
	if err != nil {
		return err
	}
	return s.after(ctx, s.accounts.RemoveFactor(s.audited(ctx, actionRemoveFactor), user.ID))
}

// prove returns who is signed in with a browser, who proves with the password or a code that it is them.
func (s *Service) prove(ctx context.Context, action, proof string) (access.User, error) {
	if err := s.inBrowser(ctx, action); err != nil {
		return access.User{}, err
	}
	user, _, err := s.Account(ctx)
	if err != nil {
		return user, err
	}
	hash, err := s.accounts.Password(ctx, user.ID)
	if err != nil {
		return user, err
	}
	counters := proofs(user.ID, hash)
	if _, err = s.verify(ctx, counters, user.ID, proof, hash); errors.Is(err, fault.ErrSignedOut) {
		err = s.checkCode(ctx, counters, user.ID, proof)
	}
	if errors.Is(err, fault.ErrSignedOut) {
		_ = s.denied(ctx, action, "", err)
		err = run.FieldErrors{{Field: "proof", Rule: "is neither your password nor a code that counts", Fix: "enter one of them"}}
	}
	return user, err
}

// RemoveUserFactor removes the second factors of a user who has lost them: codes and passkeys.
func (s *Service) RemoveUserFactor(ctx context.Context, name string) error {
	return s.toUser(ctx, name, actionRemoveFactor, s.accounts.RemoveFactors)
}

// first is what a user has to do with a credential before anything else, nil for nothing.
func (s *Service) first(u access.User, c *credential) *access.Duty {
	switch {
	case c.session == "":
		return nil
	case u.OneTimePassword && c.issuer == "":
		return access.NewPassword
	case s.needsFactor(u) && !u.SecondFactor && !c.factor:
		return access.NewFactor
	}
	return nil
}

// needsFactor reports whether a user must have a second factor, here or at the provider.
func (s *Service) needsFactor(u access.User) bool {
	return s.require == RequireEverybody || s.require == RequireAdministrators && (u.Administrator || u.ByGroups)
}

// sealed begins what is encrypted: who reads the database cannot make codes.
const sealed = "aes-gcm:"

func (s *Service) seal(user access.UserID, secret string) (string, error) {
	if s.secretKey == "" {
		return secret, nil
	}
	gcm, err := s.cipher()
	if err != nil {
		return "", err
	}
	return sealed + base64.RawStdEncoding.EncodeToString(gcm.Seal(nil, nil, []byte(secret), []byte(user))), nil // #nosec G407 -- it draws the nonce itself
}

func (s *Service) open(user access.UserID, stored string) (string, error) {
	text, is := strings.CutPrefix(stored, sealed)
	switch {
	case !is:
		return stored, nil
	case s.secretKey == "":
		return "", errors.New("second factors are encrypted, and auth.secret_key is not set")
	}
	gcm, err := s.cipher()
	if err != nil {
		return "", err
	}
	b, err := base64.RawStdEncoding.DecodeString(text)
	if err == nil {
		b, err = gcm.Open(nil, nil, b, []byte(user))
	}
	if err != nil {
		return "", fmt.Errorf("decrypt a second factor: is auth.secret_key that with which it was set up? %w", err)
	}
	return string(b), nil
}

func (s *Service) cipher() (cipher.AEAD, error) {
	key := sha256.Sum256([]byte("cotrain second factors " + s.secretKey))
	block, err := aes.NewCipher(key[:])
	if err != nil {
		return nil, wrap("make a cipher", err)
	}
	return cipher.NewGCMWithRandomNonce(block)
}
