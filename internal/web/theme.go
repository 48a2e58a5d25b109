package web

import (
	"net/http"

	"github.com/cotrain/cotrain/internal/inbound"
	"github.com/cotrain/cotrain/internal/web/page"
	"github.com/cotrain/cotrain/views/ui"
)

// handleTheme stores the chosen theme and returns to the page.
func (s *Server) handleTheme(w http.ResponseWriter, r *http.Request) error {
	if err := page.ReadForm(r); err != nil {
		return err
	}
	theme := r.PostForm.Get("theme")
	if theme != ui.ThemeLight && theme != ui.ThemeDark {
		theme = ui.ThemeAuto
	}
	// Not HttpOnly: static/js/ui/theme.js writes it too.
	inbound.SetCookie(w, r, http.Cookie{Name: page.ThemeCookie, Value: theme, MaxAge: 365 * 24 * 3600, SameSite: http.SameSiteLaxMode})
	return page.Redirect(w, r, inbound.LocalPath(r.PostForm.Get("next")))
}
