package web

import (
	"fmt"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/inbound"
	"github.com/cotrain/cotrain/internal/ratelimit"
	"github.com/cotrain/cotrain/internal/router"
)

// limit is how often one may do something: a user, or where nobody is signed in a client's network.
type limit struct {
	name     string // what is limited, in the plural
	burst    int
	every    time.Duration
	anybody  bool // by network, whoever is signed in
	patterns []string
}

// logInRoutes are where people sign in.
var logInRoutes = []string{"POST /login", "POST /login/code", "POST /login/passkey", "POST /setup", "GET /login/oidc", "GET /login/oidc/callback"}

// limits is the table of what is limited. It protects everybody from a script that runs wild, and accounts from guessing;
// package auth slows down the guessing of one account's password further. With --dev nothing is limited.
var limits = []limit{
	{"log-in attempts", 30, 2 * time.Second, true, logInRoutes},
	{"codes of programs", 30, 2 * time.Second, false, []string{"GET /device", "POST /device"}},
	{"log-ins of programs", 30, 5 * time.Second, true, []string{"POST /api/v1/device"}},
	{"questions of programs", 120, time.Second, true, []string{"POST /api/v1/device/token"}},
	{"passkey challenges", 120, time.Second, true, []string{"POST /login/passkey/options"}},
	{"changes of second factors", 30, 2 * time.Second, false, []string{
		"POST /account/factor", "POST /account/factor/remove", "POST /account/passkeys/options", "POST /account/passkeys", "POST /account/passkeys/{id}/remove",
	}},
	{"submissions", 200, 200 * time.Millisecond, false, []string{
		"POST /runs", "POST /runs/sample", "POST /sweeps", "POST /api/v1/runs", "POST /api/v1/sweeps",
	}},
	{"searches", 200, 50 * time.Millisecond, false, []string{
		"GET /{$}", "GET /search", "GET /admin/audit", "GET /storage/complete", "GET /api/v1/runs", "GET /api/v1/audit", "GET /api/v1/storage/complete",
		"GET /runs/{id}/log/search", "GET /runs/{id}/log/find",
	}},
	{"downloads", 200, 100 * time.Millisecond, false, []string{
		"GET /runs/{id}/log.txt", "GET /storage/file", "GET /templates/{name}/export",
		"GET /api/v1/storage/file", "GET /api/v1/templates/{name}/file", "GET /api/v1/audit/export", "GET /api/v1/runs/{id}/logs/file",
	}},
	{"live connections", 60, time.Second, false, []string{"GET /ws", "GET /api/v1/stream"}},
}

// badTokens limits requests with a token that is none, by network. It spares the store, and is generous: nobody guesses a
// token, and a neighbour's script with a revoked one must not keep others out.
var badTokens = limit{name: "requests with an invalid token", burst: 100, every: 100 * time.Millisecond, anybody: true}

// counted is a limit with those it has counted.
type counted struct {
	limit
	counts *ratelimit.Limiter
}

// limited refuses requests that the table limits.
func (s *Server) limited(next http.Handler) http.Handler {
	if s.Dev {
		return next
	}
	// table finds the row; none of its handlers is called.
	table := router.New(func(_ string, _ access.Right, next http.Handler) http.Handler { return next })
	rows := map[string]counted{}
	for _, l := range limits {
		c := counted{l, ratelimit.New(l.burst, l.every, s.Now)}
		for _, pattern := range l.patterns {
			table.Handle(pattern, access.Public, http.NotFoundHandler())
			rows[pattern] = c
		}
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, pattern := table.Match(r); pattern != "" {
			if c, ok := rows[pattern]; ok {
				if wait := c.counts.Take(c.key(r)); wait > 0 {
					if told, ok := w.(router.Told); ok {
						told.Matched(pattern)
					}
					s.fail(w, r, c.exceeded(w, wait))
					return
				}
			}
		}
		next.ServeHTTP(w, r)
	})
}

// limitBadTokens counts what next refuses as an invalid token, and refuses a network that has sent too many.
func (s *Server) limitBadTokens(next http.Handler) http.Handler {
	if s.Dev {
		return next
	}
	c := counted{badTokens, ratelimit.New(badTokens.burst, badTokens.every, s.Now)}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") == "" {
			next.ServeHTTP(w, r)
			return
		}
		if wait := c.counts.Wait(c.key(r)); wait > 0 {
			s.fail(w, r, c.exceeded(w, wait))
			return
		}
		next.ServeHTTP(w, r)
		if rec, ok := w.(*recorder); ok && rec.status == http.StatusUnauthorized {
			c.counts.Take(c.key(r))
		}
	})
}

func (c counted) key(r *http.Request) string {
	if who := access.From(r.Context()); who.Known() && !c.anybody {
		return "user " + string(who.User)
	}
	return inbound.Of(r.Context()).Network().String()
}

// exceeded also tells w when to come back.
func (c counted) exceeded(w http.ResponseWriter, wait time.Duration) *fault.Error {
	seconds := int(math.Ceil(wait.Seconds()))
	w.Header().Set("Retry-After", strconv.Itoa(seconds))
	from := "from you"
	if c.anybody {
		from = "from your network"
	}
	return fault.New(fault.ErrRateLimited, fmt.Sprintf("The console takes %d %s at once %s, then one every %s.", c.burst, c.name, from, c.every),
		fmt.Sprintf("Try again in %d s.", seconds))
}
