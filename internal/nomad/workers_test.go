package nomad

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/hashicorp/nomad/api"

	"github.com/cotrain/cotrain/internal/run"
)

// stub is an allocation of worker 0 with these task events.
func stub(client, desired string, events ...*api.TaskEvent) *api.AllocationListStub {
	return &api.AllocationListStub{
		ID: "a", Name: "cotrain-core-x/dispatch-1.workers[0]", JobID: "cotrain-core-x/dispatch-1", TaskGroup: "workers",
		NodeID: "n", NodeName: "node", ClientStatus: client, DesiredStatus: desired,
		TaskStates: map[string]*api.TaskState{"trainer": {Events: events}},
	}
}

func terminated(code, signal, oom string) *api.TaskEvent {
	return &api.TaskEvent{Type: "Terminated", DisplayMessage: "Exit Code: " + code, Details: map[string]string{"exit_code": code, "signal": signal, "oom_killed": oom}}
}

func TestAllocationsBecomeWorkers(t *testing.T) {
	t.Parallel()
	received := &api.TaskEvent{Type: "Received", DisplayMessage: "Task received by client"}
	started := &api.TaskEvent{Type: "Started", DisplayMessage: "Task started by client"}
	notRestarting := &api.TaskEvent{Type: "Not Restarting", DisplayMessage: "Policy allows no restarts"}
	const noRole = "failed to derive Vault token for identity vault_default: failed to login with JWT: Error making API request.\n\nURL: PUT http://127.0.0.1:8200/v1/auth/jwt-nomad/login\nCode: 400. Errors:\n\n* role \"nope\" could not be found"
	lost := stub("lost", "stop")
	lost.ClientDescription = "alloc is lost since its node is down"
	expired := stub("complete", "run", terminated("143", "15", "false"))
	expired.ClientDescription = "allocation exceeded max_run_duration"
	nilTask := stub("pending", "run")
	nilTask.TaskStates = nil
	for _, c := range []struct {
		name  string
		alloc *api.AllocationListStub
		want  run.Worker
		ok    bool
	}{
		{"just placed", nilTask, run.Worker{State: run.WorkerPending}, false},
		{"running", stub("running", "run", received, started), run.Worker{State: run.WorkerRunning, Detail: "Task started by client"}, false},
		{"ended well", stub("complete", "run", started, terminated("0", "0", "false")),
			run.Worker{State: run.WorkerComplete, Exited: true, Detail: "Exit Code: 0"}, true},
		{"its disk was full", stub("complete", "run", started, &api.TaskEvent{Type: "Driver", Details: map[string]string{"stdout_lost": "12", "stderr_lost": "x"}}, terminated("0", "0", "false")),
			run.Worker{State: run.WorkerComplete, Exited: true, Detail: "Exit Code: 0", Unwritten: run.Unwritten{Stdout: 12}}, true},
		{"failed", stub("failed", "run", started, terminated("1", "0", "false"), notRestarting),
			run.Worker{State: run.WorkerFailed, Exited: true, ExitCode: 1, Detail: "Exit Code: 1"}, false},
		{"killed by a signal that left code 0", stub("failed", "run", terminated("0", "9", "true")),
			run.Worker{State: run.WorkerFailed, Exited: true, ExitCode: 137, Signal: 9, OOM: true, Detail: "Exit Code: 0"}, false},
		{"stopped although it ended with 0", stub("complete", "stop", terminated("0", "0", "false")),
			run.Worker{State: run.WorkerComplete, Exited: true, Stopping: true, Detail: "Exit Code: 0"}, false},
		{"a driver failure", stub("failed", "run", received, &api.TaskEvent{Type: "Driver Failure", DisplayMessage: "no such image"}, notRestarting),
			run.Worker{State: run.WorkerFailed, Detail: "Driver Failure: no such image"}, false},
		{"a template failure", stub("failed", "run", received, &api.TaskEvent{Type: "Killing", DisplayMessage: "Template failed: no", Details: map[string]string{"fails_task": "true"}}),
			run.Worker{State: run.WorkerFailed, Detail: "Template failed: no"}, false},
		{"a variable that it may not read", stub("pending", "run", received, &api.TaskEvent{Type: "Template", DisplayMessage: "Missing: nomad.var.get(nomad/jobs/hub@default.global)"}),
			run.Worker{State: run.WorkerPending, Detail: "waits for the Nomad variable nomad/jobs/hub: it does not exist, or a policy must let this job read it"}, false},
		{"one of several secrets that is missing", stub("pending", "run", received, &api.TaskEvent{Type: "Template", DisplayMessage: "Missing: nomad.service(rdzv-r-1-1), vault.read(secret/cotrain/shared/hub), vault.read(secret/x)"}),
			run.Worker{State: run.WorkerPending, Detail: "waits for secret/cotrain/shared/hub in Vault: it does not exist, or a policy must let the workers' role read it, or Vault is away"}, false},
		{"nothing at the path of a secret", stub("failed", "run", received, &api.TaskEvent{Type: "Killing", DisplayMessage: "Template failed: vault.read(secret/x): no secret exists at secret/data/x", Details: map[string]string{"fails_task": "true"}}, notRestarting),
			run.Worker{State: run.WorkerFailed, Detail: "there is nothing at secret/x in Vault, which the run needs for its secrets: store it there, or correct the secret's path"}, false},
		{"a secret that it may not read", stub("failed", "run", received, &api.TaskEvent{Type: "Killing", DisplayMessage: "Template failed: vault.read(secret/other/x): vault.read(secret/other/x): Error making API request.\n\nURL: GET http://127.0.0.1:8200/v1/secret/data/other/x\nCode: 403. Errors:\n\n* 1 error occurred:\n\t* permission denied\n\n", Details: map[string]string{"fails_task": "true"}}, notRestarting),
			run.Worker{State: run.WorkerFailed, Detail: "Vault does not let the run read its secret secret/other/x: give the workers' role a policy that does"}, false},
		{"a role of Vault that does not exist", stub("failed", "run", received, &api.TaskEvent{Type: "Killing", DisplayMessage: "Vault: failed to derive vault token: " + noRole, Details: map[string]string{"fails_task": "true"}}, &api.TaskEvent{Type: "Task hook failed", DisplayMessage: "vault: " + noRole}, notRestarting),
			run.Worker{State: run.WorkerFailed, Detail: `Vault does not let the worker log in for its secrets: role "nope" could not be found: check job.vault_role (COTRAIN_JOB_VAULT_ROLE), and the role in Vault`}, false},
		{"a sealed Vault", stub("failed", "run", received, &api.TaskEvent{Type: "Task hook failed", DisplayMessage: "vault: " + strings.Replace(noRole, "400. Errors:\n\n* role \"nope\" could not be found", "503. Errors:\n\n* Vault is sealed", 1)}, notRestarting),
			run.Worker{State: run.WorkerFailed, Detail: "the worker cannot log in to Vault for its secrets: Vault is sealed: retry the run once Vault works"}, false},
		{"a Vault that is away", stub("failed", "run", received, &api.TaskEvent{Type: "Task hook failed", DisplayMessage: `vault: failed to derive Vault token for identity vault_default: failed to login with JWT: Put "http://127.0.0.1:8200/v1/auth/jwt-nomad/login": dial tcp 127.0.0.1:8200: connect: connection refused`}, notRestarting),
			run.Worker{State: run.WorkerFailed, Detail: `the worker cannot log in to Vault for its secrets: failed to login with JWT: Put "http://127.0.0.1:8200/v1/auth/jwt-nomad/login": dial tcp 127.0.0.1:8200: connect: connection refused: retry the run once Vault works`}, false},
		{"a kill after the end", stub("failed", "run", started, terminated("1", "0", "false"), &api.TaskEvent{Type: "Killing", DisplayMessage: "Sent interrupt"}),
			run.Worker{State: run.WorkerFailed, Exited: true, ExitCode: 1, Detail: "Exit Code: 1"}, false},
		{"lost", lost, run.Worker{State: run.WorkerLost, Stopping: true, Detail: "alloc is lost since its node is down"}, false},
		{"out of time", expired, run.Worker{State: run.WorkerComplete, Exited: true, ExitCode: 143, Signal: 15, Detail: "allocation exceeded max_run_duration"}, false},
		{"rubbish in the details", stub("failed", "run", nil, &api.TaskEvent{Type: "Terminated", DisplayMessage: "a\x1bb\n" + strings.Repeat("x", 999), ExitCode: 3, Details: map[string]string{"exit_code": "x"}}),
			run.Worker{State: run.WorkerFailed, Exited: true, ExitCode: 3, Detail: "a b " + strings.Repeat("x", 393) + "…"}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.want.AllocID, c.want.NodeID, c.want.NodeName = "a", "n", "node"
			got := worker(c.alloc)
			if d := cmp.Diff(c.want, got, cmpopts.EquateEmpty()); d != "" {
				t.Error(d)
			}
			if got.OK() != c.ok {
				t.Errorf("OK is %v", got.OK())
			}
		})
	}
}

func TestAWorkerThatWaitsForASecretSaysSo(t *testing.T) {
	t.Parallel()
	waits := worker(stub("pending", "run", &api.TaskEvent{Type: "Template", DisplayMessage: "Missing: vault.read(secret/x)"}))
	starts := worker(stub("pending", "run", &api.TaskEvent{Type: "Received", DisplayMessage: "Task received by client"}))
	if got := WhyStarting([]run.Worker{starts, waits}); !strings.HasPrefix(got, "waits for secret/x in Vault: ") {
		t.Errorf("says %q", got)
	}
	waits.State = run.WorkerFailed
	if got := WhyStarting([]run.Worker{starts, waits}); got != "" {
		t.Errorf("says %q", got)
	}
}

func TestWorkersComeByRankAndNewestFirst(t *testing.T) {
	t.Parallel()
	f, c := newFake(t)
	child := "cotrain-core-x/dispatch-1"
	f.HandleFunc("GET /v1/jobs", func(w http.ResponseWriter, r *http.Request) {
		if p := r.URL.Query().Get("prefix"); p != child {
			t.Errorf("prefix is %q", p)
		}
		answerJSON(w, []map[string]any{{"ID": child + "0", "Status": "running"}, {"ID": child, "Status": "dead", "Stop": true}})
	})
	alloc := func(id, name, job string, index int) map[string]any {
		return map[string]any{"ID": id, "Name": name, "JobID": job, "TaskGroup": "workers", "ClientStatus": "running", "CreateIndex": index,
			"AllocatedResources": map[string]any{"Tasks": map[string]any{"trainer": map[string]any{"Devices": []any{
				map[string]any{"Vendor": "nvidia", "Type": "gpu", "Name": "A100", "DeviceIDs": []string{"g2", "g1"}}}}}}}
	}
	f.HandleFunc("GET /v1/allocations", func(w http.ResponseWriter, r *http.Request) {
		if q := r.URL.Query(); q.Get("filter") != `JobID == "`+child+`"` || q.Get("resources") != "true" {
			t.Errorf("asked for %v", q)
		}
		answerJSON(w, []any{
			alloc("old1", child+".workers[1]", child, 5), alloc("w10", child+".workers[10]", child, 6), alloc("new1", child+".workers[1]", child, 9),
			alloc("w0", child+".workers[0]", child, 5), alloc("odd", "no rank", child, 5), alloc("other", "x.workers[0]", "other", 5), nil,
		})
	})
	workers, state, err := c.Workers(t.Context(), child)
	if err != nil || state != (JobState{Status: "dead", Stopped: true, Found: true}) {
		t.Fatalf("state %+v, %v", state, err)
	}
	ids := func(ws []run.Worker) (out []string) {
		for _, w := range ws {
			out = append(out, w.AllocID)
		}
		return out
	}
	if d := cmp.Diff([]string{"w0", "new1", "old1", "w10"}, ids(workers)); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]string{"w0", "new1", "w10"}, ids(NewestPerRank(workers))); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]run.GPU{{ID: "g1", Model: "nvidia/gpu/A100"}, {ID: "g2", Model: "nvidia/gpu/A100"}}, workers[0].GPUs); d != "" {
		t.Error(d)
	}
}

func TestNodesBecomeOurs(t *testing.T) {
	t.Parallel()
	f, c := newFake(t)
	f.HandleFunc("GET /v1/nodes", func(w http.ResponseWriter, _ *http.Request) {
		answerJSON(w, []any{
			map[string]any{"ID": "2", "Name": "b", "Status": "down", "SchedulingEligibility": "eligible"},
			map[string]any{"ID": "1", "Name": "a", "Status": "ready", "SchedulingEligibility": "eligible", "Datacenter": "dc1",
				"NodeResources": map[string]any{"Cpu": map[string]any{"CpuShares": 4000}, "Memory": map[string]any{"MemoryMB": 8192},
					"Devices": []any{map[string]any{"Vendor": "v", "Type": "gpu", "Name": "S", "Attributes": map[string]any{"simulated": map[string]any{"Bool": true}},
						"Instances": []any{map[string]any{"ID": "0", "Healthy": true}, map[string]any{"ID": "1", "Healthy": false}}}}}},
		})
	})
	got, err := c.Nodes(t.Context())
	want := []run.Node{
		{ID: "1", Name: "a", Datacenter: "dc1", Status: "ready", Eligible: true, CPU: 4000, Memory: 8192, GPUs: []run.GPU{{ID: "0", Model: "v/gpu/S"}}, Simulated: true},
		{ID: "2", Name: "b", Status: "down", Eligible: true},
	}
	if d := cmp.Diff(want, got); d != "" || err != nil {
		t.Error(d, err)
	}
}

func TestWhoHasGPUsIsToldByNode(t *testing.T) {
	t.Parallel()
	f, c := newFake(t)
	alloc := func(job, name, group, task, node string, ids ...string) map[string]any {
		return map[string]any{"ID": job + name, "JobID": job, "Name": name, "TaskGroup": group, "NodeID": node, "ClientStatus": "running", "AllocatedResources": map[string]any{
			"Tasks": map[string]any{task: map[string]any{"Devices": []any{map[string]any{"Vendor": "v", "Type": "gpu", "Name": "S", "DeviceIDs": ids}}}}}}
	}
	namespace := ""
	f.HandleFunc("GET /v1/allocations", func(w http.ResponseWriter, r *http.Request) {
		namespace = r.URL.Query().Get("namespace")
		answerJSON(w, []any{
			alloc("cotrain-core-a/dispatch-1", "x."+groupName+"[1]", groupName, TaskName, "n1", "1", "0"),
			alloc("other", "other.web[0]", "web", "server", "n1", "2"),
			alloc("cotrain-core-a/dispatch-1", "x."+groupName+"[0]", groupName, TaskName, "n2", "0"),
			map[string]any{"ID": "cpu", "JobID": "cotrain-core-b/dispatch-2", "Name": "y." + groupName + "[3]", "TaskGroup": groupName, "NodeID": "n2", "ClientStatus": "running"},
			map[string]any{"ID": "none", "JobID": "without", "NodeID": "n1", "ClientStatus": "pending"},
		})
	})
	got, err := c.GPUUses(t.Context())
	gpu := func(id string) run.GPU { return run.GPU{ID: id, Model: "v/gpu/S"} }
	want := map[string][]run.GPUUse{
		"n1": {{GPUs: []run.GPU{gpu("0"), gpu("1")}, Job: "cotrain-core-a/dispatch-1", Rank: 1}, {GPUs: []run.GPU{gpu("2")}, Job: "other", Rank: -1}},
		"n2": {{GPUs: []run.GPU{gpu("0")}, Job: "cotrain-core-a/dispatch-1", Rank: 0}, {Job: "cotrain-core-b/dispatch-2", Rank: 3}},
	}
	if d := cmp.Diff(want, got); d != "" || err != nil || namespace != "*" {
		t.Error(d, err, namespace)
	}
	node := run.Node{GPUs: []run.GPU{gpu("0"), gpu("1"), gpu("2"), gpu("3")}, Uses: got["n1"]}
	if n := node.FreeGPUs(); n != 1 {
		t.Errorf("%d are free", n)
	}
}

func TestTheEndOfAnAllocationWithoutATaskIsWhenItChanged(t *testing.T) {
	t.Parallel()
	s := stub("lost", "stop")
	s.ModifyTime = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC).UnixNano()
	if got := worker(s).EndedAt; got.Unix() != s.ModifyTime/1e9 {
		t.Errorf("ended at %v", got)
	}
}
