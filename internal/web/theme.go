package web

import (
	"net/http"
	"strings"

	"github.com/cotrain/cotrain/views"
)

const themeCookie = "theme"

func themeOf(r *http.Request) string {
	if c, err := r.Cookie(themeCookie); err == nil && (c.Value == views.ThemeLight || c.Value == views.ThemeDark) {
		return c.Value
	}
	return views.ThemeAuto
}

// handleTheme keeps the choice of the theme switch and goes back to where it was made.
func (s *Server) handleTheme(w http.ResponseWriter, r *http.Request) error {
	if err := readForm(r); err != nil {
		return err
	}
	theme := r.PostForm.Get("theme")
	if theme != views.ThemeLight && theme != views.ThemeDark {
		theme = views.ThemeAuto
	}
	// Not HttpOnly: static/js/theme.js writes it too, and it is no secret.
	http.SetCookie(w, &http.Cookie{
		Name: themeCookie, Value: theme, Path: "/", MaxAge: 365 * 24 * 3600, SameSite: http.SameSiteLaxMode, Secure: r.TLS != nil,
	})
	http.Redirect(w, r, localPath(r.PostForm.Get("next")), http.StatusSeeOther)
	return nil
}

// localPath is p when it leads to a page of this console, else the front page.
func localPath(p string) string {
	if len(p) > 2000 || !strings.HasPrefix(p, "/") || strings.HasPrefix(p, "//") || strings.ContainsAny(p, "\\\r\n\t") {
		return "/"
	}
	return p
}
