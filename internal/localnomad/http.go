package localnomad

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
)

const (
	defaultNamespace = "default"
	allNamespaces    = "*"

	errInvalidMethod = "Invalid method"

	// Bounds of request bodies. Job files carry scripts as variables.
	maxJobBody   = 8 << 20
	maxSmallBody = 1 << 20
)

// codedError is an error with the HTTP status it is answered with. Other
// errors are answered with 500, as Nomad does even for bad input.
type codedError struct {
	code int
	text string
}

func (e codedError) Error() string { return e.text }

// apiFunc answers a call: the value is encoded as JSON, nil means that the
// function wrote the answer itself.
type apiFunc func(w http.ResponseWriter, r *http.Request) (any, error)

// Handler returns Nomad's HTTP API. It runs commands for whoever reaches it:
// serve it on a Unix socket, a loopback port or the in-memory listener only.
func (s *Server) Handler() http.Handler {
	type route struct {
		pattern string
		limit   int64
		fn      apiFunc
		handler http.Handler
	}
	routes := []route{
		{pattern: "/v1/jobs", limit: maxJobBody, fn: s.handleJobs},
		{pattern: "/v1/jobs/parse", limit: maxJobBody, fn: s.handleJobsParse},
		{pattern: "/v1/job/", limit: maxJobBody, fn: s.handleJob},
		{pattern: "/v1/allocations", limit: maxSmallBody, fn: s.handleAllocations},
		{pattern: "/v1/allocation/", limit: maxSmallBody, fn: s.handleAllocation},
		{pattern: "/v1/evaluations", limit: maxSmallBody, fn: s.handleEvaluations},
		{pattern: "/v1/evaluation/", limit: maxSmallBody, fn: s.handleEvaluation},
		{pattern: "/v1/nodes", limit: maxSmallBody, fn: s.handleNodes},
		{pattern: "/v1/node/", limit: maxSmallBody, fn: s.handleNode},
		{pattern: "/v1/services", limit: maxSmallBody, fn: s.handleServices},
		{pattern: "/v1/service/", limit: maxSmallBody, fn: s.handleService},
		{pattern: "/v1/vars", limit: maxSmallBody, fn: s.handleVars},
		{pattern: "/v1/var/", limit: maxSmallBody, fn: s.handleVar},
		{pattern: "/v1/client/fs/", limit: maxSmallBody, fn: s.handleFS},
		{pattern: "/v1/client/allocation/", limit: maxSmallBody, fn: s.handleClientAllocation},
		{pattern: "/v1/client/stats", limit: maxSmallBody, fn: s.handleClientStats},
		{pattern: "/v1/event/stream", limit: maxSmallBody, fn: s.handleEventStream},
		{pattern: "/v1/agent/self", limit: maxSmallBody, fn: s.handleAgentSelf},
		{pattern: "/v1/agent/health", limit: maxSmallBody, fn: s.handleAgentHealth},
		{pattern: "/v1/status/leader", limit: maxSmallBody, fn: s.handleLeader},
		{pattern: "/v1/status/peers", limit: maxSmallBody, fn: s.handlePeers},
		{pattern: "/v1/regions", limit: maxSmallBody, fn: s.handleRegions},
		{pattern: "/v1/namespaces", limit: maxSmallBody, fn: s.handleNamespaces},
		{pattern: "/v1/namespace/", limit: maxSmallBody, fn: s.handleNamespace},
	}
	for i, rt := range routes {
		routes[i].handler = s.wrap(rt.limit, rt.fn)
	}
	// Not http.ServeMux: it would redirect paths with "//" or "..", which job IDs may hold.
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for _, rt := range routes {
			if r.URL.Path == rt.pattern || strings.HasSuffix(rt.pattern, "/") && strings.HasPrefix(r.URL.Path, rt.pattern) {
				rt.handler.ServeHTTP(w, r)
				return
			}
		}
		w.WriteHeader(http.StatusNotFound)
	})
}

func (s *Server) wrap(limit int64, fn apiFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Body != nil {
			r.Body = http.MaxBytesReader(w, r.Body, limit)
		}
		obj, err := fn(w, r)
		if err != nil {
			s.writeError(w, r, err)
			return
		}
		if obj == nil {
			return
		}
		text, err := json.Marshal(obj)
		if err != nil {
			s.writeError(w, r, fmt.Errorf("encode answer: %w", err))
			return
		}
		w.Header().Set("Content-Type", "application/json")
		if _, ok := r.URL.Query()["pretty"]; ok {
			text = append(text, '\n')
		}
		_, _ = w.Write(text) // the client may be gone: nobody to tell
	})
}

func (s *Server) writeError(w http.ResponseWriter, r *http.Request, err error) {
	code, text := http.StatusInternalServerError, err.Error()
	var coded codedError
	if errors.As(err, &coded) {
		code, text = coded.code, coded.text
	}
	s.log.Debug("request failed", "method", r.Method, "path", r.URL.Path, "code", code, "error", text)
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(code)
	_, _ = io.WriteString(w, text) // the client may be gone: nobody to tell
}

// setMeta sets the headers of an answer that has an index.
func setMeta(w http.ResponseWriter, index uint64) {
	w.Header().Set("X-Nomad-Index", strconv.FormatUint(index, 10))
	w.Header().Set("X-Nomad-LastContact", "0")
	w.Header().Set("X-Nomad-KnownLeader", "true")
}

func setIndex(w http.ResponseWriter, index uint64) {
	w.Header().Set("X-Nomad-Index", strconv.FormatUint(index, 10))
}

func decodeBody(r *http.Request, out any) error {
	if r.Body == nil || r.Body == http.NoBody || r.ContentLength == 0 {
		return codedError{http.StatusBadRequest, "Request body is empty"}
	}
	if err := json.NewDecoder(r.Body).Decode(out); err != nil {
		return codedError{http.StatusBadRequest, err.Error()}
	}
	return nil
}

// isWrite reports whether the method is one of those that Nomad takes for a write.
func isWrite(r *http.Request) bool {
	return r.Method == http.MethodPut || r.Method == http.MethodPost
}

func methodNotAllowed() error {
	return codedError{http.StatusMethodNotAllowed, errInvalidMethod}
}

// parseBoolParam reads a boolean query parameter; absent is false.
func parseBoolParam(r *http.Request, name string) (value, given bool, err error) {
	text := r.URL.Query().Get(name)
	if text == "" {
		return false, false, nil
	}
	value, err = strconv.ParseBool(text)
	if err != nil {
		return false, false, fmt.Errorf("Failed to parse value of %q (%v) as a bool: %v", name, text, err) //nolint:errorlint // Nomad's text, nobody unwraps it
	}
	return value, true, nil
}

// visible reports whether the query's namespace shows objects of the only
// namespace there is.
func (q query) visible() bool {
	return q.namespace == defaultNamespace || q.namespace == allNamespaces
}
