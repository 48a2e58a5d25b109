package web

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/inbound"
	"github.com/cotrain/cotrain/internal/web/page"
)

// checkOrigin admits only the console's own pages, and programs. The Host must be one of its names, against DNS rebinding:
// any page in a browser can reach a console on its machine or in its network. Changes and sockets must come from the
// console's own origin. Any port will do: an SSH tunnel or a proxy may change it, and another port is another origin.
func (s *Server) checkOrigin(next http.Handler) http.Handler {
	cross := http.NewCrossOriginProtection()
	if s.front.Public != nil {
		if err := cross.AddTrustedOrigin(originOf(s.front.Public)); err != nil { // a proxy may not pass the Host on
			panic("web: public URL: " + err.Error()) // checked by package config
		}
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		hop := inbound.Of(r.Context())
		switch {
		case !s.front.Answers(r.Host) && (!onLoopback(r) || !isLoopback(inbound.Hostname(r.Host))):
			s.fail(w, r, s.wrongHost(r))
		case !s.encrypted(r, hop):
			s.refusePlain(w, r, hop)
		case cross.Check(r) != nil, (!safe(r.Method) || r.URL.Path == "/ws") && !s.sameOrigin(r):
			s.fail(w, r, fault.ErrOtherOrigin)
		default:
			next.ServeHTTP(w, r)
		}
	})
}

func safe(method string) bool {
	return method == http.MethodGet || method == http.MethodHead || method == http.MethodOptions
}

// onLoopback reports whether the connection came from this machine.
func onLoopback(r *http.Request) bool {
	local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	return ok && isLoopback(inbound.Hostname(local.String()))
}

func isLoopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback()
}

// encrypted reports whether nobody on the way could read the request, or the operator accepts that.
func (s *Server) encrypted(r *http.Request, hop inbound.Hop) bool {
	switch {
	case hop.TLS, s.front.PlainHTTP:
		return true
	case hop.Proxied && s.front.IsPublic(r.Host):
		return s.front.Public.Scheme == "http"
	}
	return hop.Proxied || onLoopback(r)
}

// refusePlain sends a browser to where it should have gone. Anything else has sent its secrets already, and must notice.
func (s *Server) refusePlain(w http.ResponseWriter, r *http.Request, hop inbound.Hop) {
	if hop.Proxied && (r.Method == http.MethodGet || r.Method == http.MethodHead) && !strings.HasPrefix(r.URL.Path, "/api/") && r.URL.Path != "/ws" {
		http.Redirect(w, r, s.front.Public.String()+r.URL.RequestURI(), http.StatusPermanentRedirect)
		return
	}
	fix := ""
	if s.front.Public != nil {
		fix = "Use " + s.front.Public.String() + "."
	}
	s.fail(w, r, fault.New(fault.ErrPlainHTTP, "", fix))
}

func (s *Server) wrongHost(r *http.Request) *fault.Error {
	host := page.Text(r.Host, 100)
	if s.front.Public != nil {
		return fault.New(fault.ErrWrongHost, fmt.Sprintf("The console does not answer to %q, so that no other site can pose as it.", host),
			fmt.Sprintf("Open %s, or have the operator add the name to COTRAIN_HOSTS.", s.front.Public))
	}
	port := "8080"
	if local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr); ok {
		if _, p, err := net.SplitHostPort(local.String()); err == nil {
			port = p
		}
	}
	return fault.New(fault.ErrWrongHost, fmt.Sprintf("The console answers to loopback names only, not to %q, so that no other site can pose as it.", host),
		fmt.Sprintf("Open %s://127.0.0.1:%s on its machine, or from another one through \"ssh -L %s:127.0.0.1:%s HOST\".", scheme(r), port, port, port))
}

func scheme(r *http.Request) string {
	if inbound.Of(r.Context()).TLS {
		return "https"
	}
	return "http"
}

// originOf is a URL's origin as browsers send it; package config removes default ports.
func originOf(u *url.URL) string { return u.Scheme + "://" + u.Host }

// sameOrigin reports whether the Origin is the console's own; programs send none.
func (s *Server) sameOrigin(r *http.Request) bool {
	origin := r.Header.Values("Origin")
	if len(origin) == 0 {
		return true
	}
	u, err := url.Parse(origin[0])
	if err != nil || len(origin) > 1 {
		return false
	}
	if s.front.Public != nil && strings.EqualFold(origin[0], originOf(s.front.Public)) {
		return true
	}
	return u.Scheme == scheme(r) && strings.EqualFold(u.Host, r.Host)
}
