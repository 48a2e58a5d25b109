package web

import (
	"context"
	"errors"
	"net/http"
	"net/url"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/inbound"
	"github.com/cotrain/cotrain/internal/trainconf"
	"github.com/cotrain/cotrain/internal/web/page"
)

// Guard decides who may do what; see package guard.
type Guard interface {
	// Allow returns nil if who asks has the right, over the subject if there is one. Otherwise it is [fault.ErrSignedOut],
	// [fault.ErrForbidden], or what a subject that does not exist gives.
	Allow(ctx context.Context, right access.Right, subject access.Subject) error
}

// loginPath is where one signs in; its parameter next is where to go then.
const loginPath = "/login"

// authorize lets those pass who have the right over what the path names.
func (s *Server) authorize(pattern string, right access.Right, next http.Handler) http.Handler {
	find := access.SubjectOf(pattern)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		subject, err := inProject(w, r, find(r.PathValue))
		if err == nil {
			err = s.guard.Allow(r.Context(), right, subject)
		}
		if err != nil {
			s.refuse(w, r, err)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// inProject adds the project of a template, which the query or the form names. A preset is everybody's.
func inProject(w http.ResponseWriter, r *http.Request, of access.Subject) (access.Subject, error) {
	if of.Kind != access.SubjectTemplate {
		return of, nil
	}
	if _, preset := trainconf.PresetByName(of.ID); preset {
		return access.Subject{}, nil
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	err := page.ReadForm(r)
	if err == nil {
		of.Project, err = page.Project(r)
	}
	return of, err
}

// refuse sends a browser that is not signed in to where it can do so, and back to the page it wanted. What was filled in a form
// stays in the browser: a change is answered with an error, for the person to sign in elsewhere and send it again.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, err error) {
	first := access.From(r.Context()).First
	switch {
	case s.isData(r):
		s.fail(w, r, err)
	case first != nil && safe(r.Method) && !page.IsFragment(r) && r.Header.Get("Upgrade") == "":
		w.Header().Set("Cache-Control", "no-store")
		http.Redirect(w, r, first.Path, http.StatusSeeOther)
	case !errors.Is(err, fault.ErrSignedOut) || !safe(r.Method) || r.Header.Get("Upgrade") != "":
		s.fail(w, r, err)
	case page.IsFragment(r): // of a page that was open when the session ended
		w.Header().Set("HX-Redirect", loginPath+"?next="+url.QueryEscape(pageOf(r)))
		s.fail(w, r, err)
	default:
		w.Header().Set("Cache-Control", "no-store")
		http.Redirect(w, r, loginPath+"?next="+url.QueryEscape(inbound.LocalPath(r.URL.RequestURI())), http.StatusSeeOther)
	}
}

// pageOf is the page that a fragment is for.
func pageOf(r *http.Request) string {
	u, err := url.Parse(r.Header.Get("HX-Current-URL"))
	if err != nil {
		return "/"
	}
	return inbound.LocalPath(u.RequestURI())
}
