package account_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/cotrain/cotrain/internal/access"
)

// program asks to be signed in.
func (s *site) program(name string) access.ProgramCodes {
	s.T.Helper()
	codes, err := s.auth.BeginProgram(s.T.Context(), access.Program{Name: name, Scopes: []access.Scope{access.ScopeWrite, "audit.read"}})
	must(s.T, err)
	return codes
}

func TestAProgramIsSignedInOnThePage(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	ann := s.setUp()
	codes := s.program(`<img src=x onerror=alert(1)>`)
	link := "/device?" + url.Values{"code": {codes.User}}.Encode()
	if a := s.Do(http.MethodGet, "/device", nil, "Cookie", ann); a.Status != http.StatusOK || a.Count("input[name=code]") != 1 {
		t.Errorf("%d %s", a.Status, a.Text(t, "main"))
	}
	a := s.Do(http.MethodGet, link, nil, "Cookie", ann)
	text := a.Text(t, "main")
	for _, want := range []string{"ann", codes.User, "<img src=x onerror=alert(1)>", "write : what an operator does", "audit.read : read the audit log", "Only if you started this yourself."} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in %s", want, text)
		}
	}
	if a.Count("main img") != 0 {
		t.Error("the name of a machine became part of the page")
	}
	for _, form := range []url.Values{{"code": {codes.User}}, {"code": {codes.User}, "answer": {"yes"}}} {
		if a := s.Do(http.MethodPost, "/device", form, "Cookie", ann); a.Status != http.StatusBadRequest {
			t.Errorf("%v: %d", form, a.Status)
		}
	}
	agree := url.Values{"code": {codes.User}, "answer": {"approve"}}
	if a := s.Do(http.MethodPost, "/device", agree, "Cookie", ann); a.Status != http.StatusSeeOther || a.Header.Get("Location") != "/device?done=approved" {
		t.Errorf("%d %s", a.Status, a.Text(t, "main"))
	}
	if a := s.Do(http.MethodGet, "/device?done=approved", nil, "Cookie", ann); a.Count("[data-notice]") != 1 {
		t.Error(a.Text(t, "main"))
	}
	for _, path := range []string{"/device?code=BBBB-BBBB", "/device?code=" + strings.Repeat("B", 5000), link} {
		if a := s.Do(http.MethodGet, path, nil, "Cookie", ann); a.Status != http.StatusNotFound || !strings.Contains(a.Text(t, "main"), "No program waits with this code") {
			t.Errorf("%.40s: %d %s", path, a.Status, a.Text(t, "main"))
		}
	}
	if a := s.Do(http.MethodPost, "/device", agree, "Cookie", ann); a.Status != http.StatusNotFound {
		t.Errorf("again: %d", a.Status)
	}
	denied := s.program("anvil")
	if a := s.Do(http.MethodPost, "/device", url.Values{"code": {denied.User}, "answer": {"deny"}}, "Cookie", ann); a.Header.Get("Location") != "/device?done=denied" {
		t.Errorf("%d %s", a.Status, a.Text(t, "main"))
	}
}
