package account

import (
	"errors"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/web/page"
	view "github.com/cotrain/cotrain/views/account"
	"github.com/cotrain/cotrain/views/ui"
)

// path is the page's.
const path = "/account"

// notices are what the page says was done, by the parameter done.
var notices = map[string]string{
	"password": "Password changed. Your other sessions have ended.",
	"factor":   "Second factor removed.",

	"passkey-added": "Passkey added.", "passkey-renamed": "Passkey renamed.", "passkey-removed": "Passkey removed.",

	"session":  "Signed out there.",
	"sessions": "Signed out everywhere else.",
	"revoked":  "Token revoked.",
}

// state is what a form on the page came to.
type state struct {
	status  int
	token   tokenInput
	secret  string
	passkey view.Passkeys // of which the rest is filled in
}

// Show shows the tokens and sessions of who is signed in.
func (p *Pages) Show(w http.ResponseWriter, r *http.Request) error {
	return p.render(w, r, state{status: http.StatusOK, token: newTokenInput()})
}

func (p *Pages) render(w http.ResponseWriter, r *http.Request, s state) error {
	ctx := r.Context()
	user, _, err := p.Own.Account(ctx)
	if err != nil {
		return err
	}
	tokens, err := p.Tokens.Tokens(ctx)
	if err != nil {
		return err
	}
	sessions, err := p.Own.Sessions(ctx)
	if err != nil {
		return err
	}
	passkeys := s.passkey
	passkeys.Problem, passkeys.Agent = p.Passkeys.PasskeyProblem(r), r.UserAgent()
	if passkeys.All, err = p.Passkeys.Passkeys(ctx); err != nil {
		return err
	}
	if s.secret != "" {
		page.Secret(w)
	}
	frame := p.Frame(r, "Account", "account")
	if r.Method != http.MethodGet {
		frame.Path = path
	}
	return p.Render(w, r, s.status, view.Page(frame, view.Account{
		User: user, Now: p.Now(), Notice: notices[r.URL.Query().Get("done")], Tokens: tokens, Sessions: sessions, Passkeys: passkeys, Secret: s.secret,
		Token: s.token.form(frame.Account),
	}))
}

// done goes back to the page, which says what was done.
func done(w http.ResponseWriter, r *http.Request, what string) error {
	return page.Redirect(w, r, path+"?done="+what)
}

// EndSession ends one session.
func (p *Pages) EndSession(w http.ResponseWriter, r *http.Request) error {
	if err := p.Own.EndSession(r.Context(), r.PathValue("id")); err != nil && !errors.Is(err, fault.ErrNoSession) {
		return err
	}
	return done(w, r, "session")
}

// EndOtherSessions ends all sessions but this one.
func (p *Pages) EndOtherSessions(w http.ResponseWriter, r *http.Request) error {
	if err := p.Own.EndOtherSessions(r.Context()); err != nil {
		return err
	}
	return done(w, r, "sessions")
}

// tokenInput is the form for a new token as typed.
type tokenInput struct {
	name, scope, project, days string
	rights                     []string
	errs                       run.FieldErrors
	problem                    string
	submitted                  bool
}

// newTokenInput proposes what serves most: reading, for a quarter.
func newTokenInput() tokenInput { return tokenInput{scope: string(access.ScopeRead), days: "90"} }

func (in tokenInput) form(of ui.Account) view.TokenForm {
	all := []ui.Choice{{Value: "", Label: "All of mine"}}
	for _, name := range of.Projects {
		all = append(all, ui.Choice{Value: name, Label: name})
	}
	f := view.TokenForm{
		Open: in.submitted, Problem: in.problem,
		Fields: withErrors([]ui.Field{
			{Name: "name", Label: "Name", Kind: ui.KindText, Value: in.name, MaxBytes: 320, Required: true, Help: "What it is for."},
			{Name: "scopes", Label: "Scope", Kind: ui.KindSelect, Value: in.scope, Help: "Never more than you may yourself.", Choices: []ui.Choice{
				{Value: string(access.ScopeRead), Label: "read: see what a viewer sees"},
				{Value: string(access.ScopeWrite), Label: "write: what an operator does, too"},
				{Value: string(access.ScopeAll), Label: "all: whatever I may"},
			}},
			{Name: "project", Label: "Project", Kind: ui.KindSelect, Value: in.project, Choices: all},
			{Name: "expires_at", Label: "Expires", Kind: ui.KindSelect, Value: in.days, Choices: []ui.Choice{
				{Value: "7", Label: "in 7 days"}, {Value: "30", Label: "in 30 days"}, {Value: "90", Label: "in 90 days"}, {Value: "365", Label: "in a year"}, {Value: "0", Label: "never"},
			}},
		}, in.errs),
	}
	for _, rule := range access.Rights() {
		if rule.Place == access.InProject || rule.Place == access.AnyProject || rule.Place == access.Everywhere && of.Administrator {
			right := string(rule.Right)
			f.Rights = append(f.Rights, ui.Field{Name: "right." + right, Label: right, Kind: ui.KindCheckbox, Help: rule.Does, Value: strconv.FormatBool(slices.Contains(in.rights, right))})
		}
	}
	return f
}

// readToken reads the form.
func readToken(r *http.Request) tokenInput {
	in := tokenInput{
		name: page.Text(r.PostForm.Get("name"), 320), scope: r.PostForm.Get("scopes"), project: r.PostForm.Get("project"), days: r.PostForm.Get("expires_at"), submitted: true,
	}
	for _, rule := range access.Rights() {
		if r.PostForm.Get("right."+string(rule.Right)) == "true" {
			in.rights = append(in.rights, string(rule.Right))
		}
	}
	return in
}

// maxDays is the longest expiry.
const maxDays = 3660

func (in tokenInput) token(now time.Time) (access.Token, error) {
	t := access.Token{Name: in.name, Project: in.project, Scopes: []access.Scope{access.Scope(in.scope)}}
	if len(in.rights) > 0 {
		t.Scopes = nil
		for _, right := range in.rights {
			t.Scopes = append(t.Scopes, access.Scope(right))
		}
	}
	days, err := strconv.Atoi(in.days)
	if err != nil || days < 0 || days > maxDays {
		return t, page.ErrBadForm
	}
	if days > 0 {
		t.ExpiresAt = now.AddDate(0, 0, days)
	}
	return t, nil
}

// CreateToken makes an API token and shows it.
func (p *Pages) CreateToken(w http.ResponseWriter, r *http.Request) error {
	if err := page.ReadForm(r); err != nil {
		return err
	}
	in := readToken(r)
	t, err := in.token(p.Now())
	if err != nil {
		return err
	}
	_, secret, err := p.Tokens.CreateToken(r.Context(), t)
	switch {
	case err == nil:
		return p.render(w, r, state{status: http.StatusOK, secret: secret, token: newTokenInput()})
	case errors.As(err, &in.errs):
	case errors.Is(err, fault.ErrConflict), errors.Is(err, fault.ErrNoProject):
		in.problem = fault.Of(err).Text()
	default:
		return err
	}
	return p.render(w, r, state{status: http.StatusUnprocessableEntity, token: in})
}

// RevokeTokenAsk asks before a token is revoked.
func (p *Pages) RevokeTokenAsk(w http.ResponseWriter, r *http.Request) error {
	all, err := p.Tokens.Tokens(r.Context())
	if err != nil {
		return err
	}
	i := slices.IndexFunc(all, func(t access.Token) bool { return string(t.ID) == r.PathValue("id") })
	if i < 0 {
		return fault.ErrNoToken
	}
	return p.Ask(w, r, "account", ui.Confirm{
		Title: "Revoke token?", Effects: []string{"Programs that use " + all[i].Name + " are signed out at once. A revoked token cannot be restored."},
		Action: path + "/tokens/" + string(all[i].ID) + "/revoke", Back: path, KeepLabel: "Keep it", Label: "Revoke", Icon: "trash", Key: "revoke",
	})
}

// RevokeToken revokes a token.
func (p *Pages) RevokeToken(w http.ResponseWriter, r *http.Request) error {
	if err := p.Tokens.RevokeToken(r.Context(), access.TokenID(r.PathValue("id"))); err != nil {
		return err
	}
	return done(w, r, "revoked")
}
