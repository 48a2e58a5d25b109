package account

import (
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/inbound"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/web/page"
	view "github.com/cotrain/cotrain/views/account"
	"github.com/cotrain/cotrain/views/ui"
)

// LogIn asks for name and password.
func (p *Pages) LogIn(w http.ResponseWriter, r *http.Request) error {
	next := inbound.LocalPath(r.URL.Query().Get("next"))
	if access.From(r.Context()).Known() {
		return page.Redirect(w, r, next)
	}
	return p.renderLogIn(w, r, http.StatusOK, view.LogIn{Next: next, Ended: p.LogIns.Ended(r)})
}

func (p *Pages) renderLogIn(w http.ResponseWriter, r *http.Request, status int, l view.LogIn) error {
	l.NotSetUp = !p.LogIns.IsSetUp()
	l.Passwords, l.Provider, l.ProviderLink = p.Provider.Ways(r, l.Next)
	l.Passkeys = l.Passwords && !l.NotSetUp && p.Passkeys.PasskeyProblem(r) == ""
	return p.Render(w, r, status, view.LogInPage(p.Frame(r, "Sign in", ""), l))
}

// DoLogIn signs in.
func (p *Pages) DoLogIn(w http.ResponseWriter, r *http.Request) error {
	if err := page.ReadForm(r); err != nil {
		return err
	}
	l := view.LogIn{Name: page.Text(r.PostForm.Get("name"), 127), Next: inbound.LocalPath(r.PostForm.Get("next"))}
	err := p.LogIns.LogIn(w, r, l.Name, r.PostForm.Get("password"))
	if errors.Is(err, fault.ErrSecondFactor) {
		return page.Redirect(w, r, codePathTo(l.Next))
	}
	for _, kind := range []fault.Kind{fault.ErrSignedOut, fault.ErrForbidden, fault.ErrRateLimited, fault.ErrBusy} {
		if errors.Is(err, kind) {
			l.Error = fault.Of(err).Text()
			return p.renderLogIn(w, r, kind.Status(), l)
		}
	}
	if err != nil {
		return err
	}
	return page.Redirect(w, r, l.Next)
}

func codePathTo(next string) string { return codePath + "?" + url.Values{"next": {next}}.Encode() }

func loginPath(next string) string {
	if next == "/" {
		return "/login"
	}
	return "/login?" + url.Values{"next": {next}}.Encode()
}

// ToProvider sends the browser to where people sign in.
func (p *Pages) ToProvider(w http.ResponseWriter, r *http.Request) error {
	next := inbound.LocalPath(r.URL.Query().Get("next"))
	to, err := p.Provider.BeginAtProvider(w, r, next)
	if err != nil {
		return p.failedAtProvider(w, r, next, err)
	}
	page.Secret(w)
	http.Redirect(w, r, to, http.StatusSeeOther)
	return nil
}

// FromProvider signs in who comes back from there.
func (p *Pages) FromProvider(w http.ResponseWriter, r *http.Request) error {
	next, err := p.Provider.FinishAtProvider(w, r)
	page.Secret(w)
	switch {
	case errors.Is(err, fault.ErrSecondFactor):
		return page.Redirect(w, r, codePathTo(next))
	case err != nil:
		return p.failedAtProvider(w, r, next, err)
	}
	return page.Redirect(w, r, next)
}

// failedAtProvider says why on the page on which one signs in, to try again there.
func (p *Pages) failedAtProvider(w http.ResponseWriter, r *http.Request, next string, err error) error {
	f := fault.Of(err)
	if f.Kind == fault.ErrNotFound || f.Kind == fault.ErrInternal {
		return err
	}
	r.URL = &url.URL{Path: "/login", RawQuery: url.Values{"next": {next}}.Encode()} // where the theme switch comes back to
	return p.renderLogIn(w, r, f.Kind.Status(), view.LogIn{Next: next, Error: f.Text()})
}

// LogOut ends the session.
func (p *Pages) LogOut(w http.ResponseWriter, r *http.Request) error {
	elsewhere, err := p.LogIns.LogOut(w, r)
	if err != nil && !errors.Is(err, fault.ErrNoSession) {
		return err
	}
	if elsewhere == "" {
		return page.Redirect(w, r, "/login")
	}
	// No redirect: browsers hold the answers to a form to the policy of its page, which allows the console's own addresses only.
	page.Secret(w)
	w.Header().Set("Refresh", "0; url="+elsewhere)
	_, provider, _ := p.Provider.Ways(r, "/")
	r.URL = &url.URL{Path: "/login"}
	r = r.WithContext(access.With(r.Context(), access.Identity{}))
	return p.Render(w, r, http.StatusOK, view.SignedOutPage(p.Frame(r, "Signed out", ""), view.SignedOut{Provider: provider, Link: elsewhere}))
}

// SetUp asks for the first administrator, whoever has the link.
func (p *Pages) SetUp(w http.ResponseWriter, r *http.Request) error {
	code := r.URL.Query().Get("code")
	if err := p.LogIns.CheckSetUp(code); err != nil {
		return err
	}
	return p.renderSetUp(w, r, http.StatusOK, code, "", nil)
}

// DoSetUp makes the first administrator and signs in.
func (p *Pages) DoSetUp(w http.ResponseWriter, r *http.Request) error {
	if err := page.ReadForm(r); err != nil {
		return err
	}
	code, name, password := r.PostForm.Get("code"), page.Text(r.PostForm.Get("name"), 127), r.PostForm.Get("password")
	if err := p.LogIns.CheckSetUp(code); err != nil {
		return err
	}
	var errs run.FieldErrors
	if r.PostForm.Get("again") != password {
		errs = append(p.LogIns.CheckFirst(name, password), notTheSame)
	} else if err := p.LogIns.SetUp(w, r, code, name, password); !errors.As(err, &errs) {
		if err != nil {
			return err
		}
		return page.Redirect(w, r, "/")
	}
	r.URL.RawQuery = url.Values{"code": {code}}.Encode() // where the theme switch comes back to
	return p.renderSetUp(w, r, http.StatusUnprocessableEntity, code, name, errs)
}

var notTheSame = run.FieldError{Field: "again", Rule: "is not the same", Fix: "type the same password twice"}

func (p *Pages) renderSetUp(w http.ResponseWriter, r *http.Request, status int, code, name string, errs run.FieldErrors) error {
	fields := append([]ui.Field{{
		Name: "name", Label: "Name", Kind: ui.KindText, Value: name, MaxBytes: 127, Autocomplete: "username", Required: true,
		Help: "Lower-case letters, digits and . _ @ + -. It cannot be changed.",
	}}, newPassword("Password")...)
	page.Secret(w) // the code is in the form
	return p.Render(w, r, status, view.SetUpPage(p.Frame(r, "Set up", ""), view.SetUp{Code: code, Fields: withErrors(fields, errs)}))
}

// newPassword are the fields of a new one.
func newPassword(label string) []ui.Field {
	return []ui.Field{
		{Name: "password", Label: label, Kind: ui.KindSecret, MaxBytes: 1024, Autocomplete: "new-password", Required: true, Help: "12 characters or more: a few words in a row, for example."},
		{Name: "again", Label: "Repeat password", Kind: ui.KindSecret, MaxBytes: 1024, Autocomplete: "new-password", Required: true},
	}
}

// withErrors puts errors to their fields.
func withErrors(fields []ui.Field, errs run.FieldErrors) []ui.Field {
	for i := range fields {
		for _, e := range errs {
			if e.Field == fields[i].Name {
				fields[i].Error = strings.ToUpper(e.Rule[:1]) + e.Rule[1:] + "; " + e.Fix + "."
			}
		}
	}
	return fields
}
