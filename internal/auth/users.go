package auth

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/audit"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
)

const (
	// maxText is the longest display name, email address or description, in characters.
	maxText = 200
	// oneTimeChars are the characters of a password that the console chooses: 100 bits.
	oneTimeChars = 20
)

// managing returns a context whose next change is in the audit log as an action, or an error unless who asks has the right in
// the project.
func (s *Service) managing(ctx context.Context, right access.Right, project, action string) (context.Context, error) {
	if err := s.may(ctx, right, project); err != nil {
		return ctx, err
	}
	return s.audited(ctx, action), nil
}

// may is an error unless who asks has the right in the project: whoever calls this has asked, too, but accounts are not left to
// that alone.
func (s *Service) may(ctx context.Context, right access.Right, project string) error {
	who := access.From(ctx)
	if who.May(right, project) {
		return nil
	}
	if !who.Known() {
		return fault.ErrSignedOut
	}
	err := fault.ErrForbidden
	if project != "" && !who.May(access.ProjectRead, project) {
		err = fault.ErrNoProject
	}
	s.refusedRight(ctx, right, project)
	return err
}

// Users returns all users and service accounts by name.
func (s *Service) Users(ctx context.Context) ([]access.User, error) {
	if err := s.may(ctx, access.UsersManage, ""); err != nil {
		return nil, err
	}
	state, err := s.accounts.Access(ctx)
	users := slices.DeleteFunc(state.Users, func(u access.User) bool { return u.Deleted })
	for i, u := range users {
		users[i] = s.userSeen(u)
	}
	return users, err
}

// User returns the user with a login name, or [fault.ErrNoUser].
func (s *Service) User(ctx context.Context, name string) (access.User, error) {
	if err := s.may(ctx, access.UsersManage, ""); err != nil {
		return access.User{}, err
	}
	u, err := s.named(ctx, name)
	return s.userSeen(u), err
}

func (s *Service) named(ctx context.Context, name string) (access.User, error) {
	id, ok := s.snapshot.Load().byName[strings.TrimSpace(name)]
	if !ok {
		return access.User{}, fault.New(fault.ErrNoUser, fmt.Sprintf("There is no user %s.", fault.Quote(name)), "Check the login name.")
	}
	return s.accounts.User(ctx, id)
}

// CreateUser makes a person with a password that the console chooses and that is nowhere else, or a service account, which has
// none.
func (s *Service) CreateUser(ctx context.Context, u access.User) (created access.User, password string, err error) {
	if ctx, err = s.managing(ctx, access.UsersManage, "", actionCreateUser); err != nil {
		return u, "", err
	}
	if u.Kind == access.Service {
		u.Administrator = false
	} else {
		u.Kind, u.OneTimePassword, password = access.Person, true, rand.Text()[:oneTimeChars]
	}
	if errs := checkProfile(u); errs != nil {
		return u, "", errs
	}
	created, hash, err := s.newUser(ctx, u, password)
	if err != nil {
		return u, "", err
	}
	if err := s.after(ctx, s.accounts.CreateUser(ctx, created, hash)); err != nil {
		return u, "", err
	}
	s.log.Info("user created", "user", created.Name, "kind", created.Kind, "by", access.From(ctx).Name)
	return created, password, nil
}

// checkProfile says what is wrong with what a person is called.
func checkProfile(u access.User) error {
	var errs run.FieldErrors
	errs = append(errs, checkLine("display_name", u.DisplayName)...)
	errs = append(errs, checkLine("email", u.Email)...)
	if u.Email != "" && !strings.Contains(u.Email, "@") && len(errs) == 0 {
		errs = append(errs, run.FieldError{Field: "email", Value: fault.Quote(u.Email), Rule: "is no email address", Fix: "leave it empty, or write name@example.org"})
	}
	if len(errs) > 0 {
		return errs
	}
	return nil
}

func checkLine(field, text string) run.FieldErrors {
	if utf8.RuneCountInString(text) <= maxText && utf8.ValidString(text) && !strings.ContainsFunc(text, fault.Unseen) {
		return nil
	}
	return run.FieldErrors{{Field: field, Value: fault.Quote(text), Rule: fmt.Sprintf("has more than %d characters, or one that cannot be shown", maxText), Fix: "use a shorter text on one line"}}
}

// ChangeUser changes display name, email, whether it is an administrator, and whether it is disabled, which ends its sessions.
// The last administrator stays.
func (s *Service) ChangeUser(ctx context.Context, name string, change func(*access.User)) (after access.User, err error) {
	if ctx, err = s.managing(ctx, access.UsersManage, "", actionChangeUser); err != nil {
		return after, err
	}
	u, err := s.named(ctx, name)
	if err != nil {
		return u, err
	}
	_, after, err = s.accounts.ChangeUser(ctx, u.ID, func(u *access.User) error {
		before := *u
		change(u)
		audit.Of(ctx).Action = userAction(before, *u)
		u.Administrator = u.Administrator && u.Kind == access.Person
		return checkProfile(*u)
	})
	return after, s.after(ctx, err)
}

// userAction is what the audit log calls a change of a user.
func userAction(before, after access.User) string {
	switch {
	case before.Disabled == after.Disabled:
		return actionChangeUser
	case after.Disabled:
		return actionDisableUser
	}
	return actionEnableUser
}

// ResetPassword gives a person a new password that the console chooses and that has to be changed at the next log-in, and ends its
// sessions. tokens are its API tokens that stay valid, none if they are revoked, too.
func (s *Service) ResetPassword(ctx context.Context, name string, revokeTokens bool) (password string, tokens int, err error) {
	if ctx, err = s.managing(ctx, access.UsersManage, "", actionResetPassword); err != nil {
		return "", 0, err
	}
	u, err := s.named(ctx, name)
	if err != nil {
		return "", 0, err
	}
	if u.Kind != access.Person {
		return "", 0, fault.New(fault.ErrNotPossible, "Service accounts have no password.", "Give it a token.")
	}
	password = rand.Text()[:oneTimeChars]
	hash, err := s.hashes.Hash(ctx, password)
	if err != nil {
		return "", 0, err
	}
	tokens, err = s.accounts.ResetPassword(ctx, u.ID, hash, revokeTokens)
	return password, tokens, s.after(ctx, err)
}

// EndUserSessions signs a user out everywhere.
func (s *Service) EndUserSessions(ctx context.Context, name string) error {
	return s.toUser(ctx, name, actionEndSessions, func(ctx context.Context, id access.UserID) error { return s.accounts.EndSessions(ctx, id, "") })
}

// UserSessions returns the sessions of a user, the newest first.
func (s *Service) UserSessions(ctx context.Context, name string) ([]access.Session, error) {
	u, err := s.User(ctx, name)
	if err != nil {
		return nil, err
	}
	return s.sessions(ctx, u.ID)
}

// DeleteUser deletes a user with its sessions, tokens and memberships. Its runs stay and tell its name.
func (s *Service) DeleteUser(ctx context.Context, name string) error {
	return s.toUser(ctx, name, actionDeleteUser, s.accounts.DeleteUser)
}

func (s *Service) toUser(ctx context.Context, name, action string, do func(context.Context, access.UserID) error) error {
	ctx, err := s.managing(ctx, access.UsersManage, "", action)
	if err != nil {
		return err
	}
	u, err := s.named(ctx, name)
	if err != nil {
		return err
	}
	return s.after(ctx, do(ctx, u.ID))
}

// UserTokens returns the API tokens of a user.
func (s *Service) UserTokens(ctx context.Context, name string) ([]access.Token, error) {
	u, err := s.User(ctx, name)
	if err != nil {
		return nil, err
	}
	return s.tokens(ctx, u.ID)
}

// CreateUserToken makes an API token of a service account; people make their own.
func (s *Service) CreateUserToken(ctx context.Context, name string, t access.Token) (token access.Token, secret string, err error) {
	if ctx, err = s.managing(ctx, access.UsersManage, "", actionCreateToken); err != nil {
		return t, "", err
	}
	u, err := s.named(ctx, name)
	if err != nil {
		return t, "", err
	}
	if u.Kind != access.Service {
		return t, "", fault.New(fault.ErrNotPossible, "People make their tokens themselves.", "Make a service account for a program.")
	}
	if err := s.checkToken(access.Identity{User: u.ID, Name: u.Name, Roles: s.snapshot.Load().roles[u.ID]}, &t); err != nil {
		return t, "", err
	}
	t.ID, secret = newToken()
	t.User, t.CreatedAt, t.UsedAt, t.UsedFrom = u.ID, s.now(), time.Time{}, ""
	return t, secret, s.after(ctx, s.accounts.CreateToken(ctx, keyOf(secret), t))
}

// RevokeUserToken ends an API token of a user.
func (s *Service) RevokeUserToken(ctx context.Context, name string, id access.TokenID) error {
	return s.toUser(ctx, name, actionRevokeToken, func(ctx context.Context, user access.UserID) error { return s.accounts.RevokeToken(ctx, user, id) })
}
