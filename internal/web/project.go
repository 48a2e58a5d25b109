package web

import (
	"net/http"
	"net/url"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/inbound"
	"github.com/cotrain/cotrain/internal/web/page"
)

// handleProject selects the project that lists show, "" for all, and returns to the page. Whether one may see it is asked
// where it is used.
func (s *Server) handleProject(w http.ResponseWriter, r *http.Request) error {
	if err := page.ReadForm(r); err != nil {
		return err
	}
	c := http.Cookie{
		Name: page.ProjectCookie, Value: r.PostForm.Get(page.ParamProject), MaxAge: 365 * 24 * 3600, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	}
	if !access.CheckProjectName(c.Value) {
		c.Value, c.MaxAge = "", -1
	}
	inbound.SetCookie(w, r, c)
	return page.Redirect(w, r, withoutProject(inbound.LocalPath(r.PostForm.Get("next"))))
}

// withoutProject takes the project out of a path's query, which would win over the choice, and a place in its storage.
func withoutProject(path string) string {
	u, err := url.Parse(path)
	if err != nil || !u.Query().Has("project") && !u.Query().Has("path") {
		return path
	}
	q := u.Query()
	for _, name := range []string{"project", "path", "cursor"} {
		q.Del(name)
	}
	u.RawQuery = q.Encode()
	return u.RequestURI()
}
