package web

import (
	"bufio"
	"errors"
	"net"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/inbound"
	"github.com/cotrain/cotrain/internal/router"
)

// recorder records the answer's status and passes on the connection's abilities.
type recorder struct {
	http.ResponseWriter
	status int
	bytes  int64
	route  string      // pattern of the route that answers; "" before and for none
	still  func() bool // whether the answer may go on; nil for always
}

func (w *recorder) WriteHeader(status int) {
	if w.status == 0 && status >= 200 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *recorder) Write(b []byte) (int, error) {
	if w.still != nil && !w.still() {
		panic(http.ErrAbortHandler) // the client sees that the answer is incomplete
	}
	if w.status == 0 {
		w.status = http.StatusOK
	}
	n, err := w.ResponseWriter.Write(b)
	w.bytes += int64(n)
	return n, err
}

// Matched implements [router.Told].
func (w *recorder) Matched(pattern string) { w.route = pattern }

// Unwrap serves [http.ResponseController].
func (w *recorder) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// Flush serves streaming handlers.
func (w *recorder) Flush() {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	_ = http.NewResponseController(w.ResponseWriter).Flush() // nothing to flush otherwise
}

// Hijack serves the socket.
func (w *recorder) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(w.ResponseWriter).Hijack()
	if err == nil {
		w.status = http.StatusSwitchingProtocols
	}
	return conn, rw, err
}

func started(w http.ResponseWriter) bool {
	rec, ok := w.(*recorder)
	return ok && rec.status != 0
}

// logRequests logs answered requests, successful reads at debug level.
func (s *Server) logRequests(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		begin := time.Now()
		rec := &recorder{ResponseWriter: w}
		defer func() {
			log := s.Logger.InfoContext
			if rec.status < 400 && (r.Method == http.MethodGet || r.Method == http.MethodHead) {
				log = s.Logger.DebugContext
			}
			log(r.Context(), "answered", "method", r.Method, "path", r.URL.Path, "status", rec.status, "client", inbound.Of(r.Context()).Client, "bytes", rec.bytes, "took", time.Since(begin))
		}()
		next.ServeHTTP(rec, r)
	})
}

// measure counts requests and their answers.
func (s *Server) measure(next http.Handler) http.Handler {
	if s.metrics == nil {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		begin := time.Now()
		s.metrics.Asked()
		defer func() {
			rec, took := w.(*recorder), time.Since(begin) // of logRequests
			if rec.status == http.StatusSwitchingProtocols || strings.HasPrefix(rec.Header().Get("Content-Type"), "text/event-stream") {
				took = -1 // as long as its reader wants
			}
			s.metrics.Answered(r.Method, rec.route, rec.status, took)
			if authFailed(r, rec) {
				s.metrics.AuthFailed()
			}
		}()
		next.ServeHTTP(w, r)
	})
}

// authFailed reports whether somebody has tried to sign in and may not, or has sent an invalid token. A page that asks for the log-in is
// no failure.
func authFailed(r *http.Request, rec *recorder) bool {
	switch rec.status {
	case http.StatusUnauthorized:
		return r.Header.Get("Authorization") != "" || slices.Contains(logInRoutes, rec.route)
	case http.StatusForbidden:
		return slices.Contains(logInRoutes, rec.route)
	}
	return false
}

// recoverPanics turns a panic into an answer and a log line with the stack.
func (s *Server) recoverPanics(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			v := recover()
			if v == nil {
				return
			}
			if err, ok := v.(error); ok && errors.Is(err, http.ErrAbortHandler) || started(w) {
				panic(http.ErrAbortHandler) // net/http closes the connection without logging
			}
			s.Logger.ErrorContext(r.Context(), "panic", "method", r.Method, "path", r.URL.Path, "panic", v, "stack", string(debug.Stack()))
			s.fail(w, r, fault.ErrInternal)
		}()
		next.ServeHTTP(w, r)
	})
}

// contentPolicy forbids inline script and style, and other hosts.
const contentPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; " +
	"connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// unusedFeatures are what browsers offer and a console never needs.
const unusedFeatures = "accelerometer=(), autoplay=(), camera=(), display-capture=(), encrypted-media=(), geolocation=(), gyroscope=(), hid=(), " +
	"magnetometer=(), microphone=(), midi=(), payment=(), picture-in-picture=(), screen-wake-lock=(), serial=(), usb=(), xr-spatial-tracking=()"

// strictTransport has browsers use TLS for a year, on this host alone.
const strictTransport = "max-age=31536000"

func (s *Server) securityHeaders(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		if inbound.Of(r.Context()).TLS && s.front.IsPublic(r.Host) { // never for localhost, which other programs share
			h.Set("Strict-Transport-Security", strictTransport)
		}
		h.Set("Content-Security-Policy", contentPolicy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Permissions-Policy", unusedFeatures)
		next.ServeHTTP(w, r)
	})
}

// orNotFound renders as pages what the router answers by itself, for unknown paths and wrong methods.
func (s *Server) orNotFound(routed *router.Router) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h, pattern := routed.Match(r)
		if pattern != "" {
			routed.ServeHTTP(w, r)
			return
		}
		probe := &probe{header: http.Header{}}
		h.ServeHTTP(probe, r)
		switch {
		case probe.status == http.StatusMethodNotAllowed:
			w.Header().Set("Allow", probe.header.Get("Allow"))
			s.fail(w, r, fault.ErrWrongMethod)
		case probe.status >= 300 && probe.status < 400:
			routed.ServeHTTP(w, r)
		default:
			s.fail(w, r, fault.ErrNotFound)
		}
	})
}

// probe keeps an answer's status and header only.
type probe struct {
	header http.Header
	status int
}

func (p *probe) Header() http.Header         { return p.header }
func (p *probe) WriteHeader(status int)      { p.status = status }
func (p *probe) Write(b []byte) (int, error) { return len(b), nil }
