package account

import (
	"context"
	"errors"
	"net/http"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/web/page"
	view "github.com/cotrain/cotrain/views/account"
)

// Programs are those that wait for a person to sign them in.
type Programs interface {
	// Program returns the one with a code, or an error that matches [fault.ErrNotFound] or [fault.ErrRateLimited].
	Program(ctx context.Context, code string) (access.Program, error)
	AnswerProgram(ctx context.Context, code string, agree bool) error
}

// devicePath is the page on which a person signs a program in.
const devicePath = "/device"

// deviceNotices are what the page says was answered, by the parameter done.
var deviceNotices = map[string]string{
	"approved": "Approved. The program goes on by itself; its token is in the list of your account.",
	"denied":   "Denied. The program gets nothing.",
}

// Device asks for the code, or with one shows what asks.
func (p *Pages) Device(w http.ResponseWriter, r *http.Request) error {
	d := view.Device{Code: page.Text(r.URL.Query().Get("code"), 40), Notice: deviceNotices[r.URL.Query().Get("done")], Now: p.Now()}
	if d.Code == "" {
		return p.renderDevice(w, r, http.StatusOK, d)
	}
	return p.device(w, r, d)
}

func (p *Pages) device(w http.ResponseWriter, r *http.Request, d view.Device) error {
	asks, err := p.Programs.Program(r.Context(), d.Code)
	if err == nil {
		d.Asks = &asks
	}
	return p.deviceError(w, r, d, err)
}

// deviceError shows what a person can mend on the page.
func (p *Pages) deviceError(w http.ResponseWriter, r *http.Request, d view.Device, err error) error {
	status := http.StatusOK
	for _, kind := range []fault.Kind{fault.ErrNotFound, fault.ErrRateLimited} {
		if errors.Is(err, kind) {
			d.Error, status, err = fault.Of(err).Text(), kind.Status(), nil
			break
		}
	}
	if err != nil {
		return err
	}
	return p.renderDevice(w, r, status, d)
}

func (p *Pages) renderDevice(w http.ResponseWriter, r *http.Request, status int, d view.Device) error {
	frame := p.Frame(r, "Sign a program in", "account")
	if r.Method != http.MethodGet {
		frame.Path = devicePath
	}
	return p.Render(w, r, status, view.DevicePage(frame, d))
}

// AnswerDevice takes what a person answers.
func (p *Pages) AnswerDevice(w http.ResponseWriter, r *http.Request) error {
	if err := page.ReadForm(r); err != nil {
		return err
	}
	code, done := page.Text(r.PostForm.Get("code"), 40), "denied"
	switch r.PostForm.Get("answer") {
	case "approve":
		done = "approved"
	case "deny":
	default:
		return page.ErrBadForm
	}
	if err := p.Programs.AnswerProgram(r.Context(), code, done == "approved"); err != nil {
		return p.deviceError(w, r, view.Device{Code: code, Now: p.Now()}, err)
	}
	return page.Redirect(w, r, devicePath+"?done="+done)
}
