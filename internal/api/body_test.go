package api_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cotrain/cotrain/internal/run"
)

// takingBodies is every operation that takes a body, with one that it accepts.
var takingBodies = []struct {
	target string // method and path
	body   string
	status int
}{
	{"POST /api/v1/runs", `{"name":"x","preset":"debug","shape":{"nodes":1},"set":{"gpus":"0"}}`, 201},
	{"POST /api/v1/runs/dry-run", `{"name":"x","preset":"debug","shape":{"nodes":1},"set":{"gpus":"0"}}`, 200},
	{"POST /api/v1/config/validate", `{"name":"x","preset":"debug","shape":{"nodes":1},"set":{"gpus":"0"}}`, 200},
	{"POST /api/v1/config/import", `{"text":"[train]"}`, 200},
	{"POST /api/v1/tokens", `{"name":"x","scopes":["read"]}`, 201},
	{"PUT /api/v1/templates/mine", `{"preset":"debug","shape":{"nodes":1},"set":{"gpus":"0"}}`, 200},
	{"POST /api/v1/sweeps", `{"name":"x","preset":"debug","shape":{"nodes":1},"set":{"gpus":"0"},"list":[{"optim.optim.lr":"1e-4"},{"optim.optim.lr":"3e-4"}]}`, 201},
	{"POST /api/v1/users", `{"name":"robot","kind":"service"}`, 201},
	{"PATCH /api/v1/users/mine", `{"disabled":false}`, 404},
	{"POST /api/v1/users/mine/tokens", `{"name":"x","scopes":["read"]}`, 404},
	{"POST /api/v1/users/mine/identities", `{"subject":"x"}`, 404},
	{"POST /api/v1/projects", `{"name":"vision"}`, 201},
	{"PATCH /api/v1/projects/default", `{"description":"x"}`, 200},
	{"PUT /api/v1/projects/default/members/ann", `{"role":"viewer"}`, 404},
	{"POST /api/v1/secrets", `{"name":"mine","in":"nomad","path":"cotrain/mine"}`, 201},
	{"PUT /api/v1/secrets/mine", `{"in":"vault","path":"secret/mine"}`, 200},
	{"PUT /api/v1/secrets/mine/value", `{"value":"x"}`, 200},
	{"PUT /api/v1/causes/rules", `{"text":"","revision":0}`, 200},
	{"POST /api/v1/causes/rules/try", `{"text":""}`, 200},
	{"POST /api/v1/cluster/measurements", `{"site":"ams"}`, 202},
	{"POST /api/v1/device", `{"name":"x","scopes":["read"]}`, 200},
	{"POST /api/v1/device/token", `{"device_code":"device-secret"}`, 200},
	{"PATCH /api/v1/runs/r-0000000000", `{"tag":["x"]}`, 404},
	{"POST /api/v1/runs/bulk/edit", `{"runs":["r-0000000000"],"edit":{"note":"x"}}`, 200},
	{"POST /api/v1/runs/bulk/pause", `{"runs":["r-0000000000"],"when":"now"}`, 200},
	{"POST /api/v1/runs/bulk/resume", `{"runs":["r-0000000000"]}`, 200},
	{"POST /api/v1/runs/bulk/stop", `{"runs":["r-0000000000"]}`, 200},
	{"POST /api/v1/runs/bulk/delete", `{"runs":["r-0000000000"]}`, 200},
}

func TestNoBodyHasAKeyTwiceOrInAnotherCase(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for _, tt := range takingBodies {
		method, path, _ := strings.Cut(tt.target, " ")
		if w := f.do(method, path, tt.body); w.Code != tt.status {
			t.Errorf("%s: status %d: %s", tt.target, w.Code, w.Body)
		}
		for _, change := range []struct{ from, to, field, rule string }{
			{`{"name":`, `{"name":"y","name":`, "name", "is given twice"},
			{`"shape":{`, `"shape":{"nodes":2,`, "shape.nodes", "is given twice"},
			{`"set":{`, `"set":{"gpus":"1",`, "set.gpus", "is given twice"},
			{`{"text":`, `{"text":"a","text":`, "text", "is given twice"},
			{`{"optim.optim.lr":"3e-4"}`, `{"optim.optim.lr":"1","optim.optim.lr":"3e-4"}`, "list[1].optim.optim.lr", "is given twice"},
			{`{"name":`, `{"Name":`, "Name", "is not a field"},
			{`"nodes":`, `"NODES":`, "shape.NODES", "is not a field"},
			{`"set":`, `"SET":{},"set":`, "SET", "is not a field"},
			{`{"text":`, `{"Text":"a","text":`, "Text", "is not a field"},
			{`"list":[`, `"List":[],"list":[`, "List", "is not a field"},
		} {
			bad := strings.Replace(tt.body, change.from, change.to, 1)
			if bad == tt.body {
				continue
			}
			p := f.problem(f.do(method, path, bad), 422)
			found := false
			for _, e := range p.Errors {
				found = found || e.Field == change.field && e.Rule == change.rule && e.Location == "body" && e.Fix != ""
			}
			if !found {
				t.Errorf("%s %s: %+v", tt.target, bad, p)
			}
		}
	}
	// The names in env are the person's, and a shell tells a from A.
	body := `{"name":"x","options":{"env":{"a":"1","A":"2"}}}`
	if got := f.submit(body); got.Options.Env["a"] != "1" || got.Options.Env["A"] != "2" {
		t.Errorf("%+v", got.Options)
	}
}

func TestEveryOperationWithABodyIsTriedWithOne(t *testing.T) {
	t.Parallel()
	doc := get[document](newFixture(t), "/api/v1/openapi.json")
	var take, tried []string
	for path, operations := range doc.Paths {
		for method, op := range operations {
			if op.RequestBody != nil {
				take = append(take, strings.ToUpper(method)+" "+strings.NewReplacer("{name}", "mine", "{project}", "default", "{user}", "ann", "{id}", "r-0000000000").Replace(path))
			}
		}
	}
	for _, tt := range takingBodies {
		tried = append(tried, tt.target)
	}
	slices.Sort(take)
	slices.Sort(tried)
	if d := cmp.Diff(take, tried); d != "" {
		t.Errorf("operations that take a body, and those tried with one (-take +tried):\n%s", d)
	}
}

func TestAValueOfTheWrongKindIsToldByItsFieldWithWhatWouldPass(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for _, tt := range []struct{ body, field, value, rule, fix string }{
		{`"shape":{"nodes":1e2}`, "shape.nodes", "1e2", "must be a whole number from 1 to 1024, written without an exponent or a point", "use 100"},
		{`"shape":{"gpus":99999999999999999999}`, "shape.gpus", "99999999999999999999", "must be a whole number from 0 to 64", "use 64"},
		{`"shape":{"nodes":1.5}`, "shape.nodes", "1.5", "must be a whole number from 1 to 1024", "use 2"},
		{`"shape":{"nodes":"2"}`, "shape.nodes", "2", "must be a whole number from 1 to 1024, not text", "use 2"},
		{`"shape":{"nodes":true}`, "shape.nodes", "true", "must be a whole number from 1 to 1024", "use 1"},
		{`"shape":5`, "shape", "5", "must be an object", "see /api/v1/openapi.json"},
		{`"options":{"max_duration":true}`, "options.max_duration", "true", "must be a duration from 1m to 365d, such as 2h30m, or whole seconds", "use 12h"},
		{`"options":{"max_duration":1.5}`, "options.max_duration", "1.5", "must be a duration from 1m to 365d, such as 2h30m, or whole seconds", "use 12h"},
		{`"options":{"max_duration_seconds":9999999999999999999}`, "options.max_duration_seconds", "9999999999999999999", "must be a whole number", "write it with digits alone"},
		{`"options":{"tags":"a"}`, "options.tags", "a", "must be a list", "see /api/v1/openapi.json"},
		{`"options":{"env":{"A":1}}`, "options.env.A", "1", "must be text", "write it in quotes"},
		{`"set":{"nodes":2}`, "set.nodes", "2", "must be text", "write it in quotes"},
		{`"set":{"optim.batch_size":2,"optim.optim.lr":"1e-4"}`, "set.optim.batch_size", "2", "must be text", "write it in quotes"},
		{`"set":{"optim.optim.lr":"1e-4"},"nope":1`, "nope", "1", "is not a field", "remove it, or correct its name"},
		{`"nope":1`, "nope", "1", "is not a field", "remove it, or correct its name"},
		{`"options":{"retriez":{"cuda_oom":2}}`, "options.retriez", `{"cuda_oom":2}`, "is not a field", "remove it, or correct its name"},
		{`"a.b":"c"`, "a.b", "c", "is not a field", "remove it, or correct its name"},
		{`"api_token":"hush"`, "api_token", "(hidden)", "is not a field", "remove it, or correct its name"},
		{"\"config\":\"\xff\"", "", "", "must be UTF-8 text", "encode the body as UTF-8"},
	} {
		p := f.problem(f.do("POST", "/api/v1/runs", `{"name":"x",`+tt.body+`}`), 422)
		want := fmt.Sprintf("[{body %s %s %s %s}]", tt.field, tt.value, tt.rule, tt.fix)
		if got := fmt.Sprint(p.Errors); got != want {
			t.Errorf("%s:\n%s\nwant\n%s", tt.body, got, want)
		}
	}
	long := f.problem(f.do("POST", "/api/v1/runs", `{"name":"x","set":{"run_name":"`+strings.Repeat("x", 18000)+`"}}`), 422).Errors[0]
	if long.Rule != "has 18000 bytes, and must have at most 4096" || long.Fix != "shorten it" || len(long.Value) > 200 || !strings.HasSuffix(long.Value, "x…") {
		t.Errorf("%+v", long)
	}
}

func TestAStateThatThereIsNotIsTold(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for _, target := range []string{"/api/v1/runs?state=fine", "/api/v1/runs?state=queued,fine", "/api/v1/runs?state=queued&state=fine"} {
		p := f.problem(f.do("GET", target, ""), 422)
		if len(p.Errors) != 1 || p.Errors[0].Location != "query" || p.Errors[0].Field != "state" || p.Errors[0].Value != "fine" || !strings.Contains(p.Errors[0].Fix, "queued, dispatching, ") || !strings.Contains(p.Errors[0].Fix, string(run.Stopped)) {
			t.Errorf("%s: %+v", target, p.Errors)
		}
	}
}
