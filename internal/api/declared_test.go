package api_test

import (
	"fmt"
	"maps"
	"mime"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cotrain/cotrain/internal/client"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/run/runtest"
)

// probe is a request to one operation of the document.
type probe struct {
	op      string // as the document has it: "GET /api/v1/runs/{id}"
	path    string
	body    string
	headers []string
}

// probes is requests that get the answers that only some operations have, in the order in which they are sent.
func probes(f *fixture, dir string) []probe {
	put(f.t, filepath.Join(dir, "models", "temp", "a"), "abcdef")
	put(f.t, filepath.Join(dir, "models", "temp", "d", "b"), "b")
	running, ended := string(f.Add(run.Run{Name: "a", State: run.Running})), string(f.Add(run.Run{Name: "b", State: run.Succeeded}))
	decode[run.Template](f, f.do("PUT", "/api/v1/templates/kept", `{"preset":"debug"}`), 200)
	live := decode[run.Sweep](f, f.do("POST", "/api/v1/sweeps", takingBodies[6].body), 201)
	over := decode[run.Sweep](f, f.do("POST", "/api/v1/sweeps", takingBodies[6].body), 201)
	f.do("POST", "/api/v1/sweeps/"+string(over.ID)+"/stop", "")
	for _, r := range get[struct{ Items []run.Run }](f, "/api/v1/runs?sweep="+string(over.ID)).Items {
		f.Change(r.ID, func(r *run.Run) { r.State = run.Stopped })
	}
	var out []probe
	for _, tt := range takingBodies {
		_, path, _ := strings.Cut(tt.target, " ")
		op := strings.NewReplacer("/mine", "/{name}", "/default", "/{project}", "/ann", "/{user}", "/r-0000000000", "/{id}").Replace(tt.target)
		out = append(out, probe{op, path, tt.body, nil})
		if strings.Contains(tt.body, `"preset":"debug"`) {
			out = append(out, probe{op, path, strings.Replace(tt.body, `"preset":"debug"`, `"clone":"r-zzzzzzzzzz"`, 1), nil})
		}
	}
	at := func(op string, id string) string {
		_, path, _ := strings.Cut(op, " ")
		return strings.NewReplacer("{id}", id, "{name}", id).Replace(path)
	}
	add := func(op, id, query string, headers ...string) {
		out = append(out, probe{op, at(op, id) + query, "", headers})
	}
	out = append(out, probe{"POST /api/v1/cluster/measurements", "/api/v1/cluster/measurements", `{"site":"busy"}`, nil},
		probe{"POST /api/v1/cluster/measurements", "/api/v1/cluster/measurements", `{"site":"long"}`, nil})
	for range 2 {
		add("POST /api/v1/cluster/measurements/{id}/stop", "m-1", "")
	}
	for _, op := range []string{"", "/workers", "/usage", "/events", "/logs", "/logs/file", "/launch", "/metrics"} {
		add("GET /api/v1/runs/{id}"+op, running, "")
	}
	add("GET /api/v1/runs/{id}/logs/file", "r-zzzzzzzzzz", "")
	f.Log(run.ID(running), 0, "a line")
	add("GET /api/v1/runs/{id}/logs/file", running, "", "Range", "bytes=0-1")
	add("GET /api/v1/runs/{id}/logs/file", running, "", "Range", "bytes=99999-")
	add("GET /api/v1/runs", "", "?state=nope")
	add("GET /api/v1/runs", "", "")
	add("GET /api/v1/runs", "", "?sweep=s-0000000000")
	add("GET /api/v1/runs/{id}", running, "", "If-None-Match", "*")
	for id, body := range map[string]string{running: `{"archived":true}`, ended: `{"archived":true}`} {
		out = append(out, probe{"PATCH /api/v1/runs/{id}", "/api/v1/runs/" + id, body, nil})
	}
	add("GET /api/v1/runs/{id}/mesh", running, "")
	add("GET /api/v1/runs/{id}/mesh", running, "?limit=0")
	add("GET /api/v1/runs/{id}/mesh", "r-zzzzzzzzzz", "")
	add("GET /api/v1/runs/{id}/series", running, "?metric=loss")
	add("GET /api/v1/runs/{id}/series", running, "?metric=loss", "If-None-Match", "*")
	add("GET /api/v1/runs/{id}/series", "r-zzzzzzzzzz", "?metric=loss")
	for _, id := range []string{running, "r-zzzzzzzzzz"} {
		add("GET /api/v1/metrics", "", "?run="+id)
		add("GET /api/v1/compare", "", "?run="+id)
	}
	acting := func(op string, r run.Run) {
		id := string(f.Add(r))
		for range 2 { // the second time it is not possible
			add("POST /api/v1/runs/{id}/"+op, id, "")
		}
		add("POST /api/v1/runs/{id}/"+op, "r-zzzzzzzzzz", "")
	}
	acting("resume", run.Run{Name: "c", State: run.Paused})
	acting("restart", run.Run{Name: "c", State: run.Running})
	acting("stop-retrying", run.Run{Name: "c", State: run.Queued, Attempt: 1, Cause: &run.Cause{}})
	acting("retry", run.Run{Name: "c", State: run.Failed})
	add("POST /api/v1/runs/{id}/retry", ended, "")
	add("POST /api/v1/runs/{id}/pause", string(f.Add(run.Run{Name: "c", State: run.Queued})), "?when=later")
	acting("pause", run.Run{Name: "c", State: run.Queued})
	add("POST /api/v1/runs/{id}/pause", ended, "")
	add("POST /api/v1/runs/{id}/stop", ended, "")
	add("POST /api/v1/runs/{id}/stop", running, "")
	add("DELETE /api/v1/runs/{id}", running, "")
	add("DELETE /api/v1/runs/{id}", ended, "")
	for _, path := range []string{"/nodes", "/presets", "/config/schema", "/templates", "/sweeps", "/account", "/tokens"} {
		add("GET /api/v1"+path, "", "")
	}
	add("GET /api/v1/diff", "", "?a=preset:debug&b=preset:7B")
	add("GET /api/v1/diff", "", "?a=preset:nope&b=preset:7B")
	for _, op := range []string{"GET /api/v1/templates/{name}", "GET /api/v1/templates/{name}/versions", "GET /api/v1/templates/{name}/file"} {
		add(op, "kept", "")
	}
	out = append(out, probe{"PUT /api/v1/templates/{name}", "/api/v1/templates/kept", `{"preset":"7B"}`, []string{"If-None-Match", "*"}})
	add("DELETE /api/v1/templates/{name}", "kept", "")
	add("GET /api/v1/sweeps/{id}", string(live.ID), "")
	add("POST /api/v1/sweeps/{id}/stop", string(over.ID), "")
	add("DELETE /api/v1/sweeps/{id}", string(live.ID), "")
	add("POST /api/v1/sweeps/{id}/stop", string(live.ID), "")
	add("DELETE /api/v1/sweeps/{id}", string(over.ID), "")
	token := decode[client.NewToken](f, f.do("POST", "/api/v1/tokens", `{"name":"x","scopes":["all"]}`), 201)
	add("DELETE /api/v1/tokens/{id}", string(token.ID), "")
	add("DELETE /api/v1/account/token", "", "")
	out = append(out, probe{"POST /api/v1/device/token", "/api/v1/device/token", `{"device_code":"nope"}`, nil})
	for _, body := range []string{`{"name":"ann","administrator":true}`, `{"name":"ann"}`, `{"name":"robot2","kind":"service"}`} {
		out = append(out, probe{"POST /api/v1/users", "/api/v1/users", body, nil})
	}
	out = append(out, probe{"POST /api/v1/projects", "/api/v1/projects", `{"name":"default"}`, nil},
		probe{"PATCH /api/v1/users/{name}", "/api/v1/users/robot2", `{"email":"r@example.org"}`, nil}, probe{"PATCH /api/v1/users/{name}", "/api/v1/users/ann", `{"disabled":true}`, nil},
		probe{"POST /api/v1/users/{name}/tokens", "/api/v1/users/robot2/tokens", `{"name":"x","scopes":["read"]}`, nil},
		probe{"POST /api/v1/users/{name}/tokens", "/api/v1/users/ann/tokens", `{"name":"x","scopes":["read"]}`, nil},
		probe{"POST /api/v1/users/{name}/identities", "/api/v1/users/ann/identities", `{"subject":"x"}`, nil},
		probe{"POST /api/v1/users/{name}/identities", "/api/v1/users/ann/identities", `{"subject":""}`, nil},
		probe{"DELETE /api/v1/users/{name}/identities", "/api/v1/users/ann/identities?issuer=https%3A%2F%2Fid.example&subject=x", "", nil},
		probe{"POST /api/v1/users/{name}/identities", "/api/v1/users/robot2/identities", `{"subject":"x"}`, nil},
		probe{"DELETE /api/v1/users/{name}/identities", "/api/v1/users/ann/identities?issuer=x&subject=x", "", nil},
		probe{"PUT /api/v1/projects/{project}/members/{user}", "/api/v1/projects/default/members/robot2", `{"role":"viewer"}`, nil},
		probe{"DELETE /api/v1/projects/{project}/members/{user}", "/api/v1/projects/default/members/robot2", "", nil},
		probe{"DELETE /api/v1/projects/{project}/members/{user}", "/api/v1/projects/nope/members/robot2", "", nil},
		probe{"DELETE /api/v1/users/{name}/tokens/{id}", "/api/v1/users/robot2/tokens/robot2-x", "", nil})
	const hub = `{"in":"nomad","path":"cotrain/hub","field":"a","env":"A"}`
	for range 2 {
		out = append(out, probe{"POST /api/v1/secrets", "/api/v1/secrets", `{"name":"A",` + hub[1:], nil})
	}
	for range 2 { // the second time over an older revision
		out = append(out, probe{"PUT /api/v1/causes/rules", "/api/v1/causes/rules", `{"text":"","revision":0}`, nil})
	}
	out = append(out, probe{"POST /api/v1/causes/rules/try", "/api/v1/causes/rules/try", `{"text":""}`, nil})
	out = append(out, probe{"POST /api/v1/secrets", "/api/v1/secrets", `{"name":"B","in":"nomad","path":"` + runtest.Refused + `"}`, nil})
	for _, of := range []string{"A", "NOPE"} {
		out = append(out, probe{"GET /api/v1/secrets/{name}", "/api/v1/secrets/" + of, "", nil}, probe{"PUT /api/v1/secrets/{name}", "/api/v1/secrets/" + of, hub, nil},
			probe{"PUT /api/v1/secrets/{name}/value", "/api/v1/secrets/" + of + "/value", `{"value":"x"}`, nil})
	}
	out = append(out, probe{"PUT /api/v1/secrets/{name}/value", "/api/v1/secrets/B/value", `{"value":"x"}`, nil})
	for _, of := range []string{"A", "NOPE"} {
		out = append(out, probe{"DELETE /api/v1/secrets/{name}", "/api/v1/secrets/" + of, "", nil})
	}
	for _, of := range []string{"default", "nope"} {
		for op, rest := range map[string]string{"GET /api/v1/projects/{project}": "", "GET /api/v1/projects/{project}/members": "/members", "DELETE /api/v1/projects/{project}": ""} {
			out = append(out, probe{op, "/api/v1/projects/" + of + rest, "", nil})
		}
	}
	out = append(out, probe{"PATCH /api/v1/projects/{project}", "/api/v1/projects/nope", `{"description":"x"}`, nil}, probe{"DELETE /api/v1/projects/{project}", "/api/v1/projects/vision", "", nil})
	for _, name := range []string{"ann", "robot2", "nobody"} {
		add("GET /api/v1/users/{name}", name, "")
		for op, rest := range map[string]string{"POST /api/v1/users/{name}/password": "/password", "DELETE /api/v1/users/{name}/sessions": "/sessions", "DELETE /api/v1/users/{name}/factor": "/factor", "GET /api/v1/users/{name}/identities": "/identities"} {
			out = append(out, probe{op, "/api/v1/users/" + name + rest, "", nil})
		}
		add("GET /api/v1/users/{name}/tokens", name, "")
		add("DELETE /api/v1/users/{name}", name, "")
	}
	add("GET /api/v1/users", "", "")
	add("GET /api/v1/projects", "", "")
	add("GET /api/v1/storage", "", "")
	add("POST /api/v1/storage/layout", "", "")
	add("GET /api/v1/storage/complete", "", "?prefix=mod")
	for query, op := range map[string]string{"?path=models": "GET /api/v1/storage/list", "?path=models/temp": "GET /api/v1/storage/usage"} {
		add(op, "", query)
	}
	for _, query := range []string{"?path=nope/x", "?path=models/temp/a/x", "?path=models/temp/a", "?path=models", "?path=models/temp/d"} {
		for _, op := range []string{"GET /api/v1/storage/list", "GET /api/v1/storage/usage", "GET /api/v1/storage/file"} {
			add(op, "", query)
		}
	}
	add("GET /api/v1/storage/file", "", "?path=models/temp/a", "Range", "bytes=1-2")
	add("GET /api/v1/storage/file", "", "?path=models/temp/a", "Range", "bytes=50-60")
	add("GET /api/v1/storage/file", "", "?path=models/temp/a", "If-None-Match", "*")
	for _, query := range []string{"?path=nope/x", "?path=models", "?path=models/temp/a"} {
		add("DELETE /api/v1/storage/file", "", query)
	}
	return out
}

// everywhere is the probes that any operation gets.
func everywhere(op string, takesBody bool) (out []probe) {
	method, path, _ := strings.Cut(op, " ")
	path = strings.NewReplacer("{id}", "nope", "{name}", "nope").Replace(path)
	out = append(out, probe{op, path + "?nope=1", "", nil})
	if takesBody {
		for _, body := range []string{"{", `{"nope":1}`, `{"text":5}`} {
			out = append(out, probe{op, path, body, nil})
		}
		out = append(out, probe{op, path, "", []string{"Content-Type", "application/json"}}, probe{op, path, `{"text":"` + strings.Repeat("x", 600<<10) + `"}`, nil})
	} else {
		out = append(out, probe{op, path, "", nil})
	}
	if method != http.MethodGet {
		out = append(out, probe{op, path, "x", []string{"Content-Type", "text/plain"}}, probe{op, path, "", []string{"Sec-Fetch-Site", "cross-site"}})
	}
	return out
}

func TestTheDocumentDeclaresWhatIsAnswered(t *testing.T) {
	t.Parallel()
	f, dir := shelved(t)
	doc := get[document](f, "/api/v1/openapi.json")
	all := probes(f, dir)
	declared := map[string]map[string][]string{} // media types by status, of each operation
	for path, operations := range doc.Paths {
		for method, op := range operations {
			key := strings.ToUpper(method) + " " + path
			declared[key] = map[string][]string{}
			for status, r := range op.Responses {
				declared[key][status] = slices.Sorted(maps.Keys(r.Content))
			}
			all = append(everywhere(key, op.RequestBody != nil), all...)
		}
	}
	answered := map[string]bool{}
	for _, p := range all {
		method, _, _ := strings.Cut(p.op, " ")
		w := f.do(method, p.path, p.body, p.headers...)
		status := fmt.Sprint(w.Code)
		answered[p.op+" "+status] = true
		types, ok := declared[p.op][status]
		if !ok {
			t.Errorf("%s answers %s to %s %.60s, which the document does not have among %v", p.op, status, p.path, p.body, slices.Sorted(maps.Keys(declared[p.op])))
			continue
		}
		media, _, _ := mime.ParseMediaType(w.Header().Get("Content-Type"))
		if w.Body.Len() == 0 && len(types) == 0 {
			continue
		}
		if !slices.Equal(types, []string{media}) {
			t.Errorf("%s answers %s with %q, and the document has %v", p.op, status, media, types)
		}
	}
	for _, refusal := range []error{fault.ErrSignedOut, fault.ErrForbidden} {
		f.Refuse(refusal)
		for op := range declared {
			method, path, _ := strings.Cut(op, " ")
			answered[op+" "+fmt.Sprint(f.do(method, path, "").Code)] = true
		}
	}
	const following = "GET /api/v1/stream"
	f.Refuse(fault.ErrNotFound)
	answered[following+" "+fmt.Sprint(f.do("GET", "/api/v1/stream?topics=runs", "").Code)] = true
	f.Refuse(nil)
	answered[following+" "+fmt.Sprint(f.glance("/api/v1/stream?topics=runs").Code)] = true
	off := newFixture(t) // shared storage
	for op := range declared {
		if method, path, _ := strings.Cut(op, " "); strings.HasPrefix(path, "/api/v1/storage") {
			answered[op+" "+fmt.Sprint(off.do(method, path, "").Code)] = true
		}
	}
	for op, statuses := range declared {
		for status := range statuses {
			slow := status == "408" || status[0] == '5' || status == "default"
			if !slow && !answered[op+" "+status] {
				t.Errorf("%s is to answer %s, and nothing got that", op, status)
			}
		}
	}
}
