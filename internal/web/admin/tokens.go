package admin

import (
	"net/http"
	"slices"
	"strconv"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/web/page"
	view "github.com/cotrain/cotrain/views/admin"
	"github.com/cotrain/cotrain/views/ui"
)

// maxDays is the longest life of a token.
const maxDays = 3660

// tokenInput is the form for a token as typed.
type tokenInput struct{ name, scope, project, days string }

func (in tokenInput) form(memberships []access.Member) view.Form {
	projects := []ui.Choice{{Value: "", Label: "All of the account's"}}
	for _, m := range memberships {
		projects = append(projects, ui.Choice{Value: m.Project, Label: m.Project})
	}
	name := text("name", "Name", in.name, "What it is for.")
	name.Required = true
	return view.Form{Fields: []ui.Field{
		name,
		{Name: "scopes", Label: "Scope", Kind: ui.KindSelect, Value: in.scope, Choices: []ui.Choice{
			{Value: string(access.ScopeRead), Label: "read: what a viewer may"}, {Value: string(access.ScopeWrite), Label: "write: what an operator may"}, {Value: string(access.ScopeAll), Label: "all: whatever the account may"},
		}},
		{Name: "project", Label: "Project", Kind: ui.KindSelect, Value: in.project, Choices: projects},
		{Name: "expires_at", Label: "Expires", Kind: ui.KindSelect, Value: in.days, Choices: []ui.Choice{
			{Value: "30", Label: "in 30 days"}, {Value: "90", Label: "in 90 days"}, {Value: "365", Label: "in a year"}, {Value: "0", Label: "never"},
		}},
	}}
}

// CreateToken makes an API token of a service account and shows it, once.
func (p *Pages) CreateToken(w http.ResponseWriter, r *http.Request) error {
	if err := page.ReadForm(r); err != nil {
		return err
	}
	user := r.PathValue("name")
	in := tokenInput{name: page.Text(r.PostForm.Get("name"), 320), scope: r.PostForm.Get("scopes"), project: r.PostForm.Get("project"), days: r.PostForm.Get("expires_at")}
	days, err := strconv.Atoi(in.days)
	if err != nil || days < 0 || days > maxDays {
		return page.ErrBadForm
	}
	t := access.Token{Name: in.name, Scopes: []access.Scope{access.Scope(in.scope)}, Project: in.project}
	if days > 0 {
		t.ExpiresAt = p.Now().AddDate(0, 0, days)
	}
	t, secret, err := p.Accounts.CreateUserToken(r.Context(), user, t)
	m, err := messageOf(err)
	switch {
	case err != nil:
		return err
	case m.any():
		return p.user(w, r, nil, &in, m)
	}
	return p.showSecret(w, r, view.Secret{Title: "New token", Label: "Token " + t.Name, Text: secret, Back: view.UserPath(user),
		Note: "Shown once. Programs use it in COTRAIN_TOKEN, or as Authorization: Bearer."})
}

// AskRevoke asks before a token is revoked.
func (p *Pages) AskRevoke(w http.ResponseWriter, r *http.Request) error {
	user := r.PathValue("name")
	all, err := p.Accounts.UserTokens(r.Context(), user)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(all, func(t access.Token) bool { return string(t.ID) == r.PathValue("id") })
	if i < 0 {
		return fault.ErrNoToken
	}
	return p.Ask(w, r, nav, view.RevokeConfirm(user, all[i]))
}

// Revoke revokes a token.
func (p *Pages) Revoke(w http.ResponseWriter, r *http.Request) error {
	user := r.PathValue("name")
	if err := p.Accounts.RevokeUserToken(r.Context(), user, access.TokenID(r.PathValue("id"))); err != nil {
		return err
	}
	return done(w, r, view.UserPath(user), "revoked")
}
