package account

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/boombuler/barcode/qr"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/inbound"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/web/page"
	view "github.com/cotrain/cotrain/views/account"
)

// Factors is the second factor of a person.
type Factors interface {
	// PendingLogIn is an error unless the request's browser has entered a password, and tells what completes that log-in:
	// LogInCode, a passkey, or either.
	PendingLogIn(r *http.Request) (code, passkey bool, err error)
	LogInCode(w http.ResponseWriter, r *http.Request, code string) error
	// Factor returns since when there is one, zero for none, and how many recovery codes are left.
	Factor(ctx context.Context) (since time.Time, recovery int, err error)
	// Enrol begins a new one, and ConfirmFactor makes it count.
	Enrol(ctx context.Context, issuer string) (address, secret string, err error)
	ConfirmFactor(ctx context.Context, code string) (recovery []string, err error)
	RemoveFactor(ctx context.Context, proof string) error
}

const (
	codePath   = "/login/code"
	factorPath = path + "/factor"
)

// LogInCode asks for the code of the second factor, after the password.
func (p *Pages) LogInCode(w http.ResponseWriter, r *http.Request) error {
	next := inbound.LocalPath(r.URL.Query().Get("next"))
	code, passkey, err := p.Factors.PendingLogIn(r)
	if err != nil {
		return page.Redirect(w, r, loginPath(next))
	}
	return p.renderCode(w, r, http.StatusOK, view.SecondFactor{Next: next, Code: code, Passkey: passkey})
}

func (p *Pages) renderCode(w http.ResponseWriter, r *http.Request, status int, f view.SecondFactor) error {
	if f.Passkey {
		f.Problem = p.Passkeys.PasskeyProblem(r)
	}
	return p.Render(w, r, status, view.SecondFactorPage(p.Frame(r, "Sign in", ""), f))
}

// refusedLogIn says why a log-in was refused on the page on which it goes on.
func (p *Pages) refusedLogIn(w http.ResponseWriter, r *http.Request, l view.LogIn, refused error) error {
	f := fault.Of(refused)
	if !slices.Contains([]fault.Kind{fault.ErrSignedOut, fault.ErrForbidden, fault.ErrRateLimited, fault.ErrBusy, fault.ErrConflict}, f.Kind) {
		return refused
	}
	l.Error = f.Text()
	code, passkey, err := p.Factors.PendingLogIn(r)
	if err != nil {
		return p.renderLogIn(w, r, f.Kind.Status(), l)
	}
	return p.renderCode(w, r, f.Kind.Status(), view.SecondFactor{Next: l.Next, Error: l.Error, Code: code, Passkey: passkey})
}

// DoLogInCode completes the log-in.
func (p *Pages) DoLogInCode(w http.ResponseWriter, r *http.Request) error {
	if err := page.ReadForm(r); err != nil {
		return err
	}
	l := view.LogIn{Next: inbound.LocalPath(r.PostForm.Get("next"))}
	if err := p.Factors.LogInCode(w, r, r.PostForm.Get("code")); err != nil {
		return p.refusedLogIn(w, r, l, err)
	}
	return page.Redirect(w, r, l.Next)
}

// Factor shows how a second factor is set up, or removed.
func (p *Pages) Factor(w http.ResponseWriter, r *http.Request) error {
	return p.factor(w, r, http.StatusOK, nil)
}

func (p *Pages) factor(w http.ResponseWriter, r *http.Request, status int, errs run.FieldErrors) error {
	return p.factorWith(w, r, status, view.Factor{Problem: problemOf(errs)})
}

// factorWith fills in the rest of the page.
func (p *Pages) factorWith(w http.ResponseWriter, r *http.Request, status int, f view.Factor) (err error) {
	if f.Since, f.Recovery, err = p.Factors.Factor(r.Context()); err != nil {
		return err
	}
	f.Now = p.Now()
	if f.Since.IsZero() {
		address, secret, err := p.Factors.Enrol(r.Context(), "CoTrain "+inbound.Hostname(r.Host))
		if err != nil {
			return err
		}
		if f.QR, f.Modules, err = matrix(address); err != nil {
			return err
		}
		f.Secret = secret
	}
	return p.renderFactor(w, r, status, f)
}

// renderFactor marks the page: it holds a secret, or did so until now.
func (p *Pages) renderFactor(w http.ResponseWriter, r *http.Request, status int, f view.Factor) error {
	page.Secret(w)
	frame := p.Frame(r, "Second factor", "account")
	if r.Method != http.MethodGet {
		frame.Path = factorPath
	}
	f.Passkeys.Problem, f.Passkeys.Agent = p.Passkeys.PasskeyProblem(r), r.UserAgent()
	f.Needed = frame.Account.First
	return p.Render(w, r, status, view.FactorPage(frame, f))
}

func problemOf(errs run.FieldErrors) string {
	if len(errs) == 0 {
		return ""
	}
	return "That " + errs[0].Rule + ": " + errs[0].Fix + "."
}

// matrix draws a QR code as the path of an SVG, with a module to a unit.
func matrix(text string) (path string, modules int, err error) {
	code, err := qr.Encode(text, qr.M, qr.Auto)
	if err != nil {
		return "", 0, fmt.Errorf("draw a QR code: %w", err)
	}
	var b strings.Builder
	modules = code.Bounds().Dx()
	for y := range modules {
		for x := range modules {
			if dark, _, _, _ := code.At(x, y).RGBA(); dark == 0 {
				fmt.Fprintf(&b, "M%d %dh1v1h-1z", x, y)
			}
		}
	}
	return b.String(), modules, nil
}

// ConfirmFactor makes the new second factor count, and shows the recovery codes.
func (p *Pages) ConfirmFactor(w http.ResponseWriter, r *http.Request) error {
	if err := page.ReadForm(r); err != nil {
		return err
	}
	codes, err := p.Factors.ConfirmFactor(r.Context(), r.PostForm.Get("code"))
	var errs run.FieldErrors
	switch {
	case errors.As(err, &errs):
		return p.factor(w, r, http.StatusUnprocessableEntity, errs)
	case err != nil:
		return err
	}
	return p.renderFactor(w, r, http.StatusOK, view.Factor{Codes: codes})
}

// RemoveFactor removes the second factor.
func (p *Pages) RemoveFactor(w http.ResponseWriter, r *http.Request) error {
	if err := page.ReadForm(r); err != nil {
		return err
	}
	var errs run.FieldErrors
	switch err := p.Factors.RemoveFactor(r.Context(), r.PostForm.Get("proof")); {
	case errors.As(err, &errs):
		return p.factor(w, r, http.StatusUnprocessableEntity, errs)
	case err != nil:
		return err
	}
	return done(w, r, "factor")
}
