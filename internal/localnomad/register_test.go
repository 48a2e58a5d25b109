package localnomad

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/nomad/api"
)

// The conformance suite has the refusals that the console may meet.
func TestDispatchRefusesWhatNomadRefusesWithItsTexts(t *testing.T) {
	t.Parallel()
	a := startAgent(t, nil)
	forbidden := parameterized("forbidden", "true", 0)
	forbidden.ParameterizedJob.Payload = "forbidden"
	a.register(forbidden)
	for _, c := range []struct {
		job, body, want string
		code            int
	}{
		{"forbidden", `{"Payload":"YQ==","Meta":{"run_id":"r"}}`, "Payload provided but forbidden by parameterized job", 500},
		{"forbidden", `{"JobID":"other"}`, "Job ID does not match", 400},
		{"forbidden", `{"Payload":"!"}`, "illegal base64 data at input byte 0", 400},
		{"forbidden", `{"Priority":1000,"Meta":{"run_id":"r"}}`, "dispatch job priority must be between [1, 100]", 500},
		{"forbidden", "", "Request body is empty", 400},
	} {
		if text, code := a.do("PUT", "/v1/job/"+c.job+"/dispatch", c.body); code != c.code || text != c.want {
			t.Errorf("%s %.40s: %d %q, want %d %q", c.job, c.body, code, text, c.code, c.want)
		}
	}
}

// The conformance suite has what a token is for.
func TestADispatchOfAJobWithASlashAndATokenThatEndsWithItsChild(t *testing.T) {
	t.Parallel()
	a := startAgent(t, nil)
	a.register(parameterized("site/train", "true", 1))
	text, code := a.do("POST", "/v1/job/site%2Ftrain/dispatch?idempotency_token=r/1", `{"Payload":"aGk=","Meta":{"run_id":"r"},"IdPrefixTemplate":"p"}`)
	var first api.JobDispatchResponse
	if err := json.Unmarshal([]byte(text), &first); err != nil || code != 200 || !strings.HasPrefix(first.DispatchedJobID, "site/train/dispatch-p-") {
		t.Fatalf("%d %s %v", code, text, err)
	}
	child, _, err := a.client.Jobs().Info(first.DispatchedJobID, nil)
	if err != nil || string(child.Payload) != "hi" || *child.ParentID != "site/train" || *child.Name != *child.ID {
		t.Errorf("child is %+v, %v", child, err)
	}
	a.waitAllocs(first.DispatchedJobID, api.AllocClientStatusComplete, 1)
	if _, _, err := a.client.Jobs().Deregister(first.DispatchedJobID, true, nil); err != nil {
		t.Fatal(err)
	}
	if second := a.dispatch("site%2Ftrain", "r/1"); second == first.DispatchedJobID {
		t.Error("the token outlived its child")
	}
}

func TestRegisterChecksTheIndexAndTheNatureOfAJob(t *testing.T) {
	t.Parallel()
	a := startAgent(t, nil)
	index := a.register(parameterized("p", "true", 1)).JobModifyIndex
	for want, opts := range map[string]*api.RegisterOptions{
		"Enforcing job modify index 0: job already exists":                                                    {EnforceIndex: true},
		"Enforcing job modify index 9999: job exists with conflicting job modify index: " + fmt.Sprint(index): {EnforceIndex: true, ModifyIndex: 9999},
	} {
		_, _, err := a.client.Jobs().RegisterOpts(parameterized("p", "false", 1), opts, nil)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v", opts, err)
		}
	}
	if _, _, err := a.client.Jobs().RegisterOpts(parameterized("p", "false", 1), &api.RegisterOptions{EnforceIndex: true, ModifyIndex: index}, nil); err != nil {
		t.Error(err)
	}
	if _, _, err := a.client.Jobs().RegisterOpts(parameterized("new", "x", 1), &api.RegisterOptions{EnforceIndex: true, ModifyIndex: 5}, nil); err == nil {
		t.Error("an index of a job that does not exist was accepted")
	}
	if _, _, err := a.client.Jobs().Register(shellJob("p", "true", 1), nil); err == nil || !strings.Contains(err.Error(), "cannot update parameterized job to being non-parameterized") {
		t.Error(err)
	}
}

func TestRegisteringListsWhatHasNoEffect(t *testing.T) {
	t.Parallel()
	a := startAgent(t, nil)
	job := sleeper("warned", 0, nil)
	job.Update = &api.UpdateStrategy{MaxParallel: new(1)}
	if got, want := a.register(job).Warnings, "1 warning(s):\n\n* update has no effect on the embedded agent"; got != want {
		t.Errorf("warnings are %q, want %q", got, want)
	}
	if got := a.register(sleeper("plain", 0, nil)).Warnings; got != "" {
		t.Errorf("a plain job is warned of: %q", got)
	}
}

func TestBodiesAndPathsFromStrangersDoNoHarm(t *testing.T) {
	t.Parallel()
	a := startAgent(t, nil)
	for _, c := range []struct {
		method, path, body string
		code               int
	}{
		{"PUT", "/v1/jobs", strings.Repeat(" ", 8<<20+1), 400}, {"PUT", "/v1/jobs", `{"Job":{"ID":`, 400}, {"PUT", "/v1/jobs", `{"Job":null}`, 400},
		{"PUT", "/v1/jobs", `{"Job":{"ID":"x","TaskGroups":[null]}}`, 400}, {"PUT", "/v1/jobs", `{"Job":{"ID":"x","TaskGroups":[{"Tasks":[null]}]}}`, 400},
		{"PUT", "/v1/jobs", `{"Job":{"ID":"x","Constraints":[null]}}`, 400}, {"PATCH", "/v1/jobs", "", 405}, {"GET", "/v1/zap", "", 404}, {"GET", "/", "", 404},
		{"GET", "/v1/job/../../etc", "", 404}, {"GET", "/v1/job//x", "", 404}, {"GET", "/v1/allocation/a/b/c", "", 404}, {"DELETE", "/v1/job/none", "", 200},
		{"GET", "/v1/evaluation/00000000-0000-0000-0000-000000000000", "", 404}, {"GET", "/v1/client/stats?node_id=none", "", 404},
		{"GET", "/v1/event/stream?topic=a:b:c", "", 400}, {"PUT", "/v1/var/x", `{"Items":{}}`, 400}, {"GET", "/v1/var/none", "", 404}, {"PUT", "/v1/var/x?cas=y", `{"Items":{"a":"b"}}`, 400}, {"PUT", "/v1/var/x?cas=7", `{"Items":{"a":"b"}}`, 409},
		{"PUT", "/v1/client/allocation/none/restart", "{}", 404}, {"PUT", "/v1/allocation/none/stop", "", 404},
	} {
		if text, code := a.do(c.method, c.path, c.body); code != c.code {
			t.Errorf("%s %s: %d %.200s, want %d", c.method, c.path, code, text, c.code)
		}
	}
	for _, path := range []string{"/v1/agent/self", "/v1/status/leader", "/v1/nodes?resources=true", "/v1/allocations"} {
		if text, code := a.get(path); code != http.StatusOK || !json.Valid([]byte(text)) {
			t.Errorf("%s: %d %.200s", path, code, text)
		}
	}
}

func TestAJobThatWasPurgedStartsAfresh(t *testing.T) {
	t.Parallel()
	a := startAgent(t, nil)
	a.register(shellJob("again", "echo first", 1))
	old := a.waitAllocs("again", api.AllocClientStatusComplete, 1)[0]
	if _, _, err := a.client.Jobs().Deregister("again", true, nil); err != nil {
		t.Fatal(err)
	}
	a.register(shellJob("again", "echo second", 1))
	until(t, "the second job to run", func() bool {
		return slices.ContainsFunc(a.allocs("again"), func(al *api.AllocationListStub) bool {
			return al.ID != old.ID && al.ClientStatus == api.AllocClientStatusComplete && a.logs(al.ID, "main", "stdout") == "second\n"
		})
	})
	if err := a.s.store.CompactNow(); err != nil {
		t.Fatal(err)
	}
	a.stop()
	a.start()
	if n := len(a.allocs("again")); n != 2 {
		t.Errorf("with those of the first job there are %d allocations", n)
	}
	if config := a.alloc(old.ID).Job.TaskGroups[0].Tasks[0].Config; fmt.Sprint(config["args"]) != "[-c echo first]" {
		t.Errorf("the old allocation's job is %v", config)
	}
}
