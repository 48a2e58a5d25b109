package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/nomad/api"

	"github.com/cotrain/cotrain/internal/localnomad/logfile"
	"github.com/cotrain/cotrain/internal/localnomad/sched"
	"github.com/cotrain/cotrain/internal/localnomad/state"
	"github.com/cotrain/cotrain/internal/localnomad/task"
	"github.com/cotrain/cotrain/internal/localnomad/usage"
)

// maxBody bounds a request's body in bytes. Job files carry scripts as variables.
const maxBody = 8 << 20

// Options are what the API answers from.
type Options struct {
	Store   *state.Store
	Sched   *sched.Scheduler
	Runners *task.Runners
	Logs    *logfile.Hub
	// DeviceStats measures a node's devices.
	DeviceStats func(ctx context.Context, n *api.Node) []*api.DeviceGroupStats
	// Usage measures the machine and allocations' processes.
	Usage *usage.Meter
	// Now is the clock of a node, by name.
	Now    func(node string) time.Time
	Region string
	// Version is that of Nomad whose behaviour this is.
	Version string
	Log     *slog.Logger
}

// API is the HTTP handler. It runs commands for whoever reaches it.
type API struct {
	Options
	routes []route
	ctx    context.Context //nolint:containedctx // ends what waits
	cancel context.CancelFunc
}

// handler answers a call about what the path names: the value is encoded as JSON, nil means that it wrote the answer itself.
type handler func(w http.ResponseWriter, r *http.Request, id string) (any, error)

// route is a path: the prefix alone, or, when that ends in a slash, with an ID and the suffix. A job's ID may hold slashes.
type route struct {
	prefix, suffix string
	methods        map[string]handler // PUT stands for POST too
}

// New returns the API. Close it to end the calls that wait.
func New(o Options) *API {
	a := &API{Options: o}
	a.ctx, a.cancel = context.WithCancel(context.Background())
	get := func(h handler) map[string]handler { return map[string]handler{"GET": h} }
	put := func(h handler) map[string]handler { return map[string]handler{"PUT": h} }
	a.routes = []route{
		{"/v1/jobs", "", map[string]handler{"GET": a.listJobs, "PUT": a.registerJob}},
		{"/v1/jobs/parse", "", put(a.parseJob)},
		{"/v1/job/", "/evaluations", get(a.jobEvaluations)},
		{"/v1/job/", "/plan", put(a.planJob)},
		{"/v1/job/", "/dispatch", put(a.dispatchJob)},
		{"/v1/job/", "", map[string]handler{"GET": a.getJob, "DELETE": a.deregisterJob}},
		{"/v1/allocations", "", get(a.listAllocations)},
		{"/v1/allocation/", "/stop", put(a.stopAllocation)},
		{"/v1/client/allocation/", "/restart", put(a.restartAllocation)},
		{"/v1/client/allocation/", "/signal", put(a.signalAllocation)},
		{"/v1/client/allocation/", "/stats", get(a.allocationStats)},
		{"/v1/client/fs/logs/", "", get(a.serveLogs)},
		{"/v1/client/fs/ls/", "", get(a.listDir)},
		{"/v1/client/stats", "", get(a.nodeStats)},
		{"/v1/evaluation/", "", get(a.getEvaluation)},
		{"/v1/nodes", "", get(a.listNodes)},
		{"/v1/namespaces", "", get(func(http.ResponseWriter, *http.Request, string) (any, error) {
			return []*api.Namespace{{Name: api.DefaultNamespace, Description: "Default shared namespace"}}, nil
		})},
		{"/v1/node/pools", "", get(func(http.ResponseWriter, *http.Request, string) (any, error) {
			return []*api.NodePool{{Name: api.NodePoolAll}, {Name: api.NodePoolDefault}}, nil
		})},
		{"/v1/event/stream", "", get(a.streamEvents)},
		{"/v1/vars", "", get(a.listVars)},
		{"/v1/var/", "", map[string]handler{"GET": a.getVar, "PUT": a.putVar, "DELETE": a.deleteVar}},
		{"/v1/agent/self", "", get(a.self)},
		{"/v1/status/leader", "", get(func(http.ResponseWriter, *http.Request, string) (any, error) { return state.Loopback + ":4647", nil })},
	}
	return a
}

// Close ends streams and blocking queries.
func (a *API) Close() { a.cancel() }

// ServeHTTP is for http.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(a.ctx, cancel)()
	r = r.WithContext(ctx)
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	obj, err := a.answer(w, r)
	if err != nil {
		a.writeError(w, r, err)
		return
	}
	if obj == nil {
		return
	}
	text, err := json.Marshal(obj)
	if err != nil {
		a.writeError(w, r, fmt.Errorf("encode answer: %w", err))
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(text) // the client may be gone: nobody to tell
}

func (a *API) answer(w http.ResponseWriter, r *http.Request) (any, error) {
	method := r.Method
	if method == http.MethodPost {
		method = http.MethodPut
	}
	for _, rt := range a.routes { // not http.ServeMux: it would redirect paths with "//" or "..", which job IDs may hold
		rest, ok := strings.CutPrefix(r.URL.Path, rt.prefix)
		if ok && rt.suffix != "" {
			rest, ok = strings.CutSuffix(rest, rt.suffix)
		}
		if !ok || !strings.HasSuffix(rt.prefix, "/") && rest != "" {
			continue
		}
		h := rt.methods[method]
		if h == nil {
			return nil, codedError{http.StatusMethodNotAllowed, "Invalid method"}
		}
		return h(w, r, rest)
	}
	return nil, notFound("")
}

// codedError is an error with the HTTP status that it is answered with. Others are answered with 500, as Nomad does even for
// bad input.
type codedError struct {
	code int
	text string
}

func (e codedError) Error() string { return e.text }

func badRequest(format string, args ...any) error {
	return codedError{http.StatusBadRequest, fmt.Sprintf(format, args...)}
}

func notFound(format string, args ...any) error {
	return codedError{http.StatusNotFound, fmt.Sprintf(format, args...)}
}

func (a *API) writeError(w http.ResponseWriter, r *http.Request, err error) {
	code := http.StatusInternalServerError
	var coded codedError
	if errors.As(err, &coded) {
		code = coded.code
	}
	a.Log.Debug("request failed", "method", r.Method, "path", r.URL.Path, "code", code, "error", err)
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(code)
	_, _ = io.WriteString(w, err.Error()) // the client may be gone: nobody to tell
}

// setIndex sets the headers of an answer that has an index.
func setIndex(w http.ResponseWriter, index uint64) {
	w.Header().Set("X-Nomad-Index", strconv.FormatUint(index, 10))
	w.Header().Set("X-Nomad-LastContact", "0")
	w.Header().Set("X-Nomad-KnownLeader", "true")
}

func decodeBody(r *http.Request, out any) error {
	err := json.NewDecoder(r.Body).Decode(out)
	if errors.Is(err, io.EOF) {
		return badRequest("Request body is empty")
	}
	if err != nil {
		return badRequest("%v", err)
	}
	return nil
}

// writable refuses new work while the state cannot reach the disk: it would be forgotten at the next start.
func (a *API) writable() error {
	if err := a.Store.Failure(); err != nil {
		return fmt.Errorf("agent cannot write its state: %w", err)
	}
	return nil
}

// self describes the agent.
func (a *API) self(http.ResponseWriter, *http.Request, string) (any, error) {
	number, pre, _ := strings.Cut(a.Version, "-")
	return map[string]any{
		"config": map[string]any{
			"Region": a.Region, "NodeName": "localnomad", "DevMode": true, "ACL": map[string]any{"Enabled": false},
			"Version": map[string]any{"Version": number, "VersionPrerelease": pre, "VersionMetadata": "localnomad", "Revision": ""},
		},
		"member": map[string]any{"Name": "localnomad." + a.Region, "Addr": state.Loopback, "Port": 0, "Status": "alive"},
		"stats":  map[string]any{},
	}, nil
}
