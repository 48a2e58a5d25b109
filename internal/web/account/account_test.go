package account_test

import (
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/auth"
	"github.com/cotrain/cotrain/internal/store"
	"github.com/cotrain/cotrain/internal/web"
	"github.com/cotrain/cotrain/internal/web/webtest"
)

const good = "plenty of small otters"

// site is a console with log-in.
type site struct {
	*webtest.Site
	auth *auth.Service
}

func newSite(t *testing.T) *site { return newSiteWith(t, auth.Options{}) }

func newSiteWith(t *testing.T, o auth.Options, change ...func(*web.Deps)) *site {
	t.Helper()
	s, err := store.Open(t.Context(), t.TempDir())
	must(t, err)
	t.Cleanup(func() { must(t, s.Close()) })
	o.Accounts, o.Audit, o.Logger, o.Now = s.Accounts, s.Audit, slog.New(slog.DiscardHandler), func() time.Time { return webtest.Now }
	service, err := auth.New(t.Context(), o)
	must(t, err)
	return &site{auth: service, Site: webtest.New(t, func(d *web.Deps) {
		d.Auth, d.Accounts, d.Admin, d.Projects = service, service, service, service.ProjectNames
		for _, fn := range change {
			fn(d)
		}
	})}
}

// setUp makes the administrator ann by the link, and returns her cookies.
func (s *site) setUp() string {
	s.T.Helper()
	link, err := url.Parse(s.auth.SetUpLink())
	must(s.T, err)
	page := s.Get(link.String(), http.StatusOK)
	form := webtest.HiddenInputs(page, "form[action='/setup']")
	form.Set("name", "ann")
	form.Set("password", good)
	form.Set("again", good)
	return cookies(s.T, s.Do(http.MethodPost, "/setup", form))
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// cookies are what a browser sends after an answer that signed in.
func cookies(t *testing.T, a webtest.Answer) string {
	t.Helper()
	var out []string
	for _, line := range a.Header.Values("Set-Cookie") {
		pair, _, _ := strings.Cut(line, ";")
		out = append(out, pair)
	}
	if a.Status != http.StatusSeeOther || len(out) != 2 {
		t.Fatalf("not signed in: %d %s, cookies %v", a.Status, a.Text(t, "main"), out)
	}
	return strings.Join(out, "; ")
}

func (s *site) logIn(name, password, next string) webtest.Answer {
	s.T.Helper()
	return s.Do(http.MethodPost, "/login", url.Values{"name": {name}, "password": {password}, "next": {next}})
}

func TestTheFirstAdministratorIsMadeByTheLinkAlone(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	if s.Get("/login", http.StatusOK).Count(".note-info") != 1 {
		t.Error("the log-in page does not say that the console is not set up")
	}
	for _, path := range []string{"/setup", "/setup?code=x", "/setup?code=" + strings.Repeat("A", 43)} {
		if a := s.Get(path, http.StatusForbidden); a.Count("input[type=password]") != 0 {
			t.Errorf("%s shows the form", path)
		}
	}
	link := s.auth.SetUpLink()
	code := strings.TrimPrefix(link, "/setup?code=")
	page := s.Get(link, http.StatusOK)
	webtest.AssertNoInlineCode(t, page)
	wrong := s.Do(http.MethodPost, "/setup", url.Values{"code": {code}, "name": {"Ann"}, "password": {"short"}, "again": {"short"}})
	if wrong.Status != http.StatusUnprocessableEntity || wrong.Count(".field-error") != 2 || wrong.Count("#f-name[value=Ann]") != 1 || strings.Contains(wrong.Body, "short\"") {
		t.Errorf("mistakes: %d, %d errors", wrong.Status, wrong.Count(".field-error"))
	}
	if differs := s.Do(http.MethodPost, "/setup", url.Values{"code": {code}, "name": {"ann"}, "password": {good}, "again": {"other"}}); differs.Status != http.StatusUnprocessableEntity || differs.Count(".field-error") != 1 {
		t.Errorf("passwords that differ: %d", differs.Status)
	}
	if both := s.Do(http.MethodPost, "/setup", url.Values{"code": {code}, "name": {"Ann A"}, "password": {good}, "again": {"other"}}); both.Count("#f-name[aria-invalid=true], #f-again[aria-invalid=true]") != 2 {
		t.Errorf("a bad name and passwords that differ: %s", both.Text(t, "main form"))
	}
	ann := s.setUp()
	if got := s.Do(http.MethodGet, "/account", nil, "Cookie", ann); got.Status != http.StatusOK || got.Text(t, "[data-user]") != "ann" {
		t.Errorf("her account: %d", got.Status)
	}
	s.Get(link, http.StatusForbidden)
	if again := s.Do(http.MethodPost, "/setup", url.Values{"code": {code}, "name": {"eve"}, "password": {good}, "again": {good}}); again.Status != http.StatusForbidden {
		t.Errorf("the link works twice: %d", again.Status)
	}
	if s.Get("/login", http.StatusOK).Count(".note-info") != 0 {
		t.Error("the log-in page says that the console is not set up")
	}
}

func TestSigningInLeadsToWhereOneWanted(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.setUp()
	for next, want := range map[string]string{
		"/sweeps?a=b": "/sweeps?a=b", "": "/", "https://evil.example/": "/", "//evil.example": "/", `/\evil.example`: "/", "/\t/evil.example": "/", "javascript:alert(1)": "/",
	} {
		a := s.logIn("ann", good, next)
		if a.Status != http.StatusSeeOther || a.Header.Get("Location") != want {
			t.Errorf("%q leads to %q, %d", next, a.Header.Get("Location"), a.Status)
		}
		page := s.Get("/login?next="+url.QueryEscape(next), http.StatusOK)
		if got := webtest.HiddenInputs(page, "form[action='/login']").Get("next"); got != want {
			t.Errorf("the page for %q leads to %q", next, got)
		}
	}
	ann := cookies(t, s.logIn("ann", good, ""))
	if a := s.Do(http.MethodGet, "/login?next=/sweeps", nil, "Cookie", ann); a.Status != http.StatusSeeOther || a.Header.Get("Location") != "/sweeps" {
		t.Errorf("who is signed in gets %d, %s", a.Status, a.Header.Get("Location"))
	}
	out := s.Do(http.MethodPost, "/logout", url.Values{}, "Cookie", ann)
	if out.Status != http.StatusSeeOther || out.Header.Get("Location") != "/login" {
		t.Errorf("log-out: %d to %s", out.Status, out.Header.Get("Location"))
	}
	if a := s.Do(http.MethodGet, "/account", nil, "Cookie", ann); a.Status != http.StatusUnauthorized {
		t.Errorf("the session outlives it: %d", a.Status)
	}
	if page := s.Do(http.MethodGet, "/login", nil, "Cookie", ann); page.Text(t, ".note-info strong") != "You have been signed out." || s.Get("/login", http.StatusOK).Count(".note-info") != 0 {
		t.Error("who is signed out is not told so, or everybody is")
	}
	if a := s.Do(http.MethodGet, "/logout", nil, "Cookie", ann); a.Status != http.StatusMethodNotAllowed {
		t.Errorf("a link signs out: %d", a.Status)
	}
}

func TestAFailedLogInIsSaidOnThePage(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.setUp()
	for range 10 {
		a := s.logIn(`ann"><script>`, "wrong", "/sweeps")
		if a.Status != http.StatusUnauthorized || a.Count("[data-login-error]") != 1 || len(a.Header.Values("Set-Cookie")) != 0 {
			t.Fatalf("%d, cookies %v", a.Status, a.Header.Values("Set-Cookie"))
		}
		webtest.AssertNoInlineCode(t, a)
		if a.Count("#f-password[value='']") != 1 || webtest.HiddenInputs(a, "form[action='/login']").Get("next") != "/sweeps" {
			t.Error("the form is not what was typed, without the password")
		}
	}
	a := s.logIn(`ann"><script>`, "wrong", "")
	if a.Status != http.StatusTooManyRequests || !strings.Contains(a.Text(t, "[data-login-error]"), "Try again in 15 min") || a.Count("#f-password") != 1 {
		t.Errorf("locked out: %d %s", a.Status, a.Text(t, "[data-login-error]"))
	}
	cross := s.Do(http.MethodPost, "/login", url.Values{"name": {"ann"}, "password": {good}}, "Origin", "https://evil.example")
	if cross.Status != http.StatusForbidden || len(cross.Header.Values("Set-Cookie")) != 0 {
		t.Errorf("another site signs in: %d", cross.Status)
	}
}

func TestATokenIsShownOnce(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	ann := s.setUp()
	do := func(method, path string, form url.Values) webtest.Answer {
		t.Helper()
		return s.Do(method, path, form, "Cookie", ann)
	}
	empty := do(http.MethodPost, "/account/tokens", url.Values{"scopes": {"read"}, "expires_at": {"90"}})
	if empty.Status != http.StatusUnprocessableEntity || empty.Count("[data-token-form][open] .field-error") != 1 || empty.Count("[data-secret]") != 0 {
		t.Errorf("without a name: %d", empty.Status)
	}
	if bad := do(http.MethodPost, "/account/tokens", url.Values{"name": {"x"}, "scopes": {"read"}, "expires_at": {"-1"}}); bad.Status != http.StatusBadRequest {
		t.Errorf("an expiry that the page does not offer: %d", bad.Status)
	}
	made := do(http.MethodPost, "/account/tokens", url.Values{"name": {`<b>ci`}, "scopes": {"all"}, "project": {"default"}, "expires_at": {"7"}, "right.runs.read": {"true"}, "right.runs.submit": {"true"}})
	secret := made.Text(t, "#token-secret")
	if made.Status != http.StatusOK || !strings.HasPrefix(secret, "ctk_") || made.Header.Get("Cache-Control") != "no-store" {
		t.Fatalf("%d, secret %q, %q", made.Status, secret, made.Header.Get("Cache-Control"))
	}
	_, once, err := s.auth.CreateUser(access.With(t.Context(), access.Local()), access.User{Name: "eve"})
	must(t, err)
	eve := cookies(t, s.logIn("eve", once, ""))
	s.Do(http.MethodPost, "/account/password", url.Values{"current": {once}, "password": {good}, "again": {good}}, "Cookie", eve)
	if page := s.Do(http.MethodGet, "/account", nil, "Cookie", eve); page.Count("[name='right.users.manage']") != 0 || page.Count("[name='right.runs.submit']") != 1 || made.Count("[name='right.users.manage']") != 1 {
		t.Error("the rights of administrators are offered to others, or not to her")
	}
	listed := do(http.MethodGet, "/account", nil)
	if strings.Contains(listed.Body, secret) || listed.Count("[data-token]") != 1 || listed.Text(t, "[data-token] [data-label=Scopes]") != "runs.read, runs.submit" || listed.Text(t, "[data-token] [data-label=Project]") != "default" {
		t.Errorf("the list has %s", listed.Text(t, "#tokens"))
	}
	api := func() webtest.Answer {
		return s.Do(http.MethodGet, "/healthz", nil, "Authorization", "Bearer "+secret)
	}
	if a := api(); a.Status != http.StatusOK {
		t.Errorf("the token does not count: %d", a.Status)
	}
	href := listed.Doc.Find("[data-action=revoke]").AttrOr("href", "")
	ask := do(http.MethodGet, href, nil)
	if ask.Status != http.StatusOK || !strings.Contains(ask.Text(t, "main"), "<b>ci") {
		t.Errorf("asking: %d", ask.Status)
	}
	if gone := do(http.MethodPost, ask.Doc.Find("[data-confirm-form]").AttrOr("action", ""), url.Values{}); gone.Header.Get("Location") != "/account?done=revoked" {
		t.Errorf("revoking: %d %s", gone.Status, gone.Header.Get("Location"))
	}
	if a := api(); a.Status != http.StatusUnauthorized || a.Header.Get("WWW-Authenticate") == "" {
		t.Errorf("the revoked token: %d", a.Status)
	}
	if a := do(http.MethodGet, href, nil); a.Status != http.StatusNotFound {
		t.Errorf("asking about a token that is gone: %d", a.Status)
	}
}

func TestSessionsAndPasswordAreManagedOnThePage(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	ann := s.setUp()
	second, third := cookies(t, s.logIn("ann", good, "")), cookies(t, s.logIn("ann", good, ""))
	do := func(method, path string, form url.Values) webtest.Answer {
		t.Helper()
		return s.Do(method, path, form, "Cookie", ann)
	}
	signedIn := func(cookie string) bool {
		return s.Do(http.MethodGet, "/account", nil, "Cookie", cookie).Status == http.StatusOK
	}
	page := do(http.MethodGet, "/account", nil)
	if page.Count("[data-session]") != 3 || page.Count("[data-action=end-session]") != 2 || page.Count("[data-session] .tag") != 1 {
		t.Errorf("sessions: %s", page.Text(t, "#sessions"))
	}
	action := page.Doc.Find("form:has([data-action=end-session])").First().AttrOr("action", "")
	if a := do(http.MethodPost, action, url.Values{}); a.Header.Get("Location") != "/account?done=session" || signedIn(second) == signedIn(third) {
		t.Errorf("ending one: %d, %v and %v", a.Status, signedIn(second), signedIn(third))
	}
	do(http.MethodPost, "/account/sessions/end-others", url.Values{})
	if signedIn(second) || signedIn(third) || !signedIn(ann) {
		t.Error("other sessions stay")
	}
	fourth := cookies(t, s.logIn("ann", good, ""))
	const fresh = "a different set of words"
	for field, form := range map[string]url.Values{
		"current": {"current": {"wrong"}, "password": {fresh}, "again": {fresh}}, "password": {"current": {good}, "password": {"short"}, "again": {"short"}}, "again": {"current": {good}, "password": {fresh}, "again": {"x"}},
	} {
		if a := do(http.MethodPost, "/account/password", form); a.Status != http.StatusUnprocessableEntity || a.Count("[data-password-form] .field-error") != 1 || a.Count("#f-"+field+"[aria-invalid=true]") != 1 {
			t.Errorf("%s: %d", field, a.Status)
		}
	}
	if page := do(http.MethodGet, do(http.MethodGet, "/account", nil).Doc.Find("[data-action=password]").AttrOr("href", ""), nil); page.Status != http.StatusOK || page.Count("[data-password-form] input[type=password]") != 3 || page.Count(".note-info") != 0 {
		t.Errorf("its page: %d", page.Status)
	}
	changed := do(http.MethodPost, "/account/password", url.Values{"current": {good}, "password": {fresh}, "again": {fresh}})
	if changed.Header.Get("Location") != "/account?done=password" || signedIn(fourth) || !signedIn(ann) {
		t.Errorf("changing it: %d", changed.Status)
	}
	if page := do(http.MethodGet, "/account?done=password", nil); page.Count("[data-notice]") != 1 {
		t.Error("the page does not say so")
	}
	if page := do(http.MethodGet, "/account?done=nonsense", nil); page.Count("[data-notice]") != 0 {
		t.Error("the page says what was not done")
	}
}

func TestAConsoleWithoutLogInHasNoSuchPages(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	for _, path := range []string{"/login", "/setup", "/account"} {
		s.Get(path, http.StatusNotFound)
	}
}
