package web

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
)

// checkOrigin lets through only what a page of this console, or a program on this machine, can have sent. The console
// starts commands, and any page in the same browser can reach loopback: so the Host must be a loopback name with
// the port that the request came in at (a name that an attacker's DNS turned to loopback is refused), and
// whatever changes something, or opens the socket, must come from the console's own origin.
func (s *Server) checkOrigin(next http.Handler) http.Handler {
	cross := http.NewCrossOriginProtection()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case !hostAllowed(r):
			s.fail(w, r, errHost)
		case cross.Check(r) != nil, (!safe(r.Method) || r.URL.Path == "/ws") && !sameOrigin(r):
			s.fail(w, r, errOrigin)
		default:
			next.ServeHTTP(w, r)
		}
	})
}

func safe(method string) bool {
	return method == http.MethodGet || method == http.MethodHead || method == http.MethodOptions
}

// hostAllowed reports whether the Host is a loopback name or address with the port that the connection came in at.
func hostAllowed(r *http.Request) bool {
	host, port, err := net.SplitHostPort(r.Host)
	if err != nil {
		host, port = strings.Trim(r.Host, "[]"), defaultPort(r)
	}
	if !strings.EqualFold(host, "localhost") {
		addr, err := netip.ParseAddr(host)
		if err != nil || !addr.IsLoopback() {
			return false
		}
	}
	local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if !ok {
		return false
	}
	_, localPort, err := net.SplitHostPort(local.String())
	return err == nil && port == localPort
}

func defaultPort(r *http.Request) string {
	if r.TLS != nil {
		return "443"
	}
	return "80"
}

// sameOrigin reports whether the Origin, which browsers always send with what it is asked for, is the console's own.
// Programs send none.
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
