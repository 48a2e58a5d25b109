package web

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/web/page"
)

// checkOrigin admits only the console's own pages and programs on this machine: the console starts commands, and any
// page in the browser can reach loopback. The Host must be a loopback name, against DNS rebinding, and changes and
// sockets must come from the console's own origin. Any port will do: an ssh tunnel may change it, and another port is
// another origin.
func (s *Server) checkOrigin(next http.Handler) http.Handler {
	cross := http.NewCrossOriginProtection()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case !loopbackHost(r.Host):
			s.fail(w, r, wrongHost(r))
		case cross.Check(r) != nil, (!safe(r.Method) || r.URL.Path == "/ws") && !sameOrigin(r):
			s.fail(w, r, fault.ErrOtherOrigin)
		default:
			next.ServeHTTP(w, r)
		}
	})
}

func safe(method string) bool {
	return method == http.MethodGet || method == http.MethodHead || method == http.MethodOptions
}

// loopbackHost reports whether a Host is loopback, with or without port.
func loopbackHost(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	} else {
		host = strings.Trim(host, "[]")
	}
	if strings.EqualFold(host, "localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback()
}

func wrongHost(r *http.Request) *fault.Error {
	port := "8080"
	if local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr); ok {
		if _, p, err := net.SplitHostPort(local.String()); err == nil {
			port = p
		}
	}
	return fault.New(fault.ErrWrongHost, fmt.Sprintf("The console answers to loopback names only, not to %q, so that no other site can pose as it.", page.Text(r.Host, 100)),
		fmt.Sprintf("Open http://127.0.0.1:%s on its machine, or from another one through \"ssh -L %s:127.0.0.1:%s HOST\".", port, port, port))
}

// sameOrigin reports whether the Origin is the console's own; programs send none.
func sameOrigin(r *http.Request) bool {
	origin := r.Header.Values("Origin")
	if len(origin) == 0 {
		return true
	}
	u, err := url.Parse(origin[0])
	if err != nil || len(origin) > 1 {
		return false
	}
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	return u.Scheme == scheme && strings.EqualFold(u.Host, r.Host)
}
