package admin

import (
	"net/http"

	"github.com/cotrain/cotrain/internal/web/page"
	view "github.com/cotrain/cotrain/views/admin"
)

// Link lets a subject at the provider sign in as a user.
func (p *Pages) Link(w http.ResponseWriter, r *http.Request) error {
	if err := page.ReadForm(r); err != nil {
		return err
	}
	return p.identities(w, r, p.Accounts.LinkIdentity(r.Context(), r.PathValue("name"), page.Text(r.PostForm.Get("subject"), 800)), "linked")
}

// Unlink takes that back.
func (p *Pages) Unlink(w http.ResponseWriter, r *http.Request) error {
	if err := page.ReadForm(r); err != nil {
		return err
	}
	return p.identities(w, r, p.Accounts.UnlinkIdentity(r.Context(), r.PathValue("name"), r.PostForm.Get("issuer"), r.PostForm.Get("subject")), "unlinked")
}

func (p *Pages) identities(w http.ResponseWriter, r *http.Request, err error, what string) error {
	m, err := messageOf(err)
	switch {
	case err != nil:
		return err
	case m.any():
		return p.user(w, r, nil, nil, m)
	}
	return done(w, r, view.UserPath(r.PathValue("name")), what)
}
