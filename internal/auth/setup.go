package auth

import (
	"context"
	"crypto/subtle"
	"net/http"
	"net/url"
	"strings"
	"sync"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
)

// SetUpPath is the page that makes the first administrator.
const SetUpPath = "/setup"

// setUp is the link for it: its code is new at each start, and in memory only, since the console that has the database is the
// one that logged it.
type setUp struct {
	mu   sync.Mutex
	code string // "" when there is an administrator
}

func (u *setUp) open() { u.code = newSecret() }

// SetUpLink returns the path of the page with its code, "" when the console is set up.
func (s *Service) SetUpLink() string {
	s.setUp.mu.Lock()
	defer s.setUp.mu.Unlock()
	if s.setUp.code == "" {
		return ""
	}
	return SetUpPath + "?" + url.Values{"code": {s.setUp.code}}.Encode()
}

// IsSetUp reports whether there is an administrator.
func (s *Service) IsSetUp() bool { return s.SetUpLink() == "" }

// ErrSetUp is the fault for a link that is not, or no more, the one in the log.
var ErrSetUp = fault.New(fault.ErrForbidden, "This link does not count, or not any more.", "Use the newest one in the console's log, if nobody has set it up yet; else sign in.")

// CheckSetUp is [ErrSetUp] unless a code is that of the link.
func (s *Service) CheckSetUp(code string) error {
	s.setUp.mu.Lock()
	defer s.setUp.mu.Unlock()
	if s.setUp.code == "" || subtle.ConstantTimeCompare([]byte(s.setUp.code), []byte(code)) != 1 {
		return ErrSetUp
	}
	return nil
}

// SetUp makes the first administrator, and signs in.
func (s *Service) SetUp(w http.ResponseWriter, r *http.Request, code, name, password string) error {
	ctx := r.Context()
	if err := s.CheckSetUp(code); err != nil {
		return err
	}
	user, hash, err := s.newUser(ctx, access.User{Name: name, Kind: access.Person, Administrator: true}, password)
	if err != nil {
		return err
	}
	if err := s.after(ctx, s.accounts.CreateFirstAdministrator(s.auditedAs(ctx, user, actionSetUp), user, hash)); err != nil {
		return err
	}
	s.setUp.mu.Lock()
	s.setUp.code = ""
	s.setUp.mu.Unlock()
	s.log.Info("set up", "administrator", user.Name, "address", addressOf(ctx))
	return s.begin(w, r, user, "", hash, signedIn{})
}

// newUser completes and checks a user with a new password.
func (s *Service) newUser(ctx context.Context, u access.User, password string) (access.User, string, error) {
	u.ID, u.CreatedAt, u.Name = access.UserID("u-"+newID()), s.now(), strings.TrimSpace(u.Name)
	errs := checkName(u.Name)
	if u.Kind == access.Person {
		errs = append(errs, checkPassword("password", u.Name, password)...)
	}
	switch {
	case len(errs) > 0:
		return u, "", errs
	case u.Kind != access.Person:
		return u, "", nil
	}
	hash, err := s.hashes.Hash(ctx, password)
	return u, hash, err
}

// CheckFirst says what is wrong with a name and password for [Service.SetUp].
func (s *Service) CheckFirst(name, password string) run.FieldErrors {
	name = strings.TrimSpace(name)
	return append(checkName(name), checkPassword("password", name, password)...)
}

func checkName(name string) run.FieldErrors {
	if access.CheckUserName(name) {
		return nil
	}
	return run.FieldErrors{{Field: "name", Value: fault.Quote(name), Rule: "is no login name", Fix: "use lower-case letters, digits and . _ @ + -, and begin with a letter or digit"}}
}
