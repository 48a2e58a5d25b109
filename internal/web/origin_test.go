package web_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"github.com/cotrain/cotrain/internal/inbound"
	"github.com/cotrain/cotrain/internal/web"
	"github.com/cotrain/cotrain/internal/web/webtest"
)

// published is a site at a public URL behind proxies; tests reach it from 127.0.0.1.
func published(t *testing.T, public string, change func(*inbound.Front), proxies ...string) *webtest.Site {
	t.Helper()
	u, err := url.Parse(public)
	if err != nil {
		t.Fatal(err)
	}
	front := inbound.Front{Public: u}
	for _, p := range proxies {
		front.Proxies = append(front.Proxies, netip.MustParsePrefix(p))
	}
	if change != nil {
		change(&front)
	}
	return webtest.New(t, func(d *web.Deps) { d.Front = front })
}

const local = "127.0.0.1/32"

func TestAPublishedConsoleAnswersToItsNamesAlone(t *testing.T) {
	t.Parallel()
	s := published(t, "https://cotrain.example.com", func(f *inbound.Front) { f.Hosts = []string{"cotrain", "10.0.0.5", "fd00::5"} }, local)
	for host, allowed := range map[string]bool{
		"cotrain.example.com": true, "COTRAIN.example.com:8443": true, "cotrain:80": true, "10.0.0.5": true, "[fd00::5]:80": true,
		"127.0.0.1:" + port(s): true, "localhost": true, // the connection comes from this machine
		"evil.example": false, "cotrain.example.com.evil.example": false, "10.0.0.6": false, "cotrain.evil": false, "a@cotrain": false,
	} {
		a := s.Do("GET", "/healthz", nil, "Host", host)
		if refused := a.Status == http.StatusMisdirectedRequest || a.Status == http.StatusBadRequest; refused == allowed { // net/http refuses what is no Host
			t.Errorf("Host %q: %d", host, a.Status)
		}
	}
	a := s.Do("GET", "/", nil, "Host", "evil.example")
	if got := a.Text(t, ".error-page p:nth-of-type(2)"); !strings.Contains(got, `does not answer to "evil.example"`) || !strings.Contains(got, "Open https://cotrain.example.com, or have the operator add the name to COTRAIN_HOSTS") {
		t.Errorf("says %q", got)
	}
}

// TestLoopbackNamesAreForConnectionsFromThisMachine matters where a listener has all addresses: another machine can send
// any Host.
func TestLoopbackNamesAreForConnectionsFromThisMachine(t *testing.T) {
	t.Parallel()
	s := published(t, "https://cotrain.example.com", nil)
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://localhost/healthz", nil)
	w := httptest.NewRecorder()
	s.Web.Handler().ServeHTTP(w, r) // without a local address, as from elsewhere
	if w.Code != http.StatusMisdirectedRequest {
		t.Errorf("%d", w.Code)
	}
}

func TestChangesOfAPublishedConsoleComeFromItsOwnPages(t *testing.T) {
	t.Parallel()
	s := published(t, "https://cotrain.example.com", nil, local)
	const public, forwarded = "https://cotrain.example.com", "X-Forwarded-Proto"
	for name, c := range map[string]struct {
		header  []string
		allowed bool
	}{
		"its own page":                              {[]string{"Host", "cotrain.example.com", forwarded, "https", "Origin", public, "Sec-Fetch-Site", "same-origin"}, true},
		"its own page in an old browser":            {[]string{"Host", "cotrain.example.com", forwarded, "https", "Origin", public}, true},
		"through a proxy that says nothing":         {[]string{"Host", "cotrain.example.com", "Origin", public}, true},
		"through a proxy that changes the Host":     {[]string{"Origin", public, forwarded, "https"}, true},
		"through one that tells the Host":           {[]string{"Origin", public, forwarded, "https", "X-Forwarded-Host", "cotrain.example.com"}, true},
		"a program":                                 {[]string{"Host", "cotrain.example.com"}, true},
		"a page on this machine":                    {[]string{"Origin", s.HTTP.URL}, true},
		"another site":                              {[]string{"Host", "cotrain.example.com", "Origin", "https://evil.example", "Sec-Fetch-Site", "cross-site"}, false},
		"another site in an old browser":            {[]string{"Host", "cotrain.example.com", "Origin", "https://evil.example"}, false},
		"a neighbour under the same domain":         {[]string{"Host", "cotrain.example.com", "Origin", "https://other.example.com", "Sec-Fetch-Site", "same-site"}, false},
		"the same name without TLS":                 {[]string{"Host", "cotrain.example.com", forwarded, "https", "Origin", "http://cotrain.example.com"}, false},
		"another port of the same name":             {[]string{"Host", "cotrain.example.com", forwarded, "https", "Origin", public + ":8443"}, false},
		"a proxy's client who names another host":   {[]string{"Origin", "https://evil.example", "X-Forwarded-Host", "evil.example", forwarded, "https"}, false},
		"a page that was never encrypted":           {[]string{"Host", "cotrain.example.com", forwarded, "http", "Origin", "http://cotrain.example.com"}, false},
		"a program that was never encrypted":        {[]string{"Host", "cotrain.example.com", forwarded, "http"}, false},
		"the null origin":                           {[]string{"Host", "cotrain.example.com", "Origin", "null"}, false},
		"a cross-site request without an origin":    {[]string{"Host", "cotrain.example.com", "Sec-Fetch-Site", "cross-site"}, false},
		"another site that names the public origin": {[]string{"Origin", public, "Origin", "https://evil.example"}, false},
	} {
		before := len(s.Fake.Submitted)
		a := s.Do("POST", "/runs/sample", url.Values{}, c.header...)
		if allowed := a.Status == http.StatusSeeOther && len(s.Fake.Submitted) > before; allowed != c.allowed {
			t.Errorf("%s: %d", name, a.Status)
		}
	}
}

func TestSocketsOfAPublishedConsoleComeFromItsOwnPages(t *testing.T) {
	t.Parallel()
	s := published(t, "https://cotrain.example.com", nil, local)
	for origin, want := range map[string]int{"https://cotrain.example.com": http.StatusUpgradeRequired, "https://evil.example": http.StatusForbidden, "http://cotrain.example.com": http.StatusForbidden} {
		if a := s.Do("GET", "/ws", nil, "Host", "cotrain.example.com", "X-Forwarded-Proto", "https", "Origin", origin); a.Status != want {
			t.Errorf("%s: %d, want %d", origin, a.Status, want)
		}
	}
}

// TestPlainHTTPIsForTheProxyAndThisMachine asks as from elsewhere: without a local address of the connection.
func TestPlainHTTPIsForTheProxyAndThisMachine(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*inbound.Front)
		from   string
		header string // X-Forwarded-Proto
		path   string
		method string
		want   int
	}{
		"the proxy":                                    {nil, "10.0.0.1:1", "https", "/healthz", "GET", 200},
		"a proxy that says nothing":                    {nil, "10.0.0.1:1", "", "/healthz", "GET", 200},
		"a stranger":                                   {nil, "192.0.2.7:1", "https", "/healthz", "GET", 403},
		"a stranger's change":                          {nil, "192.0.2.7:1", "https", "/runs/sample", "POST", 403},
		"a stranger, with the operator's word":         {func(f *inbound.Front) { f.PlainHTTP = true }, "192.0.2.7:1", "", "/healthz", "GET", 200},
		"a browser that came to the proxy without TLS": {nil, "10.0.0.1:1", "http", "/runs?q=1", "GET", 308},
		"a program that did":                           {nil, "10.0.0.1:1", "http", "/api/v1/runs", "GET", 403},
		"a form that did":                              {nil, "10.0.0.1:1", "http", "/runs/sample", "POST", 403},
	} {
		s := published(t, "https://cotrain.example.com", c.change, "10.0.0.0/8")
		r := httptest.NewRequestWithContext(t.Context(), c.method, "http://cotrain.example.com"+c.path, nil)
		r.RemoteAddr = c.from
		if c.header != "" {
			r.Header.Set("X-Forwarded-Proto", c.header)
		}
		w := httptest.NewRecorder()
		s.Web.Handler().ServeHTTP(w, r)
		if w.Code != c.want {
			t.Errorf("%s: %d, want %d", name, w.Code, c.want)
		}
		if c.want == 308 && w.Header().Get("Location") != "https://cotrain.example.com/runs?q=1" {
			t.Errorf("%s: to %s", name, w.Header().Get("Location"))
		}
		if c.want == 403 && !strings.Contains(w.Body.String(), "https://cotrain.example.com") {
			t.Errorf("%s: does not say where to go", name)
		}
	}
}

func TestBrowsersAreTiedToTLSUnderThePublicNameOnly(t *testing.T) {
	t.Parallel()
	s := published(t, "https://cotrain.example.com", func(f *inbound.Front) { f.Hosts = []string{"cotrain"} }, local)
	for host, want := range map[string]string{"cotrain.example.com": "max-age=31536000", "cotrain": "", "localhost": ""} {
		if got := s.Do("GET", "/healthz", nil, "Host", host, "X-Forwarded-Proto", "https").Header.Get("Strict-Transport-Security"); got != want {
			t.Errorf("%s: %q, want %q", host, got, want)
		}
	}
	if got := s.Do("GET", "/healthz", nil, "Host", "cotrain.example.com", "X-Forwarded-Proto", "http").Header.Get("Strict-Transport-Security"); got != "" {
		t.Errorf("without TLS: %q", got)
	}
	if got := published(t, "https://cotrain.example.com", nil).Do("GET", "/healthz", nil, "Host", "cotrain.example.com", "X-Forwarded-Proto", "https").Header.Get("Strict-Transport-Security"); got != "" {
		t.Errorf("a forged header: %q", got)
	}
}

func TestTheLogTellsTheClientsAddress(t *testing.T) {
	t.Parallel()
	s := published(t, "https://cotrain.example.com", nil, local)
	s.Do("POST", "/runs/sample", url.Values{}, "Host", "cotrain.example.com", "X-Forwarded-For", "203.0.113.9, 192.0.2.7")
	if want := fmt.Sprintf("status=%d client=192.0.2.7", http.StatusSeeOther); !strings.Contains(s.Log.String(), want) {
		t.Errorf("no %q in %s", want, s.Log)
	}
}
