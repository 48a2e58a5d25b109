package page

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/a-h/templ"

	"github.com/cotrain/cotrain/internal/feed"
	"github.com/cotrain/cotrain/views/ui"
)

// Timeout bounds the time of one answer that is a page.
const Timeout = 10 * time.Second

// Actor is who acts, until there is a log-in.
const Actor = "local"

// ThemeCookie holds the choice of the theme switch.
const ThemeCookie = "theme"

// Handler answers a request or says why it cannot.
type Handler func(w http.ResponseWriter, r *http.Request) error

// Site is what every page is made with.
type Site struct {
	Base   string                   // versioned path of the assets
	Dev    bool                     // adds the page of components
	Now    func() time.Time         // the clock
	Seq    func(topic string) int64 // newest sequence of a topic of the feed
	System func() feed.System       // the state of what the console depends on, now
	Logger *slog.Logger
}

// Frame is what the layout needs of a page.
func (s *Site) Frame(r *http.Request, title, nav string) ui.Page {
	return ui.Page{
		Title: title, Nav: nav, Base: s.Base, Theme: themeOf(r), Path: r.URL.RequestURI(), Dev: s.Dev, Now: s.Now(),
		SystemSeq: s.Seq(feed.SystemTopic), Notice: s.System().Message, // in this order: what came since is sent again
	}
}

func themeOf(r *http.Request) string {
	if c, err := r.Cookie(ThemeCookie); err == nil && (c.Value == ui.ThemeLight || c.Value == ui.ThemeDark) {
		return c.Value
	}
	return ui.ThemeAuto
}

// Render writes a component once all of it has been made, so that an error cannot leave half a page.
func (s *Site) Render(w http.ResponseWriter, r *http.Request, status int, c templ.Component) error {
	var b bytes.Buffer
	if err := c.Render(r.Context(), &b); err != nil {
		return fmt.Errorf("render %s: %w", r.URL.Path, err)
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "private, no-cache")
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes()) // the reader has gone: nobody is left to tell
	return nil
}

// Ask renders the page that confirms an action.
func (s *Site) Ask(w http.ResponseWriter, r *http.Request, nav string, c ui.Confirm) error {
	return s.Render(w, r, http.StatusOK, ui.ConfirmPage(s.Frame(r, c.Title, nav), c))
}

// Redirect answers with the address to go on at.
func Redirect(w http.ResponseWriter, r *http.Request, path string) error {
	http.Redirect(w, r, path, http.StatusSeeOther)
	return nil
}

// JSON writes v as JSON.
func JSON(w http.ResponseWriter, status int, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode answer: %w", err)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(b) // the reader has gone: nobody is left to tell
	return nil
}

// Attach makes the answer a file. The name must need no quoting: an ID, or the name of a template.
func Attach(w http.ResponseWriter, name, contentType string) {
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Content-Disposition", `attachment; filename="`+name+`"`)
	w.Header().Set("Cache-Control", "no-store")
}
