package localnomad

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"

	"github.com/cotrain/cotrain/internal/localnomad/state"
)

func eventTypes(st *api.TaskState) string {
	kinds := make([]string, 0, len(st.Events))
	for _, e := range st.Events {
		kinds = append(kinds, e.Type)
	}
	return strings.Join(kinds, ",")
}

func lastEvent(st *api.TaskState, kind string) *api.TaskEvent {
	for i := len(st.Events) - 1; i >= 0; i-- {
		if st.Events[i].Type == kind {
			return st.Events[i]
		}
	}
	return &api.TaskEvent{}
}

func TestATaskSeesNomadsEnvironmentThePayloadAndItsTemplates(t *testing.T) {
	t.Parallel()
	a := startAgent(t, nil)
	job := shellJob("envjob", `env; echo "ARG ${NOMAD_TASK_NAME} $*"; echo "TMPL $(cat local/t)"; echo "PAYLOAD $(cat local/in.txt)"; pwd`, 1)
	job.ParameterizedJob = &api.ParameterizedJobConfig{Payload: "optional", MetaRequired: []string{"run_id"}, MetaOptional: []string{"opt"}}
	job.Meta = map[string]string{"jm": "1"}
	tg := job.TaskGroups[0]
	tg.Meta = map[string]string{"gm": "${NOMAD_JOB_ID}"}
	tg.Networks = []*api.NetworkResource{{DynamicPorts: []api.Port{{Label: "rdzv"}, {Label: "c-d", To: 80}}}}
	task := tg.Tasks[0]
	task.Config["args"] = append([]any{"-c", task.Config["args"].([]string)[1]}, "sh", 1000000, 0.5, true)
	task.Env = map[string]string{"MINE": "${NOMAD_ALLOC_INDEX}/${node.datacenter}/${attr.none}"}
	task.DispatchPayload = &api.DispatchPayloadConfig{File: "in.txt"}
	task.Templates = []*api.Template{
		{EmbeddedTmpl: new(`{{ env "NOMAD_META_run_id" }} {{ env "NOMAD_META_opt" | toJSON }}`), DestPath: new("local/t"), ChangeMode: new("noop")},
		{EmbeddedTmpl: new("FROM_TMPL=\"x y\"\n# no\nexport B='z'\n"), DestPath: new("secrets/e"), ChangeMode: new("noop"), Envvars: new(true)},
	}
	task.Resources.Devices = []*api.RequestedDevice{{Name: "gpu", Count: new(uint64(2))}}
	a.register(job)
	resp, _, err := a.client.Jobs().Dispatch("envjob", map[string]string{"run_id": "r1"}, []byte("hello"), "", nil)
	if err != nil {
		t.Fatal(err)
	}
	al := a.waitAllocs(resp.DispatchedJobID, api.AllocClientStatusComplete, 1)[0]
	out := a.logs(al.ID, "main", "stdout")
	dir := a.s.runners.Dir(al.ID)
	for _, want := range []string{
		"NOMAD_ALLOC_ID=" + al.ID, "NOMAD_ALLOC_INDEX=0", "NOMAD_ALLOC_NAME=" + al.Name, "NOMAD_GROUP_NAME=workers", "NOMAD_TASK_NAME=main",
		"NOMAD_JOB_ID=" + resp.DispatchedJobID, "NOMAD_JOB_NAME=" + resp.DispatchedJobID, "NOMAD_JOB_PARENT_ID=envjob", "NOMAD_DC=dc1",
		"NOMAD_REGION=global", "NOMAD_NAMESPACE=default", "NOMAD_CPU_LIMIT=100", "NOMAD_MEMORY_LIMIT=64", "NOMAD_META_run_id=r1",
		"NOMAD_META_RUN_ID=r1", "NOMAD_META_opt=", "NOMAD_META_jm=1", "NOMAD_META_gm=" + resp.DispatchedJobID, "NOMAD_IP_rdzv=127.0.0.1",
		"NOMAD_PORT_c_d=80", "NOMAD_ALLOC_DIR=" + string(dir) + "/alloc", "NOMAD_TASK_DIR=" + dir.Local("main"), "NOMAD_SECRETS_DIR=" + dir.Secrets("main"),
		"MINE=0/dc1/${attr.none}", "FROM_TMPL=x y", "B=z", "ARG main 1000000 0.5 true", `TMPL r1 ""`, "PAYLOAD hello", dir.Task("main"),
	} {
		if !strings.Contains(out, want+"\n") {
			t.Errorf("no line %q", want)
		}
	}
	if !strings.Contains(out, "NVIDIA_VISIBLE_DEVICES=SIM-") {
		t.Error("the task does not see its devices")
	}
	if full := a.alloc(al.ID); !strings.Contains(out, "NOMAD_PORT_rdzv="+strconv.Itoa(full.AllocatedResources.Shared.Ports[0].Value)+"\n") {
		t.Errorf("the port is not %+v", full.AllocatedResources.Shared.Ports)
	}
}

// The conformance suite stops tasks that end by themselves.
func TestStoppingKillsTheWholeGroupAfterTheTimeout(t *testing.T) {
	t.Parallel()
	a := startAgent(t, nil)
	job := shellJob("stubborn", `trap '' INT TERM; sleep 600 & echo $! > local/child; echo ready; while :; do sleep 0.05; done`, 1)
	job.TaskGroups[0].Tasks[0].KillTimeout = new(200 * time.Millisecond)
	a.register(job)
	al := a.waitAllocs("stubborn", api.AllocClientStatusRunning, 1)[0]
	until(t, "it to be ready", func() bool { return strings.Contains(a.logs(al.ID, "main", "stdout"), "ready") })
	text, err := os.ReadFile(filepath.Join(a.s.runners.Dir(al.ID).Local("main"), "child"))
	if err != nil {
		t.Fatal(err)
	}
	child, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := a.client.Jobs().Deregister("stubborn", false, nil); err != nil {
		t.Fatal(err)
	}
	al = a.waitAllocs("stubborn", api.AllocClientStatusComplete, 1)[0]
	if al.DesiredStatus != api.AllocDesiredStatusStop || al.DesiredDescription != "alloc not needed due to job update" {
		t.Errorf("%s %q", al.DesiredStatus, al.DesiredDescription)
	}
	st := al.TaskStates["main"]
	if got := eventTypes(st); got != "Received,Task Setup,Started,Killing,Terminated,Killed" {
		t.Errorf("events %s", got)
	}
	if e := lastEvent(st, api.TaskTerminated); e.DisplayMessage != "Exit Code: 137, Signal: 9" {
		t.Errorf("%q", e.DisplayMessage)
	}
	until(t, "the grandchild to be dead", func() bool { return !alive(child) })
}

// alive reports whether a process runs; a zombie does not.
func alive(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return false
	}
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(text), ") ")
	return !strings.HasPrefix(rest, "Z") && !strings.HasPrefix(rest, "X")
}

func TestExitsAreToldAsNomadTellsThem(t *testing.T) {
	t.Parallel()
	a := startAgent(t, nil)
	a.register(shellJob("exit3", "exit 3", 1))
	a.register(shellJob("killed", "kill -9 $$", 1))
	missing := shellJob("missing", "", 1)
	missing.TaskGroups[0].Tasks[0].Config = map[string]any{"command": "/no/such/command"}
	a.register(missing)
	restarts := shellJob("restarts", "exit 1", 1)
	restarts.TaskGroups[0].RestartPolicy = &api.RestartPolicy{Attempts: new(1), Mode: new("fail"), Interval: new(time.Minute), Delay: new(10 * time.Millisecond)}
	a.register(restarts)
	badTemplate := shellJob("badtemplate", "true", 1)
	badTemplate.TaskGroups[0].Tasks[0].Templates = []*api.Template{{EmbeddedTmpl: new("{{ nosuch }}"), DestPath: new("local/x"), ChangeMode: new("noop")}}
	a.register(badTemplate)
	noVault := shellJob("novault", "true", 1)
	noVault.TaskGroups[0].Tasks[0].Templates = []*api.Template{{EmbeddedTmpl: new(`{{ secret "secret/x" }}`), DestPath: new("local/x"), ChangeMode: new("noop")}}
	a.register(noVault)
	for id, c := range map[string]struct{ events, kind, message string }{
		"exit3":  {"Received,Task Setup,Started,Terminated,Not Restarting", api.TaskTerminated, "Exit Code: 3"},
		"killed": {"Received,Task Setup,Started,Terminated,Not Restarting", api.TaskTerminated, "Exit Code: 137, Signal: 9"},
		"missing": {"Received,Task Setup,Driver Failure,Not Restarting", api.TaskDriverFailure,
			`failed to launch command with executor: rpc error: code = Unknown desc = binary "/no/such/command" could not be found`},
		"restarts": {"Received,Task Setup,Started,Terminated,Restarting,Started,Terminated,Not Restarting", api.TaskNotRestarting,
			`Exceeded allowed attempts 1 in interval 1m0s and mode is "fail"`},
		"badtemplate": {"Received,Task Setup,Killing", api.TaskKilling, `Template failed: (dynamic): parse: template: :1: function "nosuch" not defined`},
		"novault": {"Received,Task Setup,Killing", api.TaskKilling,
			`Template failed: (dynamic): execute: template: :1:3: executing "" at <secret "secret/x">: error calling secret: Vault cluster "default" is disabled or not configured`},
	} {
		al := a.waitAllocs(id, api.AllocClientStatusFailed, 1)[0]
		st := al.TaskStates["main"]
		if got := eventTypes(st); got != c.events {
			t.Errorf("%s: events %s", id, got)
		}
		if e := lastEvent(st, c.kind); e.DisplayMessage != c.message {
			t.Errorf("%s: %q, want %q", id, e.DisplayMessage, c.message)
		}
		if !st.Failed || al.ClientDescription != "Failed tasks" {
			t.Errorf("%s: failed %v, %q", id, st.Failed, al.ClientDescription)
		}
	}
	e := lastEvent(a.allocs("killed")[0].TaskStates["main"], api.TaskTerminated)
	if e.Details["exit_code"] != "137" || e.Details["signal"] != "9" || e.Details["oom_killed"] != "false" {
		t.Errorf("details are %v", e.Details)
	}
}

func TestTheEndOfOneTaskMayBeTheEndOfAll(t *testing.T) {
	t.Parallel()
	a := startAgent(t, nil)
	pair := func(id string, leader bool, script string) {
		job := sleeper(id, 1, nil)
		tg := job.TaskGroups[0]
		other := *tg.Tasks[0]
		other.Name, other.Leader = "other", leader
		other.Config = map[string]any{"command": "/bin/sh", "args": []string{"-c", script}}
		tg.Tasks = append(tg.Tasks, &other)
		a.register(job)
	}
	pair("sibling", false, "sleep 0.2; exit 4")
	pair("leader", true, "sleep 0.2")
	for id, c := range map[string]struct{ status, kind string }{"sibling": {api.AllocClientStatusFailed, api.TaskSiblingFailed}, "leader": {api.AllocClientStatusComplete, api.TaskLeaderDead}} {
		until(t, id+" to end", func() bool {
			al := a.allocs(id)
			return len(al) == 1 && al[0].ClientStatus == c.status && al[0].TaskStates["main"].State == state.Dead
		})
		if st := a.allocs(id)[0].TaskStates["main"]; eventTypes(st) != "Received,Task Setup,Started,"+c.kind+",Killing,Terminated,Killed" {
			t.Errorf("%s: events %s", id, eventTypes(st))
		}
	}
}

func TestARestartStartsTheProcessAgain(t *testing.T) {
	t.Parallel()
	a := startAgent(t, nil)
	a.register(shellJob("again", `echo up; exec sleep 600`, 1))
	al := a.waitAllocs("again", api.AllocClientStatusRunning, 1)[0]
	until(t, "the first start", func() bool { return a.logs(al.ID, "main", "stdout") == "up\n" })
	if body, code := a.do("PUT", "/v1/client/allocation/"+al.ID+"/restart", `{"TaskName":"zap"}`); code != 500 || body != "Task not running" {
		t.Errorf("restart of an unknown task: %d %s", code, body)
	}
	if body, code := a.do("PUT", "/v1/client/allocation/"+al.ID+"/restart", ""); code != 200 {
		t.Fatal(body)
	}
	until(t, "the second start", func() bool { return a.logs(al.ID, "main", "stdout") == "up\nup\n" })
	st := a.allocs("again")[0].TaskStates["main"]
	if st.Restarts != 1 || lastEvent(st, api.TaskRestarting).DisplayMessage != "Task restarting in 0s" {
		t.Errorf("restarts %d, events %s", st.Restarts, eventTypes(st))
	}
}

func TestATemplateFollowsServicesAndVariables(t *testing.T) {
	t.Parallel()
	a := startAgent(t, nil)
	watcher := shellJob("watcher", "exec sleep 600", 1)
	tmpl := `{{ range nomadService "rdzv-r1" }}{{ if .Tags | contains "rank-0" }}{{ .Address }} {{ .Port }}{{ end }}{{ end }}`
	watcher.TaskGroups[0].Tasks[0].Templates = []*api.Template{{EmbeddedTmpl: &tmpl, DestPath: new("local/w0"), ChangeMode: new("noop")}}
	a.register(watcher)
	w := a.waitAllocs("watcher", api.AllocClientStatusRunning, 1)[0]
	path := filepath.Join(a.s.runners.Dir(w.ID).Local("main"), "w0")
	read := func() string {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	if got := read(); got != "" {
		t.Fatalf("before anything has registered it says %q", got)
	}
	server := sleeper("server", 2, func(tg *api.TaskGroup, _ *api.Task) {
		tg.Networks = []*api.NetworkResource{{DynamicPorts: []api.Port{{Label: "p"}}}}
		tg.Services = []*api.Service{{Name: "rdzv-${NOMAD_META_run}", Provider: "nomad", PortLabel: "p", Tags: []string{"rank-${NOMAD_ALLOC_INDEX}"}}}
	})
	server.Meta = map[string]string{"run": "r1"}
	a.register(server)
	until(t, "the address of rank 0", func() bool {
		return strings.HasPrefix(read(), "127.0.0.1 2") || strings.HasPrefix(read(), "127.0.0.1 3")
	})
	if _, _, err := a.client.Jobs().Deregister("server", false, nil); err != nil {
		t.Fatal(err)
	}
	until(t, "the address to be gone", func() bool { return read() == "" })

	waiter := shellJob("waiter", "cat local/v", 1)
	waiter.TaskGroups[0].Tasks[0].Templates = []*api.Template{{
		EmbeddedTmpl: new(`{{ with nomadVar "nomad/jobs/waiter" }}{{ .password }}{{ end }}`), DestPath: new("local/v"), ChangeMode: new("noop"),
	}}
	a.register(waiter)
	until(t, "the task to say what it waits for", func() bool {
		al := a.allocs("waiter")
		return len(al) == 1 && al[0].TaskStates["main"] != nil &&
			lastEvent(al[0].TaskStates["main"], "Template").DisplayMessage == "Missing: nomad.var.block(nomad/jobs/waiter@default.global)"
	})
	if body, code := a.do("PUT", "/v1/var/nomad/jobs/waiter", `{"Items":{"password":"secret"}}`); code != 200 {
		t.Fatal(body)
	}
	al := a.waitAllocs("waiter", api.AllocClientStatusComplete, 1)[0]
	if got := a.logs(al.ID, "main", "stdout"); got != "secret" {
		t.Errorf("the task saw %q", got)
	}
}

func TestATemplateThatChangesMayRestartItsTask(t *testing.T) {
	t.Parallel()
	a := startAgent(t, nil)
	put := func(value string) {
		if body, code := a.do("PUT", "/v1/var/v", `{"Items":{"x":"`+value+`"}}`); code != 200 {
			t.Fatal(body)
		}
	}
	put("1")
	job := shellJob("restarted", "echo saw $(cat local/v); exec sleep 600", 1)
	job.TaskGroups[0].Tasks[0].Templates = []*api.Template{{EmbeddedTmpl: new(`{{ with nomadVar "v" }}{{ .x }}{{ end }}`), DestPath: new("local/v")}}
	a.register(job)
	al := a.waitAllocs("restarted", api.AllocClientStatusRunning, 1)[0]
	until(t, "the first value", func() bool { return a.logs(al.ID, "main", "stdout") == "saw 1\n" })
	put("2")
	until(t, "the second value", func() bool { return a.logs(al.ID, "main", "stdout") == "saw 1\nsaw 2\n" })
}
