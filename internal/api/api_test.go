package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/cotrain/cotrain/internal/api/apitest"
	"github.com/cotrain/cotrain/internal/client"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/feed"
	"github.com/cotrain/cotrain/internal/run"
)

// fixture is the API over a console in memory.
type fixture struct {
	*apitest.Console
	t   *testing.T
	h   http.Handler
	log bytes.Buffer
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	f := &fixture{Console: apitest.New(), t: t}
	f.h = f.Handler(slog.New(slog.NewTextHandler(&f.log, nil)))
	return f
}

// in is the same console, for a test within a test; those do not run in parallel.
func (f *fixture) in(t *testing.T) *fixture { return &fixture{Console: f.Console, t: t, h: f.h} }

// do sends a request; headers are pairs. A body is JSON unless a header says otherwise.
func (f *fixture) do(method, target, body string, headers ...string) *httptest.ResponseRecorder {
	f.t.Helper()
	var in io.Reader = http.NoBody
	if body != "" {
		in = strings.NewReader(body)
	}
	r := httptest.NewRequest(method, target, in)
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	f.h.ServeHTTP(w, r)
	return w
}

// glance sends a GET whose client has gone before the answer, which would not end otherwise.
func (f *fixture) glance(target string, headers ...string) *httptest.ResponseRecorder {
	f.t.Helper()
	ctx, cancel := context.WithCancel(f.t.Context())
	cancel()
	r := httptest.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	f.h.ServeHTTP(w, r)
	return w
}

// get decodes a successful answer.
func get[T any](f *fixture, target string) T {
	f.t.Helper()
	return decode[T](f, f.do("GET", target, ""), http.StatusOK)
}

func decode[T any](f *fixture, w *httptest.ResponseRecorder, status int) (v T) {
	f.t.Helper()
	if w.Code != status {
		f.t.Fatalf("status %d, want %d: %s", w.Code, status, w.Body)
	}
	if err := json.Unmarshal(w.Body.Bytes(), &v); err != nil {
		f.t.Fatalf("%v in %s", err, w.Body)
	}
	return v
}

// problem checks that an answer is a whole problem.
func (f *fixture) problem(w *httptest.ResponseRecorder, status int) client.Problem {
	f.t.Helper()
	p := decode[client.Problem](f, w, status)
	if ct := w.Header().Get("Content-Type"); ct != "application/problem+json" {
		f.t.Errorf("content type %q", ct)
	}
	if p.Status != status || p.Title == "" || p.Detail == "" || p.Type == "" {
		f.t.Errorf("problem is not whole: %+v", p)
	}
	return p
}

func TestSentinelsBecomeStatusesAndInternalTextStaysInside(t *testing.T) {
	t.Parallel()
	const secret = "/var/lib/secret.db: disk I/O"
	for _, tc := range []struct {
		err    error
		status int
	}{
		{fault.ErrNotFound, 404},
		{fault.ErrInvalid, 422},
		{run.FieldErrors{{Field: "name", Rule: "is bad", Fix: "change it"}}, 422},
		{run.FieldError{Field: "name", Rule: "is bad", Fix: "change it"}, 422},
		{fault.ErrConflict, 409},
		{fault.ErrUnavailable, 503},
		{context.DeadlineExceeded, 503},
		{errors.New("anything else"), 500},
	} {
		t.Run(tc.err.Error(), func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			f.Fail(fmt.Errorf("%s: %w", secret, tc.err))
			w := f.do("GET", "/api/v1/nodes", "")
			p := f.problem(w, tc.status)
			if strings.Contains(w.Body.String(), "secret") {
				t.Errorf("internal text in %s", w.Body)
			}
			if (tc.status == 503) != (w.Header().Get("Retry-After") != "") {
				t.Errorf("Retry-After is %q", w.Header().Get("Retry-After"))
			}
			if tc.status >= 500 && (p.ID == "" || !strings.Contains(f.log.String(), p.ID) || !strings.Contains(f.log.String(), secret)) {
				t.Errorf("problem %q is not in the log: %s", p.ID, f.log.String())
			}
		})
	}
}

func TestUnknownAddressesAndMethodsAreProblems(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for _, target := range []string{"/api/", "/api/v1", "/api/v1/", "/api/v2/runs", "/api/v1/runs/r-0000000000/nothing"} {
		f.problem(f.do("GET", target, ""), 404)
	}
	w := f.do("PUT", "/api/v1/runs", "{}")
	f.problem(w, 405)
	if allow := w.Header().Get("Allow"); !strings.Contains(allow, "POST") || !strings.Contains(allow, "GET") {
		t.Errorf("Allow is %q", allow)
	}
}

func TestRequestsOfOtherSitesChangeNothing(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	id := f.Add(run.Run{State: run.Running})
	stop := "/api/v1/runs/" + string(id) + "/stop"
	body := `{"name":"x","preset":"debug"}`
	for name, headers := range map[string][]string{
		"cross-site by fetch metadata": {"Sec-Fetch-Site", "cross-site"},
		"same-site, other port":        {"Sec-Fetch-Site", "same-site"},
		"another origin":               {"Origin", "http://evil.example"},
		"an opaque origin":             {"Origin", "null"},
	} {
		t.Run(name, func(t *testing.T) {
			f := f.in(t)
			f.problem(f.do("POST", "/api/v1/runs", body, headers...), 403)
			f.problem(f.do("POST", stop, "", headers...), 403)
			f.problem(f.do("DELETE", "/api/v1/runs/"+string(id), "", headers...), 403)
		})
	}
	for _, media := range []string{"text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "", "application/json, text/plain"} {
		f.problem(f.do("POST", "/api/v1/runs", body, "Content-Type", media), 415)
		f.problem(f.do("POST", stop, "x", "Content-Type", media), 415)
	}
	if r, err := f.Run(t.Context(), id); err != nil || r.State != run.Running || len(f.Submissions()) != 0 {
		t.Errorf("something changed: %+v %v %v", r, err, f.Submissions())
	}
	if w := f.do("POST", stop, "", "Origin", "http://example.com", "Sec-Fetch-Site", "same-origin"); w.Code != 202 {
		t.Errorf("the console's own page is refused: %d %s", w.Code, w.Body)
	}
	if w := f.do("GET", "/api/v1/runs", "", "Origin", "http://evil.example"); w.Code != 200 || w.Header().Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("reading: %d, readable by %q", w.Code, w.Header().Get("Access-Control-Allow-Origin"))
	}
}

func TestAnswersAreNotSniffedOrCached(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for _, target := range []string{"/api/v1/runs", "/api/v1/runs/r-0000000000", "/api/v1/nothing", "/api/v1/openapi.json"} {
		h := f.do("GET", target, "").Header()
		if h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %v", target, h)
		}
	}
}

func TestWhatTheConsoleSuffersFromIsTold(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.SetSystem(feed.System{Nomad: "unreachable", Store: "ok", Message: "Nomad is not reachable."})
	if got := get[client.System](f, "/api/v1/system"); got != (client.System{Nomad: "unreachable", Store: "ok", Message: "Nomad is not reachable.", Charts: client.CacheStats{Limit: 1 << 20}}) {
		t.Errorf("%+v", got)
	}
}
