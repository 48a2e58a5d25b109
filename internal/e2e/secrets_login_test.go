package e2e

import (
	"bytes"
	"database/sql"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/PuerkitoBio/goquery"
	_ "github.com/jackc/pgx/v5/stdlib" // reads what is stored

	"github.com/cotrain/cotrain/internal/store/pgtest"
)

// heard is what the console says to somebody, at any time.
type heard struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (h *heard) Write(b []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.text.Write(b)
}

func (h *heard) String() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.text.String()
}

// guest is a browser. It notes the answers, but not cookies, which are a secret's right place.
type guest struct {
	p    *process
	http *http.Client
	said *heard
}

func newGuest(p *process, said *heard) *guest {
	p.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		p.t.Fatal(err)
	}
	return &guest{p, &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}, said}
}

// ask returns the page; the answer to what is shown once is left out of what is noted.
func (g *guest) ask(method, path string, form url.Values, shownOnce bool) *goquery.Document {
	g.p.t.Helper()
	r, err := http.NewRequestWithContext(g.p.t.Context(), method, g.p.url(path), strings.NewReader(form.Encode()))
	if err != nil {
		g.p.t.Fatal(err)
	}
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	res, err := g.http.Do(r)
	if err != nil {
		g.p.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		g.p.t.Fatal(err)
	}
	res.Header.Del("Set-Cookie")
	if !shownOnce {
		_ = res.Header.Write(g.said)
		_, _ = g.said.Write(body)
	}
	doc, err := goquery.NewDocumentFromReader(bytes.NewReader(body))
	if err != nil || res.StatusCode == http.StatusInternalServerError {
		g.p.t.Fatalf("%s %s: %d, %v: %s", method, path, res.StatusCode, err, body)
	}
	return doc
}

// secret is the one that a page shows.
func (g *guest) secret(path string, form url.Values) string {
	g.p.t.Helper()
	shown := strings.TrimSpace(g.ask(http.MethodPost, path, form, true).Find("#secret, #token-secret").Text())
	if shown == "" {
		g.p.t.Fatalf("POST %s shows no secret", path)
	}
	return shown
}

// cookies are the values that the browser has.
func (g *guest) cookies() map[string]string {
	out := map[string]string{}
	u, err := url.Parse(g.p.url("/"))
	if err != nil {
		g.p.t.Fatal(err)
	}
	for _, c := range g.http.Jar.Cookies(u) {
		out[c.Name] = c.Value
	}
	return out
}

// setUpCode reads the code of the link in the console's log.
var setUpCode = regexp.MustCompile(`/setup\?code=([A-Za-z0-9_-]{43})`)

// TestNoSecretOfALogInComesOut plants the secrets of a console with log-in, and looks for them in all that it says, keeps and
// sends on: pages, the API, the command line, its log, the database, the audit log, syslog and the webhook.
func TestNoSecretOfALogInComesOut(t *testing.T) {
	t.Parallel()
	var said, syslog, hook heard
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() { // ends with the listener
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { _, _ = io.Copy(&syslog, c) }()
		}
	}()
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_ = r.Header.Write(&hook)
		_, _ = io.Copy(&hook, r.Body)
	}))
	t.Cleanup(receiver.Close)
	refusing := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusForbidden)
		_, _ = io.WriteString(w, "ACL not found")
	}))
	t.Cleanup(refusing.Close)
	secrets := map[string]string{
		"Consul's token":        "planted-consul-2c90be",
		"PostgreSQL's password": "planted-postgres-0c6f1d", "Nomad's token": "planted-nomad-77b3ae", "the webhook's key": "planted-hook-key-4be90a", "the webhook's path": "planted-hook-path-1f8d2c",
		"ann's password": "planted otters of ann 5a1", "bob's new password": "planted otters of bob 9c2", "a password that is wrong": "planted otters of nobody 3e7", "a password typed as a name": "planted-name-6d04b1",
	}
	dir, database := filepath.Join(t.TempDir(), "data"), pgtest.URL(t)
	p := start(t, []string{
		"COTRAIN_LISTEN=127.0.0.1:0", "COTRAIN_DATA_DIR=" + dir, "COTRAIN_STORAGE_PATH=" + t.TempDir(), "NOMAD_ADDR=http://127.0.0.1:1", "NOMAD_TOKEN=" + secrets["Nomad's token"],
		"COTRAIN_DATABASE_URL=" + database, "COTRAIN_DATABASE_PASSWORD=" + secrets["PostgreSQL's password"], "COTRAIN_LOG_LEVEL=debug", "COTRAIN_LOG_FORMAT=json",
		"CONSUL_HTTP_ADDR=" + refusing.URL, "CONSUL_HTTP_TOKEN=" + secrets["Consul's token"], "COTRAIN_CONSUL_SERVICE=cotrain",
		"COTRAIN_AUDIT_SYSLOG=tcp://" + l.Addr().String(), "COTRAIN_AUDIT_WEBHOOK_URL=" + receiver.URL + "/" + secrets["the webhook's path"],
		"COTRAIN_AUDIT_WEBHOOK_SECRET=" + secrets["the webhook's key"], "COTRAIN_AUDIT_WEBHOOK_PRIVATE=true",
	}, "server")
	var code string
	p.eventually("it logs the set-up link", func() bool {
		if found := setUpCode.FindStringSubmatch(p.output()); found != nil {
			code = found[1]
		}
		return code != ""
	})

	ann := newGuest(p, &said)
	ann.ask(http.MethodGet, "/setup?code="+code, nil, true)
	ann.ask(http.MethodPost, "/setup", url.Values{"code": {code}, "name": {"ann"}, "password": {secrets["ann's password"]}, "again": {secrets["ann's password"]}}, false)
	for name, value := range ann.cookies() {
		secrets["ann's cookie "+name] = value
	}
	ann.ask(http.MethodPost, "/setup", url.Values{"code": {code}, "name": {"eve"}, "password": {secrets["a password that is wrong"]}}, false)
	secrets["the code of the set-up link"] = code
	secrets["bob's one-time password"] = ann.secret("/admin/users", url.Values{"name": {"bob"}, "kind": {"person"}})
	ann.ask(http.MethodPost, "/admin/users", url.Values{"name": {"robot"}, "kind": {"service"}}, false)
	ann.ask(http.MethodPost, "/admin/users/robot/projects", url.Values{"in_project": {"default"}, "role": {"operator"}}, false)
	ann.ask(http.MethodPost, "/projects/default/members", url.Values{"user": {"bob"}, "role": {"operator"}}, false)
	token := func(g *guest, path string) string {
		return g.secret(path, url.Values{"name": {"one"}, "scopes": {"all"}, "expires_at": {"30"}})
	}
	secrets["ann's token"], secrets["the robot's token"] = token(ann, "/account/tokens"), token(ann, "/admin/users/robot/tokens")

	bob := newGuest(p, &said)
	for _, c := range [][2]string{{"bob", secrets["a password that is wrong"]}, {secrets["a password typed as a name"], "x"}, {"bob", secrets["bob's one-time password"]}} {
		bob.ask(http.MethodPost, "/login", url.Values{"name": {c[0]}, "password": {c[1]}, "next": {"/"}}, c[0] != "bob") // the form keeps the name that was typed
	}
	bob.ask(http.MethodPost, "/account/password", url.Values{"current": {secrets["a password that is wrong"]}, "password": {secrets["bob's new password"]}, "again": {secrets["bob's new password"]}}, false)
	bob.ask(http.MethodPost, "/account/password", url.Values{"current": {secrets["bob's one-time password"]}, "password": {secrets["bob's new password"]}, "again": {secrets["bob's new password"]}}, false)
	for name, value := range bob.cookies() {
		secrets["bob's cookie "+name] = value
	}
	secrets["bob's second one-time password"] = ann.secret("/admin/users/bob/password", url.Values{})

	for _, g := range []*guest{ann, bob, newGuest(p, &said)} {
		for _, path := range []string{
			"/", "/runs/new", "/templates", "/sweeps", "/cluster", "/storage", "/system", "/account", "/admin", "/admin/users", "/admin/users/bob", "/admin/users/robot", "/admin/projects", "/projects/default",
			"/admin/audit", "/admin/audit?text=bob", "/login", "/setup", "/nothing", "/search?q=bob", "/api/v1/account", "/api/v1/tokens", "/api/v1/audit", "/api/v1/audit/export", "/api/v1/audit/export?format=csv", "/api/v1/runs",
		} {
			g.ask(http.MethodGet, path, nil, false)
		}
		g.ask(http.MethodPost, "/theme", url.Values{"theme": {"dark"}, "next": {"/account"}}, false)
	}
	for name, secret := range map[string]string{"ann's token": "", "the robot's token": "", "no token at all": "ctk_aaaaaaaaaaaa_" + strings.Repeat("planted-token-", 3) + "x"} {
		if secret == "" {
			secret = secrets[name]
		} else {
			secrets[name] = secret
		}
		for _, args := range [][]string{
			{"whoami"}, {"token", "list"}, {"token", "list", "--format", "json"}, {"run", "list"}, {"audit", "list"}, {"audit", "export"}, {"audit", "export", "--format", "csv"},
			append([]string{"run", "submit"}, shortRun("planted")...), {"run", "show", "r-0000000000"}, {"node", "list"},
		} {
			out, errs, _ := command(t, []string{"COTRAIN_ADDR=http://" + p.addr, "COTRAIN_TOKEN=" + secret}, args...)
			_, _ = said.Write([]byte(out + errs))
		}
	}
	out, errs, _ := command(t, []string{"COTRAIN_DATABASE_URL=" + database, "COTRAIN_DATABASE_PASSWORD=" + secrets["PostgreSQL's password"], "COTRAIN_DATA_DIR=" + dir}, "audit", "verify")
	_, _ = said.Write([]byte(out + errs))
	p.eventually("everything is sent on", func() bool {
		return strings.Contains(syslog.String(), "password") && strings.Contains(hook.String(), "robot") && strings.Count(hook.String(), `"action"`) > 10
	})
	if code := p.interrupt(); code != 0 {
		t.Errorf("it ends with %d", code)
	}

	log := setUpCode.ReplaceAllString(p.output(), "") // where the link is for the operator
	places := map[string]string{"what it says": said.String(), "the log": log, "syslog": syslog.String(), "the webhook's body": hook.String(), "the database": dump(t, database)}
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			var text []byte
			text, err = os.ReadFile(path)
			places[strings.TrimPrefix(path, dir)] = string(text)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for place, text := range places {
		if place != "the log" && place[0] != '/' && len(text) < 1000 {
			t.Errorf("%s is hardly anything: %q", place, text)
		}
		for name, secret := range secrets {
			if strings.HasPrefix(secret, "ctk_") { // its ID is no secret
				secret = secret[strings.LastIndex(secret[:18], "_"):]
			}
			if i := strings.Index(text, secret); i >= 0 {
				t.Errorf("%s is in %s: %q", name, place, text[max(0, i-200):min(len(text), i+len(secret)+20)])
			}
		}
	}
}

// dump is all that a database holds.
func dump(t *testing.T, address string) string {
	t.Helper()
	conn, err := sql.Open("pgx", address+"&search_path=cotrain")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	query := func(q string) (out []string) {
		rows, err := conn.QueryContext(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = rows.Close() }()
		for rows.Next() {
			var text string
			if err := rows.Scan(&text); err != nil {
				t.Fatal(err)
			}
			out = append(out, text)
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
		return out
	}
	var all []string
	for _, table := range query(`SELECT tablename FROM pg_tables WHERE schemaname = 'cotrain'`) {
		all = append(all, query(fmt.Sprintf(`SELECT x::text FROM cotrain.%s x`, table))...)
	}
	return strings.Join(all, "\n")
}
