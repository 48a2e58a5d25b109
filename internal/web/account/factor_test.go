package account_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/pquerna/otp/totp"

	"github.com/cotrain/cotrain/internal/auth"
	"github.com/cotrain/cotrain/internal/web/webtest"
)

func TestASecondFactorIsSetUpUsedAndRemoved(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	ann := s.setUp()
	a := s.Do(http.MethodGet, "/account/factor", nil, "Cookie", ann, "Accept-Encoding", "gzip")
	secret := strings.ReplaceAll(a.Text(t, "#factor-secret"), " ", "")
	if a.Status != http.StatusOK || len(secret) != 32 || a.Header.Get("Cache-Control") != "no-store" || a.Header.Get("Content-Encoding") != "" {
		t.Fatalf("%d, secret %q, %v", a.Status, secret, a.Header)
	}
	if path, _ := a.Doc.Find(".factor-qr path").Attr("d"); len(path) < 1000 || strings.Trim(path, "M0123456789 hv-z") != "" {
		t.Errorf("QR code %.100s", path)
	}
	if a.Count("[style]") != 0 || a.Count(".factor-qr style, .factor-qr script") != 0 {
		t.Error("the QR code has a style that the content security policy refuses")
	}
	post := func(path string, form url.Values, cookie string) webtest.Answer {
		return s.Do(http.MethodPost, path, form, "Cookie", cookie)
	}
	if a := post("/account/factor", url.Values{"code": {"000000"}}, ann); a.Status != http.StatusUnprocessableEntity || a.Count("[data-problem]") != 1 || !strings.Contains(strings.ReplaceAll(a.Text(t, "#factor-secret"), " ", ""), secret) {
		t.Errorf("a wrong code: %d %s", a.Status, a.Text(t, "main"))
	}
	code, err := totp.GenerateCode(secret, webtest.Now)
	must(t, err)
	a = post("/account/factor", url.Values{"code": {code}}, ann)
	recovery := strings.Fields(a.Text(t, "#recovery-codes"))
	if a.Status != http.StatusOK || len(recovery) != 10 || a.Header.Get("Cache-Control") != "no-store" {
		t.Fatalf("%d, recovery codes %v", a.Status, recovery)
	}

	a = s.logIn("ann", good, "/storage")
	if a.Status != http.StatusSeeOther || a.Header.Get("Location") != "/login/code?next=%2Fstorage" || len(a.Header.Values("Set-Cookie")) != 1 {
		t.Fatalf("%d to %s, cookies %v", a.Status, a.Header.Get("Location"), a.Header.Values("Set-Cookie"))
	}
	pending, _, _ := strings.Cut(a.Header.Get("Set-Cookie"), ";")
	if a := s.Do(http.MethodGet, "/login/code?next=%2Fstorage", nil, "Cookie", pending); a.Status != http.StatusOK || a.Count("input[name=code][autocomplete=one-time-code]") != 1 {
		t.Errorf("%d %s", a.Status, a.Text(t, "main"))
	}
	for _, cookie := range []string{"", "cotrain_pending=x", "cotrain_pending=" + strings.Repeat("A", 43)} {
		if a := s.Do(http.MethodGet, "/login/code", nil, "Cookie", cookie); a.Status != http.StatusSeeOther || a.Header.Get("Location") != "/login" {
			t.Errorf("without a password: %d to %s", a.Status, a.Header.Get("Location"))
		}
		if a := post("/login/code", url.Values{"code": {recovery[0]}}, cookie); a.Status != http.StatusUnauthorized || a.Count("input[name=password]") != 1 {
			t.Errorf("a code without a password: %d", a.Status)
		}
	}
	if a := post("/login/code", url.Values{"code": {code}, "next": {"//evil.example"}}, pending); a.Status != http.StatusUnauthorized || a.Count("input[name=code]") != 1 || !strings.Contains(a.Text(t, "[data-problem]"), "used already") {
		t.Errorf("a replayed code: %d %s", a.Status, a.Text(t, "main"))
	}
	a = post("/login/code", url.Values{"code": {recovery[0]}, "next": {"//evil.example"}}, pending)
	if a.Status != http.StatusSeeOther || a.Header.Get("Location") != "/" {
		t.Errorf("%d to %s", a.Status, a.Header.Get("Location"))
	}

	if a := s.Do(http.MethodGet, "/account/factor", nil, "Cookie", ann); !strings.Contains(a.Text(t, "main"), "9 recovery codes left") || a.Count("#factor-secret") != 0 {
		t.Error(a.Text(t, "main"))
	}
	if a := post("/account/factor/remove", url.Values{"proof": {"wrong"}}, ann); a.Status != http.StatusUnprocessableEntity || a.Count("[data-problem]") != 1 {
		t.Errorf("%d %s", a.Status, a.Text(t, "main"))
	}
	if a := post("/account/factor/remove", url.Values{"proof": {good}}, ann); a.Header.Get("Location") != "/account?done=factor" {
		t.Errorf("%d %s", a.Status, a.Text(t, "main"))
	}
	cookies(t, s.logIn("ann", good, "/"))
}

func TestWhoNeedsASecondFactorIsLedToIt(t *testing.T) {
	t.Parallel()
	s := newSiteWith(t, auth.Options{RequireSecondFactor: auth.RequireEverybody})
	ann := s.setUp()
	if a := s.Do(http.MethodGet, "/account/factor", nil, "Cookie", ann); a.Status != http.StatusOK || !strings.Contains(a.Text(t, "main"), "asks for a second factor") {
		t.Errorf("%d %s", a.Status, a.Text(t, "main"))
	}
}
