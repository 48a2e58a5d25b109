package api

import (
	"context"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/client"
)

const (
	// maxBody bounds the body of a request in bytes: the configuration in it may have 16 KiB, and JSON may double it.
	maxBody = 64 << 10
	// largeBody bounds those with a text to be read or with many runs: 64 KiB of TOML that JSON doubles, or 500 runs.
	largeBody = 512 << 10
	// answerTimeout bounds the work for one answer.
	answerTimeout = 20 * time.Second
	// bodyTimeout bounds the reading of a body. It is longer than answerTimeout, since on the connection it also ends
	// the request that is being worked on.
	bodyTimeout = answerTimeout + 10*time.Second
)

// routes lists every route with its method.
func (s *server) routes() {
	const missing, conflict, outdated, away = http.StatusNotFound, http.StatusConflict, http.StatusPreconditionFailed, http.StatusServiceUnavailable
	const unchanged, part, beyond = http.StatusNotModified, http.StatusPartialContent, http.StatusRequestedRangeNotSatisfiable

	route(s, access.RunsRead, "GET /api/v1/runs", http.StatusOK, "list-runs", "List runs, newest first or in another order", answer(s.listRuns), missing)
	route(s, access.RunsSubmit, "POST /api/v1/runs", http.StatusCreated, "submit-run", "Submit a run", s.submitRun, missing)
	route(s, access.RunsSubmit, "POST /api/v1/runs/dry-run", http.StatusOK, "dry-run", "Dry run: what submitting now would do", answer(s.dryRun), missing, away)
	route(s, access.RunsRead, "GET /api/v1/runs/{id}", http.StatusOK, "get-run", "One run with its workers and attempts", s.getRun, missing, unchanged)
	route(s, access.RunsDelete, "DELETE /api/v1/runs/{id}", http.StatusNoContent, "delete-run", "Delete a run that has ended, with its metrics, events and logs", s.deleteRun, missing, conflict)
	route(s, access.RunsEdit, "PATCH /api/v1/runs/{id}", http.StatusOK, "edit-run", "Change a run's tags and note, archive it", answer(s.editRun), missing, conflict)
	route(s, access.RunsEdit, "POST /api/v1/runs/bulk/edit", http.StatusOK, "edit-runs", "Change tags and notes of many runs, archive them", answer(s.editRuns))
	route(s, access.RunsStop, "POST /api/v1/runs/bulk/stop", http.StatusOK, "stop-runs", "Stop many runs", answer(s.stopRuns))
	route(s, access.RunsDelete, "POST /api/v1/runs/bulk/delete", http.StatusOK, "delete-runs", "Delete many runs that have ended", answer(s.deleteRuns))
	route(s, access.RunsStop, "POST /api/v1/runs/bulk/pause", http.StatusOK, "pause-runs", "Pause many runs at their next checkpoints, or now", answer(s.pauseRuns))
	route(s, access.RunsStop, "POST /api/v1/runs/bulk/resume", http.StatusOK, "resume-runs", "Resume many paused runs, or withdraw their pauses", answer(s.resumeRuns))
	route(s, access.RunsStop, "POST /api/v1/runs/{id}/stop", http.StatusAccepted, "stop-run", "Stop a run", answer(s.stopRun), missing, conflict)
	route(s, access.RunsStop, "POST /api/v1/runs/{id}/pause", http.StatusAccepted, "pause-run", "Stop a run's workers at the next checkpoint, or now, until it is resumed", answer(s.pauseRun), missing, conflict)
	route(s, access.RunsStop, "POST /api/v1/runs/{id}/resume", http.StatusAccepted, "resume-run", "Let a paused run take its turn again, or withdraw a pause", answer(s.resumeRun), missing, conflict)
	route(s, access.RunsStop, "POST /api/v1/runs/{id}/restart", http.StatusAccepted, "restart-run", "Stop a run's workers, and have another attempt follow", answer(s.restartRun), missing, conflict)
	route(s, access.RunsStop, "POST /api/v1/runs/{id}/retry", http.StatusAccepted, "retry-run", "Make another attempt of a failed or stopped run, or end its wait for one", answer(s.retryRun), missing, conflict)
	route(s, access.RunsStop, "POST /api/v1/runs/{id}/stop-retrying", http.StatusAccepted, "stop-retrying-run", "End a run that waits to be tried again as failed, or have no attempt follow the one under way", answer(s.stopRetrying), missing, conflict)
	route(s, access.RunsRead, "GET /api/v1/runs/{id}/workers", http.StatusOK, "list-workers", "Workers of the newest attempt", answer(s.listWorkers), missing)
	route(s, access.RunsRead, "GET /api/v1/runs/{id}/usage", http.StatusOK, "read-usage", "What the workers of a live run and their GPUs use now", answer(s.readUsage), missing)
	route(s, access.RunsRead, "GET /api/v1/runs/{id}/events", http.StatusOK, "list-events", "Events of a run, oldest first", answer(s.listEvents), missing)
	route(s, access.RunsRead, "GET /api/v1/runs/{id}/logs", http.StatusOK, "read-logs", "Lines of a run's log, oldest first", answer(s.readLogs), missing)
	route(s, access.RunsRead, "GET /api/v1/runs/{id}/launch", http.StatusOK, "get-launch", "Exactly what starts or started a run's workers", answer(s.getLaunch), missing, away)
	route(s, access.RunsRead, "GET /api/v1/runs/{id}/metrics", http.StatusOK, "read-metrics", "Names of a run's metrics, and values of those asked for", answer(s.readMetrics), missing)
	route(s, access.RunsRead, "GET /api/v1/runs/{id}/mesh", http.StatusOK, "read-mesh", "Outer steps of a run: who waited for whom, and what that cost", answer(s.readMesh), missing)
	register(s, access.RunsRead, maxBody, seriesType, "GET /api/v1/runs/{id}/series", http.StatusOK, "read-series", "Curves of a run, summarized into columns as charts show them", s.readSeries, []int{missing, unchanged})
	route(s, access.RunsRead, "GET /api/v1/compare", http.StatusOK, "compare-runs", "What runs reached, and in which settings they differ", answer(s.compare), missing)
	register(s, access.RunsRead, maxBody, "text/plain", logFilePattern, http.StatusOK, "send-log", "Lines of a run's log as a file: found, filtered, as text, as printed or as JSON lines", s.sendLog, []int{missing, part, beyond})
	register(s, access.RunsRead, maxBody, "text/csv", metricsExportPattern, http.StatusOK, "export-metrics", "All values of metrics of runs, as CSV, Parquet or JSON lines", s.exportMetrics, []int{missing})
	register(s, access.SignedIn, maxBody, streamType, streamPattern, http.StatusOK, "stream", "Follow topics as Server-Sent Events; each topic has a right of its own", s.stream, []int{missing, away})
	route(s, access.ClusterRead, "GET /api/v1/nodes", http.StatusOK, "list-nodes", "Nodes of the cluster", answer(s.listNodes), away)
	route(s, access.ClusterRead, "GET /api/v1/cluster/measurements", http.StatusOK, "get-measurements", "What nodes measured of themselves and of the network between them", answer(s.getMeasurements))
	route(s, access.ClusterMeasure, "POST /api/v1/cluster/measurements", http.StatusAccepted, "start-measurement", "Measure nodes and the network between them; one at a time", answer(s.startMeasurement), conflict, away)
	route(s, access.ClusterMeasure, "POST /api/v1/cluster/measurements/{id}/stop", http.StatusAccepted, "stop-measurement", "End a measurement with what nodes have reported by then", answer(s.stopMeasurement), conflict, missing)
	route(s, access.SignedIn, "GET /api/v1/account", http.StatusOK, "get-account", "Who is asking, and with which token", answer(s.getAccount))
	route(s, access.Account, "GET /api/v1/tokens", http.StatusOK, "list-tokens", "API tokens of who is asking, newest first", answer(s.listTokens))
	route(s, access.Account, "POST /api/v1/tokens", http.StatusCreated, "create-token", "Make an API token; a token makes none that may do more", s.createToken)
	route(s, access.Account, "DELETE /api/v1/tokens/{id}", http.StatusNoContent, "revoke-token", "Revoke an API token for good", s.revokeToken, missing)
	route(s, access.SignedIn, "DELETE /api/v1/account/token", http.StatusNoContent, "revoke-own-token", "Revoke the API token that the request uses", s.revokeOwnToken, missing)
	route(s, access.Public, "POST /api/v1/device", http.StatusOK, "begin-device", "Ask to be signed in as the person who enters a code in a browser", s.beginDevice, away)
	route(s, access.Public, "POST /api/v1/device/token", http.StatusOK, "poll-device", "Ask whether a person has agreed", s.pollDevice, missing)
	route(s, access.SignedIn, "GET /api/v1/system", http.StatusOK, "get-system", "Health of the console's dependencies", answer(s.getSystem))
	route(s, access.SignedIn, "GET /api/v1/presets", http.StatusOK, "list-presets", "Built-in configurations", answer(s.listPresets))
	routeLarge(s, access.SignedIn, "POST /api/v1/config/validate", http.StatusOK, "validate-config", "Check a submission without submitting it, and estimate what it needs", answer(s.validateConfig))
	routeLarge(s, access.SignedIn, "POST /api/v1/config/import", http.StatusOK, "import-config", "Read TOML with shell lines among it, and take secrets out", answer(s.importConfig))
	routeFile(s, access.SignedIn, schemaType, "GET /api/v1/config/schema", "config-schema", "JSON Schema of CotrainCore's configuration, for editors", s.configSchema)
	route(s, access.SignedIn, "GET /api/v1/diff", http.StatusOK, "diff", "How two runs, templates or presets differ", answer(s.diff), missing)

	route(s, access.TemplatesRead, "GET /api/v1/templates", http.StatusOK, "list-templates", "List templates by name", answer(s.listTemplates))
	route(s, access.TemplatesRead, "GET /api/v1/templates/{name}", http.StatusOK, "get-template", "One version of a template", s.getTemplate, missing)
	routeLarge(s, access.TemplatesSave, "PUT /api/v1/templates/{name}", http.StatusOK, "save-template", "Save the next version of a template, unless nothing changed", s.saveTemplate, missing, outdated)
	route(s, access.TemplatesDelete, "DELETE /api/v1/templates/{name}", http.StatusNoContent, "delete-template", "Delete a template with all its versions; runs stay", s.deleteTemplate, missing)
	route(s, access.TemplatesRead, "GET /api/v1/templates/{name}/versions", http.StatusOK, "list-template-versions", "Every version of a template, newest first", answer(s.listTemplateVersions), missing)
	routeFile(s, access.TemplatesRead, tomlType, "GET /api/v1/templates/{name}/file", "export-template", "A template's version as a file that PUT accepts", s.exportTemplate, missing)

	route(s, access.RunsRead, "GET /api/v1/sweeps", http.StatusOK, "list-sweeps", "List sweeps, newest first", answer(s.listSweeps))
	routeLarge(s, access.RunsSubmit, "POST /api/v1/sweeps", http.StatusCreated, "submit-sweep", "Submit a group of runs that differ in a few fields", s.submitSweep, missing)
	route(s, access.RunsRead, "GET /api/v1/sweeps/{id}", http.StatusOK, "get-sweep", "One sweep with its runs", answer(s.getSweep), missing)
	route(s, access.RunsDelete, "DELETE /api/v1/sweeps/{id}", http.StatusNoContent, "delete-sweep", "Delete an ended sweep with its runs", s.deleteSweep, missing, conflict)
	route(s, access.RunsStop, "POST /api/v1/sweeps/{id}/stop", http.StatusAccepted, "stop-sweep", "Stop every run of a sweep", answer(s.stopSweep), missing, conflict)

	route(s, access.UsersManage, "GET /api/v1/users", http.StatusOK, "list-users", "List users and service accounts by name", answer(s.listUsers))
	route(s, access.UsersManage, "POST /api/v1/users", http.StatusCreated, "create-user", "Make a person, whose password the console chooses, or a service account", s.createUser, conflict)
	route(s, access.UsersManage, "GET /api/v1/users/{name}", http.StatusOK, "get-user", "One user", answer(s.getUser), missing)
	route(s, access.UsersManage, "PATCH /api/v1/users/{name}", http.StatusOK, "change-user", "Change, disable or enable a user; the last administrator stays", answer(s.changeUser), missing, conflict)
	route(s, access.UsersManage, "DELETE /api/v1/users/{name}", http.StatusNoContent, "delete-user", "Delete a user with its sessions, tokens and memberships; runs stay", s.deleteUser, missing, conflict)
	route(s, access.UsersManage, "POST /api/v1/users/{name}/password", http.StatusOK, "reset-password", "Choose a one-time password, and end the user's sessions", s.resetPassword, missing, conflict)
	route(s, access.UsersManage, "DELETE /api/v1/users/{name}/sessions", http.StatusNoContent, "end-user-sessions", "Sign a user out everywhere; API tokens stay valid", s.endUserSessions, missing)
	route(s, access.UsersManage, "DELETE /api/v1/users/{name}/factor", http.StatusNoContent, "remove-user-factor", "Remove the second factor of a user who has lost it", s.removeUserFactor, missing, conflict)
	route(s, access.UsersManage, "GET /api/v1/users/{name}/identities", http.StatusOK, "list-identities", "Who a user is at providers of log-ins", answer(s.listIdentities), missing)
	route(s, access.UsersManage, "POST /api/v1/users/{name}/identities", http.StatusNoContent, "link-identity", "Let whoever has a subject at the provider sign in as a user", s.linkIdentity, missing, conflict)
	route(s, access.UsersManage, "DELETE /api/v1/users/{name}/identities", http.StatusNoContent, "unlink-identity", "Take that back, with what groups gave, and end the sessions that began so", s.unlinkIdentity, missing)
	route(s, access.UsersManage, "GET /api/v1/users/{name}/tokens", http.StatusOK, "list-user-tokens", "API tokens of a user, newest first", answer(s.listUserTokens), missing)
	route(s, access.UsersManage, "POST /api/v1/users/{name}/tokens", http.StatusCreated, "create-user-token", "Make an API token of a service account", s.createUserToken, missing, conflict)
	route(s, access.UsersManage, "DELETE /api/v1/users/{name}/tokens/{id}", http.StatusNoContent, "revoke-user-token", "Revoke an API token of a user for good", s.revokeUserToken, missing)

	route(s, access.SignedIn, "GET /api/v1/projects", http.StatusOK, "list-projects", "List the projects that who asks may see", answer(s.listProjects))
	route(s, access.ProjectsManage, "POST /api/v1/projects", http.StatusCreated, "create-project", "Make a project", answer(s.createProject), conflict)
	route(s, access.ProjectRead, "GET /api/v1/projects/{project}", http.StatusOK, "get-project", "One project", answer(s.getProject), missing)
	route(s, access.ProjectEdit, "PATCH /api/v1/projects/{project}", http.StatusOK, "change-project", "Change a project's description, and as an administrator of the console its settings", answer(s.changeProject), missing)
	route(s, access.ProjectsManage, "DELETE /api/v1/projects/{project}", http.StatusNoContent, "delete-project", "Delete a project that owns nothing", s.deleteProject, missing, conflict)
	route(s, access.ProjectRead, "GET /api/v1/projects/{project}/members", http.StatusOK, "list-members", "Members of a project by name", answer(s.listMembers), missing)
	route(s, access.MembersManage, "PUT /api/v1/projects/{project}/members/{user}", http.StatusNoContent, "set-member", "Add a member to a project, or change its role", s.setMember, missing)
	route(s, access.MembersManage, "DELETE /api/v1/projects/{project}/members/{user}", http.StatusNoContent, "remove-member", "Remove a member from a project", s.removeMember, missing)

	route(s, access.CausesManage, "GET /api/v1/causes/rules", http.StatusOK, "get-cause-rules", "The site's own rules that explain failures", answer(s.getCauseRules))
	routeLarge(s, access.CausesManage, "PUT /api/v1/causes/rules", http.StatusOK, "save-cause-rules", "Have rules explain failures from now on, over the revision that was read", answer(s.saveCauseRules), outdated)
	routeLarge(s, access.CausesManage, "POST /api/v1/causes/rules/try", http.StatusOK, "try-cause-rules", "What rules would have said of the newest failures; nothing is changed", answer(s.tryCauseRules), away)
	route(s, access.SecretsRead, "GET /api/v1/secrets", http.StatusOK, "list-secrets", "List registered secrets by name: where they are, never their values", answer(s.listSecrets))
	route(s, access.SecretsManage, "POST /api/v1/secrets", http.StatusCreated, "register-secret", "Register a secret that runs may ask for", answer(s.registerSecret), conflict)
	route(s, access.SecretsManage, "GET /api/v1/secrets/{name}", http.StatusOK, "get-secret", "One registered secret", answer(s.getSecret), missing)
	route(s, access.SecretsManage, "PUT /api/v1/secrets/{name}", http.StatusOK, "change-secret", "Change all of a secret but its name; it counts from the next attempt of a run", answer(s.changeSecret), missing)
	route(s, access.SecretsManage, "DELETE /api/v1/secrets/{name}", http.StatusNoContent, "remove-secret", "Remove a secret; its value stays where it is, and runs that ask for it wait", s.removeSecret, missing)
	route(s, access.SecretsManage, "PUT /api/v1/secrets/{name}/value", http.StatusOK, "set-secret", "Store the value of a secret in its Nomad variable, and nowhere else", answer(s.setSecret), missing, conflict, away)

	route(s, access.AuditRead, "GET /api/v1/audit", http.StatusOK, "list-audit", "Search the audit log, newest first", answer(s.listAudit))
	route(s, access.AuditRead, "GET /api/v1/audit/head", http.StatusOK, "get-audit-head", "Where the audit log ends and begins, and how far it is verified", answer(s.getAuditHead))
	register(s, access.AuditRead, maxBody, "application/jsonl", exportPattern, http.StatusOK, "export-audit", "Entries of the audit log, oldest first, as JSON lines or CSV", s.exportAudit, nil)

	route(s, access.StorageRead, "GET /api/v1/storage", http.StatusOK, "get-storage", "Shared storage and the state of its layout", answer(stored(s, s.getStorage)), missing, away)
	route(s, access.StorageLayout, "POST /api/v1/storage/layout", http.StatusOK, "repair-storage", "Create missing folders of the layout", answer(stored(s, s.repairStorage)), missing, away)
	route(s, access.StorageRead, "GET /api/v1/storage/list", http.StatusOK, "list-storage", "A page of a folder in shared storage", answer(stored(s, s.listStorage)), missing, conflict)
	route(s, access.StorageRead, "GET /api/v1/storage/usage", http.StatusOK, "count-storage", "Size of a file or folder", answer(stored(s, s.countStorage)), missing, conflict)
	route(s, access.StorageRead, "GET /api/v1/storage/complete", http.StatusOK, "complete-storage", "Paths that start with a prefix", answer(stored(s, s.completeStorage)), missing)
	route(s, access.StorageDelete, "DELETE /api/v1/storage/file", http.StatusOK, "delete-storage", "Delete a file, or a folder with its content", answer(stored(s, s.deleteStorage)), missing, conflict)
	register(s, access.StorageRead, maxBody, "application/octet-stream", "GET /api/v1/storage/file", http.StatusOK, "read-storage", "A file, or a Range of it", stored(s, s.readStorage), []int{missing, conflict, unchanged, part, beyond})
}

// route registers one operation: its pattern as [http.ServeMux] has it, the status of success, and the others that it can
// answer with, beside those that every operation of its kind has.
func route[I, O any](s *server, right access.Right, pattern string, status int, id, summary string, h func(context.Context, *I) (*O, error), others ...int) {
	register(s, right, maxBody, "", pattern, status, id, summary, h, others)
}

// routeLarge is route for an operation that takes a large body.
func routeLarge[I, O any](s *server, right access.Right, pattern string, status int, id, summary string, h func(context.Context, *I) (*O, error), others ...int) {
	register(s, right, largeBody, "", pattern, status, id, summary, h, others)
}

// routeFile is route for an operation that answers with a text of another media type than JSON.
func routeFile[I any](s *server, right access.Right, media, pattern, id, summary string, h func(context.Context, *I) (*textOutput, error), others ...int) {
	register(s, right, maxBody, media, pattern, http.StatusOK, id, summary, h, others)
}

func register[I, O any](s *server, right access.Right, limit int64, media, pattern string, status int, id, summary string, h func(context.Context, *I) (*O, error), others []int) {
	method, path, _ := strings.Cut(pattern, " ")
	op := huma.Operation{
		OperationID: id, Method: method, Path: path, Summary: summary, DefaultStatus: status, Responses: map[string]*huma.Response{},
		MaxBodyBytes: limit + 1, BodyReadTimeout: bodyTimeout, // huma refuses a body that is as long as its limit
		Extensions: map[string]any{"x-right": right},
	}
	_, takesBody := reflect.TypeFor[I]().FieldByName("Body")
	for _, code := range append(alwaysPossible(method, takesBody), others...) {
		op.Responses[strconv.Itoa(code)] = s.response(code, media)
	}
	op.Responses["default"] = s.response(0, media)
	if media != "" {
		op.Responses[strconv.Itoa(status)] = s.response(status, media)
	}
	s.rights[pattern] = right
	huma.Register(s.api, op, func(ctx context.Context, in *I) (*O, error) {
		out, err := h(ctx, in)
		if err != nil {
			return nil, s.problem(ctx, id, err)
		}
		return out, nil
	})
}

// alwaysPossible is what every operation of a kind can answer with: what its parameters and its body may be is checked
// before it is asked, and so is where a change comes from.
func alwaysPossible(method string, takesBody bool) []int {
	codes := []int{http.StatusUnauthorized, http.StatusForbidden, http.StatusUnprocessableEntity}
	if method != http.MethodGet {
		codes = append(codes, http.StatusUnsupportedMediaType)
	}
	if takesBody {
		codes = append(codes, http.StatusBadRequest, http.StatusRequestTimeout, http.StatusRequestEntityTooLarge)
	}
	return codes
}

// body is the input or output of an operation that has nothing but a body.
type body[T any] struct{ Body T }

// answer makes a handler of a function that returns the body.
func answer[I, T any](h func(context.Context, *I) (T, error)) func(context.Context, *I) (*body[T], error) {
	return func(ctx context.Context, in *I) (*body[T], error) {
		out, err := h(ctx, in)
		return &body[T]{out}, err
	}
}

// response documents an answer: a problem, a file of a media type, or nothing. Code 0 is every error that is not documented.
func (s *server) response(code int, media string) *huma.Response {
	out := &huma.Response{Description: http.StatusText(code)}
	switch {
	case code == 0:
		out.Description = "Any other error"
		fallthrough
	case code >= 400 && code != http.StatusRequestedRangeNotSatisfiable:
		schema := s.api.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[client.Problem](), true, "Problem")
		out.Content = map[string]*huma.MediaType{problemType: {Schema: schema}}
	case code == http.StatusNotModified:
	case code >= 400: // the standard library answers it
		out.Content = map[string]*huma.MediaType{"text/plain": {Schema: &huma.Schema{Type: huma.TypeString}}}
	case media == seriesType:
		schema := s.api.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[client.SeriesAnswer](), true, "SeriesAnswer")
		out.Content = map[string]*huma.MediaType{media: {Schema: schema}}
	case media == schemaType:
		out.Content = map[string]*huma.MediaType{media: {Schema: &huma.Schema{Type: huma.TypeObject, AdditionalProperties: true}}}
	default:
		out.Content = map[string]*huma.MediaType{media: {Schema: &huma.Schema{Type: huma.TypeString}}}
	}
	return out
}
