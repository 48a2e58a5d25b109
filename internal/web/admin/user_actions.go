package admin

import (
	"context"
	"net/http"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/fault"
	view "github.com/cotrain/cotrain/views/admin"
	"github.com/cotrain/cotrain/views/ui"
)

// userAction does what its confirmation says.
type userAction func(ctx context.Context, a Accounts, name string) error

func setDisabled(disabled bool) userAction {
	return func(ctx context.Context, a Accounts, name string) error {
		_, err := a.ChangeUser(ctx, name, func(u *access.User) { u.Disabled = disabled })
		return err
	}
}

// userActions are by the last part of their path; a page asks before each, see [view.UserConfirm].
var userActions = map[string]struct {
	do   userAction
	done string
}{
	"disable":  {setDisabled(true), "disabled"},
	"enable":   {setDisabled(false), "enabled"},
	"sessions": {func(ctx context.Context, a Accounts, name string) error { return a.EndUserSessions(ctx, name) }, "sessions"},
	"factor":   {func(ctx context.Context, a Accounts, name string) error { return a.RemoveUserFactor(ctx, name) }, "factor"},
	"delete":   {func(ctx context.Context, a Accounts, name string) error { return a.DeleteUser(ctx, name) }, "deleted"},
}

// AskUser asks before something is done to a user.
func (p *Pages) AskUser(w http.ResponseWriter, r *http.Request) error {
	u, err := p.Accounts.User(r.Context(), r.PathValue("name"))
	if err != nil {
		return err
	}
	c, ok := view.UserConfirm(u, r.PathValue("action"))
	if !ok {
		return fault.ErrNotFound
	}
	return p.Ask(w, r, nav, c)
}

// ActOnUser does it.
func (p *Pages) ActOnUser(w http.ResponseWriter, r *http.Request) error {
	name, action := r.PathValue("name"), r.PathValue("action")
	if action == "password" {
		return p.resetPassword(w, r, name)
	}
	a, ok := userActions[action]
	if !ok {
		return fault.ErrNotFound
	}
	m, err := messageOf(a.do(r.Context(), p.Accounts, name))
	switch {
	case err != nil:
		return err
	case m.any():
		return p.user(w, r, nil, nil, m)
	case action == "delete":
		return done(w, r, view.UsersPath, a.done)
	}
	return done(w, r, view.UserPath(name), a.done)
}

func (p *Pages) resetPassword(w http.ResponseWriter, r *http.Request, name string) error {
	password, tokens, err := p.Accounts.ResetPassword(r.Context(), name, false)
	if err != nil {
		return err
	}
	note := "Shown once. Hand it over: it has to be changed at the next log-in."
	if tokens > 0 {
		note += " " + ui.Plural(tokens, "API token") + " of " + name + " can still be used: revoke on the user's page what somebody else may have."
	}
	return p.showSecret(w, r, view.Secret{Title: "New password", Label: "Password of " + name, Text: password, Back: view.UserPath(name), Note: note})
}
