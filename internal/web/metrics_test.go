package web_test

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/web"
	"github.com/cotrain/cotrain/internal/web/webtest"
)

// tally is a Metrics that remembers.
type tally struct {
	mu      sync.Mutex
	pending int
	failed  int
	answers []string
}

func (c *tally) Answer(w http.ResponseWriter, _ *http.Request) error {
	_, err := w.Write([]byte("one 1\n"))
	return err
}

func (c *tally) Asked() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pending++
}

func (c *tally) Answered(method, pattern string, status int, took time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pending--
	c.answers = append(c.answers, fmt.Sprintf("%s %q %d %t", method, pattern, status, took >= 0))
}

func (c *tally) AuthFailed() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failed++
}

// last is the newest answer. The client has it a moment before it is counted.
func (c *tally) last(t *testing.T, n int) string {
	t.Helper()
	for range 500 {
		c.mu.Lock()
		if len(c.answers) >= n && c.pending == 0 {
			defer c.mu.Unlock()
			return c.answers[n-1]
		}
		c.mu.Unlock()
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("not counted")
	return ""
}

func TestRequestsAreCountedByTheRouteThatAnswers(t *testing.T) {
	t.Parallel()
	counted := &tally{}
	s := webtest.New(t, func(d *web.Deps) { d.Metrics = counted })
	s.Fake.AllRuns = append(s.Fake.AllRuns, run.Run{ID: "r-0000000001", Name: "one", State: run.Queued, Project: "default", CreatedAt: webtest.Now})
	for i, c := range []struct{ method, path, want string }{
		{"GET", "/runs/r-0000000001", `GET "GET /runs/{id}" 200 true`},
		{"GET", "/runs/r-0000000009", `GET "GET /runs/{id}" 404 true`},
		{"HEAD", "/healthz", `HEAD "GET /healthz" 200 true`},
		{"GET", "/no/such/page", `GET "" 404 true`},
		{"PUT", "/healthz", `PUT "" 405 true`},
		{"GET", "/metrics", `GET "GET /metrics" 200 true`},
	} {
		s.Do(c.method, c.path, nil)
		if got := counted.last(t, i+1); got != c.want {
			t.Errorf("%s %s: counted as %s, want %s", c.method, c.path, got, c.want)
		}
	}
	if counted.failed != 0 {
		t.Errorf("%d log-ins have failed, and nobody tried one", counted.failed)
	}
}

func TestWithoutMetricsThereIsNothingToScrape(t *testing.T) {
	t.Parallel()
	if a := webtest.New(t).Do("GET", "/metrics", nil); a.Status != http.StatusNotFound {
		t.Errorf("answered %d", a.Status)
	}
}

// invalid is a log-in that knows no token.
type invalid struct{ webtest.As }

func (i invalid) Identify(r *http.Request) (context.Context, error) {
	if r.Header.Get("Authorization") != "" {
		return r.Context(), fault.ErrSignedOut
	}
	return r.Context(), nil
}

// closed is a guard that lets nobody do anything.
type closed struct{ webtest.Open }

func (closed) Allow(context.Context, access.Right, access.Subject) error { return fault.ErrSignedOut }

func TestInvalidTokensAreCountedAndSessionsThatEndedAreNot(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		path   string
		header []string
		want   int
	}{
		"an invalid token":                         {"/", []string{"Authorization", "Bearer ct_wrong"}, 1},
		"a page whose session has ended":           {"/", nil, 0},
		"data that is asked for after the session": {"/runs/r-0000000001/series", nil, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			counted := &tally{}
			s := webtest.New(t, func(d *web.Deps) { d.Metrics, d.Auth, d.Guard = counted, invalid{}, closed{} })
			s.Do("GET", c.path, nil, c.header...)
			counted.last(t, 1)
			if counted.failed != c.want {
				t.Errorf("%d failures, want %d: %v", counted.failed, c.want, counted.answers)
			}
		})
	}
}
