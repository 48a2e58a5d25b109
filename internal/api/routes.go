package api

import (
	"context"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
)

const (
	// maxBody bounds the body of a request in bytes: the configuration in it may have 16 KiB, and JSON may double it.
	maxBody = 64 << 10
	// answerTimeout bounds the work for one answer.
	answerTimeout = 20 * time.Second
	// bodyTimeout bounds the reading of a body. It is longer than answerTimeout, since on the connection it also ends
	// the request that is being worked on.
	bodyTimeout = answerTimeout + 10*time.Second
)

// routes lists every route with its method.
func (s *server) routes() {
	const bad, missing, conflict, away = http.StatusUnprocessableEntity, http.StatusNotFound, http.StatusConflict, http.StatusServiceUnavailable

	route(s, "GET /api/v1/runs", http.StatusOK, "list-runs", "List runs, newest first", s.listRuns, bad)
	route(s, "POST /api/v1/runs", http.StatusCreated, "submit-run", "Submit a run", s.submitRun, bad)
	route(s, "GET /api/v1/runs/{id}", http.StatusOK, "get-run", "One run with its workers and attempts", s.getRun, missing)
	route(s, "DELETE /api/v1/runs/{id}", http.StatusNoContent, "delete-run", "Delete a run that has ended, with its metrics, events and logs", s.deleteRun, missing, conflict)
	route(s, "POST /api/v1/runs/{id}/stop", http.StatusAccepted, "stop-run", "Ask a run to save and end", s.stopRun, missing, conflict)
	route(s, "GET /api/v1/runs/{id}/workers", http.StatusOK, "list-workers", "Workers of the newest attempt", s.listWorkers, missing)
	route(s, "GET /api/v1/runs/{id}/events", http.StatusOK, "list-events", "What happened to a run, oldest first", s.listEvents, missing, bad)
	route(s, "GET /api/v1/runs/{id}/logs", http.StatusOK, "read-logs", "Lines of a run's log, oldest first", s.readLogs, missing, bad)
	route(s, "GET /api/v1/runs/{id}/metrics", http.StatusOK, "read-metrics", "Names of a run's metrics, and values of those asked for", s.readMetrics, missing, bad)
	route(s, "GET /api/v1/nodes", http.StatusOK, "list-nodes", "Nodes of the cluster", s.listNodes, away)
	route(s, "GET /api/v1/presets", http.StatusOK, "list-presets", "Built-in configurations", s.listPresets)
	route(s, "POST /api/v1/config/validate", http.StatusOK, "validate-config", "Check a submission without submitting it", s.validateConfig, bad)
}

// route registers one operation: its pattern as [http.ServeMux] has it, the status of success, and beside the errors
// that every operation has those that it can answer with.
func route[I, O any](s *server, pattern string, status int, id, summary string, h func(context.Context, *I) (*O, error), errs ...int) {
	method, path, _ := strings.Cut(pattern, " ")
	op := huma.Operation{
		OperationID: id, Method: method, Path: path, Summary: summary, DefaultStatus: status, Responses: map[string]*huma.Response{},
		MaxBodyBytes: maxBody + 1, BodyReadTimeout: bodyTimeout, // huma refuses a body that is as long as its limit
	}
	schema := s.api.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[Problem](), true, "Problem")
	document := func(key, description string) {
		op.Responses[key] = &huma.Response{
			Description: description,
			Content:     map[string]*huma.MediaType{problemType: {Schema: schema}},
		}
	}
	for _, code := range errs {
		document(strconv.Itoa(code), http.StatusText(code))
	}
	document("default", "Any other error")
	huma.Register(s.api, op, func(ctx context.Context, in *I) (*O, error) {
		out, err := h(ctx, in)
		if err != nil {
			return nil, s.problem(ctx, id, err)
		}
		return out, nil
	})
}
