package web

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
)

func (s *site) port() string {
	u, err := url.Parse(s.http.URL)
	if err != nil {
		s.t.Fatal(err)
	}
	return u.Port()
}

func TestOnlyLoopbackNamesAreAnswered(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	for host, allowed := range map[string]bool{
		"127.0.0.1:" + s.port(): true, "localhost:" + s.port(): true, "LOCALHOST:" + s.port(): true, "[::1]:" + s.port(): true, "127.9.9.9:" + s.port(): true,
		"127.0.0.1:1": true, "localhost:9999": true, "127.0.0.1": true, "localhost": true, "[::1]": true, // the near end of a tunnel
		"evil.example:" + s.port(): false, "evil.example": false, "localhost.evil.example:" + s.port(): false,
		"10.0.0.1:" + s.port(): false, "0.0.0.0:" + s.port(): false, "127.0.0.1.evil.example:" + s.port(): false, "[::ffff:10.0.0.1]:" + s.port(): false,
		"2130706433:" + s.port(): false,
	} {
		for _, path := range []string{"/", "/healthz", "/ws", "/static/css/base.css", "/nothing"} {
			a := s.do("GET", path, nil, "Host", host)
			if refused := a.status == http.StatusMisdirectedRequest; refused == allowed {
				t.Errorf("Host %q on %s: %d", host, path, a.status)
			}
		}
	}
	a := s.do("GET", "/", nil, "Host", "gpu01.example:8080")
	if got := a.text(t, ".error-page p:nth-of-type(2)"); !strings.Contains(got, `not to "gpu01.example:8080"`) || !strings.Contains(got, "http://127.0.0.1:"+s.port()) || !strings.Contains(got, "ssh -L "+s.port()+":127.0.0.1:"+s.port()) {
		t.Errorf("says %q", got)
	}
}

func TestATunnelOnAnotherPortWorksAndOtherPortsStayOut(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	for name, c := range map[string]struct {
		header  []string
		allowed bool
	}{
		"its own page, through a tunnel":      {[]string{"Host", "localhost:9999", "Origin", "http://localhost:9999", "Sec-Fetch-Site", "same-origin"}, true},
		"a page of another port":              {[]string{"Host", "localhost:9999", "Origin", "http://localhost:3000", "Sec-Fetch-Site", "same-site"}, false},
		"a page of the console's far port":    {[]string{"Host", "localhost:9999", "Origin", "http://localhost:" + s.port()}, false},
		"a name that was turned to loopback":  {[]string{"Host", "evil.example:9999", "Origin", "http://evil.example:9999", "Sec-Fetch-Site", "same-origin"}, false},
		"a page that names another as itself": {[]string{"Host", "localhost:9999", "Origin", "http://evil.example:9999"}, false},
	} {
		if a := s.do("POST", "/runs/sample", url.Values{}, c.header...); (a.status == http.StatusSeeOther) != c.allowed {
			t.Errorf("%s: %d", name, a.status)
		}
	}
}

func TestWhatChangesSomethingMustComeFromTheConsoleItself(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	own := s.http.URL
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
		"the other name of this machine":           {[]string{"Origin", "http://localhost:" + s.port()}, false},
		"a sandboxed frame":                        {[]string{"Origin", "null"}, false},
		"the right host and another scheme":        {[]string{"Origin", strings.Replace(own, "http", "https", 1)}, false},
		"two origins":                              {[]string{"Origin", own, "Origin", "https://evil.example"}, false},
		"a page of this machine, opened by a file": {[]string{"Origin", "file://"}, false},
	} {
		before := len(s.fake.submitted)
		a := s.do("POST", "/runs/sample", url.Values{}, c.header...)
		if allowed := a.status == http.StatusSeeOther; allowed != c.allowed {
			t.Errorf("%s: %d", name, a.status)
		}
		if started := len(s.fake.submitted) > before; started != c.allowed {
			t.Errorf("%s: started a run: %v", name, started)
		}
	}
}

func TestABodyThatIsTooLargeIsRefused(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	for _, path := range []string{"/runs", "/runs/validate", "/theme"} {
		a := s.do("POST", path, url.Values{"name": {strings.Repeat("x", maxBaseForm+1)}})
		limit := "256 KiB"
		if path == "/theme" {
			limit = "64.0 KiB"
		}
		if got := a.text(t, ".error-page p:nth-of-type(2)"); a.status != http.StatusRequestEntityTooLarge || !strings.Contains(got, "The form has 256 KiB, and may have at most "+limit) {
			t.Errorf("%s: %d, %q", path, a.status, got)
		}
	}
	if len(s.fake.submitted) != 0 {
		t.Error("a run was started")
	}
}

func TestABodyThatIsNoFormIsRefused(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.http.URL+"/runs", strings.NewReader("name=%zz;\x00&&"))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if a := s.send(r); a.status != http.StatusBadRequest {
		t.Errorf("%d", a.status)
	}
}

func TestUnknownAddressesAndMethodsArePages(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	if a := s.get("/nothing/here", 404); a.text(t, "h1") != "There is nothing here" || a.count(`.error-page a[href="/"]`) != 1 {
		t.Error("the page does not say what to do")
	}
	a := s.do("DELETE", "/runs/new", nil)
	if a.status != http.StatusMethodNotAllowed || !strings.Contains(a.header.Get("Allow"), "GET") || a.count("h1") != 1 {
		t.Errorf("method: %d, Allow %q", a.status, a.header.Get("Allow"))
	}
	if a := s.do("GET", "/nothing", nil, "Accept", "application/json"); a.header.Get("Content-Type") != "application/problem+json" || !strings.Contains(a.body, `"status":404`) {
		t.Errorf("for a script: %s %s", a.header.Get("Content-Type"), a.body)
	}
	if a := s.do("GET", "//evil.example/..", nil); a.status >= 300 && a.status < 400 && !strings.HasPrefix(a.header.Get("Location"), "/") {
		t.Errorf("redirects to %q", a.header.Get("Location"))
	}
}

func TestAMistakeOfTheConsoleTellsNothingOfItsInside(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	r := testRun(run.Running)
	s.fake.runs = []run.Run{r}
	s.fake.err = fmt.Errorf("dial tcp 10.1.2.3: secret of the inside")
	a := s.get("/runs/"+string(r.ID), 500)
	if strings.Contains(a.body, "secret") || strings.Contains(a.body, "10.1.2.3") {
		t.Error("the error reaches the client")
	}
	id := a.text(t, ".error-page code")
	if id == "" || !strings.Contains(s.log.String(), "id="+id) || !strings.Contains(s.log.String(), "secret of the inside") {
		t.Errorf("the log does not have it as %q", id)
	}
}

func TestAPanicIsAnAnswerAndTheServerGoesOn(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	r := testRun(run.Running)
	s.fake.runs = []run.Run{r}
	s.fake.panics = true
	if a := s.get("/runs/"+string(r.ID)+"/config.toml", 500); strings.Contains(a.body, "secret") {
		t.Error("the panic reaches the client")
	}
	if !strings.Contains(s.log.String(), "stack=") {
		t.Error("no stack in the log")
	}
	s.get("/", 200)
}

func TestNotReachableIsSaidAsSuch(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.fake.err = fmt.Errorf("list runs: %w", fault.ErrUnavailable)
	a := s.get("/", 503)
	if a.text(t, "h1") != "Not reachable right now" || a.count(`.error-page a[href="/"]`) == 0 {
		t.Errorf("%q", a.text(t, "h1"))
	}
}

func TestTheAPIIsBehindTheSameChecks(t *testing.T) {
	t.Parallel()
	s := newSite(t, func(d *Deps) {
		d.API = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			b, _ := io.ReadAll(r.Body)
			_, _ = fmt.Fprintf(w, "%s %s %d", r.Method, r.URL.Path, len(b))
		})
	})
	if a := s.do("POST", "/api/v1/runs", url.Values{"x": {strings.Repeat("y", 2*maxForm)}}); a.status != 200 || !strings.HasPrefix(a.body, "POST /api/v1/runs 131") {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := s.do("POST", "/api/v1/runs", nil, "Origin", "https://evil.example"); a.status != http.StatusForbidden || !strings.Contains(a.header.Get("Content-Type"), "json") {
		t.Errorf("another origin: %d %s", a.status, a.header.Get("Content-Type"))
	}
	if a := s.do("GET", "/api/v1/runs", nil, "Host", "evil.example"); a.status != http.StatusMisdirectedRequest {
		t.Errorf("another host: %d", a.status)
	}
	newSite(t).get("/api/v1/runs", 404)
}

func TestSecurityHeadersAreOnEveryAnswer(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	for _, path := range []string{"/", "/healthz", "/static/css/base.css", "/nothing", "/ws"} {
		h := s.do("GET", path, nil).header
		if h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Content-Security-Policy") != contentPolicy || h.Get("Cross-Origin-Opener-Policy") != "same-origin" {
			t.Errorf("%s: %v", path, h)
		}
	}
}

func TestAClientThatSendsItsBodyTooSlowlyIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	done := make(chan error, 1)
	s.http.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.web.wrap(func(_ http.ResponseWriter, r *http.Request) error {
			_, err := io.ReadAll(r.Body)
			done <- err
			return err
		}, 50*time.Millisecond).ServeHTTP(w, r)
	})
	body, feed := io.Pipe() // never written to, never closed while the server waits
	defer func() { _ = feed.Close() }()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.http.URL+"/runs", body)
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
			s := newSite(t)
			s.http.Config.Handler = s.web.boundAll(s.web.wrap(func(w http.ResponseWriter, r *http.Request) error {
				if reads {
					if _, err := io.ReadAll(r.Body); err == nil {
						t.Error("the body was read to its end")
					}
				}
				return errBadForm
			}, 50*time.Millisecond))
			conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", s.http.Listener.Addr().String())
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
				t.Errorf("got %.60q, %v; want an answer and the end of the connection", got, err)
			}
		})
	}
}

func TestEveryRequestIsBounded(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	for _, path := range []string{"/runs", "/no/such/page", "/static/x", "/api/v1/runs", "/ws"} {
		w := &deadlines{ResponseRecorder: httptest.NewRecorder()}
		s.web.Handler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, strings.NewReader("x")))
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
