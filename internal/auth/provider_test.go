package auth_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/oauth2-proxy/mockoidc"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/audit"
	"github.com/cotrain/cotrain/internal/auth"
	"github.com/cotrain/cotrain/internal/auth/oidc"
	"github.com/cotrain/cotrain/internal/fault"
)

// provider is a real provider of log-ins, of which a test can falsify what it answers.
type provider struct {
	*mockoidc.MockOIDC
	mu    sync.Mutex
	alter map[string]func(next http.Handler) http.Handler // by path
}

func newProvider(t *testing.T) *provider {
	t.Helper()
	m, err := mockoidc.NewServer(nil)
	must(t, err)
	p := &provider{MockOIDC: m, alter: map[string]func(http.Handler) http.Handler{}}
	must(t, m.AddMiddleware(func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			p.mu.Lock()
			alter := p.alter[r.URL.Path]
			p.mu.Unlock()
			if alter != nil {
				alter(next).ServeHTTP(w, r)
				return
			}
			next.ServeHTTP(w, r)
		})
	}))
	return p
}

// on has an endpoint answer in another way, or with nil as it does.
func (p *provider) on(path string, alter func(next http.Handler) http.Handler) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.alter[path] = alter
}

func (p *provider) answer(path string, h http.HandlerFunc) {
	p.on(path, func(http.Handler) http.Handler { return h })
}

// forge replaces the ID token by another of the same claims.
func (p *provider) forge(forged func(claims jwt.MapClaims) string) {
	p.on(mockoidc.TokenEndpoint, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			rec := httptest.NewRecorder()
			next.ServeHTTP(rec, r)
			var answer map[string]any
			if rec.Code == http.StatusOK && json.Unmarshal(rec.Body.Bytes(), &answer) == nil {
				var claims jwt.MapClaims
				_, _, _ = jwt.NewParser().ParseUnverified(answer["id_token"].(string), &claims)
				answer["id_token"] = forged(claims)
				rec.Body.Reset()
				_ = json.NewEncoder(rec.Body).Encode(answer)
			}
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(rec.Code)
			_, _ = w.Write(rec.Body.Bytes())
		})
	})
}

// claims are a person's at the provider; they overwrite those of the token.
type claims map[string]any

func (c claims) ID() string { return fmt.Sprint(c["sub"]) }

func (c claims) Userinfo([]string) ([]byte, error) {
	if more, ok := c["userinfo"]; ok {
		return json.Marshal(more)
	}
	return json.Marshal(map[string]any{"sub": c["sub"]})
}

func (c claims) Claims(_ []string, base *mockoidc.IDTokenClaims) (jwt.Claims, error) {
	text, err := json.Marshal(base)
	if err != nil {
		return nil, err
	}
	out := jwt.MapClaims{}
	if err := json.Unmarshal(text, &out); err != nil {
		return nil, err
	}
	for name, value := range c {
		if value == nil {
			delete(out, name)
		} else if name != "userinfo" {
			out[name] = value
		}
	}
	return out, nil
}

func eve(more ...claims) claims {
	out := claims{"sub": "eve-1", "preferred_username": "eve", "name": "Eve É.", "email": "eve@example.org", "email_verified": true, "groups": []string{"ml"}}
	for _, m := range more {
		for name, value := range m {
			out[name] = value
		}
	}
	return out
}

// withProvider is a console at the provider's time, which knows the groups ml, leads and platform.
func withProvider(t *testing.T, change ...func(*auth.Options, *oidc.Options)) (*console, *provider) {
	t.Helper()
	p := newProvider(t)
	start(t, p)
	return consoleOf(t, p, change...), p
}

func start(t *testing.T, p *provider) {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	must(t, err)
	must(t, p.Start(l, nil))
	t.Cleanup(func() { must(t, p.Server.Close()) })
}

func consoleOf(t *testing.T, p *provider, change ...func(*auth.Options, *oidc.Options)) *console {
	t.Helper()
	c := newConsole(t)
	c.pass(time.Since(c.clock()))
	o := oidc.Options{
		Issuer: p.Issuer(), ClientID: p.ClientID, ClientSecret: p.ClientSecret, Scopes: []string{"openid", "profile", "email", "groups"},
		UserClaim: "preferred_username", GroupsClaim: "groups", Client: oidc.NewClient(nil), Logger: c.slog(), Now: c.clock,
	}
	s := auth.Options{Accounts: c.store.Accounts, Audit: c.store.Audit, Logger: c.slog(), Now: c.clock, Provider: &auth.Provider{Issuer: p.Issuer(), Name: "Mock"}}
	for _, text := range []string{"ml=default:operator", "leads=default:admin", "leads=vision:viewer", "platform=administrator", "ml=none:viewer"} {
		g, err := access.ParseGroupGrant(text)
		must(t, err)
		s.Provider.Groups = append(s.Provider.Groups, g)
	}
	for _, fn := range change {
		fn(&s, &o)
	}
	s.Provider.OIDC = oidc.New(o)
	must(t, c.store.CreateProject(t.Context(), access.Project{Name: "vision"}))
	var err error
	c.Service, err = auth.New(t.Context(), s)
	must(t, err)
	return c
}

// flow is one log-in at the provider, step by step.
type flow struct {
	c      *console
	cookie *http.Cookie
	to     *url.URL   // where the browser is sent
	query  url.Values // what it comes back with
}

func (c *console) begin(next string) (*flow, error) {
	c.t.Helper()
	w := httptest.NewRecorder()
	to, err := c.BeginAtProvider(w, c.request("192.0.2.1"), next)
	if err != nil {
		return nil, err
	}
	f := &flow{c: c, cookie: named(c.t, w.Result().Cookies(), auth.LoginCookie)}
	f.to, err = url.Parse(to)
	must(c.t, err)
	return f, nil
}

// visit signs in at the provider.
func (f *flow) visit(p *provider, who mockoidc.User) *flow {
	f.c.t.Helper()
	p.QueueUser(who)
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	req, err := http.NewRequestWithContext(f.c.t.Context(), http.MethodGet, f.to.String(), nil)
	must(f.c.t, err)
	resp, err := client.Do(req)
	must(f.c.t, err)
	must(f.c.t, resp.Body.Close())
	back, err := resp.Location()
	must(f.c.t, err)
	if got := back.Scheme + "://" + back.Host + back.Path; got != "http://example.com/login/oidc/callback" {
		f.c.t.Fatalf("the provider sends to %s", got)
	}
	f.query = back.Query()
	return f
}

// finish comes back with cookies.
func (f *flow) finish(cookies ...*http.Cookie) ([]*http.Cookie, string, error) {
	w, r := httptest.NewRecorder(), f.c.request("192.0.2.1", cookies...)
	r.URL.RawQuery = f.query.Encode()
	next, err := f.c.FinishAtProvider(w, r)
	return w.Result().Cookies(), next, err
}

// signIn is a whole log-in.
func (c *console) signIn(p *provider, who mockoidc.User) ([]*http.Cookie, error) {
	c.t.Helper()
	f, err := c.begin("/sweeps?a=b")
	if err != nil {
		return nil, err
	}
	cookies, _, err := f.visit(p, who).finish(f.cookie)
	return cookies, err
}

func (c *console) mustSignIn(p *provider, who mockoidc.User) access.Identity {
	c.t.Helper()
	cookies, err := c.signIn(p, who)
	must(c.t, err)
	return access.From(c.as(named(c.t, cookies, auth.SessionCookie)))
}

// turnedAway wants a log-in to be refused: nobody is signed in or made, and the audit log tells why.
func (c *console) turnedAway(what string, cookies []*http.Cookie, err, want error) {
	c.t.Helper()
	users := len(c.users())
	if !matches(err, want) {
		c.t.Errorf("%s: got %v, want %v", what, err, want)
	}
	if slices.ContainsFunc(cookies, func(k *http.Cookie) bool { return k.Name == auth.SessionCookie }) || users != 2 {
		c.t.Errorf("%s: signed in all the same; %d users, cookies %v", what, users, cookies)
	}
	if fault.Of(want).Kind != fault.ErrUnavailable {
		page, err := c.store.Audit.Search(c.t.Context(), audit.Filter{AllProjects: true, Action: "login", Outcome: audit.Refused, Limit: 1})
		must(c.t, err)
		if len(page.Rows) != 1 || page.Rows[0].Reason != fault.Of(want).What {
			c.t.Errorf("%s: the audit log has %+v", what, page.Rows)
		}
	}
}

// matches compares what a person reads.
func matches(err, want error) bool {
	return err != nil && fault.Of(err).Kind == fault.Of(want).Kind && fault.Of(err).What == fault.Of(want).What
}

func (c *console) users() []access.User {
	c.t.Helper()
	state, err := c.store.Access(c.t.Context())
	must(c.t, err)
	return state.Users
}

func TestSigningInAtTheProvider(t *testing.T) {
	t.Parallel()
	c, p := withProvider(t)
	f, err := c.begin("/sweeps?a=b")
	must(t, err)
	q := f.to.Query()
	if q.Get("code_challenge_method") != "S256" || len(q.Get("code_challenge")) != 43 || len(q.Get("state")) != 43 || len(q.Get("nonce")) != 43 || q.Get("response_type") != "code" || q.Get("scope") != "openid profile email groups" {
		t.Errorf("sent with %v", q)
	}
	for name, value := range q {
		if strings.Contains(f.cookie.Value, value[0]) {
			t.Errorf("the cookie has the %s, which the provider and others see", name)
		}
	}
	if !f.cookie.HttpOnly || f.cookie.SameSite != http.SameSiteLaxMode || f.cookie.MaxAge != 600 {
		t.Errorf("cookie %+v", f.cookie)
	}
	cookies, next, err := f.visit(p, eve()).finish(f.cookie)
	must(t, err)
	if gone := named(t, cookies, auth.LoginCookie); next != "/sweeps?a=b" || gone.MaxAge >= 0 || gone.Value != "" {
		t.Errorf("it leads to %s, and leaves %v", next, gone)
	}
	session := named(t, cookies, auth.SessionCookie)
	who := access.From(c.as(session))
	if session.MaxAge != 24*60*60 {
		t.Errorf("the session lasts %d s", session.MaxAge)
	}
	if who.Name != "eve" || who.Administrator || who.Role("default") != access.Operator || who.Role("vision") != "" || len(who.Roles) != 1 {
		t.Errorf("signed in is %+v", who)
	}
	u := c.user("eve")
	if u.DisplayName != "Eve É." || u.Email != "eve@example.org" || u.HasPassword || u.Kind != access.Person {
		t.Errorf("user %+v", u)
	}
	if again := c.mustSignIn(p, eve(claims{"preferred_username": "renamed", "email": "new@example.org"})); again.User != who.User || len(c.users()) != 3 {
		t.Errorf("the next time it is %+v of %d", again, len(c.users()))
	}
	if got := access.From(c.as(c.mustLogIn("bob")...)); got.Name != "bob" {
		t.Errorf("passwords: %+v", got)
	}
	page, err := c.store.Audit.Search(t.Context(), audit.Filter{AllProjects: true, Subject: "user:eve", Limit: 10})
	must(t, err)
	var told []string
	for _, row := range page.Rows {
		told = append(told, row.Action+" "+string(row.Outcome)+" "+row.Project)
	}
	if got := strings.Join(told, ", "); got != "login.groups done default, login.join done " {
		t.Errorf("the audit log tells %s", got)
	}
	if text := c.log.String(); strings.Contains(text, p.ClientSecret) || strings.Contains(text, f.query.Get("code")) || strings.Contains(text, f.cookie.Value) {
		t.Errorf("the log has secrets:\n%s", text)
	}
}

func TestNobodyIsSentToAnotherSiteAfterTheProvider(t *testing.T) {
	t.Parallel()
	c, p := withProvider(t)
	f, err := c.begin("/")
	must(t, err)
	parts := strings.Split(f.cookie.Value, ".")
	f.cookie.Value = parts[0] + "." + parts[1] + "." + base64.RawURLEncoding.EncodeToString([]byte("//evil.example"))
	cookies, to, err := f.visit(p, eve()).finish(f.cookie)
	if to != "/" {
		t.Errorf("a changed cookie leads to %s", to)
	}
	c.turnedAway("a changed cookie", cookies, err, auth.ErrStale)
	for _, next := range []string{"https://evil.example/", "//evil.example", `/\evil.example`, "javascript:alert(1)", "/" + strings.Repeat("a", 5000)} {
		f, err := c.begin(next)
		must(t, err)
		if _, to, err := f.visit(p, eve()).finish(f.cookie); err != nil || to != "/" {
			t.Errorf("%.40q leads to %q, %v", next, to, err)
		}
	}
}

func TestALogInAtTheProviderIsOfOneBrowserAndOneUse(t *testing.T) {
	t.Parallel()
	c, p := withProvider(t)
	begun := func() *flow {
		t.Helper()
		f, err := c.begin("/")
		must(t, err)
		return f.visit(p, eve())
	}
	f, other := begun(), begun()
	for what, cookies := range map[string][]*http.Cookie{
		"no cookie": {}, "another log-in's cookie": {other.cookie}, "two cookies": {f.cookie, other.cookie}, "an empty cookie": {{Name: auth.LoginCookie}},
		"a forged cookie":     {{Name: auth.LoginCookie, Value: strings.Repeat("A", 43) + "." + strings.Split(f.cookie.Value, ".")[1] + ".Lw"}},
		"half a cookie":       {{Name: auth.LoginCookie, Value: strings.Split(f.cookie.Value, ".")[0]}},
		"a cookie of 64 KiB":  {{Name: auth.LoginCookie, Value: strings.Repeat("A", 64<<10)}},
		"the state as cookie": {{Name: auth.LoginCookie, Value: f.query.Get("state")}},
	} {
		got, _, err := f.finish(cookies...)
		c.turnedAway(what, got, err, auth.ErrStale)
	}
	for what, query := range map[string]url.Values{
		"no state": {"code": f.query["code"]}, "another log-in's state": {"code": f.query["code"], "state": other.query["state"]},
		"two states": {"code": f.query["code"], "state": {f.query.Get("state"), f.query.Get("state")}}, "an empty state": {"code": f.query["code"], "state": {""}},
	} {
		got, _, err := (&flow{c: c, query: query}).finish(f.cookie)
		c.turnedAway(what, got, err, auth.ErrStale)
	}

	// The code, and the nonce in the token, of somebody else's log-in.
	mixed := begun()
	mixed.query.Set("code", other.query.Get("code"))
	cookies, _, err := mixed.finish(mixed.cookie)
	c.turnedAway("another log-in's code", cookies, err, oidc.ErrInvalid)
	for what, query := range map[string]url.Values{"no code": {}, "two codes": {"code": {"a", "b"}}, "another provider's answer": {"code": {"a"}, "iss": {"https://other.example"}}} {
		f := begun()
		query.Set("state", f.query.Get("state"))
		cookies, _, err := (&flow{c: c, query: query}).finish(f.cookie)
		c.turnedAway(what, cookies, err, oidc.ErrInvalid)
	}

	// Late, by our clock.
	late := begun()
	c.pass(10*time.Minute + time.Second)
	cookies, _, err = late.finish(late.cookie)
	c.turnedAway("after more than 10 minutes", cookies, err, auth.ErrStale)
	c.pass(-10*time.Minute - time.Second)

	_, _, err = f.finish(f.cookie)
	must(t, err)
	cookies, _, err = f.finish(f.cookie)
	if !matches(err, auth.ErrStale) || len(cookies) != 1 {
		t.Errorf("it works twice: %v, %v", cookies, err)
	}
}

func TestATokenMustBeForThisLogIn(t *testing.T) {
	t.Parallel()
	c, p := withProvider(t)
	now := p.Now().Unix()
	for what, c2 := range map[string]claims{
		"another issuer": {"iss": "https://evil.example"}, "another audience": {"aud": "other"}, "no audience": {"aud": nil}, "no subject": {"sub": ""},
		"another client's, for both":  {"aud": []string{p.ClientID, "other"}, "azp": "other"},
		"for both, and nobody's":      {"aud": []string{p.ClientID, "other"}},
		"another client's":            {"azp": "other"},
		"a replayed nonce":            {"nonce": strings.Repeat("A", 43)},
		"no nonce":                    {"nonce": nil},
		"expired beyond the skew":     {"exp": now - 70},
		"no expiry":                   {"exp": nil},
		"issued beyond the skew":      {"iat": now + 70},
		"not valid before the skew":   {"nbf": now + 70},
		"nbf that is no number":       {"nbf": "tomorrow"},
		"a very long subject":         {"sub": strings.Repeat("x", 256)},
		"groups that are no list":     {"groups": map[string]any{"ml": true}},
		"groups that were left out":   {"groups": nil, "_claim_names": map[string]any{"groups": "src1"}, "_claim_sources": map[string]any{"src1": map[string]any{"endpoint": p.Addr() + "/none"}}},
		"groups in user info of Anna": {"groups": nil, "userinfo": map[string]any{"sub": "anna", "groups": []string{"platform"}}},
	} {
		cookies, err := c.signIn(p, eve(c2))
		c.turnedAway(what, cookies, err, oidc.ErrInvalid)
	}
	for what, forged := range map[string]func(jwt.MapClaims) string{
		"without a signature (alg none)": func(claims jwt.MapClaims) string {
			text, err := jwt.NewWithClaims(jwt.SigningMethodNone, claims).SignedString(jwt.UnsafeAllowNoneSignatureType)
			must(t, err)
			return text
		},
		"signed with the client's secret (HS256)": func(claims jwt.MapClaims) string {
			text, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString([]byte(p.ClientSecret))
			must(t, err)
			return text
		},
		"signed with the public key (HS256)": func(claims jwt.MapClaims) string {
			keys, err := p.Keypair.JWKS()
			must(t, err)
			text, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString(keys)
			must(t, err)
			return text
		},
		"signed with another key of that name": func(claims jwt.MapClaims) string {
			key, err := mockoidc.RandomKeypair(2048)
			must(t, err)
			token := jwt.NewWithClaims(jwt.SigningMethodRS256, claims)
			token.Header["kid"], err = p.Keypair.KeyID()
			must(t, err)
			text, err := token.SignedString(key.PrivateKey)
			must(t, err)
			return text
		},
		"no token":  func(jwt.MapClaims) string { return "" },
		"no claims": func(jwt.MapClaims) string { return "e30.e30.e30" },
	} {
		p.forge(forged)
		cookies, err := c.signIn(p, eve())
		c.turnedAway(what, cookies, err, oidc.ErrInvalid)
	}
}

func TestClocksMayDifferByAMinute(t *testing.T) {
	t.Parallel()
	c, p := withProvider(t)
	now := p.Now().Unix()
	c.mustSignIn(p, eve(claims{"exp": now - 45, "iat": now - 600}))
	c.mustSignIn(p, eve(claims{"iat": now + 45, "nbf": now + 45}))
	c.mustSignIn(p, eve(claims{"aud": []string{p.ClientID, "other"}, "azp": p.ClientID}))
}

func TestKeysMayBeRotated(t *testing.T) {
	t.Parallel()
	c, p := withProvider(t)
	c.mustSignIn(p, eve())
	key, err := mockoidc.RandomKeypair(2048)
	must(t, err)
	p.Keypair = key
	c.mustSignIn(p, eve())
}

func TestAProviderThatDoesNotAnswerRightLetsNobodyIn(t *testing.T) {
	t.Parallel()
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("a redirect to elsewhere is followed") }))
	defer elsewhere.Close()
	hang := func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	huge := func(w http.ResponseWriter, _ *http.Request) {
		for range 1 << 10 {
			if _, err := w.Write([]byte(`"` + strings.Repeat(" ", 64<<10))); err != nil {
				return
			}
		}
	}
	text := func(status int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(status)
			_, _ = w.Write([]byte(body))
		}
	}
	redirect := func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, elsewhere.URL, http.StatusTemporaryRedirect)
	}
	for what, answer := range map[string]http.HandlerFunc{
		"hangs": hang, "a huge answer": huge, "an error": text(http.StatusInternalServerError, `{"error":"<script>alert(1)</script>"}`), "no JSON": text(http.StatusOK, "<html>"),
		"a redirect to elsewhere": redirect, "nothing": text(http.StatusOK, "{}"), "cut off": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
	} {
		for _, path := range []string{mockoidc.DiscoveryEndpoint, mockoidc.TokenEndpoint, mockoidc.JWKSEndpoint, mockoidc.UserinfoEndpoint} {
			t.Run(what+" at "+path, func(t *testing.T) {
				t.Parallel()
				c, p := withProvider(t)
				p.answer(path, answer)
				began := time.Now()
				cookies, err := c.signIn(p, eve(claims{"groups": nil}))
				want := oidc.ErrAway
				switch {
				case what == "nothing" && path != mockoidc.DiscoveryEndpoint: // of which the library or we find fault
					want = fault.Of(err)
					if want.Kind != fault.ErrForbidden && want.Kind != fault.ErrUnavailable {
						t.Errorf("got %v", err)
					}
				}
				if len(cookies) > 1 || !matches(err, want) || len(c.users()) != 2 {
					t.Errorf("got %v and %v", cookies, err)
				}
				if took := time.Since(began); took > 3*oidc.Timeout {
					t.Errorf("it took %v", took)
				}
				if strings.Contains(fault.Of(err).Text(), "script") {
					t.Errorf("it says %s", fault.Of(err).Text())
				}
			})
		}
	}
}

func TestAProviderMayBeAwayAtTheStart(t *testing.T) {
	t.Parallel()
	c, p := withProvider(t)
	p.answer(mockoidc.DiscoveryEndpoint, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) })
	_, err := c.begin("/")
	if !matches(err, oidc.ErrAway) {
		t.Errorf("got %v", err)
	}
	p.on(mockoidc.DiscoveryEndpoint, nil)
	if _, err = c.begin("/"); !matches(err, oidc.ErrAway) {
		t.Errorf("it is asked again at once: %v", err)
	}
	c.pass(3 * time.Second)
	c.mustSignIn(p, eve())

	// What is known is enough while it is away again.
	p.answer(mockoidc.DiscoveryEndpoint, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) })
	must(t, func() error { _, err := c.begin("/"); return err }())
	c.pass(2 * time.Hour)
	must(t, func() error { _, err := c.begin("/"); return err }())
}

func TestAnotherIssuerIsNotTheProvider(t *testing.T) {
	t.Parallel()
	for what, discovery := range map[string]func(p *provider) map[string]any{
		"another name": func(p *provider) map[string]any {
			return map[string]any{"issuer": "https://evil.example", "authorization_endpoint": p.AuthorizationEndpoint(), "token_endpoint": p.TokenEndpoint(), "jwks_uri": p.JWKSEndpoint()}
		},
		"no keys": func(p *provider) map[string]any {
			return map[string]any{"issuer": p.Issuer(), "authorization_endpoint": p.AuthorizationEndpoint(), "token_endpoint": p.TokenEndpoint()}
		},
		"an address that is a script": func(p *provider) map[string]any {
			return map[string]any{"issuer": p.Issuer(), "authorization_endpoint": "javascript:alert(1)", "token_endpoint": p.TokenEndpoint(), "jwks_uri": p.JWKSEndpoint()}
		},
	} {
		c, p := withProvider(t)
		p.answer(mockoidc.DiscoveryEndpoint, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(w).Encode(discovery(p))
		})
		if _, err := c.begin("/"); !matches(err, oidc.ErrAway) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestAnErrorOfTheProviderIsNotRepeated(t *testing.T) {
	t.Parallel()
	c, p := withProvider(t)
	for code, want := range map[string]*fault.Error{
		"access_denied": oidc.ErrRejected, "login_required": oidc.ErrRejected, "<script>": oidc.ErrRejected, "server_error": oidc.ErrAway, "temporarily_unavailable": oidc.ErrAway,
	} {
		f, err := c.begin("/")
		must(t, err)
		f.visit(p, eve()).query = url.Values{"state": f.query["state"], "error": {code}, "error_description": {"<script>alert(1)</script>"}}
		cookies, _, err := f.finish(f.cookie)
		c.turnedAway(code, cookies, err, want)
		if text := err.Error() + c.log.String(); strings.Contains(text, "script") {
			t.Errorf("%s: it says %s", code, text)
		}
	}
}

func TestGroupsGiveRolesAtEveryLogInAndTakeTheirsOnly(t *testing.T) {
	t.Parallel()
	c, p := withProvider(t)
	in := func(groups ...string) access.Identity {
		t.Helper()
		return c.mustSignIn(p, eve(claims{"groups": groups}))
	}
	who := in("ml", "leads", "unknown", "ML")
	if who.Role("default") != access.Admin || who.Role("vision") != access.Viewer || who.Role("none") != "" || who.Administrator {
		t.Errorf("two groups: %+v", who)
	}
	must(t, c.store.SetMember(t.Context(), "vision", who.User, access.Operator)) // by hand
	if who = in("platform"); !who.Administrator || len(who.Roles) != 1 {
		t.Errorf("another group: %+v", who)
	}
	first, err := c.signIn(p, eve(claims{"groups": []string{"platform"}}))
	must(t, err)
	open := c.as(named(t, first, auth.SessionCookie))
	if who = in(); who.Administrator || who.Role("vision") != access.Operator || len(who.Roles) != 1 {
		t.Errorf("no group: %+v", who)
	}
	if still, err := c.Still(open); err != nil || still.Administrator {
		t.Errorf("an open session keeps what the group gave: %+v, %v", still, err)
	}
	if who = c.mustSignIn(p, eve(claims{"groups": nil, "userinfo": map[string]any{"sub": "eve-1", "groups": "ml"}})); who.Role("default") != access.Operator {
		t.Errorf("a group that the user info tells: %+v", who)
	}
	if who = c.mustSignIn(p, eve(claims{"groups": nil})); len(who.Roles) != 1 {
		t.Errorf("no claim: %+v", who)
	}
	must(t, c.store.SetMember(t.Context(), "vision", who.User, ""))
	must(t, auth.Follow(c.Service, t.Context()))
	if who = in(); len(who.Roles) != 0 || !who.Known() {
		t.Errorf("nothing: %+v", who)
	}
}

func TestOnlySomeGroupsMaySignIn(t *testing.T) {
	t.Parallel()
	c, p := withProvider(t, func(s *auth.Options, _ *oidc.Options) { s.Provider.Allowed = []string{"staff", "ml"} })
	cookies, err := c.signIn(p, eve(claims{"groups": []string{"guests", "ML", "ml "}}))
	c.turnedAway("guests", cookies, err, auth.ErrOutside)
	cookies, err = c.signIn(p, eve(claims{"groups": nil}))
	c.turnedAway("without groups", cookies, err, auth.ErrOutside)
	c.mustSignIn(p, eve())
	if _, err = c.signIn(p, eve(claims{"groups": []string{"guests"}})); !matches(err, auth.ErrOutside) {
		t.Errorf("who left the group: %v", err)
	}
}

func TestNobodyBecomesSomebodyByTheirName(t *testing.T) {
	t.Parallel()
	c, p := withProvider(t)
	for what, person := range map[string]claims{
		"a name that is taken":          eve(claims{"preferred_username": "ann"}),
		"in capitals":                   eve(claims{"preferred_username": " ANN "}),
		"an email address that is one":  eve(claims{"preferred_username": "ann", "email": "ann@example.org"}),
		"a taken name without an email": eve(claims{"preferred_username": "bob", "email": nil}),
	} {
		cookies, err := c.signIn(p, person)
		if err == nil || !strings.Contains(fault.Of(err).Text(), "is taken") || !strings.Contains(fault.Of(err).Text(), `"eve-1"`) && !strings.Contains(fault.Of(err).Text(), "eve-1") || len(cookies) != 1 {
			t.Errorf("%s: %v, %v", what, cookies, err)
		}
	}
	for what, person := range map[string]claims{
		"a Cyrillic a": eve(claims{"preferred_username": "аnn", "email": nil}), "a Kelvin sign": eve(claims{"preferred_username": "\u212Aim", "email": nil}), "full width": eve(claims{"preferred_username": "ａｎｎ", "email": nil}),
		"a dotless i": eve(claims{"preferred_username": "ıvan", "email": nil}), "invisible": eve(claims{"preferred_username": "an\u200bn", "email": nil}), "right to left": eve(claims{"preferred_username": "\u202enna", "email": nil}),
		"empty": eve(claims{"preferred_username": "", "email": nil}), "no name": eve(claims{"preferred_username": nil, "email": nil}), "a number": eve(claims{"preferred_username": 7, "email": nil}),
		"a script": eve(claims{"preferred_username": "<script>", "email": nil}), "an email that nobody verified": eve(claims{"preferred_username": nil, "email_verified": false}), "too long": eve(claims{"preferred_username": strings.Repeat("a", 128), "email": nil}),
	} {
		cookies, err := c.signIn(p, person)
		c.turnedAway(what, cookies, err, auth.ErrNameless)
	}
	if who := c.mustSignIn(p, eve(claims{"preferred_username": "аnn", "name": "\u202e" + strings.Repeat("x", 300)})); who.Name != "eve@example.org" || c.user(who.Name).DisplayName != "" {
		t.Errorf("a verified email address: %+v", who)
	}

	// The same address and name at another issuer are somebody else's.
	other := newProvider(t)
	start(t, other)
	taken := auth.Options{Accounts: c.store.Accounts, Audit: c.store.Audit, Logger: c.slog(), Now: c.clock, Provider: &auth.Provider{Issuer: other.Issuer(), Name: "Other", OIDC: oidc.New(oidc.Options{
		Issuer: other.Issuer(), ClientID: other.ClientID, ClientSecret: other.ClientSecret, Scopes: []string{"openid"}, UserClaim: "email", GroupsClaim: "groups", Client: oidc.NewClient(nil), Logger: c.slog(), Now: c.clock,
	})}}
	var err error
	c.Service, err = auth.New(t.Context(), taken)
	must(t, err)
	if _, err := c.signIn(other, eve()); err == nil || !strings.Contains(fault.Of(err).Text(), "eve@example.org is taken") {
		t.Errorf("another issuer: %v", err)
	}
}

func TestAnAdministratorLinksAnAccount(t *testing.T) {
	t.Parallel()
	c, p := withProvider(t)
	ann := c.as(c.mustLogIn("ann")...)
	own := c.as(c.mustLogIn("bob")...)
	bob := eve(claims{"preferred_username": "bob"})
	wants(t, fault.ErrForbidden, c.LinkIdentity(own, "bob", "eve-1"))
	wants(t, fault.ErrInvalid, c.LinkIdentity(ann, "bob", " "))
	wants(t, fault.ErrInvalid, c.LinkIdentity(ann, "bob", strings.Repeat("x", 300)))
	wants(t, fault.ErrNoUser, c.LinkIdentity(ann, "nobody", "eve-1"))
	must(t, c.LinkIdentity(ann, "bob", "eve-1"))
	wants(t, fault.ErrConflict, c.LinkIdentity(ann, "ann", "eve-1"))
	cookies, err := c.signIn(p, bob)
	must(t, err)
	session := named(t, cookies, auth.SessionCookie)
	if who := access.From(c.as(session)); who.User != "u-bob" {
		t.Errorf("signed in is %+v", who)
	}
	linked, err := c.Identities(ann, "bob")
	must(t, err)
	if len(linked) != 1 || linked[0].Subject != "eve-1" || linked[0].Issuer != p.Issuer() {
		t.Errorf("linked: %+v", linked)
	}

	_, err = c.ChangeUser(ann, "bob", func(u *access.User) { u.Disabled = true })
	must(t, err)
	if access.From(c.as(session)).Known() {
		t.Error("the session of a disabled user counts")
	}
	if cookies, err = c.signIn(p, bob); !matches(err, auth.ErrDisabled) || len(cookies) != 1 {
		t.Errorf("a disabled user: %v, %v", cookies, err)
	}
	_, err = c.ChangeUser(ann, "bob", func(u *access.User) { u.Disabled = false })
	must(t, err)
	must(t, c.UnlinkIdentity(ann, "bob", linked[0].Issuer, "eve-1"))
	if _, err := c.signIn(p, bob); err == nil || !strings.Contains(fault.Of(err).What, "is taken") {
		t.Errorf("unlinked: %v", err)
	}

	must(t, c.LinkIdentity(ann, "bob", "eve-1"))
	must(t, c.DeleteUser(ann, "bob"))
	if _, err := c.signIn(p, eve()); err == nil || !strings.Contains(fault.Of(err).What, "was deleted") || len(c.users()) != 2 {
		t.Errorf("a deleted user: %v", err)
	}
}

func TestPasswordsCanBeSwitchedOff(t *testing.T) {
	t.Parallel()
	c, p := withProvider(t, func(s *auth.Options, _ *oidc.Options) { s.NoPasswords = true })
	if _, err := c.logIn("ann", good, "192.0.2.1"); !matches(err, auth.ErrNoPasswords) {
		t.Errorf("got %v", err)
	}
	c.mustSignIn(p, eve())
	if passwords, name, link := c.Ways(c.request("192.0.2.1"), "/sweeps?a=b"); passwords || name != "Mock" || link != "/login/oidc?next=%2Fsweeps%3Fa%3Db" {
		t.Errorf("%v, %s, %s", passwords, name, link)
	}
}

func TestTheProviderSendsToThePublicAddress(t *testing.T) {
	t.Parallel()
	public := &url.URL{Scheme: "https", Host: "console.example", Path: "/cotrain"}
	c, _ := withProvider(t, func(s *auth.Options, _ *oidc.Options) { s.Public = public })
	f, err := c.begin("/")
	must(t, err)
	if got := f.to.Query().Get("redirect_uri"); got != "https://console.example/cotrain/login/oidc/callback" {
		t.Errorf("it sends to %s", got)
	}
	if _, _, link := c.Ways(c.request("192.0.2.1"), "/"); link != "https://console.example/cotrain/login/oidc?next=%2F" { // from another name
		t.Errorf("the link is %s", link)
	}
}

func TestLoggingOutLeadsToTheProvider(t *testing.T) {
	t.Parallel()
	c, p := withProvider(t)
	p.on(mockoidc.DiscoveryEndpoint, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			rec := httptest.NewRecorder()
			next.ServeHTTP(rec, r)
			var d map[string]any
			_ = json.Unmarshal(rec.Body.Bytes(), &d)
			d["end_session_endpoint"] = p.Addr() + "/end?a=b"
			w.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(w).Encode(d)
		})
	})
	cookies, err := c.signIn(p, eve())
	must(t, err)
	out := func(cookies ...*http.Cookie) string {
		t.Helper()
		r := c.request("192.0.2.1", cookies...)
		ctx, err := c.Identify(r)
		must(t, err)
		to, err := c.LogOut(httptest.NewRecorder(), r.WithContext(ctx))
		must(t, err)
		return to
	}
	if got, want := out(named(t, cookies, auth.SessionCookie)), p.Addr()+"/end?a=b&client_id="+p.ClientID+"&post_logout_redirect_uri=http%3A%2F%2Fexample.com%2Flogin"; got != want {
		t.Errorf("to %s, want %s", got, want)
	}
	if access.From(c.as(cookies...)).Known() {
		t.Error("the session stays")
	}
	if got := out(c.mustLogIn("bob")...); got != "" {
		t.Errorf("a session by password leads to %s", got)
	}
}
