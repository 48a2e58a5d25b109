package app

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/cotrain/cotrain/internal/certfile/certtest"
	"github.com/cotrain/cotrain/internal/config"
	"github.com/cotrain/cotrain/internal/feed"
)

const publicHost = "cotrain.example.com"

// encrypted is a console with TLS, published under publicHost, and what trusts it.
func encrypted(t *testing.T, change func(*config.Config)) (a *App, log *logged, trust *tls.Config) {
	t.Helper()
	ca := certtest.New(t)
	cert, key := ca.Issue(time.Now().Add(20*24*time.Hour), publicHost, "127.0.0.1").Write(t, t.TempDir())
	a, log = newApp(t, testConfig(t, func(c *config.Config) {
		c.TLS = config.TLS{Cert: cert, Key: key, RedirectListen: "127.0.0.1:0"}
		c.PublicURL = "https://" + publicHost + "/cotrain"
		if change != nil {
			change(c)
		}
	}))
	start(t, a)
	return a, log, ca.Trust()
}

// ask sends one request without following redirects, over a connection of its own.
func ask(t *testing.T, method, url, host string, trust *tls.Config) answer {
	t.Helper()
	client := &http.Client{
		Transport:     &http.Transport{TLSClientConfig: trust, DisableKeepAlives: true, ForceAttemptHTTP2: trust != nil},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, Timeout: patience,
	}
	r, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Host = host
	res, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	return answer{res.StatusCode, res.Status, res.Proto, res.ProtoMajor, res.Header}
}

// answer is a response that has been closed.
type answer struct {
	StatusCode int
	Status     string
	Proto      string
	ProtoMajor int
	Header     http.Header
}

func TestTheConsoleIsServedOverTLS(t *testing.T) {
	t.Parallel()
	a, log, trust := encrypted(t, nil)
	res := ask(t, http.MethodGet, "https://"+a.Addr()+"/cotrain/healthz", publicHost, trust)
	if res.StatusCode != http.StatusOK || res.ProtoMajor != 2 || res.Header.Get("Strict-Transport-Security") == "" {
		t.Errorf("%s %s, HSTS %q", res.Status, res.Proto, res.Header.Get("Strict-Transport-Security"))
	}
	if !strings.Contains(log.String(), "url=https://"+publicHost+"/cotrain ") {
		t.Errorf("the log does not say where to go: %s", log)
	}
	if res := ask(t, http.MethodGet, "http://"+a.Addr()+"/", publicHost, nil); res.StatusCode != http.StatusBadRequest {
		t.Errorf("plain HTTP to the port of TLS: %s", res.Status)
	}
	cfg := trust.Clone()
	cfg.MinVersion, cfg.MaxVersion, cfg.ServerName = tls.VersionTLS10, tls.VersionTLS11, publicHost
	if conn, err := (&tls.Dialer{Config: cfg}).DialContext(t.Context(), "tcp", a.Addr()); err == nil {
		_ = conn.Close()
		t.Error("TLS 1.1 is taken")
	}
}

func TestPlainHTTPIsRedirectedToThePublicHostAndNoOther(t *testing.T) {
	t.Parallel()
	a, _, _ := encrypted(t, nil)
	from := "http://" + a.redirect.listener.Addr().String()
	for _, host := range []string{publicHost, "evil.example", publicHost + ":80"} {
		for asked, want := range map[string]string{"/runs?q=1": "/runs?q=1", "/cotrain/runs": "/runs", "/": "/", "//evil.example": "//evil.example"} {
			res := ask(t, http.MethodGet, from+asked, host, nil)
			if got := res.Header.Get("Location"); res.StatusCode != http.StatusPermanentRedirect || got != "https://"+publicHost+"/cotrain"+want {
				t.Errorf("%s of %s: %s to %q", asked, host, res.Status, got)
			}
			if res.Header.Get("Strict-Transport-Security") != "" {
				t.Error("HSTS without TLS")
			}
		}
	}
	if res := ask(t, http.MethodPost, from+"/login", publicHost, nil); res.StatusCode != http.StatusForbidden || res.Header.Get("Location") != "" {
		t.Errorf("a form is sent on: %s", res.Status)
	}
}

func TestACertificateNearItsEndIsABanner(t *testing.T) {
	t.Parallel()
	ca := certtest.New(t)
	cert, key := ca.Issue(time.Now().Add(24*time.Hour), "127.0.0.1").Write(t, t.TempDir())
	a, log := newApp(t, testConfig(t, func(c *config.Config) { c.TLS = config.TLS{Cert: cert, Key: key} }))
	sub := a.hub.Subscribe(map[string]int64{feed.SystemTopic: -1})
	defer sub.Close()
	start(t, a)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for want := "TLS: the certificate in " + cert + " expires on"; !strings.Contains(a.health.system().Message, want); {
		if _, err := sub.Next(ctx); err != nil {
			t.Fatalf("%v; the banner says %q, want %q", err, a.health.system().Message, want)
		}
	}
	if !strings.Contains(log.String(), "expires on") || !strings.Contains(log.String(), "msg=certificate part=web names=[127.0.0.1]") {
		t.Errorf("log: %s", log)
	}
}

func TestACertificateThatCannotBeUsedIsForWhoeverStartsIt(t *testing.T) {
	t.Parallel()
	ca := certtest.New(t)
	cert, _ := ca.Issue(time.Now().Add(time.Hour), "127.0.0.1").Write(t, t.TempDir())
	_, err := New(t.Context(), testConfig(t, func(c *config.Config) { c.TLS = config.TLS{Cert: cert, Key: cert} }), Options{Logger: slog.New(slog.DiscardHandler), Executable: "/bin/false"})
	if err == nil || !strings.Contains(err.Error(), "are no certificate with its key in PEM") || !strings.Contains(err.Error(), "COTRAIN_TLS_CERT") {
		t.Errorf("%v", err)
	}
}

// TestClientsThatDawdleOrSendTooMuchAreCutOff also asks another client in between: nobody waits for them.
func TestClientsThatDawdleOrSendTooMuchAreCutOff(t *testing.T) {
	t.Parallel()
	a, _ := newApp(t, testConfig(t, nil))
	start(t, a)
	for name, c := range map[string]struct{ sent, want string }{
		"half a header":      {"GET / HTTP/1.1\r\nHost: localhost\r\nX-A: ", ""},
		"nothing":            {"", ""},
		"a header too large": {"GET / HTTP/1.1\r\nHost: localhost\r\nX-A: " + strings.Repeat("a", 2*maxHeader) + "\r\n\r\n", "431"},
		"a URL too long":     {"GET /?" + strings.Repeat("a", 2*maxHeader) + " HTTP/1.1\r\nHost: localhost\r\n\r\n", "431"},
		"no HTTP":            {"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", "400"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", a.Addr())
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = conn.Close() }()
			if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
				t.Fatal(err)
			}
			_, _ = io.WriteString(conn, c.sent) // it may be cut off in between
			if res := ask(t, http.MethodGet, "http://"+a.Addr()+"/healthz", "localhost", nil); res.StatusCode != http.StatusOK {
				t.Errorf("another client gets %s", res.Status)
			}
			line, err := bufio.NewReader(conn).ReadString('\n')
			if ne := net.Error(nil); errors.As(err, &ne) && ne.Timeout() || !strings.Contains(line, c.want) {
				t.Errorf("answer %q, %v; want %q and the end", line, err, c.want)
			}
		})
	}
}
