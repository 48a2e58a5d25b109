package api_test

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
)

type document struct {
	OpenAPI string
	Servers []struct{ URL string }
	Paths   map[string]map[string]struct {
		OperationID string
		Summary     string
		RequestBody map[string]any
		Responses   map[string]struct {
			Content map[string]struct{ Schema map[string]any }
		}
	}
	Components struct{ Schemas map[string]any }
}

func TestTheDocumentListsEveryRouteAndEveryRouteAnswers(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	doc := get[document](f, "/api/v1/openapi.json")
	if doc.OpenAPI != "3.1.0" || len(doc.Servers) != 1 || doc.Servers[0].URL != "/" {
		t.Errorf("version %q, servers %v", doc.OpenAPI, doc.Servers)
	}
	var listed []string
	ids := map[string]bool{}
	for path, operations := range doc.Paths {
		for method, op := range operations {
			method = strings.ToUpper(method)
			listed = append(listed, method+" "+path)
			if op.OperationID == "" || ids[op.OperationID] || op.Summary == "" {
				t.Errorf("%s %s has no ID and summary of its own: %+v", method, path, op)
			}
			ids[op.OperationID] = true
			if _, ok := op.Responses["default"].Content["application/problem+json"]; !ok {
				t.Errorf("%s %s does not document its errors", method, path)
			}
			w := f.do(method, strings.NewReplacer("{id}", "r-0000000000", "{name}", "mine").Replace(path), "")
			if w.Code == http.StatusMethodNotAllowed || strings.Contains(w.Body.String(), "no such address") {
				t.Errorf("%s %s is documented and not there: %s", method, path, w.Body)
			}
		}
	}
	slices.Sort(listed)
	want := []string{
		"DELETE /api/v1/account/token", "DELETE /api/v1/projects/{project}", "DELETE /api/v1/projects/{project}/members/{user}", "DELETE /api/v1/runs/{id}",
		"DELETE /api/v1/secrets/{name}", "DELETE /api/v1/storage/file", "DELETE /api/v1/sweeps/{id}", "DELETE /api/v1/templates/{name}", "DELETE /api/v1/tokens/{id}",
		"DELETE /api/v1/users/{name}", "DELETE /api/v1/users/{name}/factor", "DELETE /api/v1/users/{name}/identities", "DELETE /api/v1/users/{name}/sessions",
		"DELETE /api/v1/users/{name}/tokens/{id}", "GET /api/v1/account", "GET /api/v1/audit", "GET /api/v1/audit/export",
		"GET /api/v1/audit/head", "GET /api/v1/causes/rules", "GET /api/v1/cluster/measurements", "GET /api/v1/compare", "GET /api/v1/config/schema", "GET /api/v1/diff", "GET /api/v1/metrics", "GET /api/v1/nodes", "GET /api/v1/presets", "GET /api/v1/projects",
		"GET /api/v1/projects/{project}", "GET /api/v1/projects/{project}/members", "GET /api/v1/runs", "GET /api/v1/runs/{id}",
		"GET /api/v1/runs/{id}/events", "GET /api/v1/runs/{id}/launch", "GET /api/v1/runs/{id}/logs", "GET /api/v1/runs/{id}/logs/file", "GET /api/v1/runs/{id}/mesh", "GET /api/v1/runs/{id}/metrics", "GET /api/v1/runs/{id}/series",
		"GET /api/v1/runs/{id}/usage", "GET /api/v1/runs/{id}/workers", "GET /api/v1/secrets", "GET /api/v1/secrets/{name}", "GET /api/v1/storage", "GET /api/v1/storage/complete", "GET /api/v1/storage/file", "GET /api/v1/storage/list",
		"GET /api/v1/storage/usage", "GET /api/v1/stream", "GET /api/v1/sweeps", "GET /api/v1/sweeps/{id}", "GET /api/v1/system", "GET /api/v1/templates",
		"GET /api/v1/templates/{name}", "GET /api/v1/templates/{name}/file", "GET /api/v1/templates/{name}/versions", "GET /api/v1/tokens",
		"GET /api/v1/users", "GET /api/v1/users/{name}", "GET /api/v1/users/{name}/identities", "GET /api/v1/users/{name}/tokens", "PATCH /api/v1/projects/{project}", "PATCH /api/v1/runs/{id}", "PATCH /api/v1/users/{name}",
		"POST /api/v1/causes/rules/try", "POST /api/v1/cluster/measurements", "POST /api/v1/cluster/measurements/{id}/stop", "POST /api/v1/config/import", "POST /api/v1/config/validate", "POST /api/v1/device", "POST /api/v1/device/token", "POST /api/v1/projects",
		"POST /api/v1/runs", "POST /api/v1/runs/bulk/delete", "POST /api/v1/runs/bulk/edit", "POST /api/v1/runs/bulk/pause", "POST /api/v1/runs/bulk/resume", "POST /api/v1/runs/bulk/stop", "POST /api/v1/runs/dry-run", "POST /api/v1/runs/{id}/pause", "POST /api/v1/runs/{id}/restart", "POST /api/v1/runs/{id}/resume", "POST /api/v1/runs/{id}/retry", "POST /api/v1/runs/{id}/stop", "POST /api/v1/runs/{id}/stop-retrying", "POST /api/v1/secrets", "POST /api/v1/storage/layout", "POST /api/v1/sweeps",
		"POST /api/v1/sweeps/{id}/stop", "POST /api/v1/tokens", "POST /api/v1/users", "POST /api/v1/users/{name}/identities",
		"POST /api/v1/users/{name}/password", "POST /api/v1/users/{name}/tokens",
		"PUT /api/v1/causes/rules", "PUT /api/v1/projects/{project}/members/{user}", "PUT /api/v1/secrets/{name}", "PUT /api/v1/secrets/{name}/value", "PUT /api/v1/templates/{name}",
	}
	if !slices.Equal(listed, want) {
		t.Errorf("the document lists\n%s\nand not\n%s", strings.Join(listed, "\n"), strings.Join(want, "\n"))
	}
}

func TestTheDocumentDescribesWhatIsSent(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	w := f.do("GET", "/api/v1/openapi.json", "")
	doc := decode[document](f, w, 200)
	names := slices.Sorted(maps.Keys(doc.Components.Schemas))
	for _, name := range []string{"Run", "Worker", "Attempt", "Event", "LogLine", "Node", "Problem", "Progress", "CurvePoint", "Point", "Shape", "Options", "OptionsInput", "ShapeInput", "Submission", "Validation",
		"Estimate", "Import", "Launch", "EnvVar", "DryRun", "Template", "TemplateInput", "Diff", "Sweep", "SweepInput", "SweepDetail", "SweepRun", "Axis", "SeriesAnswer", "Series"} {
		if !slices.Contains(names, name) {
			t.Errorf("no schema %s among %v", name, names)
		}
	}
	for path, want := range map[string][2]string{"/api/v1/config/schema": {"application/schema+json", "object"}, "/api/v1/templates/{name}/file": {"application/toml", "string"}} {
		if content := doc.Paths[path]["get"].Responses["200"].Content; len(content) != 1 || content[want[0]].Schema["type"] != want[1] {
			t.Errorf("%s does not document that it answers with %s: %v", path, want, content)
		}
	}
	if content := doc.Paths["/api/v1/runs/{id}/series"]["get"].Responses["200"].Content; content["application/json"].Schema["$ref"] != "#/components/schemas/SeriesAnswer" {
		t.Errorf("what curves are is not documented: %v", content)
	}
	if slices.Contains(names, "ErrorModel") || strings.Contains(w.Body.String(), "ErrorModel") {
		t.Error("the document has an error body that is never sent")
	}
	if !strings.Contains(w.Body.String(), `"-Infinity"`) || !strings.Contains(w.Body.String(), `"dispatching"`) {
		t.Error("numbers that are not finite, or the states, are not documented")
	}
}
