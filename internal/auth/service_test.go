package auth_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alexedwards/argon2id"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/audit"
	"github.com/cotrain/cotrain/internal/auth"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/inbound"
	"github.com/cotrain/cotrain/internal/store"
)

const good = "plenty of small otters"

// console is a store with the log-in of a console on it.
type console struct {
	*auth.Service
	t     *testing.T
	store *store.Store
	log   *bytes.Buffer

	mu  sync.Mutex
	now time.Time
}

// newConsole has the administrator ann, and bob, an operator of the project default, both with the password good.
func newConsole(t *testing.T) *console {
	t.Helper()
	c := empty(t)
	must(t, c.SetUp(httptest.NewRecorder(), c.request("192.0.2.1").WithContext(c.as()), c.code(), "ann", good))
	hash, err := c.store.Password(t.Context(), c.user("ann").ID)
	must(t, err)
	must(t, c.store.CreateUser(t.Context(), access.User{ID: "u-bob", Name: "bob", Kind: access.Person}, hash))
	must(t, c.store.SetMember(t.Context(), access.DefaultProject, "u-bob", access.Operator))
	must(t, auth.Follow(c.Service, t.Context()))
	return c
}

func empty(t *testing.T) *console {
	t.Helper()
	c := &console{t: t, log: &bytes.Buffer{}, now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	var err error
	c.store, err = store.Open(t.Context(), t.TempDir())
	must(t, err)
	t.Cleanup(func() { must(t, c.store.Close()) })
	c.Service = c.again(auth.Options{})
	return c
}

// again is the log-in as of another start, with some options.
func (c *console) again(o auth.Options) *auth.Service {
	c.t.Helper()
	o.Accounts, o.Audit, o.Logger, o.Now = c.store.Accounts, c.store.Audit, c.slog(), c.clock
	s, err := auth.New(c.t.Context(), o)
	must(c.t, err)
	s.Hash(argon2id.Params{Memory: 64, Iterations: 1, Parallelism: 1, SaltLength: 16, KeyLength: 32}) // a test has hundreds
	return s
}

func (c *console) slog() *slog.Logger { return slog.New(slog.NewTextHandler(c.log, nil)) }

func (c *console) clock() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *console) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// code is that of the link in the log.
func (c *console) code() string {
	_, code, _ := strings.Cut(c.SetUpLink(), "code=")
	return code
}

func (c *console) user(name string) access.User {
	c.t.Helper()
	state, err := c.store.Access(c.t.Context())
	must(c.t, err)
	for _, u := range state.Users {
		if u.Name == name {
			return u
		}
	}
	c.t.Fatalf("there is no user %s", name)
	return access.User{}
}

// request is one from an address, with cookies.
func (c *console) request(address string, cookies ...*http.Cookie) *http.Request {
	r := httptest.NewRequestWithContext(c.t.Context(), http.MethodPost, "/login", nil)
	r.RemoteAddr = address + ":1234"
	r.Header.Set("User-Agent", "Browser")
	for _, k := range cookies {
		r.AddCookie(k)
	}
	return arrived(r)
}

// arrived is a request behind [inbound.Front.Resolve].
func arrived(r *http.Request) (out *http.Request) {
	inbound.Front{}.Resolve(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { out = r })).ServeHTTP(nil, r)
	return out
}

// logIn signs in, and returns the cookies.
func (c *console) logIn(name, password, address string, cookies ...*http.Cookie) ([]*http.Cookie, error) {
	w, r := httptest.NewRecorder(), c.request(address, cookies...)
	ctx, err := c.Identify(r)
	if err != nil {
		return nil, err
	}
	err = c.LogIn(w, r.WithContext(ctx), name, password)
	return w.Result().Cookies(), err
}

func (c *console) mustLogIn(name string) []*http.Cookie {
	c.t.Helper()
	cookies, err := c.logIn(name, good, "192.0.2.1")
	must(c.t, err)
	return cookies
}

// as is the context of a request with cookies, which is somebody's.
func (c *console) as(cookies ...*http.Cookie) context.Context {
	c.t.Helper()
	ctx, err := c.Identify(c.request("192.0.2.1", cookies...))
	must(c.t, err)
	return ctx
}

// bearer is the context of a request with Authorization headers.
func (c *console) bearer(values ...string) (context.Context, error) {
	r := c.request("192.0.2.9")
	r.Header["Authorization"] = values
	return c.Identify(r)
}

func (c *console) token(ctx context.Context, t access.Token) (access.Token, string) {
	c.t.Helper()
	if t.Name == "" {
		t.Name = "test"
	}
	made, secret, err := c.CreateToken(ctx, t)
	must(c.t, err)
	return made, secret
}

// named returns one of the cookies.
func named(t *testing.T, cookies []*http.Cookie, name string) *http.Cookie {
	t.Helper()
	for _, k := range cookies {
		if k.Name == name {
			return k
		}
	}
	t.Fatalf("there is no cookie %s in %v", name, cookies)
	return nil
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wants(t testing.TB, kind fault.Kind, err error) {
	t.Helper()
	if !errors.Is(err, kind) {
		t.Errorf("got %v, want %v", err, kind)
	}
}

func TestASessionIsWhoSignedIn(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	cookies := c.mustLogIn("bob")
	session := named(t, cookies, auth.SessionCookie)
	if !session.HttpOnly || session.SameSite != http.SameSiteLaxMode || session.Path != "/" || session.Secure || session.MaxAge != int(auth.SessionLifetime/time.Second) {
		t.Errorf("cookie %+v", session)
	}
	ctx := c.as(session)
	got := access.From(ctx)
	if got.Name != "bob" || got.Administrator || got.Session == "" || got.Limit != nil || !got.May(access.RunsSubmit, "default") || got.May(access.MembersManage, "default") || got.May(access.RunsRead, "other") {
		t.Errorf("identity %+v", got)
	}
	actor, request := audit.ActorOf(ctx)
	if actor.Name != "bob" || actor.Address != "192.0.2.1" || actor.Agent != "Browser" || actor.Session != got.Session || len(request) != 16 {
		t.Errorf("actor %+v of request %q", actor, request)
	}
	if admin := access.From(c.as(c.mustLogIn("Ann ")...)); !admin.Administrator || !admin.May(access.UsersManage, "") {
		t.Errorf("administrator %+v", admin)
	}
}

func TestUnderTLSTheCookieIsOfThisHostOnly(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	w, r := httptest.NewRecorder(), arrived(httptest.NewRequestWithContext(t.Context(), http.MethodPost, "https://console.example/login", nil))
	must(t, c.LogIn(w, r, "bob", good))
	session := named(t, w.Result().Cookies(), "__Host-"+auth.SessionCookie)
	if !session.Secure || session.Domain != "" || session.Path != "/" {
		t.Errorf("cookie %+v", session)
	}
	again := arrived(httptest.NewRequestWithContext(t.Context(), http.MethodGet, "https://console.example/", nil))
	again.AddCookie(session)
	if ctx, err := c.Identify(again); err != nil || access.From(ctx).Name != "bob" {
		t.Errorf("%v, %v", access.From(ctx), err)
	}
	plain := arrived(httptest.NewRequestWithContext(t.Context(), http.MethodGet, "https://console.example/", nil))
	plain.AddCookie(&http.Cookie{Name: auth.SessionCookie, Value: session.Value})
	if ctx, err := c.Identify(plain); err != nil || access.From(ctx).Known() {
		t.Errorf("a cookie that another host could set counts: %v, %v", access.From(ctx), err)
	}
}

func TestCookiesThatDoNotCountAreNobodys(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	cookies := c.mustLogIn("bob")
	valid := named(t, cookies, auth.SessionCookie)
	other := named(t, c.mustLogIn("ann"), auth.SessionCookie)
	changed := "A" + valid.Value[1:]
	if changed == valid.Value {
		changed = "B" + valid.Value[1:]
	}
	for name, given := range map[string][]*http.Cookie{
		"none":                   {},
		"empty":                  {{Name: auth.SessionCookie, Value: ""}},
		"malformed":              {{Name: auth.SessionCookie, Value: "../../etc/passwd"}},
		"of the right length":    {{Name: auth.SessionCookie, Value: strings.Repeat("A", 43)}},
		"one character differs":  {{Name: auth.SessionCookie, Value: changed}},
		"longer":                 {{Name: auth.SessionCookie, Value: valid.Value + "A"}},
		"64 KiB":                 {{Name: auth.SessionCookie, Value: strings.Repeat("A", 64<<10)}},
		"two":                    {valid, other},
		"the device's":           {{Name: auth.SessionCookie, Value: named(t, cookies, auth.DeviceCookie).Value}},
		"of another name":        {{Name: auth.DeviceCookie, Value: valid.Value}},
		"with the stored digest": {{Name: auth.SessionCookie, Value: "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0"}},
	} {
		ctx, err := c.Identify(c.request("192.0.2.1", given...))
		if who := access.From(ctx); err != nil || who.Known() {
			t.Errorf("%s: %+v, %v", name, who, err)
		}
	}
	if !access.From(c.as(valid)).Known() {
		t.Error("the valid one is nobody's")
	}
}

func TestASessionThatIsUsedExpiresToo(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	cookies := c.mustLogIn("bob")
	for day := range 30 {
		if !access.From(c.as(cookies...)).Known() {
			t.Fatalf("it ended on day %d", day)
		}
		must(t, auth.SaveSeen(c.Service, t.Context()))
		c.pass(24 * time.Hour)
	}
	if access.From(c.as(cookies...)).Known() {
		t.Error("it outlives its lifetime")
	}
}

func TestAnIdleSessionExpires(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	cookies := c.mustLogIn("bob")
	c.pass(auth.IdleLifetime)
	if !access.From(c.as(cookies...)).Known() {
		t.Error("it expires early")
	}
	c.pass(auth.IdleLifetime + time.Millisecond)
	if access.From(c.as(cookies...)).Known() {
		t.Error("it does not expire")
	}
}

func TestALogInRenewsTheSession(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	planted := &http.Cookie{Name: auth.SessionCookie, Value: strings.Repeat("B", 43)}
	cookies, err := c.logIn("bob", good, "192.0.2.1", planted)
	must(t, err)
	first := named(t, cookies, auth.SessionCookie)
	if first.Value == planted.Value || access.From(c.as(planted)).Known() {
		t.Error("a planted cookie became a session")
	}
	cookies, err = c.logIn("ann", good, "192.0.2.1", first)
	must(t, err)
	second := named(t, cookies, auth.SessionCookie)
	if second.Value == first.Value || access.From(c.as(first)).Known() || access.From(c.as(second)).Name != "ann" {
		t.Error("the session before the log-in still counts")
	}
}

func TestLoggingOutEndsTheSession(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	cookies, others := c.mustLogIn("bob"), c.mustLogIn("bob")
	w, r := httptest.NewRecorder(), c.request("192.0.2.1", cookies...)
	_, err := c.LogOut(w, r.WithContext(c.as(cookies...)))
	must(t, err)
	if gone := named(t, w.Result().Cookies(), auth.SessionCookie); gone.MaxAge >= 0 || gone.Value != "" {
		t.Errorf("the cookie stays: %+v", gone)
	}
	if access.From(c.as(cookies...)).Known() || !access.From(c.as(others...)).Known() {
		t.Error("the wrong session ended")
	}
	_, err = c.LogOut(httptest.NewRecorder(), c.request("192.0.2.1")) // nobody
	must(t, err)
}

// TestWhatIsTakenAwayCountsAtOnce changes the store as another console would.
func TestWhatIsTakenAwayCountsAtOnce(t *testing.T) {
	t.Parallel()
	for name, take := range map[string]func(*store.Store, context.Context) error{
		"a disabled user": func(s *store.Store, ctx context.Context) error {
			_, _, err := s.ChangeUser(ctx, "u-bob", func(u *access.User) error { u.Disabled = true; return nil })
			return err
		},
		"a deleted user": func(s *store.Store, ctx context.Context) error { return s.DeleteUser(ctx, "u-bob") },
		"ended sessions": func(s *store.Store, ctx context.Context) error { return s.EndSessions(ctx, "u-bob", "") },
	} {
		c := newConsole(t)
		cookies := c.mustLogIn("bob")
		ctx, changed := c.as(cookies...), c.Changed()
		if who, err := c.Still(ctx); err != nil || who.Name != "bob" {
			t.Fatalf("%s: before it is %+v, %v", name, who, err)
		}
		must(t, take(c.store, t.Context()))
		must(t, auth.Follow(c.Service, t.Context()))
		select {
		case <-changed:
		default:
			t.Errorf("%s: nobody is told", name)
		}
		_, err := c.Still(ctx)
		wants(t, fault.ErrSignedOut, err)
		if access.From(c.as(cookies...)).Known() {
			t.Errorf("%s: the cookie still counts", name)
		}
		if name == "ended sessions" {
			continue
		}
		_, err = c.logIn("bob", good, "192.0.2.1")
		wants(t, fault.ErrSignedOut, err)
	}
}

func TestARoleThatChangesIsThatOfOpenRequestsToo(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	ctx := c.as(c.mustLogIn("bob")...)
	must(t, c.store.SetMember(t.Context(), access.DefaultProject, "u-bob", access.Viewer))
	must(t, auth.Follow(c.Service, t.Context()))
	if who, err := c.Still(ctx); err != nil || who.May(access.RunsSubmit, "default") || !who.May(access.RunsRead, "default") {
		t.Errorf("%+v, %v", who, err)
	}
	if who, err := c.Still(t.Context()); err != nil || who.Known() {
		t.Errorf("nobody became %+v, %v", who, err)
	}
}

func TestRunFollowsTheStoreAndStoresWhoWasSeen(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx) }()
	cookies := c.mustLogIn("bob")
	c.pass(time.Hour)
	c.as(cookies...)
	changed := c.Changed()
	_, err := c.store.ChangeProject(t.Context(), access.DefaultProject, func(p *access.Project) error {
		p.Description = "changed"
		return nil
	})
	must(t, err)
	<-changed
	stop()
	must(t, <-ended)
	sessions, err := c.store.Sessions(t.Context(), "u-bob")
	must(t, err)
	if len(sessions) != 1 || !sessions[0].SeenAt.Equal(c.clock()) {
		t.Errorf("sessions %+v, now %v", sessions, c.clock())
	}
}

func TestWhatCannotBeReadKeepsWhatIsKnown(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	cookies := c.mustLogIn("bob")
	known := c.as(cookies...)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Identify(c.request("192.0.2.1", c.mustLogIn("ann")...).WithContext(gone)); !errors.Is(err, context.Canceled) {
		t.Errorf("an unread session is %v", err)
	}
	if who, err := c.Still(context.WithoutCancel(known)); err != nil || who.Name != "bob" {
		t.Errorf("%+v, %v", who, err)
	}
}
