package account

import (
	"context"
	"errors"
	"net/http"
	"slices"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/inbound"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/web/page"
	view "github.com/cotrain/cotrain/views/account"
)

// Passkeys are those of a person. Options are what a script asks the browser for, and answers what it says.
type Passkeys interface {
	// PasskeyProblem says why a request's page neither makes nor uses passkeys, "" where it does.
	PasskeyProblem(r *http.Request) string
	BeginPasskeyLogIn(w http.ResponseWriter, r *http.Request) (options any, err error)
	LogInPasskey(w http.ResponseWriter, r *http.Request, answer string) error

	Passkeys(ctx context.Context) ([]access.Passkey, error)
	BeginPasskey(r *http.Request, name, proof string) (options any, err error)
	AddPasskey(r *http.Request, name, answer string) error
	RenamePasskey(ctx context.Context, id, name string) error
	RemovePasskey(ctx context.Context, id, proof string) error
}

// passkeyName is the field of a passkey's name, in bytes at most.
func passkeyName(r *http.Request) string { return page.Text(r.PostForm.Get("passkey"), 320) }

// PasskeyLogInOptions tells a script what to ask the browser for.
func (p *Pages) PasskeyLogInOptions(w http.ResponseWriter, r *http.Request) error {
	options, err := p.Passkeys.BeginPasskeyLogIn(w, r)
	if err != nil {
		return err
	}
	return page.JSON(w, http.StatusOK, options)
}

// LogInPasskey signs in with a passkey alone, or in place of a code.
func (p *Pages) LogInPasskey(w http.ResponseWriter, r *http.Request) error {
	if err := page.ReadForm(r); err != nil {
		return err
	}
	l := view.LogIn{Next: inbound.LocalPath(r.PostForm.Get("next"))}
	err := p.Passkeys.LogInPasskey(w, r, r.PostForm.Get("answer"))
	if err != nil {
		return p.refusedLogIn(w, r, l, err)
	}
	return page.Redirect(w, r, l.Next)
}

// PasskeyOptions tells a script what to ask the browser for.
func (p *Pages) PasskeyOptions(w http.ResponseWriter, r *http.Request) error {
	if err := page.ReadForm(r); err != nil {
		return err
	}
	options, err := p.Passkeys.BeginPasskey(r, passkeyName(r), r.PostForm.Get("proof"))
	var errs run.FieldErrors
	if errors.As(err, &errs) {
		return fault.New(fault.ErrInvalid, sentenceOf(errs), "")
	}
	if err != nil {
		return err
	}
	return page.JSON(w, http.StatusOK, options)
}

func sentenceOf(errs run.FieldErrors) string {
	if errs[0].Field == "name" {
		return "The name " + errs[0].Rule + ": " + errs[0].Fix + "."
	}
	return problemOf(errs)
}

// AddPasskey stores what the browser has made.
func (p *Pages) AddPasskey(w http.ResponseWriter, r *http.Request) error {
	if err := page.ReadForm(r); err != nil {
		return err
	}
	s := state{status: http.StatusUnprocessableEntity, token: newTokenInput(), passkey: view.Passkeys{Open: true, Name: passkeyName(r)}}
	err := p.Passkeys.AddPasskey(r, s.passkey.Name, r.PostForm.Get("answer"))
	var errs run.FieldErrors
	switch {
	case err == nil:
		return done(w, r, "passkey-added")
	case errors.As(err, &errs):
		s.passkey.Error = sentenceOf(errs)
	case errors.Is(err, fault.ErrConflict):
		s.passkey.Failed = fault.Of(err).Text()
	default:
		return err
	}
	if access.From(r.Context()).First != nil {
		return p.factorWith(w, r, s.status, view.Factor{Passkeys: s.passkey})
	}
	return p.render(w, r, s)
}

// Passkey shows how a passkey is renamed, or removed.
func (p *Pages) Passkey(w http.ResponseWriter, r *http.Request) error {
	return p.passkey(w, r, http.StatusOK, view.PasskeyDetails{})
}

func (p *Pages) passkey(w http.ResponseWriter, r *http.Request, status int, d view.PasskeyDetails) error {
	all, err := p.Passkeys.Passkeys(r.Context())
	if err != nil {
		return err
	}
	i := slices.IndexFunc(all, func(k access.Passkey) bool { return k.ID == r.PathValue("id") })
	if i < 0 {
		return fault.ErrNotFound
	}
	d.Passkey, d.Now = all[i], p.Now()
	frame := p.Frame(r, "Passkey", "account")
	if r.Method != http.MethodGet {
		frame.Path = path + "/passkeys/" + all[i].ID
	}
	return p.Render(w, r, status, view.PasskeyPage(frame, d))
}

// RenamePasskey changes what a passkey is called.
func (p *Pages) RenamePasskey(w http.ResponseWriter, r *http.Request) error {
	if err := page.ReadForm(r); err != nil {
		return err
	}
	err := p.Passkeys.RenamePasskey(r.Context(), r.PathValue("id"), passkeyName(r))
	var errs run.FieldErrors
	if errors.As(err, &errs) {
		return p.passkey(w, r, http.StatusUnprocessableEntity, view.PasskeyDetails{Error: sentenceOf(errs)})
	}
	if err != nil {
		return err
	}
	return done(w, r, "passkey-renamed")
}

// RemovePasskey removes a passkey.
func (p *Pages) RemovePasskey(w http.ResponseWriter, r *http.Request) error {
	if err := page.ReadForm(r); err != nil {
		return err
	}
	err := p.Passkeys.RemovePasskey(r.Context(), r.PathValue("id"), r.PostForm.Get("proof"))
	var errs run.FieldErrors
	if errors.As(err, &errs) {
		return p.passkey(w, r, http.StatusUnprocessableEntity, view.PasskeyDetails{Problem: problemOf(errs)})
	}
	if err != nil {
		return err
	}
	return done(w, r, "passkey-removed")
}
