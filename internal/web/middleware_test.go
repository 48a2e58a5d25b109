package web_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/web"
	"github.com/cotrain/cotrain/internal/web/form"
	"github.com/cotrain/cotrain/internal/web/page"
	"github.com/cotrain/cotrain/internal/web/webtest"
)

func port(s *webtest.Site) string {
	u, err := url.Parse(s.HTTP.URL)
	if err != nil {
		s.T.Fatal(err)
	}
	return u.Port()
}

func TestOnlyLoopbackNamesAreAnswered(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	for host, allowed := range map[string]bool{
		"127.0.0.1:" + port(s): true, "localhost:" + port(s): true, "LOCALHOST:" + port(s): true, "[::1]:" + port(s): true, "127.9.9.9:" + port(s): true,
		"127.0.0.1:1": true, "localhost:9999": true, "127.0.0.1": true, "localhost": true, "[::1]": true, // the near end of a tunnel
		"evil.example:" + port(s): false, "evil.example": false, "localhost.evil.example:" + port(s): false,
		"10.0.0.1:" + port(s): false, "0.0.0.0:" + port(s): false, "127.0.0.1.evil.example:" + port(s): false, "[::ffff:10.0.0.1]:" + port(s): false,
		"2130706433:" + port(s): false,
	} {
		for _, path := range []string{"/", "/healthz", "/ws", "/static/css/ui/base.css", "/nothing"} {
			a := s.Do("GET", path, nil, "Host", host)
			if refused := a.Status == http.StatusMisdirectedRequest; refused == allowed {
				t.Errorf("Host %q on %s: %d", host, path, a.Status)
			}
		}
	}
	a := s.Do("GET", "/", nil, "Host", "gpu01.example:8080")
	if got := a.Text(t, ".error-page p:nth-of-type(2)"); !strings.Contains(got, `not to "gpu01.example:8080"`) || !strings.Contains(got, "http://127.0.0.1:"+port(s)) || !strings.Contains(got, "ssh -L "+port(s)+":127.0.0.1:"+port(s)) {
		t.Errorf("says %q", got)
	}
}

func TestATunnelOnAnotherPortWorksAndOtherPortsStayOut(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	for name, c := range map[string]struct {
		header  []string
		allowed bool
	}{
		"its own page, through a tunnel":      {[]string{"Host", "localhost:9999", "Origin", "http://localhost:9999", "Sec-Fetch-Site", "same-origin"}, true},
		"a page of another port":              {[]string{"Host", "localhost:9999", "Origin", "http://localhost:3000", "Sec-Fetch-Site", "same-site"}, false},
		"a page of the console's far port":    {[]string{"Host", "localhost:9999", "Origin", "http://localhost:" + port(s)}, false},
		"a name that was turned to loopback":  {[]string{"Host", "evil.example:9999", "Origin", "http://evil.example:9999", "Sec-Fetch-Site", "same-origin"}, false},
		"a page that names another as itself": {[]string{"Host", "localhost:9999", "Origin", "http://evil.example:9999"}, false},
	} {
		if a := s.Do("POST", "/runs/sample", url.Values{}, c.header...); (a.Status == http.StatusSeeOther) != c.allowed {
			t.Errorf("%s: %d", name, a.Status)
		}
	}
}

func TestWhatChangesSomethingMustComeFromTheConsoleItself(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	own := s.HTTP.URL
	for name, c := range map[string]struct {
		header  []string
		allowed bool
	}{
		"its own page": {[]string{"Origin", own, "Sec-Fetch-Site", "same-origin"}, true},
		"a program":    {nil, true},
		"another site": {[]string{"Origin", "https://evil.example", "Sec-Fetch-Site", "cross-site"}, false},
		"another site that claims to be the same":  {[]string{"Origin", "https://evil.example", "Sec-Fetch-Site", "same-origin"}, false},
		"another site in an old browser":           {[]string{"Origin", "https://evil.example"}, false},
		"a cross-site request without an origin":   {[]string{"Sec-Fetch-Site", "cross-site"}, false},
		"another port of this machine":             {[]string{"Origin", "http://127.0.0.1:1", "Sec-Fetch-Site", "same-site"}, false},
		"the other name of this machine":           {[]string{"Origin", "http://localhost:" + port(s)}, false},
		"a sandboxed frame":                        {[]string{"Origin", "null"}, false},
		"the right host and another scheme":        {[]string{"Origin", strings.Replace(own, "http", "https", 1)}, false},
		"two origins":                              {[]string{"Origin", own, "Origin", "https://evil.example"}, false},
		"a page of this machine, opened by a file": {[]string{"Origin", "file://"}, false},
	} {
		before := len(s.Fake.Submitted)
		a := s.Do("POST", "/runs/sample", url.Values{}, c.header...)
		if allowed := a.Status == http.StatusSeeOther; allowed != c.allowed {
			t.Errorf("%s: %d", name, a.Status)
		}
		if started := len(s.Fake.Submitted) > before; started != c.allowed {
			t.Errorf("%s: started a run: %v", name, started)
		}
	}
}

func TestABodyThatIsTooLargeIsRefused(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	for _, path := range []string{"/runs", "/runs/validate", "/theme"} {
		a := s.Do("POST", path, url.Values{"name": {strings.Repeat("x", form.MaxBody+1)}})
		limit := "256 KiB"
		if path == "/theme" {
			limit = "64.0 KiB"
		}
		if got := a.Text(t, ".error-page p:nth-of-type(2)"); a.Status != http.StatusRequestEntityTooLarge || !strings.Contains(got, "The form has 256 KiB, and may have at most "+limit) {
			t.Errorf("%s: %d, %q", path, a.Status, got)
		}
	}
	if len(s.Fake.Submitted) != 0 {
		t.Error("a run was started")
	}
}

func TestABodyThatIsNoFormIsRefused(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.HTTP.URL+"/runs", strings.NewReader("name=%zz;\x00&&"))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if a := s.Send(r); a.Status != http.StatusBadRequest {
		t.Errorf("%d", a.Status)
	}
}

func TestUnknownAddressesAndMethodsArePages(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	if a := s.Get("/nothing/here", 404); a.Text(t, "h1") != "Not found" || a.Count(`.error-page a[href="/"]`) != 1 {
		t.Error("the page does not say what to do")
	}
	a := s.Do("DELETE", "/runs/new", nil)
	if a.Status != http.StatusMethodNotAllowed || !strings.Contains(a.Header.Get("Allow"), "GET") || a.Count("h1") != 1 {
		t.Errorf("method: %d, Allow %q", a.Status, a.Header.Get("Allow"))
	}
	if a := s.Do("GET", "/nothing", nil, "Accept", "application/json"); a.Header.Get("Content-Type") != "application/problem+json" || !strings.Contains(a.Body, `"status":404`) {
		t.Errorf("for a script: %s %s", a.Header.Get("Content-Type"), a.Body)
	}
	if a := s.Do("GET", "//evil.example/..", nil); a.Status >= 300 && a.Status < 400 && !strings.HasPrefix(a.Header.Get("Location"), "/") {
		t.Errorf("redirects to %q", a.Header.Get("Location"))
	}
}

func TestAMistakeOfTheConsoleTellsNothingOfItsInside(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	r := webtest.Run(run.Running)
	s.Fake.AllRuns = []run.Run{r}
	s.Fake.Err = fmt.Errorf("dial tcp 10.1.2.3: secret of the inside")
	a := s.Get("/runs/"+string(r.ID), 500)
	if strings.Contains(a.Body, "secret") || strings.Contains(a.Body, "10.1.2.3") {
		t.Error("the error reaches the client")
	}
	id := a.Text(t, ".error-page code:last-of-type")
	if id == "" || !strings.Contains(s.Log.String(), "id="+id) || !strings.Contains(s.Log.String(), "secret of the inside") {
		t.Errorf("the log does not have it as %q", id)
	}
}

func TestAPanicIsAnAnswerAndTheServerGoesOn(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	r := webtest.Run(run.Running)
	s.Fake.AllRuns = []run.Run{r}
	s.Fake.Panics = true
	if a := s.Get("/runs/"+string(r.ID)+"/config.toml", 500); strings.Contains(a.Body, "secret") {
		t.Error("the panic reaches the client")
	}
	if !strings.Contains(s.Log.String(), "stack=") {
		t.Error("no stack in the log")
	}
	s.Get("/", 200)
}

func TestNotReachableIsSaidAsSuch(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	s.Fake.Err = fmt.Errorf("list runs: %w", fault.ErrUnavailable)
	a := s.Get("/", 503)
	if a.Text(t, "h1") != "Not reachable right now" || a.Count(`.error-page a[href="/"]`) == 0 {
		t.Errorf("%q", a.Text(t, "h1"))
	}
}

func TestTheAPIIsBehindTheSameChecks(t *testing.T) {
	t.Parallel()
	s := webtest.New(t, func(d *web.Deps) {
		d.API = webtest.API(func(w http.ResponseWriter, r *http.Request) {
			b, _ := io.ReadAll(r.Body)
			_, _ = fmt.Fprintf(w, "%s %s %d", r.Method, r.URL.Path, len(b))
		})
	})
	if a := s.Do("POST", "/api/v1/runs", url.Values{"x": {strings.Repeat("y", 2*web.MaxForm)}}); a.Status != 200 || !strings.HasPrefix(a.Body, "POST /api/v1/runs 131") {
		t.Errorf("%d %s", a.Status, a.Body)
	}
	if a := s.Do("POST", "/api/v1/runs", nil, "Origin", "https://evil.example"); a.Status != http.StatusForbidden || !strings.Contains(a.Header.Get("Content-Type"), "json") {
		t.Errorf("another origin: %d %s", a.Status, a.Header.Get("Content-Type"))
	}
	if a := s.Do("GET", "/api/v1/runs", nil, "Host", "evil.example"); a.Status != http.StatusMisdirectedRequest {
		t.Errorf("another host: %d", a.Status)
	}
	webtest.New(t).Get("/api/v1/runs", 404)
}

func TestSecurityHeadersAreOnEveryAnswer(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	for _, path := range []string{"/", "/healthz", "/static/css/ui/base.css", "/nothing", "/ws"} {
		h := s.Do("GET", path, nil).Header
		if h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Content-Security-Policy") != web.ContentPolicy || h.Get("Cross-Origin-Opener-Policy") != "same-origin" {
			t.Errorf("%s: %v", path, h)
		}
	}
}

func TestAClientThatSendsItsBodyTooSlowlyIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	done := make(chan error, 1)
	s.HTTP.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.Web.Wrap(func(_ http.ResponseWriter, r *http.Request) error {
			_, err := io.ReadAll(r.Body)
			done <- err
			return err
		}, 50*time.Millisecond).ServeHTTP(w, r)
	})
	body, feed := io.Pipe() // never written to, never closed while the server waits
	defer func() { _ = feed.Close() }()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.HTTP.URL+"/runs", body)
	if err != nil {
		t.Fatal(err)
	}
	go func() { // ends when the server answers or closes the connection
		if res, err := http.DefaultTransport.RoundTrip(r); err == nil {
			_ = res.Body.Close()
		}
	}()
	select {
	case err := <-done:
		if err == nil {
			t.Error("the body was read to its end")
		}
	case <-time.After(time.Minute):
		t.Error("the server still waits")
	}
}

// TestASlowBodyIsAnsweredAndItsConnectionEnds leaves most of the body unsent: what the handler did not read must not be
// waited for after it has returned, whether it read at all or not.
func TestASlowBodyIsAnsweredAndItsConnectionEnds(t *testing.T) {
	t.Parallel()
	for name, reads := range map[string]bool{"read by the handler": true, "not read by it": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := webtest.New(t)
			s.HTTP.Config.Handler = s.Web.BoundAll(s.Web.Wrap(func(w http.ResponseWriter, r *http.Request) error {
				if reads {
					if _, err := io.ReadAll(r.Body); err == nil {
						t.Error("the body was read to its end")
					}
				}
				return page.ErrBadForm
			}, 50*time.Millisecond))
			conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", s.HTTP.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = conn.Close() }()
			if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
				t.Fatal(err)
			}
			if _, err := io.WriteString(conn, "POST /runs HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nname="); err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(conn)
			if err != nil || !strings.HasPrefix(string(got), "HTTP/1.1 400 ") {
				t.Errorf("got %.60q, %v; want an webtest.Answer and the end of the connection", got, err)
			}
		})
	}
}

func TestEveryRequestIsBounded(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	for _, path := range []string{"/runs", "/no/such/page", "/static/x", "/api/v1/runs", "/ws"} {
		w := &deadlines{ResponseRecorder: httptest.NewRecorder()}
		s.Web.Handler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, strings.NewReader("x")))
		if w.read.IsZero() || w.write.Before(w.read) {
			t.Errorf("%s: reads until %v, writes until %v", path, w.read, w.write)
		}
	}
}

// deadlines remembers what a connection was bounded to.
type deadlines struct {
	*httptest.ResponseRecorder
	read, write time.Time
}

func (d *deadlines) SetReadDeadline(t time.Time) error  { d.read = t; return nil }
func (d *deadlines) SetWriteDeadline(t time.Time) error { d.write = t; return nil }
