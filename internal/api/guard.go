package api

import (
	"context"
	"io"
	"mime"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/router"
	"github.com/cotrain/cotrain/internal/run"
)

// guard is what every request passes: no page of another site can change anything, bodies are JSON, work has a limit,
// and what no route takes gets a problem like any other error.
func (s *server) guard(routed *router.Router) http.Handler {
	cross := http.NewCrossOriginProtection()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Cache-Control", "no-store")
		if err := cross.Check(r); err != nil {
			problemOf(fault.ErrOtherOrigin.Fault()).write(w)
			return
		}
		if !jsonBody(r) {
			problemOf(fault.ErrNotJSON.Fault()).write(w)
			return
		}
		found, pattern := routed.Match(r)
		switch pattern {
		case "":
			unrouted(w, r, found)
			return
		case exportPattern, metricsExportPattern, logFilePattern, streamPattern:
		default:
			ctx, cancel := context.WithTimeout(r.Context(), answerTimeout)
			defer cancel()
			r = r.WithContext(ctx)
		}
		routed.ServeHTTP(w, r)
	})
}

// onceEach refuses a query parameter that is given more than once and is no list: one of its values would be ignored.
func (s *server) onceEach(ctx huma.Context, next func(huma.Context)) {
	u := ctx.URL()
	given := u.Query()
	for _, param := range ctx.Operation().Parameters {
		values := given[param.Name]
		if param.In != "query" || len(values) < 2 || param.Schema.Type == huma.TypeArray {
			continue
		}
		p := invalid("query", run.FieldError{Field: param.Name, Value: strings.Join(values[:2], ", "), Rule: "must be given once", Fix: "remove one of them"})
		_, w := humago.Unwrap(ctx)
		p.write(w)
		return
	}
	next(ctx)
}

// jsonBody reports whether a request that changes something says that its body is JSON. A form of a page always names
// another type; a request without a body and without a type needs none.
func jsonBody(r *http.Request) bool {
	if r.Method == http.MethodGet || r.Method == http.MethodHead || r.Method == http.MethodOptions {
		return true
	}
	types := r.Header.Values("Content-Type")
	if len(types) == 0 {
		return r.ContentLength == 0
	}
	media, _, err := mime.ParseMediaType(types[0])
	return err == nil && len(types) == 1 && media == "application/json"
}

// unrouted answers what no route takes. The router knows whether the method is wrong or the path.
func unrouted(w http.ResponseWriter, r *http.Request, found http.Handler) {
	probe := &probe{header: http.Header{}}
	found.ServeHTTP(probe, r)
	if probe.status == http.StatusMethodNotAllowed {
		w.Header().Set("Allow", probe.header.Get("Allow"))
		problemOf(fault.New(fault.ErrWrongMethod, "The address exists and takes "+probe.header.Get("Allow")+".", "")).write(w)
		return
	}
	problemOf(fault.New(fault.ErrNotFound, "The API has no such address.", documentPath+" lists those that it has.")).write(w)
}

// probe takes an answer's status and header and drops its body.
type probe struct {
	header http.Header
	status int
}

func (p *probe) Header() http.Header         { return p.header }
func (p *probe) WriteHeader(status int)      { p.status = status }
func (p *probe) Write(b []byte) (int, error) { return len(b), nil }

// Guard decides who may do what; see package guard.
type Guard interface {
	// Allow returns nil if who asks has the right, over the subject if there is one. Otherwise it is [fault.ErrSignedOut],
	// [fault.ErrForbidden], or what a subject that does not exist gives.
	Allow(ctx context.Context, right access.Right, subject access.Subject) error
}

// authorize lets those pass who have the right over what the path names, before anything of the request is read.
func (s *server) authorize(pattern string, right access.Right, next http.Handler) http.Handler {
	find := access.SubjectOf(pattern)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		subject := find(r.PathValue)
		if subject.Kind == access.SubjectTemplate {
			subject.Project = r.URL.Query().Get("project")
		}
		if err := s.Guard.Allow(r.Context(), right, subject); err != nil {
			s.problem(r.Context(), pattern, err).write(w)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// emptyBodyBytes are enough to see that a body has more than nothing, {} or null.
const emptyBodyBytes = 64

// noBody refuses a body where an operation takes none: what it asks for would be ignored.
func (s *server) noBody(ctx huma.Context, next func(huma.Context)) {
	if ctx.Operation().RequestBody == nil && ctx.BodyReader() != nil {
		body, err := io.ReadAll(io.LimitReader(ctx.BodyReader(), emptyBodyBytes))
		if text := strings.TrimSpace(string(body)); err == nil && text != "" && text != "{}" && text != "null" {
			p := invalid("body", run.FieldError{Field: "body", Value: fault.Quote(text), Rule: "is not taken by this operation", Fix: "leave it out" + inQuery(ctx.Operation())})
			_, w := humago.Unwrap(ctx)
			p.write(w)
			return
		}
	}
	next(ctx)
}

// inQuery says which options an operation takes in its query, "" for none.
func inQuery(op *huma.Operation) string {
	var names []string
	for _, p := range op.Parameters {
		if p.In == "query" {
			names = append(names, "?"+p.Name+"=")
		}
	}
	if len(names) == 0 {
		return ""
	}
	return "; options go in the query: " + strings.Join(names, ", ")
}
