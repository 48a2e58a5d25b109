package inbound

import (
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
)

func front(t *testing.T, public string, proxies ...string) Front {
	t.Helper()
	f := Front{}
	if public != "" {
		u, err := url.Parse(public)
		if err != nil {
			t.Fatal(err)
		}
		f.Public = u
	}
	for _, p := range proxies {
		f.Proxies = append(f.Proxies, netip.MustParsePrefix(p))
	}
	return f
}

// seen is what a handler behind Resolve sees of a request from an address, with headers in pairs.
func seen(t *testing.T, f Front, from, target string, encrypted bool, header ...string) (Hop, *http.Request) {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, target, nil)
	r.RemoteAddr, r.TLS = from, nil
	if encrypted {
		r.TLS = &tls.ConnectionState{}
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	var got *http.Request
	f.Resolve(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r })).ServeHTTP(httptest.NewRecorder(), r)
	return Of(got.Context()), got
}

func TestOnlyTrustedProxiesAreBelieved(t *testing.T) {
	t.Parallel()
	const forFor, proto = "X-Forwarded-For", "X-Forwarded-Proto"
	f := front(t, "https://cotrain.example.com", "10.0.0.0/8", "fd00::/8")
	for name, c := range map[string]struct {
		from   string
		header []string
		client string
		tls    bool
	}{
		"nobody's header":                      {"10.0.0.1:1", nil, "10.0.0.1", true}, // of the public host, from a proxy that says nothing
		"a client through one proxy":           {"10.0.0.1:1", []string{forFor, "192.0.2.7", proto, "https"}, "192.0.2.7", true},
		"a client through two":                 {"10.0.0.1:1", []string{forFor, "192.0.2.7, 10.0.0.2", proto, "https"}, "192.0.2.7", true},
		"in two headers":                       {"10.0.0.1:1", []string{forFor, "192.0.2.7", forFor, "10.0.0.2"}, "192.0.2.7", true},
		"a client that forged a hop":           {"10.0.0.1:1", []string{forFor, "127.0.0.1, 192.0.2.7"}, "192.0.2.7", true},
		"a client that forged a trusted hop":   {"10.0.0.1:1", []string{forFor, "198.51.100.1, 10.9.9.9, 192.0.2.7"}, "192.0.2.7", true},
		"a proxy of which all hops are inside": {"10.0.0.1:1", []string{forFor, "10.0.0.3, 10.0.0.2"}, "10.0.0.3", true},
		"with a port":                          {"10.0.0.1:1", []string{forFor, "192.0.2.7:443"}, "192.0.2.7", true},
		"IPv6 with brackets and port":          {"[fd00::1]:1", []string{forFor, "[2001:db8::1]:443"}, "2001:db8::1", true},
		"IPv6 with a zone":                     {"[fd00::1%eth0]:1", []string{forFor, "2001:db8::1"}, "2001:db8::1", true},
		"IPv4 in IPv6":                         {"[::ffff:10.0.0.1]:1", []string{forFor, "::ffff:192.0.2.7"}, "192.0.2.7", true},
		"a hop that is no address":             {"10.0.0.1:1", []string{forFor, "192.0.2.7, unknown"}, "10.0.0.1", true},
		"an empty hop":                         {"10.0.0.1:1", []string{forFor, "192.0.2.7,"}, "10.0.0.1", true},
		"plain HTTP up to the proxy":           {"10.0.0.1:1", []string{proto, "http"}, "10.0.0.1", false},
		"the nearest proxy's word":             {"10.0.0.1:1", []string{proto, "https, http"}, "10.0.0.1", false},
		"a stranger who forges everything":     {"192.0.2.7:1", []string{forFor, "10.0.0.1", proto, "https", "X-Forwarded-Host", "evil.example", "Forwarded", "for=10.0.0.1;proto=https"}, "192.0.2.7", false},
		"too many hops":                        {"10.0.0.1:1", []string{forFor, "192.0.2.7" + strings.Repeat(", 10.0.0.2", 5000)}, "10.0.0.2", true},
	} {
		hop, r := seen(t, f, c.from, "http://cotrain.example.com/", false, c.header...)
		if hop.Client.String() != c.client || hop.TLS != c.tls || r.Host != "cotrain.example.com" {
			t.Errorf("%s: %v, TLS %v, Host %s; want %s, TLS %v", name, hop.Client, hop.TLS, r.Host, c.client, c.tls)
		}
	}
}

func TestWithoutProxiesTheConnectionCounts(t *testing.T) {
	t.Parallel()
	header := []string{"X-Forwarded-For", "192.0.2.7", "X-Forwarded-Proto", "http", "X-Forwarded-Host", "evil.example"}
	if hop, r := seen(t, Front{}, "127.0.0.1:1", "https://localhost:8080/", true, header...); hop.Client.String() != "127.0.0.1" || !hop.TLS || hop.Proxied || r.Host != "localhost:8080" {
		t.Errorf("%+v, %s", hop, r.Host)
	}
}

func TestAProxyMayTellTheHostThatWasAskedFor(t *testing.T) {
	t.Parallel()
	f := front(t, "https://cotrain.example.com", "127.0.0.1/32")
	if hop, r := seen(t, f, "127.0.0.1:1", "http://upstream:8080/", false, "X-Forwarded-Host", "other.example, cotrain.example.com"); r.Host != "cotrain.example.com" || !hop.TLS {
		t.Errorf("%s, TLS %v", r.Host, hop.TLS)
	}
	if hop, _ := seen(t, f, "127.0.0.1:1", "http://127.0.0.1:8080/", false); hop.TLS {
		t.Error("a program on the proxy's machine, which sends no headers, is taken for TLS")
	}
}

func TestThePublicPathIsRemovedOnce(t *testing.T) {
	t.Parallel()
	f := front(t, "https://example.com/cotrain")
	for asked, want := range map[string]string{
		"/cotrain": "/", "/cotrain/": "/", "/cotrain/runs?q=1": "/runs?q=1", "/cotrain/templates/a%2Fb": "/templates/a%2Fb", // a proxy that keeps it
		"/": "/", "/runs": "/runs", "/cotrainer": "/cotrainer", // and one that has removed it
		"/cotrain//evil.example": "//evil.example", // which net/http cleans
	} {
		hop, r := seen(t, f, "127.0.0.1:1", asked, false)
		if got := r.URL.RequestURI(); got != want || hop.Base != "/cotrain" {
			t.Errorf("%s: %s below %q, want %s", asked, got, hop.Base, want)
		}
	}
}

func TestANetworkIsWhatOneClientHas(t *testing.T) {
	t.Parallel()
	for addr, want := range map[string]string{"192.0.2.7": "192.0.2.7/32", "2001:db8::1": "2001:db8::/64"} {
		if got := (Hop{Client: netip.MustParseAddr(addr)}).Network(); got.String() != want {
			t.Errorf("%s: %s", addr, got)
		}
	}
	if got := (Hop{}).Network(); got.IsValid() {
		t.Errorf("nobody: %s", got)
	}
}

func TestCookiesStayWithTheConsole(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		public     string
		tls        bool
		name, path string
	}{
		{"http://127.0.0.1", false, "session", "/"}, {"https://example.com", true, "__Host-session", "/"}, {"https://example.com/cotrain", true, "__Secure-session", "/cotrain"},
	} {
		_, r := seen(t, front(t, c.public), "127.0.0.1:1", "/", c.tls)
		w := httptest.NewRecorder()
		SetCookie(w, r, http.Cookie{Name: CookieName(r.Context(), "session"), Value: "x", Path: "/other"})
		got := w.Result().Cookies()[0]
		if got.Name != c.name || got.Path != c.path || got.Secure != c.tls {
			t.Errorf("%s: %s", c.public, got)
		}
	}
}
