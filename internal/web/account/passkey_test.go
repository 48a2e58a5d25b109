package account_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/cotrain/cotrain/internal/auth"
	"github.com/cotrain/cotrain/internal/auth/passkey/passkeytest"
	"github.com/cotrain/cotrain/internal/web/webtest"
)

const local = "localhost:8080"

// options asks for what a script then asks the browser for.
func (s *site) options(path string, form url.Values, cookie string) any {
	s.T.Helper()
	a := s.Do(http.MethodPost, path, form, "Cookie", cookie, "Host", local, "Accept", "application/json")
	var out any
	if err := json.Unmarshal([]byte(a.Body), &out); err != nil || a.Status != http.StatusOK || a.Header.Get("Cache-Control") != "no-store" {
		s.T.Fatalf("%d %s", a.Status, a.Body)
	}
	return out
}

func (s *site) added(name, cookie string) *passkeytest.Device {
	s.T.Helper()
	d := passkeytest.New(s.T, "http://"+local)
	answer := d.Make(s.options("/account/passkeys/options", url.Values{"passkey": {name}, "proof": {good}}, cookie))
	a := s.Do(http.MethodPost, "/account/passkeys", url.Values{"passkey": {name}, "answer": {answer}}, "Cookie", cookie, "Host", local)
	if a.Status != http.StatusSeeOther || a.Header.Get("Location") != "/account?done=passkey-added" {
		s.T.Fatalf("%d %s", a.Status, a.Text(s.T, "main"))
	}
	return d
}

func TestAPasskeyIsAddedUsedRenamedAndRemoved(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	ann := s.setUp()
	get := func(path string) webtest.Answer {
		return s.Do(http.MethodGet, path, nil, "Cookie", ann, "Host", local)
	}
	post := func(path string, form url.Values, header ...string) webtest.Answer {
		return s.Do(http.MethodPost, path, form, append([]string{"Cookie", ann, "Host", local}, header...)...)
	}
	a := get("/account")
	if a.Count("[data-passkey-id]") != 0 || a.Count("form[data-passkey=create][data-passkey-url='/account/passkeys/options'] button[disabled]") != 1 || a.Count("[data-passkeys-off]") != 0 {
		t.Error(a.Text(t, "#passkeys"))
	}
	webtest.AssertNoInlineCode(t, a)
	for proof, name := range map[string]string{"wrong": "x", good: ""} {
		a := post("/account/passkeys/options", url.Values{"passkey": {name}, "proof": {proof}}, "Accept", "application/json")
		if a.Status != http.StatusUnprocessableEntity || !strings.Contains(a.Body, `"detail":"Th`) {
			t.Errorf("%q, %q: %d %s", name, proof, a.Status, a.Body)
		}
	}
	if a := post("/account/passkeys", url.Values{"passkey": {"<b>x"}, "answer": {"{}"}}); a.Status != http.StatusUnprocessableEntity || a.Count("[data-passkey-form][open] [data-problem]") != 1 || a.Count("#f-passkey[value='<b>x']") != 1 {
		t.Errorf("%d %s", a.Status, a.Text(t, "#passkeys"))
	}
	d := s.added("<b>laptop", ann)
	a = get("/account")
	path, _ := a.Doc.Find("[data-action=passkey]").Attr("href")
	if !strings.Contains(a.Text(t, "[data-passkey-id]"), "<b>laptop") || !strings.Contains(a.Text(t, "[data-passkey-id]"), "none") || !strings.HasPrefix(path, "/account/passkeys/") {
		t.Error(a.Text(t, "#passkeys"))
	}
	webtest.AssertNoInlineCode(t, get(path))
	if a := post(path, url.Values{"passkey": {""}}); a.Status != http.StatusUnprocessableEntity || a.Count(".field-error") != 1 {
		t.Errorf("%d %s", a.Status, a.Text(t, "main"))
	}
	if a := post(path, url.Values{"passkey": {"key"}}); a.Header.Get("Location") != "/account?done=passkey-renamed" {
		t.Errorf("%d %s", a.Status, a.Text(t, "main"))
	}

	login := s.Do(http.MethodGet, "/login?next=%2Fstorage", nil, "Host", local)
	if login.Count("input[name=name][autocomplete='username webauthn']") != 1 || login.Count("form[action='/login/passkey'] input[name=next][value='/storage']") != 1 {
		t.Error(login.Text(t, "main"))
	}
	asked := s.Do(http.MethodPost, "/login/passkey/options", nil, "Host", local)
	cookie, _, _ := strings.Cut(asked.Header.Get("Set-Cookie"), ";")
	signIn := func(answer string) webtest.Answer {
		return s.Do(http.MethodPost, "/login/passkey", url.Values{"next": {"/storage"}, "answer": {answer}}, "Cookie", cookie, "Host", local)
	}
	if a := signIn("{}"); a.Status != http.StatusUnauthorized || a.Count("[data-login-error]") != 1 {
		t.Errorf("%d %s", a.Status, a.Text(t, "main"))
	}
	if a := signIn(strings.Repeat("x", 100<<10)); a.Status != http.StatusRequestEntityTooLarge {
		t.Errorf("%d %s", a.Status, a.Text(t, "main"))
	}
	answer := d.Use(s.options("/login/passkey/options", nil, cookie))
	if a := signIn(answer); a.Status != http.StatusSeeOther || a.Header.Get("Location") != "/storage" || len(a.Header.Values("Set-Cookie")) != 3 {
		t.Errorf("%d to %s, cookies %v", a.Status, a.Header.Get("Location"), a.Header.Values("Set-Cookie"))
	}
	if a := signIn(answer); a.Status != http.StatusUnauthorized || !strings.Contains(a.Text(t, "[data-login-error]"), "has been used") {
		t.Errorf("%d %s", a.Status, a.Text(t, "main"))
	}

	if a := post(path+"/remove", url.Values{"proof": {"wrong"}}); a.Status != http.StatusUnprocessableEntity || a.Count("[data-problem]") != 1 {
		t.Errorf("%d %s", a.Status, a.Text(t, "main"))
	}
	if a := post(path+"/remove", url.Values{"proof": {good}}); a.Header.Get("Location") != "/account?done=passkey-removed" {
		t.Errorf("%d %s", a.Status, a.Text(t, "main"))
	}
	if a := get(path); a.Status != http.StatusNotFound {
		t.Errorf("it is still there: %d", a.Status)
	}
}

func TestWhereThereAreNoPasskeysThePageSaysWhy(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	ann := s.setUp()
	a := s.Do(http.MethodGet, "/account", nil, "Cookie", ann, "Host", "127.0.0.1:8080")
	if a.Count("[data-passkey-form]") != 0 || !strings.Contains(a.Text(t, "[data-passkeys-off]"), "Open http://localhost:8080 for them.") {
		t.Error(a.Text(t, "#passkeys"))
	}
	a = s.Do(http.MethodGet, "/login", nil, "Host", "127.0.0.1:8080")
	if a.Count("form[action='/login/passkey']") != 0 || a.Count("input[name=name][autocomplete=username]") != 1 {
		t.Error(a.Text(t, "main"))
	}
	a = s.Do(http.MethodPost, "/login/passkey/options", nil, "Host", "127.0.0.1:8080", "Accept", "application/json")
	if a.Status != http.StatusConflict || !strings.Contains(a.Body, "localhost:8080") {
		t.Errorf("%d %s", a.Status, a.Body)
	}
}

func TestAPasskeyAfterThePassword(t *testing.T) {
	t.Parallel()
	s := newSiteWith(t, auth.Options{RequireSecondFactor: auth.RequireEverybody})
	ann := s.setUp()
	if a := s.Do(http.MethodGet, "/account/factor", nil, "Cookie", ann, "Host", local); a.Count("[data-passkey-form]") != 1 {
		t.Errorf("%d %q", a.Status, a.Text(t, ".note-info"))
	}
	d := s.added("laptop", ann)
	a := s.logIn("ann", good, "/storage")
	pending, _, _ := strings.Cut(a.Header.Get("Set-Cookie"), ";")
	for host, offered := range map[string]int{local: 1, "127.0.0.1:8080": 0} {
		a := s.Do(http.MethodGet, "/login/code?next=%2Fstorage", nil, "Cookie", pending, "Host", host)
		if a.Status != http.StatusOK || a.Count("input[name=code]") != 0 || a.Count("form[action='/login/passkey'] input[name=next][value='/storage']") != offered || strings.Contains(a.Text(t, "main"), "for them.") == (offered == 1) {
			t.Errorf("%d %s", a.Status, a.Text(t, "main"))
		}
	}
	if a := s.Do(http.MethodPost, "/login/passkey", url.Values{"answer": {"{}"}}, "Cookie", pending, "Host", local); a.Status != http.StatusUnauthorized || a.Count("[data-problem]") != 1 || a.Count("input[name=password]") != 0 {
		t.Errorf("%d %s", a.Status, a.Text(t, "main"))
	}
	answer := d.Use(s.options("/login/passkey/options", nil, pending))
	a = s.Do(http.MethodPost, "/login/passkey", url.Values{"next": {"/storage"}, "answer": {answer}}, "Cookie", pending, "Host", local)
	if a.Status != http.StatusSeeOther || a.Header.Get("Location") != "/storage" {
		t.Errorf("%d %s", a.Status, a.Text(t, "main"))
	}
}
