package e2e

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// pass is what an administrator has to use a console with log-in: the same for every process that has the data folder.
type pass struct {
	session *http.Cookie // of a browser
	token   string       // of a program
}

// admit makes the first administrator with the link in the log, or, where there is a pass, signs in with that.
func (p *process) admit(with *pass) {
	p.t.Helper()
	p.pass = with
	if with.token != "" {
		return
	}
	var code []string
	p.eventually("the log has the link", func() bool { code = setUpCode.FindStringSubmatch(p.output()); return code != nil })
	jarless := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	form := url.Values{"code": {code[1]}, "name": {"ann"}, "password": {admitPassword}, "again": {admitPassword}}
	resp, err := jarless.PostForm(p.url("/setup"), form)
	if err != nil {
		p.t.Fatal(err)
	}
	_ = resp.Body.Close()
	for _, c := range resp.Cookies() {
		if strings.Contains(c.Name, "session") {
			with.session = c
		}
	}
	if with.session == nil {
		p.t.Fatalf("set up: %d", resp.StatusCode)
	}
	req, err := http.NewRequestWithContext(p.t.Context(), http.MethodPost, p.url("/api/v1/tokens"), strings.NewReader(`{"name":"tests","scopes":["all"]}`))
	if err != nil {
		p.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.AddCookie(with.session)
	if resp, err = jarless.Do(req); err != nil {
		p.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	var made struct{ Secret string }
	body, err := io.ReadAll(resp.Body)
	if err != nil || json.Unmarshal(body, &made) != nil || made.Secret == "" {
		p.t.Fatalf("make a token: %d %s, %v", resp.StatusCode, body, err)
	}
	with.token = made.Secret
}
