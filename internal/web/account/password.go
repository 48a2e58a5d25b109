package account

import (
	"errors"
	"net/http"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/web/page"
	view "github.com/cotrain/cotrain/views/account"
	"github.com/cotrain/cotrain/views/ui"
)

// Password asks for a new password.
func (p *Pages) Password(w http.ResponseWriter, r *http.Request) error {
	return p.password(w, r, http.StatusOK, nil)
}

func (p *Pages) password(w http.ResponseWriter, r *http.Request, status int, errs run.FieldErrors) error {
	user, _, err := p.Own.Account(r.Context())
	switch {
	case err != nil:
		return err
	case !user.HasPassword:
		return fault.ErrNotFound
	}
	label := "Current password"
	if user.OneTimePassword {
		label = "One-time password"
	}
	current := ui.Field{Name: "current", Label: label, Kind: ui.KindSecret, MaxBytes: 1024, Autocomplete: "current-password", Required: true}
	frame := p.Frame(r, "Password", "account")
	return p.Render(w, r, status, view.PasswordPage(frame, view.Password{
		User: user, Fields: withErrors(append([]ui.Field{current}, newPassword("New password")...), errs),
	}))
}

// ChangePassword changes the password. Who had to do so goes on to the console.
func (p *Pages) ChangePassword(w http.ResponseWriter, r *http.Request) error {
	if err := page.ReadForm(r); err != nil {
		return err
	}
	password := r.PostForm.Get("password")
	errs := run.FieldErrors{notTheSame}
	if r.PostForm.Get("again") == password {
		err := p.Own.ChangePassword(r.Context(), r.PostForm.Get("current"), password)
		switch {
		case err == nil && access.From(r.Context()).First != nil:
			return page.Redirect(w, r, "/")
		case err == nil:
			return done(w, r, "password")
		case !errors.As(err, &errs):
			return err
		}
	}
	return p.password(w, r, http.StatusUnprocessableEntity, errs)
}
