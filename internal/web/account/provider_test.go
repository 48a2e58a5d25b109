package account_test

import (
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/oauth2-proxy/mockoidc"
	"github.com/pquerna/otp/totp"

	"github.com/cotrain/cotrain/internal/auth"
	"github.com/cotrain/cotrain/internal/auth/oidc"
	"github.com/cotrain/cotrain/internal/store"
	"github.com/cotrain/cotrain/internal/web"
	"github.com/cotrain/cotrain/internal/web/webtest"
)

// withProvider is a console at which one signs in with a provider, too.
func withProvider(t *testing.T, noPasswords bool) (*site, *mockoidc.MockOIDC) {
	t.Helper()
	m, err := mockoidc.Run()
	must(t, err)
	t.Cleanup(func() { must(t, m.Server.Close()) })
	s, err := store.Open(t.Context(), t.TempDir())
	must(t, err)
	t.Cleanup(func() { must(t, s.Close()) })
	log := slog.New(slog.DiscardHandler)
	service, err := auth.New(t.Context(), auth.Options{
		Accounts: s.Accounts, Audit: s.Audit, Logger: log, Now: time.Now, NoPasswords: noPasswords,
		Provider: &auth.Provider{Issuer: m.Issuer(), Name: `Mock & <b>Co`, OIDC: oidc.New(oidc.Options{
			Issuer: m.Issuer(), ClientID: m.ClientID, ClientSecret: m.ClientSecret, Scopes: []string{"openid", "profile"}, UserClaim: "preferred_username", GroupsClaim: "groups", Client: oidc.NewClient(nil), Logger: log, Now: time.Now,
		})},
	})
	must(t, err)
	return &site{auth: service, Site: webtest.New(t, func(d *web.Deps) {
		d.Auth, d.Accounts, d.Admin, d.Projects, d.Now = service, service, service, service.ProjectNames, time.Now
	})}, m
}

// visit follows the page's button to the provider, and returns the path that it sends back to, and the browser's cookie.
func (s *site) visit(m *mockoidc.MockOIDC, name, next string) (path, cookie string) {
	s.T.Helper()
	m.QueueUser(&mockoidc.MockUser{Subject: "sub-" + name, PreferredUsername: name})
	page := s.Get("/login?next="+url.QueryEscape(next), http.StatusOK)
	webtest.AssertNoInlineCode(s.T, page)
	begun := s.Get(page.Doc.Find("[data-action=login-provider]").AttrOr("href", ""), http.StatusSeeOther)
	cookie, _, _ = strings.Cut(begun.Header.Get("Set-Cookie"), ";")
	req, err := http.NewRequestWithContext(s.T.Context(), http.MethodGet, begun.Header.Get("Location"), nil)
	must(s.T, err)
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	must(s.T, err)
	must(s.T, resp.Body.Close())
	back, err := resp.Location()
	must(s.T, err)
	if origin := back.Scheme + "://" + back.Host; origin != s.HTTP.URL {
		s.T.Fatalf("the provider sends to %s, want %s", origin, s.HTTP.URL)
	}
	return back.RequestURI(), cookie
}

// signedIn is the cookie of the session that an answer began, "" for none.
func signedIn(a webtest.Answer) string { return setCookie(a, "cotrain_session") }

func setCookie(a webtest.Answer, name string) string {
	for _, line := range a.Header.Values("Set-Cookie") {
		if pair, _, _ := strings.Cut(line, ";"); strings.HasPrefix(pair, name+"=") {
			return pair
		}
	}
	return ""
}

func TestOneSignsInAtTheProviderByThePage(t *testing.T) {
	t.Parallel()
	s, m := withProvider(t, false)
	ann := s.setUp()
	path, cookie := s.visit(m, "eve", "/account?a=b")
	got := s.Do(http.MethodGet, path, nil, "Cookie", cookie, "Sec-Fetch-Site", "cross-site")
	if got.Header.Get("Location") != "/account?a=b" {
		t.Fatalf("it leads to %d %s", got.Status, got.Header.Get("Location"))
	}
	session := signedIn(got)
	if a := s.Do(http.MethodGet, "/account", nil, "Cookie", session); a.Status != http.StatusOK || a.Text(t, "[data-user]") != "eve" {
		t.Errorf("signed in is %d", a.Status)
	}

	again := s.Do(http.MethodGet, path, nil, "Cookie", cookie)
	code, err := url.Parse(path)
	must(t, err)
	if again.Status != http.StatusForbidden || !strings.Contains(again.Text(t, "[data-login-error]"), "Sign in again.") || again.Count("[data-action=login-provider]") != 1 || again.Header.Get("Cache-Control") != "no-store" || strings.Contains(again.Body, code.Query().Get("code")) {
		t.Errorf("the second time it is %d, %s", again.Status, again.Text(t, "main"))
	}

	// Somebody whose name is taken is told what an administrator needs.
	path, cookie = s.visit(m, "ann", "/")
	taken := s.Do(http.MethodGet, path, nil, "Cookie", cookie)
	if taken.Status != http.StatusForbidden || !strings.Contains(taken.Text(t, "[data-login-error]"), "sub-ann") {
		t.Errorf("a name that is taken: %d %s", taken.Status, taken.Text(t, "main"))
	}
	as := func(path string, form url.Values) webtest.Answer {
		t.Helper()
		return s.Do(http.MethodPost, path, form, "Cookie", ann)
	}
	if a := as("/admin/users/ann/identities", url.Values{"subject": {""}}); a.Status != http.StatusUnprocessableEntity {
		t.Errorf("no subject: %d", a.Status)
	}
	if a := as("/admin/users/ann/identities", url.Values{"subject": {"sub-eve"}}); a.Status != http.StatusUnprocessableEntity || !strings.Contains(a.Text(t, "main"), "signs in as eve") {
		t.Errorf("another's subject: %d %s", a.Status, a.Text(t, "main"))
	}
	if a := as("/admin/users/ann/identities", url.Values{"subject": {"sub-ann"}}); a.Header.Get("Location") != "/admin/users/ann?done=linked" {
		t.Errorf("linking: %d", a.Status)
	}
	path, cookie = s.visit(m, "ann", "/")
	if a := s.Do(http.MethodGet, path, nil, "Cookie", cookie); a.Status != http.StatusSeeOther {
		t.Errorf("linked: %d %s", a.Status, a.Text(t, "main"))
	}
	page := s.Do(http.MethodGet, "/admin/users/ann", nil, "Cookie", ann)
	form := webtest.HiddenInputs(page, "form[action$='/unlink']")
	if page.Count("[data-identity=sub-ann]") != 1 || form.Get("issuer") != m.Issuer() {
		t.Errorf("the page shows %v", form)
	}
	if a := as("/admin/users/ann/identities/unlink", form); a.Header.Get("Location") != "/admin/users/ann?done=unlinked" {
		t.Errorf("unlinking: %d", a.Status)
	}
	if a := s.Do(http.MethodPost, "/admin/users/ann/identities", url.Values{"subject": {"x"}}, "Cookie", session); a.Status != http.StatusForbidden {
		t.Errorf("who administers nothing links: %d", a.Status)
	}
}

func TestThePageOffersWhatThereIs(t *testing.T) {
	t.Parallel()
	for _, none := range []bool{false, true} {
		s, m := withProvider(t, none)
		s.setUp() // by the link, in any case
		page := s.Get("/login?next="+url.QueryEscape("//evil.example"), http.StatusOK)
		if button := page.Text(t, "[data-action=login-provider]"); button != "Sign in with Mock & <b>Co" || page.Doc.Find("[data-action=login-provider]").AttrOr("href", "") != "/login/oidc?next=%2F" {
			t.Errorf("the button: %s", button)
		}
		if has := page.Count("#f-password") == 1; has == none {
			t.Errorf("without passwords %v: the form is there: %v", none, has)
		}
		if a := s.logIn("ann", good, "/"); (a.Status == http.StatusForbidden) != none {
			t.Errorf("without passwords %v: %d", none, a.Status)
		}
		must(t, m.Server.Close())
		away := s.Get("/login/oidc?next=%2Fsweeps", http.StatusServiceUnavailable)
		if !strings.Contains(away.Text(t, "[data-login-error]"), "does not answer") || away.Doc.Find("[data-action=login-provider]").AttrOr("href", "") != "/login/oidc?next=%2Fsweeps" || len(away.Header.Values("Set-Cookie")) != 0 {
			t.Errorf("while it is away: %s", away.Text(t, "main"))
		}
	}
	plain := newSite(t)
	plain.Get("/login/oidc", http.StatusNotFound)
	plain.Get("/login/oidc/callback?state=x&code=y", http.StatusNotFound)
}

func TestTheSecondFactorIsAskedForAfterTheProvider(t *testing.T) {
	t.Parallel()
	s, m := withProvider(t, true)
	path, cookie := s.visit(m, "eve", "/")
	eve := signedIn(s.Do(http.MethodGet, path, nil, "Cookie", cookie))
	if page := s.Do(http.MethodGet, "/account", nil, "Cookie", eve); page.Count("[data-action=password]") != 0 || page.Count("[data-action=factor]") != 1 {
		t.Error("who has no password is offered to change it")
	}
	if a := s.Do(http.MethodGet, "/account/password", nil, "Cookie", eve); a.Status != http.StatusNotFound {
		t.Errorf("the page of a password that there is not: %d", a.Status)
	}
	secret := strings.ReplaceAll(s.Do(http.MethodGet, "/account/factor", nil, "Cookie", eve).Text(t, "#factor-secret"), " ", "")
	code, err := totp.GenerateCode(secret, time.Now())
	must(t, err)
	recovery := strings.Fields(s.Do(http.MethodPost, "/account/factor", url.Values{"code": {code}}, "Cookie", eve).Text(t, "#recovery-codes"))

	path, cookie = s.visit(m, "eve", "/account?a=b")
	asked := s.Do(http.MethodGet, path, nil, "Cookie", cookie, "Sec-Fetch-Site", "cross-site")
	if asked.Status != http.StatusSeeOther || asked.Header.Get("Location") != "/login/code?next=%2Faccount%3Fa%3Db" {
		t.Fatalf("%d to %s", asked.Status, asked.Header.Get("Location"))
	}
	if signedIn(asked) != "" {
		t.Error("signed in without the code")
	}
	pending := setCookie(asked, "cotrain_pending")
	done := s.Do(http.MethodPost, "/login/code", url.Values{"code": {recovery[0]}, "next": {"/account?a=b"}}, "Cookie", pending)
	if done.Status != http.StatusSeeOther || done.Header.Get("Location") != "/account?a=b" || signedIn(done) == "" {
		t.Errorf("%d to %s", done.Status, done.Header.Get("Location"))
	}
}
