package page

import (
	"net/http"
	"slices"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/views/ui"
)

// account is what the frame shows of who asks.
func (s *Site) account(r *http.Request) ui.Account {
	who := access.From(r.Context())
	if !who.Known() {
		return ui.Account{}
	}
	a := ui.Account{
		SignedIn: true, ID: string(who.User), Local: who.User == access.Local().User, Name: who.Name, First: who.First != nil, Administrator: who.Administrator,
		Projects: s.ProjectsWith(r, access.ProjectRead), May: who.MayAnywhere, Admin: s.Admin,
	}
	a.Project = selected(r, a.Projects)
	if a.Role = who.Role(a.Project); len(a.Projects) == 1 {
		a.Role = who.Role(a.Projects[0])
	}
	return a
}

// ProjectsWith are the projects in which who asks has a right, sorted.
func (s *Site) ProjectsWith(r *http.Request, right access.Right) []string {
	all, some := access.From(r.Context()).Projects(right)
	if !all {
		return some
	}
	if s.Projects == nil {
		return nil
	}
	return slices.Sorted(slices.Values(s.Projects(r.Context())))
}

func selected(r *http.Request, visible []string) string {
	if name := r.URL.Query().Get("project"); slices.Contains(visible, name) {
		return name
	}
	if c, err := r.Cookie(ProjectCookie); err == nil && slices.Contains(visible, c.Value) {
		return c.Value
	}
	return ""
}
