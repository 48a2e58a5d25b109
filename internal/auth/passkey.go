package auth

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/auth/passkey"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/inbound"
	"github.com/cotrain/cotrain/internal/run"
)

// The faults of passkeys.
var (
	errPasskeyAnswer  = fault.New(fault.ErrSignedOut, "The browser's answer is not that of a passkey.", "Try again, or use another browser.")
	errPasskeyStale   = fault.New(fault.ErrSignedOut, "This did not begin in this browser, took more than 5 minutes, or has been used.", "Try again.")
	errPasskeyUnknown = fault.New(fault.ErrSignedOut, "This console does not know that passkey.", "It may have been removed: sign in with the password, or another passkey.")
	errPasskeyInvalid = fault.New(fault.ErrSignedOut, "What the passkey has signed is not valid.", "Try again; if it persists, tell an administrator: the console's log has the details.")
	errPasskeyCloned  = fault.New(fault.ErrSignedOut, "The passkey may have been cloned: its device has counted backwards.", "Sign in with the password, remove that passkey, and add a new one.")
	errPasskeyAccount = fault.New(fault.ErrSignedOut, "The account of that passkey does not sign in with one.", "Ask an administrator whether it is disabled.")
	errNoPassword     = fault.New(fault.ErrNotPossible, "Passkeys are for those who have a password on this console.", "Sign in at the log-in provider.")
)

// passkeyDomain is the host name whose passkeys count, "" where there can be none.
func passkeyDomain(public *url.URL) string {
	if public == nil {
		return "localhost"
	}
	if _, err := netip.ParseAddr(public.Hostname()); err == nil {
		return ""
	}
	return strings.ToLower(public.Hostname())
}

// passkeySite is where a request's page makes and uses passkeys, or a fault that says why it does not.
func (s *Service) passkeySite(r *http.Request) (passkey.Site, error) {
	u, err := url.Parse(s.address(r, ""))
	if err != nil { // of a Host that is none
		return passkey.Site{}, fault.ErrBadRequest.Fault().Because(err)
	}
	site, what, fix := passkey.Site{Domain: s.passkeyDomain, Origin: strings.ToLower(u.Scheme + "://" + u.Host)}, "", ""
	switch {
	case s.noPasswords:
		what, fix = "Passkeys are off: people sign in at the log-in provider only.", "Whoever runs the console can allow them, with passwords (auth.local)."
	case site.Domain == "":
		what, fix = "Passkeys need a host name, and this console is published at an IP address.", "Whoever runs it can give it a name (public_url)."
	case u.Scheme == "http" && site.Domain != "localhost":
		what, fix = "Passkeys need HTTPS.", "Whoever runs the console can publish it with a certificate."
	case !strings.EqualFold(inbound.Hostname(r.Host), site.Domain):
		if port := u.Port(); s.public == nil && port != "" {
			u.Host = net.JoinHostPort(site.Domain, port)
		}
		what, fix = "Passkeys do not work at this address.", "Open "+u.String()+" for them."
	default:
		return site, nil
	}
	return site, fault.New(fault.ErrConflict, what, fix)
}

// PasskeyProblem says why a request's page neither makes nor uses passkeys, "" where it does.
func (s *Service) PasskeyProblem(r *http.Request) string {
	if _, err := s.passkeySite(r); err != nil {
		return fault.Of(err).Text()
	}
	if who := access.From(r.Context()); who.Known() {
		if u, ok := s.snapshot.Load().user(who.User); !ok || !u.HasPassword {
			return errNoPassword.Text()
		}
	}
	return ""
}

// Passkeys returns the passkeys of who is signed in, the newest first.
func (s *Service) Passkeys(ctx context.Context) ([]access.Passkey, error) {
	return s.accounts.Passkeys(ctx, access.From(ctx).User)
}

// usable returns the passkeys of a user that count here.
func (s *Service) usable(ctx context.Context, user access.UserID) ([]access.Passkey, error) {
	all, err := s.accounts.Passkeys(ctx, user)
	return slices.DeleteFunc(all, func(p access.Passkey) bool { return p.Domain != s.passkeyDomain }), err
}

// BeginPasskey returns what to ask the browser of who is signed in for, who proves that it is them, to make a passkey.
func (s *Service) BeginPasskey(r *http.Request, name, proof string) (options any, err error) {
	ctx := r.Context()
	site, err := s.passkeySite(r)
	if err != nil {
		return nil, err
	}
	if errs := checkPasskeyName(&name); errs != nil {
		return nil, errs
	}
	user, err := s.prove(ctx, actionAddPasskey, proof)
	if err != nil {
		return nil, err
	}
	if !user.HasPassword {
		return nil, errNoPassword
	}
	has, err := s.accounts.Passkeys(ctx, user.ID)
	if err != nil {
		return nil, err
	}
	return site.Make(s.challenges.New(addingTo(ctx)), owner(user), has)
}

// AddPasskey stores the passkey that the browser of who is signed in has made; see [Service.BeginPasskey].
func (s *Service) AddPasskey(r *http.Request, name, answer string) error {
	ctx := r.Context()
	who := access.From(ctx)
	if err := s.inBrowser(ctx, actionAddPasskey); err != nil {
		return err
	}
	site, err := s.passkeySite(r)
	if err != nil {
		return err
	}
	if errs := checkPasskeyName(&name); errs != nil {
		return errs
	}
	user, _, err := s.Account(ctx)
	if err != nil {
		return err
	}
	p, err := s.made(ctx, site, user, answer)
	if err != nil {
		s.log.Info("adding a passkey failed", "user", user.Name, "address", addressOf(ctx), "err", fault.Cut(err.Error(), 1000))
		f := fault.Of(err)
		if f.Kind == fault.ErrSignedOut { // they are: it is the passkey that does not count
			err = fault.New(fault.ErrConflict, f.What, f.Fix).Because(err)
		}
		return err
	}
	p.ID, p.Name, p.CreatedAt = newID(), name, s.now()
	session := ""
	if who.First == access.NewFactor {
		session = who.Session
	}
	if err := s.after(ctx, s.accounts.AddPasskey(s.audited(ctx, actionAddPasskey), p, session)); err != nil {
		return err
	}
	s.log.Info("passkey added", "user", user.Name, "passkey", p.ID)
	return nil
}

// made checks a browser's answer.
func (s *Service) made(ctx context.Context, site passkey.Site, user access.User, answer string) (p access.Passkey, err error) {
	made, err := passkey.ParseMade(answer)
	if err != nil {
		return p, errPasskeyAnswer.Because(err)
	}
	if !s.challenges.Is(made.Challenge, addingTo(ctx)) {
		return p, errPasskeyStale
	}
	if p, err = site.Check(made, owner(user)); err != nil {
		return p, errPasskeyInvalid.Because(err)
	}
	return p, s.spend(ctx, made.Challenge)
}

// spend has a challenge count no more.
func (s *Service) spend(ctx context.Context, challenge []byte) error {
	err := s.accounts.UseLogIn(ctx, keyOf(string(challenge)), s.now())
	if errors.Is(err, fault.ErrSignedOut) {
		return errPasskeyStale.Because(err)
	}
	return err
}

// addingTo binds a new passkey to the session in which who is signed in has proved that it is them.
func addingTo(ctx context.Context) string { return "add in " + access.From(ctx).Session }

func owner(u access.User) passkey.Person {
	return passkey.Person{ID: u.ID, Name: u.Name, DisplayName: cmp.Or(u.DisplayName, u.Name)}
}

func checkPasskeyName(name *string) error {
	*name = strings.TrimSpace(*name)
	if n := utf8.RuneCountInString(*name); n > 0 && n <= maxTokenName && checkLine("name", *name) == nil {
		return nil
	}
	return run.FieldErrors{{Field: "name", Value: fault.Quote(*name), Rule: fmt.Sprintf("is empty, has more than %d characters, or one that cannot be shown", maxTokenName), Fix: "say which device it is on"}}
}

// RenamePasskey changes what who is signed in calls a passkey.
func (s *Service) RenamePasskey(ctx context.Context, id, name string) error {
	if err := s.inBrowser(ctx, actionRenamePasskey); err != nil {
		return err
	}
	if errs := checkPasskeyName(&name); errs != nil {
		return errs
	}
	return s.accounts.RenamePasskey(s.audited(ctx, actionRenamePasskey), access.From(ctx).User, id, name)
}

// RemovePasskey removes a passkey of who is signed in, who proves that it is them, and ends the other sessions that it began.
func (s *Service) RemovePasskey(ctx context.Context, id, proof string) error {
	user, err := s.prove(ctx, actionRemovePasskey, proof)
	if err != nil {
		return err
	}
	return s.after(ctx, s.accounts.RemovePasskey(s.audited(ctx, actionRemovePasskey), user.ID, id, access.From(ctx).Session))
}
