package localnomad

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"strings"
	"testing"

	"github.com/hashicorp/nomad/api"
)

func TestDispatchRefusesWhatNomadRefusesWithItsTexts(t *testing.T) {
	t.Parallel()
	a := startAgent(t, nil)
	required := parameterized("required", "true", 0)
	required.ParameterizedJob.Payload = "required"
	forbidden := parameterized("forbidden", "true", 0)
	forbidden.ParameterizedJob.Payload = "forbidden"
	a.register(required)
	a.register(forbidden)
	a.register(sleeper("plain", 0, nil))
	a.register(parameterized("stopped", "true", 0))
	if _, _, err := a.client.Jobs().Deregister("stopped", false, nil); err != nil {
		t.Fatal(err)
	}
	body := func(n int, meta string) string {
		return fmt.Sprintf(`{"Payload":%q,"Meta":{%s}}`, base64.StdEncoding.EncodeToString(make([]byte, n)), meta)
	}
	const run = `"run_id":"r"`
	for _, c := range []struct {
		job, body, want string
		code            int
	}{
		{"none", "{}", "parameterized job not found", 500},
		{"plain", "{}", `Specified job "plain" is not a parameterized job`, 500},
		{"stopped", body(0, run), `Specified job "stopped" is stopped`, 500},
		{"required", body(0, run), "Payload is not provided but required by parameterized job", 500},
		{"forbidden", body(1, run), "Payload provided but forbidden by parameterized job", 500},
		{"required", body(16385, run), "Payload exceeds maximum size; 16385 > 16384", 500},
		{"required", body(1, ""), "Dispatch did not provide required meta keys: [run_id]", 500},
		{"required", body(1, run+`,"zap":"1"`), "Dispatch request included unpermitted metadata keys: [zap]", 500},
		{"required", `{"JobID":"other"}`, "Job ID does not match", 400},
		{"required", `{"Payload":"!"}`, "illegal base64 data at input byte 0", 400},
		{"required", `{"Priority":1000,"Payload":"YQ==","Meta":{` + run + `}}`, "dispatch job priority must be between [1, 100]", 500},
		{"required", "", "Request body is empty", 400},
	} {
		if text, code := a.do("PUT", "/v1/job/"+c.job+"/dispatch", c.body); code != c.code || text != c.want {
			t.Errorf("%s %.40s: %d %q, want %d %q", c.job, c.body, code, text, c.code, c.want)
		}
	}
	if text, code := a.do("PUT", "/v1/job/required/dispatch", body(16384, run)); code != 200 {
		t.Errorf("a payload of exactly the limit: %d %s", code, text)
	}
}

func TestADispatchWithTheSameTokenGivesTheSameChild(t *testing.T) {
	t.Parallel()
	a := startAgent(t, nil)
	a.register(parameterized("site/train", "cat ../../../nothing 2>/dev/null; true", 1))
	text, code := a.do("POST", "/v1/job/site%2Ftrain/dispatch?idempotency_token=r/1", `{"Payload":"aGk=","Meta":{"run_id":"r"},"IdPrefixTemplate":"p"}`)
	var first, second api.JobDispatchResponse
	if err := json.Unmarshal([]byte(text), &first); err != nil || code != 200 || first.EvalID == "" || !strings.HasPrefix(first.DispatchedJobID, "site/train/dispatch-p-") {
		t.Fatalf("%d %s %v", code, text, err)
	}
	text, code = a.do("PUT", "/v1/job/site%2Ftrain/dispatch?idempotency_token=r/1", `{"Meta":{"run_id":"r"}}`)
	if err := json.Unmarshal([]byte(text), &second); err != nil || code != 200 || second.DispatchedJobID != first.DispatchedJobID || second.EvalID != "" {
		t.Errorf("%d %s %v", code, text, err)
	}
	child, _, err := a.client.Jobs().Info(first.DispatchedJobID, nil)
	if err != nil || string(child.Payload) != "hi" || *child.ParentID != "site/train" || !child.Dispatched || child.Meta["run_id"] != "r" || *child.Name != *child.ID {
		t.Errorf("child is %+v, %v", child, err)
	}
	a.waitAllocs(first.DispatchedJobID, clientComplete, 1)
	sum, _, err := a.client.Jobs().Summary("site/train", nil)
	if err != nil || sum.Children.Dead+sum.Children.Running != 1 {
		t.Errorf("summary %+v, %v", sum.Children, err)
	}
	if _, _, err := a.client.Jobs().Deregister(first.DispatchedJobID, true, nil); err != nil {
		t.Fatal(err)
	}
	if third := a.dispatch("site%2Ftrain", "r/1"); third == first.DispatchedJobID {
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
	service := parameterized("p", "true", 1)
	service.ParameterizedJob, service.Type = nil, new("service")
	if _, _, err := a.client.Jobs().Register(service, nil); err == nil || !strings.Contains(err.Error(), `cannot update job from type "batch" to "service"`) {
		t.Error(err)
	}
	versions, _, _, err := a.client.Jobs().Versions("p", false, nil)
	if err != nil || len(versions) == 0 || *versions[0].Version != 1 {
		t.Errorf("versions %v, %v", len(versions), err)
	}
}

func TestJobsThatCannotRunAreRefusedWithEveryReason(t *testing.T) {
	t.Parallel()
	a := startAgent(t, nil)
	for name, c := range map[string]struct {
		change func(*api.Job)
		want   []string
	}{
		"id":     {func(j *api.Job) { j.ID = new("a b") }, []string{"Job ID contains a space"}},
		"type":   {func(j *api.Job) { j.Type = new("zap") }, []string{`Invalid job type: "zap"`}},
		"system": {func(j *api.Job) { j.Type = new("system") }, []string{"not supported by the embedded agent"}},
		"groups": {func(j *api.Job) { j.TaskGroups, j.Priority = nil, new(1000) }, []string{"2 errors occurred", "Missing job task groups", "job priority must be between [1, 100]"}},
		"driver": {func(j *api.Job) { j.TaskGroups[0].Tasks[0].Driver = "" }, []string{"Missing task driver"}},
		"name":   {func(j *api.Job) { j.TaskGroups[0].Tasks[0].Name = "a/b" }, []string{"Task name cannot include slashes"}},
		"dots":   {func(j *api.Job) { j.TaskGroups[0].Tasks[0].Name = ".." }, []string{"Task name cannot be"}},
		"count":  {func(j *api.Job) { j.TaskGroups[0].Count = new(-1) }, []string{"count can't be negative"}},
		"counts": {func(j *api.Job) { j.TaskGroups[0].Count = new(math.MaxInt) }, []string{"total count was greater than configured job_max_count"}},
		"memory": {func(j *api.Job) { j.TaskGroups[0].Tasks[0].Resources.MemoryMB = new(1) }, []string{"minimum MemoryMB value is 10; got 1"}},
		"payload": {func(j *api.Job) {
			j.TaskGroups[0].Tasks[0].DispatchPayload = &api.DispatchPayloadConfig{File: "../../x"}
		}, []string{"destination escapes"}},
		"template": {func(j *api.Job) {
			j.TaskGroups[0].Tasks[0].Templates = []*api.Template{{EmbeddedTmpl: new("x"), DestPath: new("../../../x"), ChangeMode: new("zap")}}
		}, []string{"destination escapes allocation directory", "Invalid change mode"}},
		"service":   {func(j *api.Job) { j.TaskGroups[0].Services = []*api.Service{{Name: "bad name", Provider: "nomad"}} }, []string{"Service[0] bad name validation failed"}},
		"namespace": {func(j *api.Job) { j.Namespace = new("zap") }, []string{`is in nonexistent namespace "zap"`}},
		"pool":      {func(j *api.Job) { j.NodePool = new("zap") }, []string{`is in nonexistent node pool "zap"`}},
		"ports": {func(j *api.Job) {
			j.TaskGroups[0].Networks = []*api.NetworkResource{{DynamicPorts: []api.Port{{Label: "a"}, {Label: "a"}}}}
		}, []string{"Port label a already in use"}},
		"meta": {func(j *api.Job) {
			j.ParameterizedJob = &api.ParameterizedJobConfig{Payload: "zap", MetaRequired: []string{"a"}, MetaOptional: []string{"a"}}
		}, []string{"Unknown payload requirement", "disjoint"}},
		"leaders": {func(j *api.Job) {
			t := *j.TaskGroups[0].Tasks[0]
			t.Name = "u"
			t.Leader = true
			j.TaskGroups[0].Tasks[0].Leader = true
			j.TaskGroups[0].Tasks = append(j.TaskGroups[0].Tasks, &t)
		}, []string{"Only one task may be marked as leader"}},
	} {
		job := shellJob("bad", "true", 1)
		c.change(job)
		_, _, err := a.client.Jobs().Register(job, nil)
		if err == nil {
			t.Errorf("%s: was accepted", name)
			continue
		}
		for _, want := range c.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %q is not in %v", name, want, err)
			}
		}
	}
}

func TestBodiesAndPathsFromStrangersDoNoHarm(t *testing.T) {
	t.Parallel()
	a := startAgent(t, nil)
	for _, c := range []struct {
		method, path, body string
		code               int
	}{
		{"PUT", "/v1/jobs", strings.Repeat(" ", maxJobBody+1), 400}, {"PUT", "/v1/jobs", `{"Job":{"ID":`, 400}, {"PUT", "/v1/jobs", `{"Job":null}`, 400},
		{"PUT", "/v1/jobs", `{"Job":{"ID":"x","TaskGroups":[null]}}`, 400}, {"PUT", "/v1/jobs", `{"Job":{"ID":"x","TaskGroups":[{"Tasks":[null]}]}}`, 400},
		{"PUT", "/v1/jobs", `{"Job":{"ID":"x","Constraints":[null]}}`, 400}, {"PATCH", "/v1/jobs", "", 405}, {"GET", "/v1/zap", "", 404}, {"GET", "/", "", 404},
		{"GET", "/v1/job/../../etc", "", 404}, {"GET", "/v1/job//x", "", 404}, {"GET", "/v1/allocation/a/b/c", "", 404}, {"DELETE", "/v1/job/none", "", 200},
		{"GET", "/v1/node/00000000-0000-0000-0000-000000000000", "", 404}, {"GET", "/v1/evaluation/00000000-0000-0000-0000-000000000000", "", 404},
		{"GET", "/v1/client/stats?node_id=00000000-0000-0000-0000-000000000000", "", 404}, {"GET", "/v1/event/stream?topic=a:b:c", "", 400},
		{"PUT", "/v1/var/x", `{"Items":{}}`, 400}, {"GET", "/v1/var/none", "", 404}, {"GET", "/v1/namespace/zap", "", 404},
	} {
		if text, code := a.do(c.method, c.path, c.body); code != c.code {
			t.Errorf("%s %s: %d %.200s, want %d", c.method, c.path, code, text, c.code)
		}
	}
	for _, path := range []string{
		"/v1/agent/self", "/v1/agent/health", "/v1/status/leader", "/v1/status/peers", "/v1/regions", "/v1/namespaces", "/v1/namespace/default",
		"/v1/services", "/v1/vars", "/v1/client/stats", "/v1/nodes?resources=true&os=true", "/v1/allocations", "/v1/evaluations",
	} {
		if text, code := a.get(path); code != http.StatusOK || !json.Valid([]byte(text)) {
			t.Errorf("%s: %d %.200s", path, code, text)
		}
	}
}

func TestAJobThatWasPurgedStartsAfresh(t *testing.T) {
	t.Parallel()
	a := startAgent(t, nil)
	a.register(shellJob("again", "echo first", 1))
	old := a.waitAllocs("again", clientComplete, 1)[0]
	if _, _, err := a.client.Jobs().Deregister("again", true, nil); err != nil {
		t.Fatal(err)
	}
	a.register(shellJob("again", "echo second", 1))
	until(t, "the second job to run", func() bool {
		al, _, err := a.client.Jobs().Allocations("again", false, nil)
		if err != nil {
			t.Fatal(err)
		}
		return len(al) == 1 && al[0].ID != old.ID && al[0].ClientStatus == clientComplete && a.logs(al[0].ID, "main", "stdout") == "second\n"
	})
	sum, _, err := a.client.Jobs().Summary("again", nil)
	if err != nil || sum.Summary["workers"].Complete != 1 {
		t.Errorf("%+v %v", sum, err)
	}
	if err := a.s.st.log.compact(a.s.st); err != nil {
		t.Fatal(err)
	}
	a.stop()
	a.start()
	if n := len(a.allocs("again")); n != 2 {
		t.Errorf("with those of the first job there are %d allocations", n)
	}
	al, _, err := a.client.Allocations().Info(old.ID, nil)
	if err != nil || fmt.Sprint(al.Job.TaskGroups[0].Tasks[0].Config["args"]) != "[-c echo first]" {
		t.Errorf("the old allocation's job is %v, %v", al.Job.TaskGroups[0].Tasks[0].Config, err)
	}
}

func TestAPlanSaysWhetherAJobFitsAndChangesNothing(t *testing.T) {
	t.Parallel()
	a := startAgent(t, nil)
	fits, _, err := a.client.Jobs().Plan(sleeper("p", 1, nil), false, nil)
	if err != nil || len(fits.FailedTGAllocs) != 0 {
		t.Errorf("%+v %v", fits, err)
	}
	big, _, err := a.client.Jobs().Plan(sleeper("p", 1, func(_ *api.TaskGroup, task *api.Task) { task.Resources.MemoryMB = new(99999) }), false, nil)
	if err != nil || big.FailedTGAllocs["workers"] == nil {
		t.Errorf("%+v %v", big, err)
	}
	if _, code := a.get("/v1/job/p"); code != 404 {
		t.Errorf("the plan made the job: %d", code)
	}
}

func TestNodesCanBeMadeIneligible(t *testing.T) {
	t.Parallel()
	a := startAgent(t, func(o *Options) { o.Nodes = 1 })
	nodes, _, err := a.client.Nodes().List(&api.QueryOptions{Params: map[string]string{"resources": "true"}})
	if err != nil || len(nodes) != 1 {
		t.Fatal(err)
	}
	d := nodes[0].NodeResources.Devices[0]
	if d.Vendor != "sim" || d.Name != DefaultGPUModel || len(d.Instances) != DefaultGPUsPerNode || !*d.Attributes["simulated"].BoolVal {
		t.Errorf("device %+v", d)
	}
	full, _, err := a.client.Nodes().Info(nodes[0].ID, nil)
	if err != nil || full.Attributes[simAttr] != "true" || full.Meta[simAttr] != "true" {
		t.Errorf("%+v %v", full, err)
	}
	if _, err := a.client.Nodes().ToggleEligibility(nodes[0].ID, false, nil); err != nil {
		t.Fatal(err)
	}
	a.register(sleeper("waits", 1, nil))
	if m := a.failedAlloc("waits"); m.NodesEvaluated != 0 {
		t.Errorf("%+v", m)
	}
	if _, err := a.client.Nodes().ToggleEligibility(nodes[0].ID, true, nil); err != nil {
		t.Fatal(err)
	}
	a.waitAllocs("waits", clientRunning, 1)
}

func TestTheAnswerOfNvidiaSmiBecomesDevicesAndStats(t *testing.T) {
	t.Parallel()
	gpus, err := parseGPUs([]byte("GPU-1, NVIDIA A100-SXM4-80GB, 00000000:07:00.0, 535.1, 81920\nGPU-2, NVIDIA A100-SXM4-80GB, 00000000:0F:00.0, 535.1, 81920\n"))
	if err != nil {
		t.Fatal(err)
	}
	groups := groupGPUs(gpus)
	if len(groups) != 1 || groups[0].Name != "NVIDIA A100-SXM4-80GB" || len(groups[0].Instances) != 2 || groups[0].Instances[1].Locality.PciBusID != "00000000:0F:00.0" {
		t.Errorf("%+v", groups)
	}
	if a, b := shareOf(gpus, 0, 2), shareOf(gpus, 1, 2); len(a) != 1 || len(b) != 1 || a[0].uuid == b[0].uuid {
		t.Errorf("shares %v %v", a, b)
	}
	if _, err := parseGPUs([]byte("GPU-1, A, B, C, lots\n")); err == nil {
		t.Error("memory that is no number was accepted")
	}
}

// BenchmarkDispatch measures the raw dispatch of a child with three workers
// whose processes are not started: the shape asks for a GPU that is not there.
func BenchmarkDispatch(b *testing.B) {
	s, err := New(Options{DataDir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	if err := s.Start(b.Context()); err != nil {
		b.Fatal(err)
	}
	h := &http.Client{Transport: &http.Transport{DialContext: s.DialContext}}
	c, err := api.NewClient(&api.Config{Address: "http://local", HttpClient: h})
	if err != nil {
		b.Fatal(err)
	}
	job := parameterized("bench", strings.Repeat("# a script\n", 1000), 3)
	job.TaskGroups[0].Tasks[0].Resources.Devices = []*api.RequestedDevice{{Name: "nvidia/gpu", Count: new(uint64(1))}}
	if _, _, err := c.Jobs().Register(job, nil); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := c.Jobs().Dispatch("bench", map[string]string{"run_id": "r"}, make([]byte, 4096), "", nil); err != nil {
			b.Fatal(err)
		}
	}
	b.StopTimer()
	h.CloseIdleConnections()
	if err := s.Stop(b.Context()); err != nil {
		b.Fatal(err)
	}
}
