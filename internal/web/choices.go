package web

import (
	"net/http"

	"github.com/cotrain/cotrain/internal/inbound"
	"github.com/cotrain/cotrain/internal/web/page"
	"github.com/cotrain/cotrain/views/ui"
)

// handleTheme stores the chosen theme.
func (s *Server) handleTheme(w http.ResponseWriter, r *http.Request) error {
	if err := page.ReadForm(r); err != nil {
		return err
	}
	theme := r.PostForm.Get("theme")
	if theme != ui.ThemeLight && theme != ui.ThemeDark {
		theme = ui.ThemeAuto
	}
	return remember(w, r, page.ThemeCookie, theme)
}

// handleKeys switches shortcuts of a single key on or off.
func (s *Server) handleKeys(w http.ResponseWriter, r *http.Request) error {
	if err := page.ReadForm(r); err != nil {
		return err
	}
	keys := r.PostForm.Get("keys")
	if keys != ui.KeysOff {
		keys = ui.KeysOn
	}
	return remember(w, r, page.KeysCookie, keys)
}

// remember stores a choice for this browser and returns to the page.
func remember(w http.ResponseWriter, r *http.Request, cookie, choice string) error {
	// Not HttpOnly: static/js/ui/theme.js writes its own, too.
	inbound.SetCookie(w, r, http.Cookie{Name: cookie, Value: choice, MaxAge: 365 * 24 * 3600, SameSite: http.SameSiteLaxMode})
	return page.Redirect(w, r, inbound.LocalPath(r.PostForm.Get("next")))
}
