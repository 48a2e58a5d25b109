package account_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/audit"
	"github.com/cotrain/cotrain/internal/auth"
	"github.com/cotrain/cotrain/internal/guard"
	"github.com/cotrain/cotrain/internal/web"
	"github.com/cotrain/cotrain/internal/web/webtest"
)

// refusals is an audit log that counts.
type refusals struct{ n atomic.Int64 }

func (r *refusals) AppendAlone(_ context.Context, entries ...audit.Entry) error {
	r.n.Add(int64(len(entries)))
	return nil
}

func TestAOneTimePasswordLeadsToTheChangeOfIt(t *testing.T) {
	t.Parallel()
	var log refusals
	s := newSiteWith(t, auth.Options{}, func(d *web.Deps) {
		d.Guard = guard.New(guard.Options{Audit: &log, Now: time.Now, Logger: slog.New(slog.DiscardHandler)})
	})
	s.setUp()
	_, once, err := s.auth.CreateUser(access.With(t.Context(), access.Local()), access.User{Name: "bob", Administrator: true})
	must(t, err)
	bob := cookies(t, s.logIn("bob", once, "/runs/new"))
	do := func(method, path string, form url.Values, header ...string) webtest.Answer {
		t.Helper()
		return s.Do(method, path, form, append([]string{"Cookie", bob}, header...)...)
	}
	for _, path := range []string{"/", "/account", "/account/factor", "/runs/r-0000000000", "/device", "/help"} {
		if a := do(http.MethodGet, path, nil); a.Status != http.StatusSeeOther || a.Header.Get("Location") != "/account/password" {
			t.Errorf("%s: %d to %s", path, a.Status, a.Header.Get("Location"))
		}
	}
	for _, path := range []string{"/account/tokens", "/account/sessions/end-others", "/device", "/runs"} {
		if a := do(http.MethodPost, path, url.Values{}); a.Status != http.StatusForbidden || !strings.Contains(a.Text(t, "main"), "Choose your own") {
			t.Errorf("changing %s: %d", path, a.Status)
		}
	}
	if a := do(http.MethodGet, "/ws", nil, "Upgrade", "websocket", "Connection", "Upgrade"); a.Status != http.StatusForbidden {
		t.Errorf("a socket: %d", a.Status)
	}
	told := log.n.Load()
	do(http.MethodGet, "/ws", nil, "Upgrade", "websocket", "Connection", "Upgrade")
	do(http.MethodGet, "/system", nil, "Accept", "application/json")
	if log.n.Load() != told || told < 8 {
		t.Errorf("%d refusals in the audit log, then %d", told, log.n.Load())
	}
	page := do(http.MethodGet, "/account/password", nil)
	if page.Count("body[data-system-seq]") != 0 {
		t.Error("the page opens a live connection, which is refused")
	}
	if page.Count(".note-info") != 1 || page.Count(".topnav-link, [data-search-open], [data-nav=account], [data-nav=help]") != 0 || page.Count("[data-action=sign-out]") != 1 {
		t.Errorf("the page offers what one may not: %s", page.Text(t, "header"))
	}
	webtest.AssertNoInlineCode(t, page)
	if a := do(http.MethodPost, "/account/password", url.Values{"current": {once}, "password": {once}, "again": {once}}); a.Status != http.StatusUnprocessableEntity || a.Count("#f-password[aria-invalid=true]") != 1 {
		t.Errorf("the same again: %d", a.Status)
	}
	if a := do(http.MethodPost, "/account/password", url.Values{"current": {once}, "password": {good}, "again": {good}}); a.Status != http.StatusSeeOther || a.Header.Get("Location") != "/" {
		t.Errorf("changing it: %d to %s", a.Status, a.Header.Get("Location"))
	}
	if a := do(http.MethodGet, "/account", nil); a.Status != http.StatusOK || a.Count("body[data-system-seq]") != 1 {
		t.Errorf("then: %d", a.Status)
	}
}
