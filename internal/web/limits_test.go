package web_test

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/api/apitest"
	"github.com/cotrain/cotrain/internal/inbound"
	"github.com/cotrain/cotrain/internal/web"
	"github.com/cotrain/cotrain/internal/web/webtest"
)

// gate is a limited site behind which everything succeeds.
type gate struct {
	handler http.Handler
	now     *time.Time
}

func limitedGate(t *testing.T, dev bool) gate {
	t.Helper()
	now := webtest.Now
	s := webtest.New(t, func(d *web.Deps) { d.Dev, d.Now = dev, func() time.Time { return now } })
	ok := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.Header.Get("Authorization"), "bad") {
			w.WriteHeader(http.StatusUnauthorized)
		}
	})
	return gate{inbound.Front{}.Resolve(s.Web.LimitBadTokens(s.Web.Limited(ok))), &now}
}

// ask sends a request from an address, by a user or "" for nobody.
func (g gate) ask(t *testing.T, method, path, from, user string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(access.With(t.Context(), access.Identity{User: access.UserID(user)}), method, "http://localhost"+path, nil)
	r.RemoteAddr = from
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	g.handler.ServeHTTP(w, r)
	return w
}

// until counts the requests that are taken before one is refused, of 1000 at most.
func (g gate) until(t *testing.T, ask func() *httptest.ResponseRecorder) (taken int, refused *httptest.ResponseRecorder) {
	t.Helper()
	for taken = range 1000 {
		if w := ask(); w.Code == http.StatusTooManyRequests {
			return taken, w
		}
	}
	return 1000, nil
}

func TestWhatIsDoneTooOftenIsRefusedForAWhile(t *testing.T) {
	t.Parallel()
	g := limitedGate(t, false)
	logIn := func(from string) func() *httptest.ResponseRecorder {
		return func() *httptest.ResponseRecorder { return g.ask(t, http.MethodPost, "/login", from, "") }
	}
	n, refused := g.until(t, logIn("192.0.2.1:1"))
	if n != 30 || refused.Header().Get("Retry-After") != "2" || !strings.Contains(refused.Body.String(), "takes 30 log-in attempts at once from your network, then one every 2s. Try again in 2 s.") {
		t.Errorf("after %d: Retry-After %q, %s", n, refused.Header().Get("Retry-After"), refused.Body)
	}
	if n, _ := g.until(t, logIn("192.0.2.2:1")); n != 30 {
		t.Errorf("another address may %d", n)
	}
	if n, _ := g.until(t, logIn("[2001:db8::1]:1")); n != 30 {
		t.Errorf("an address of IPv6 may %d", n)
	}
	if n, _ := g.until(t, logIn("[2001:db8::2:1]:1")); n != 0 {
		t.Errorf("another address of the same network may %d", n)
	}
	*g.now = g.now.Add(2 * time.Second)
	if n, _ := g.until(t, logIn("192.0.2.1:1")); n != 1 {
		t.Errorf("after a while %d are taken", n)
	}
}

func TestUsersAreLimitedByThemselvesWhereverTheyAre(t *testing.T) {
	t.Parallel()
	g := limitedGate(t, false)
	submit := func(user string) func() *httptest.ResponseRecorder {
		i := 0
		return func() *httptest.ResponseRecorder {
			i++
			return g.ask(t, http.MethodPost, []string{"/runs", "/api/v1/runs"}[i%2], "192.0.2."+strconv.Itoa(i%250)+":1", user)
		}
	}
	n, refused := g.until(t, submit("ann"))
	if n != 200 || !strings.Contains(refused.Body.String(), "submissions at once from you") {
		t.Errorf("after %d: %s", n, refused.Body)
	}
	if n, _ := g.until(t, submit("bob")); n != 200 {
		t.Errorf("another user may %d", n)
	}
	if w := g.ask(t, http.MethodGet, "/runs/r-1", "192.0.2.1:1", "ann"); w.Code != http.StatusOK {
		t.Errorf("what is not limited: %d", w.Code)
	}
	if w := g.ask(t, http.MethodPost, "/runs/r-1/stop", "192.0.2.1:1", "ann"); w.Code != http.StatusOK {
		t.Errorf("a stop must always be possible: %d", w.Code)
	}
}

func TestInvalidTokensAreLimitedAndValidOnesAreNot(t *testing.T) {
	t.Parallel()
	g := limitedGate(t, false)
	with := func(token, from string) func() *httptest.ResponseRecorder {
		return func() *httptest.ResponseRecorder {
			return g.ask(t, http.MethodGet, "/api/v1/nodes", from, "", "Authorization", "Bearer "+token)
		}
	}
	if n, _ := g.until(t, with("good", "192.0.2.1:1")); n != 1000 {
		t.Errorf("a valid token is refused after %d", n)
	}
	n, refused := g.until(t, with("bad", "192.0.2.1:1"))
	if n != 100 || refused.Header().Get("Retry-After") != "1" || !strings.Contains(refused.Body.String(), "invalid token") {
		t.Errorf("after %d: %v %s", n, refused.Header(), refused.Body)
	}
	if n, _ := g.until(t, with("bad", "192.0.2.2:1")); n != 100 {
		t.Errorf("another network may %d", n)
	}
}

func TestNothingIsLimitedOnOnesOwnMachine(t *testing.T) {
	t.Parallel()
	g := limitedGate(t, true)
	if n, _ := g.until(t, func() *httptest.ResponseRecorder { return g.ask(t, http.MethodPost, "/runs", "127.0.0.1:1", "local") }); n != 1000 {
		t.Errorf("refused after %d", n)
	}
}

// TestEveryLimitedPatternIsARoute asks for each, which must not end in the answer for unknown addresses. The routes of
// log-in are there only with accounts.
func TestEveryLimitedPatternIsARoute(t *testing.T) {
	t.Parallel()
	api := apitest.New().Handler(slog.New(slog.DiscardHandler))
	s := webtest.New(t, func(d *web.Deps) { d.API = api })
	for name, patterns := range web.LimitedPatterns() {
		for _, pattern := range patterns {
			if slices.Contains([]string{"log-in attempts", "passkey challenges", "codes of programs", "changes of second factors"}, name) {
				continue
			}
			method, path, _ := strings.Cut(strings.NewReplacer("{$}", "", "{id}", "r-0000000000", "{name}", "debug").Replace(pattern), " ")
			a := s.Do(method, path, nil, "Accept", "application/json")
			if a.Status == http.StatusMethodNotAllowed || strings.Contains(a.Body, "no such address") || strings.Contains(a.Body, "The address is wrong") {
				t.Errorf("%s is no route: %s", pattern, a.Body)
			}
		}
	}
}
