package page

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/a-h/templ"
	"github.com/klauspost/compress/gzhttp"

	"github.com/cotrain/cotrain/internal/feed"
	"github.com/cotrain/cotrain/views/ui"
)

// Timeout bounds rendering a page.
const Timeout = 10 * time.Second

// Cookies with what a person has chosen for this browser: the theme, and whether there are shortcuts of a single key.
const (
	ThemeCookie = "theme"
	KeysCookie  = "keys"
)

// Handler answers a request or returns why it cannot.
type Handler func(w http.ResponseWriter, r *http.Request) error

// Site is what every page needs.
type Site struct {
	Base   string // versioned path of the assets
	Dev    bool   // adds the component gallery
	Now    func() time.Time
	Seq    func(topic string) int64 // newest sequence of a topic of the feed
	System func() feed.System       // current state of dependencies
	Logger *slog.Logger
	Admin  bool // whether accounts and projects are managed here
	// Projects are the names of all projects, for those who may see all; nil where there are none.
	Projects func(ctx context.Context) []string
}

// Frame returns the layout's data.
func (s *Site) Frame(r *http.Request, title, nav string) ui.Page {
	return ui.Page{
		Title: title, Nav: nav, Base: s.Base, Theme: themeOf(r), NoKeys: keysOff(r), Path: r.URL.RequestURI(), Dev: s.Dev, Account: s.account(r), Now: s.Now(),
		SystemSeq: s.Seq(feed.SystemTopic), Notice: s.System().Message, // in this order: a later notice is sent again
	}
}

func themeOf(r *http.Request) string {
	if c, err := r.Cookie(ThemeCookie); err == nil && (c.Value == ui.ThemeLight || c.Value == ui.ThemeDark) {
		return c.Value
	}
	return ui.ThemeAuto
}

func keysOff(r *http.Request) bool {
	c, err := r.Cookie(KeysCookie)
	return err == nil && c.Value == ui.KeysOff
}

// Render buffers the component, so that an error cannot leave half a page.
func (s *Site) Render(w http.ResponseWriter, r *http.Request, status int, c templ.Component) error {
	var b bytes.Buffer
	if err := c.Render(r.Context(), &b); err != nil {
		return fmt.Errorf("render %s: %w", r.URL.Path, err)
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	if h.Get("Cache-Control") == "" { // see [Secret]
		h.Set("Cache-Control", "private, no-cache")
	}
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes()) // the client has gone
	return nil
}

// Ask renders a confirmation page.
func (s *Site) Ask(w http.ResponseWriter, r *http.Request, nav string, c ui.Confirm) error {
	return s.Render(w, r, http.StatusOK, ui.ConfirmPage(s.Frame(r, c.Title, nav), c))
}

// Secret marks an answer that holds a secret, such as a token that is shown once: it is neither compressed, so that its length
// tells nothing, nor kept by a browser or proxy.
func Secret(w http.ResponseWriter) {
	w.Header().Set(gzhttp.HeaderNoCompression, "secret") // removed before it is sent
	w.Header().Set("Cache-Control", "no-store")
}

// Redirect redirects after a POST.
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
	_, _ = w.Write(b) // the client has gone
	return nil
}

// Attach makes the answer a download. The name must need no quoting.
func Attach(w http.ResponseWriter, name, contentType string) {
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Content-Disposition", `attachment; filename="`+name+`"`)
	w.Header().Set("Cache-Control", "no-store")
}
