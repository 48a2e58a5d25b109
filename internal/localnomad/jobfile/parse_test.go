package jobfile

import (
	"encoding/json"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/nomad/api"
)

func mustParse(t *testing.T, src, vars string) *api.Job {
	t.Helper()
	job, err := Parse(src, vars)
	if err != nil {
		t.Fatal(err)
	}
	return job
}

// body puts attributes and blocks where each level of a job takes them.
func body(top, job, group, task, config string) string {
	return top + "\njob \"j\" {\n" + job + "\ngroup \"g\" {\n" + group + "\ntask \"t\" {\ndriver = \"raw_exec\"\n" + task +
		"\nconfig {\ncommand = \"c\"\n" + config + "\n}\n}\n}\n}\n"
}

func TestReferencesToTheNodeStayAsWritten(t *testing.T) {
	t.Parallel()
	job := mustParse(t, body("", `
dynamic "meta" {
  for_each = ["it"]
  content {
    e = "${meta.value} ${attr.meta} ${[for NOMAD_X in ["loop"] : NOMAD_X][0]} ${NOMAD_X}"
    a = "${NOMAD_ALLOC_INDEX}-${attr.cpu.arch}"
  b = "$${lit}"
  c = "${attr.cpu} ${attr.cpu.arch}"
  d = join("-", ["${attr.x}", NOMAD_Y])
  }
}`, "", `env { X = "${meta.foo}/${node.unique.name}" }`, `args = ["${NOMAD_PORT_x}", "${attr.unique.network.ip-address}"]`), "")
	want := map[string]string{
		"a": "${NOMAD_ALLOC_INDEX}-${attr.cpu.arch}", "b": "${lit}", "c": "${attr.cpu} ${attr.cpu.arch}", "d": "${attr.x}-${NOMAD_Y}",
		"e": "it ${attr.meta} loop ${NOMAD_X}",
	}
	if diff := cmp.Diff(want, job.Meta); diff != "" {
		t.Error(diff)
	}
	task := job.TaskGroups[0].Tasks[0]
	if task.Env["X"] != "${meta.foo}/${node.unique.name}" {
		t.Errorf("env is %v", task.Env)
	}
	if diff := cmp.Diff([]any{"${NOMAD_PORT_x}", "${attr.unique.network.ip-address}"}, task.Config["args"]); diff != "" {
		t.Error(diff)
	}
}

func TestVariablesLocalsFunctionsAndDynamicBlocks(t *testing.T) {
	t.Parallel()
	job := mustParse(t, body(`
variable "names" { type = list(string) }
variable "n" {
  type    = number
  default = 2
  validation {
    condition     = var.n > 1
    error_message = "n is too small"
  }
}
locals {
  b = "${local.a}-b"
  a = upper(join(".", var.names))
}`, `
dynamic "constraint" {
  for_each = var.names
  content {
    attribute = constraint.value
    operator  = "is_set"
  }
}
meta = { "x.y" = local.b, n = var.n, j = jsonencode({ a = [1, true] }) }`, `
dynamic "network" {
  for_each = [1]
  content {
    port "a" {}
    port "b" { static = 8080 }
  }
}`, `
resources {
  dynamic "device" {
    for_each = { gpu = "nvidia/gpu" }
    labels   = [device.value]
    content {
      count = var.n
      constraint {
        attribute = "$${device.attr.memory}"
        operator  = ">="
        value     = "1 GiB"
      }
    }
  }
}
dynamic "template" {
  for_each = ["x", "y"]
  iterator = it
  content {
    data        = it.value
    destination = "local/${it.key}"
  }
}`, "mount {\n type = \"bind\"\n}\nmount {\n type = \"tmpfs\"\n}"), "names = [\"p\", \"q\"]\nn = 3\nunknown_to_the_file = 1")
	if diff := cmp.Diff(map[string]string{"x.y": "P.Q-b", "n": "3", "j": `{"a":[1,true]}`}, job.Meta); diff != "" {
		t.Error(diff)
	}
	if len(job.Constraints) != 2 || job.Constraints[1].LTarget != "q" {
		t.Errorf("constraints are %v", job.Constraints)
	}
	net := job.TaskGroups[0].Networks[0]
	if len(net.DynamicPorts) != 1 || len(net.ReservedPorts) != 1 || net.ReservedPorts[0].Value != 8080 {
		t.Errorf("network is %+v", net)
	}
	task := job.TaskGroups[0].Tasks[0]
	d := task.Resources.Devices[0]
	if d.Name != "nvidia/gpu" || *d.Count != 3 || d.Constraints[0].LTarget != "${device.attr.memory}" {
		t.Errorf("device is %+v", d)
	}
	if len(task.Templates) != 2 || *task.Templates[1].DestPath != "local/1" || *task.Templates[1].ChangeMode != "restart" {
		t.Errorf("templates are %+v", task.Templates)
	}
	if d := cmp.Diff([]any{map[string]any{"type": "bind"}, map[string]any{"type": "tmpfs"}}, task.Config["mount"]); d != "" {
		t.Error(d)
	}
}

func TestParseErrorsNameWhatIsWrong(t *testing.T) {
	t.Parallel()
	plain := body("", "", "", "", "")
	for name, c := range map[string]struct{ src, vars, want string }{
		"a missing variable":      {`variable "who" {}` + "\n" + plain, "", `Unset variable "who"`},
		"a value of another type": {"variable \"n\" {\n type = number\n}\n" + plain, `n = "abc"`, "The value for n is not compatible"},
		"a broken rule": {"variable \"n\" {\n default = 1\n validation {\n condition = var.n > 3\n error_message = \"too small\"\n}\n}\n" + plain, "",
			"too small"},
		"an unknown attribute":        {body("", "zap = 1", "", "", ""), "", `An argument named "zap" is not expected here`},
		"an unknown block":            {body("", "", "", "zap {}", ""), "", `Blocks of type "zap" are not expected here`},
		"an unknown variable":         {body("", "type = var.nope", "", "", ""), "", `does not have an attribute named "nope"`},
		"an unknown function":         {body("", `type = nope("x")`, "", "", ""), "", `There is no function named "nope"`},
		"a function that reads files": {body("", `type = file("/etc/passwd")`, "", "", ""), "", "filesystem function disabled"},
		"a bad duration":              {body("", "", "", `kill_timeout = "zap"`, ""), "", `invalid duration "zap"`},
		"a bad number":                {body("", `priority = "x"`, "", "", ""), "", "a number is required"},
		"two blocks where one is":     {body("", "", "restart {}\nrestart {}", "", ""), "", "Only one restart block is allowed"},
		"no job":                      {`variable "x" { default = 1 }`, "", "A job block is required"},
		"two jobs":                    {"job \"a\" {}\njob \"b\" {}", "", `Only one block of type "job" is allowed`},
		"broken syntax":               {`job "a" {`, "", "Unclosed configuration block"},
		"broken variables":            {plain, "a = = b", "unable to parse var content"},
		"declarations as variables":   {plain, `variable "x" {}`, "Variable declaration in a .var file"},
		"locals in a circle":          {body("locals {\n a = local.b\n b = local.a\n}", "", "", "", ""), "", "does not have an attribute named"},
		"a file without end":          {strings.Repeat("#", maxSource+1), "", "more than 1000000 bytes"},
	} {
		_, err := Parse(c.src, c.vars)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error is %v, want %q in it", name, err, c.want)
		}
	}
}

func TestEverythingAJobFileCanSayEndsInTheJob(t *testing.T) {
	t.Parallel()
	job := mustParse(t, body("", `
type = "batch"
datacenters = ["dc*"]
node_pool = "p"
priority = "70"
affinity {
  attribute = "a"
  regexp    = "b"
  weight    = 50
}
spread {
  attribute = "${node.datacenter}"
  target "dc1" { percent = 60 }
}
parameterized {
  payload       = "optional"
  meta_required = ["a"]
}`, `
count = 2
max_run_duration = "1h"
disconnect {
  replace    = false
  lost_after = "10m"
}
volume "v" {
  type   = "host"
  source = "s"
}
vault { role = "r" }
service {
  name     = "n"
  port     = "a"
  provider = "nomad"
  check {
    type     = "tcp"
    interval = "10s"
    timeout  = "2s"
  }
}`, `
kill_timeout = "20s"
kill_signal  = "SIGTERM"
leader       = true
lifecycle {
  hook    = "prestart"
  sidecar = true
}
logs {
  max_files     = 2
  max_file_size = 3
}
resources {
  cpu        = 10
  memory     = 20
  memory_max = 30
}`, ""), "")
	job.Canonicalize()
	tg := job.TaskGroups[0]
	task := tg.Tasks[0]
	text, err := json.Marshal(map[string]any{
		"priority": *job.Priority, "pool": *job.NodePool, "affinity": job.Affinities[0].Operand, "weight": *job.Affinities[0].Weight,
		"spread": job.Spreads[0].SpreadTarget[0].Percent, "lost_after": tg.Disconnect.LostAfter.String(), "volume": tg.Volumes["v"].Source,
		"max": tg.MaxRunDuration.String(), "kill": task.KillTimeout.String(), "signal": task.KillSignal, "hook": task.Lifecycle.Hook,
		"files": *task.LogConfig.MaxFiles, "memory_max": *task.Resources.MemoryMaxMB, "vault": task.Vault.Role, "check": tg.Services[0].Checks[0].Type,
	})
	if err != nil {
		t.Fatal(err)
	}
	want := `{"affinity":"regexp","check":"tcp","files":2,"hook":"prestart","kill":"20s","lost_after":"10m0s","max":"1h0m0s","memory_max":30,` +
		`"pool":"p","priority":70,"signal":"SIGTERM","spread":60,"vault":"r","volume":"s","weight":50}`
	if string(text) != want {
		t.Errorf("got  %s\nwant %s", text, want)
	}
}

func TestJobsThatCannotRunAreRefusedWithEveryReason(t *testing.T) {
	t.Parallel()
	constraint := func(c api.Constraint) func(*api.Job) {
		return func(j *api.Job) { j.Constraints = []*api.Constraint{&c} }
	}
	task := func(change func(*api.Task)) func(*api.Job) {
		return func(j *api.Job) { change(j.TaskGroups[0].Tasks[0]) }
	}
	for name, c := range map[string]struct {
		change func(*api.Job)
		want   []string
	}{
		"nothing": {func(*api.Job) {}, nil},
		"id":      {func(j *api.Job) { j.ID = new("a b") }, []string{"Job ID contains a space"}},
		"type":    {func(j *api.Job) { j.Type = new("zap") }, []string{`Invalid job type: "zap"`}},
		"system":  {func(j *api.Job) { j.Type = new("system") }, []string{"not supported by the embedded agent"}},
		"groups":  {func(j *api.Job) { j.TaskGroups, j.Priority = nil, new(1000) }, []string{"2 errors occurred", "Missing job task groups", "job priority must be between [1, 100]"}},
		"null":    {func(j *api.Job) { j.TaskGroups[0].Tasks = []*api.Task{nil} }, []string{"Job.TaskGroups[0].Tasks[0] is null"}},
		"signal":  {task(func(t *api.Task) { t.KillSignal = "SIGZAP" }), []string{`kill_signal "SIGZAP" is no signal`}},
		"restart": {func(j *api.Job) { j.TaskGroups[0].RestartPolicy = &api.RestartPolicy{Mode: new("zap")} }, []string{`Unsupported restart mode: "zap"`}},
		"driver":  {task(func(t *api.Task) { t.Driver = "" }), []string{"Missing task driver"}},
		"name":    {task(func(t *api.Task) { t.Name = "a/b" }), []string{"Task name cannot include slashes"}},
		"dots":    {task(func(t *api.Task) { t.Name = ".." }), []string{"Task name cannot be"}},
		"memory":  {task(func(t *api.Task) { t.Resources.MemoryMB = new(1) }), []string{"minimum MemoryMB value is 10; got 1"}},
		"count":   {func(j *api.Job) { j.TaskGroups[0].Count = new(-1) }, []string{"count can't be negative"}},
		"counts":  {func(j *api.Job) { j.TaskGroups[0].Count = new(math.MaxInt) }, []string{"total count was greater than configured job_max_count"}},
		"payload": {task(func(t *api.Task) { t.DispatchPayload = &api.DispatchPayloadConfig{File: "../../x"} }), []string{"destination escapes"}},
		"template": {task(func(t *api.Task) {
			t.Templates = []*api.Template{{EmbeddedTmpl: new("x"), DestPath: new("../../../x"), ChangeMode: new("zap")}}
		}), []string{"escapes allocation directory", `change_mode "zap" is not supported`}},
		"namespace": {func(j *api.Job) { j.Namespace = new("zap") }, []string{`is in nonexistent namespace "zap"`}},
		"pool":      {func(j *api.Job) { j.NodePool = new("zap") }, []string{`is in nonexistent node pool "zap"`}},
		"meta": {func(j *api.Job) {
			j.ParameterizedJob = &api.ParameterizedJobConfig{Payload: "zap", MetaRequired: []string{"a"}, MetaOptional: []string{"a"}}
		}, []string{"Unknown payload requirement", "disjoint"}},
		"leaders": {func(j *api.Job) {
			j.TaskGroups[0].Tasks = append(j.TaskGroups[0].Tasks, &api.Task{Name: "u", Driver: "exec", Leader: true})
			j.TaskGroups[0].Tasks[0].Leader = true
		}, []string{"Only one task may be marked as leader"}},
		"no operator":     {constraint(api.Constraint{LTarget: "a", Operand: "zap", RTarget: "b"}), []string{`Unknown constraint type "zap"`}},
		"no right side":   {constraint(api.Constraint{LTarget: "a", Operand: "="}), []string{"requires an RTarget"}},
		"no left side":    {constraint(api.Constraint{Operand: "=", RTarget: "b"}), []string{"no attribute provided"}},
		"a pattern":       {constraint(api.Constraint{LTarget: "a", Operand: "regexp", RTarget: "("}), []string{"failed to compile"}},
		"a version":       {constraint(api.Constraint{LTarget: "a", Operand: "version", RTarget: "zap"}), []string{"Version constraint is invalid"}},
		"a side too many": {constraint(api.Constraint{LTarget: "a", Operand: "is_set", RTarget: "b"}), []string{"does not support an RTarget"}},
		"a set":           {constraint(api.Constraint{LTarget: "a", Operand: "set_contains", RTarget: "b"}), []string{"set_contains is not supported by the embedded agent"}},
		"distinct":        {constraint(api.Constraint{LTarget: "a", Operand: "distinct_property"}), []string{"not supported by the embedded agent"}},
	} {
		job := &api.Job{ID: new("j"), Type: new("batch"), TaskGroups: []*api.TaskGroup{{Name: new("g"), Tasks: []*api.Task{{
			Name: "t", Driver: "exec", Resources: &api.Resources{CPU: new(1), MemoryMB: new(10)},
		}}}}}
		c.change(job)
		_, err := Prepare(job, "", "global")
		if (err == nil) != (c.want == nil) {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for _, want := range c.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %q is not in %v", name, want, err)
			}
		}
	}
}

func TestWhatTheAgentDoesNotDoIsRefusedOrWarnedOfByBlock(t *testing.T) {
	t.Parallel()
	refused := map[string]string{
		body("", "multiregion {}", "", "", ""): "multiregion is not", body("", "periodic { crons = [\"@daily\"] }", "", "", ""): "periodic is not",
		body("", "region = \"mars\"", "", "", ""):                                                             `nonexistent region "mars"`,
		body("", "", "shutdown_delay = \"1s\"", "", ""):                                                       `group "g": shutdown_delay is not`,
		body("", "", "max_run_duration = \"1h\"", "", ""):                                                     `group "g": max_run_duration is not`,
		body("", "", "", "lifecycle { hook = \"prestart\" }", ""):                                             `group "g": task "t": lifecycle is not`,
		body("", "", "", "user = \"nobody\"", ""):                                                             `group "g": task "t": user is not`,
		body("", "", "", "artifact { source = \"https://example.com/a\" }", ""):                               `group "g": task "t": artifact is not`,
		body("", "", "", "identity { env = true }", ""):                                                       "identity is not",
		body("", "", "", "resources { cores = 2 }", ""):                                                       `group "g": task "t": resources: cores is not`,
		body("", "", "", "template {\n source = \"a\"\n destination = \"b\"\n}", ""):                          `group "g": task "t": template: source is not`,
		body("", "", "", "template {\n data = \"a\"\n destination = \"b\"\n change_mode = \"signal\"\n}", ""): `change_mode "signal" is not`,
		body("", "", "", "", "oom_score_adj = 1"):                                                             "config: oom_score_adj is not",
		body("", "", "", "volume_mount {\n volume = \"v\"\n destination = \"/v\"\n}", ""):                     "nonexistent volume v",
		body("", "", "service { name = \"s\" }", "", ""):                                                      `service "s": provider "consul" is not`,
		body("", "", "network {\n dns {}\n}", "", ""):                                                         `group "g": network: dns is not`,
		body("", "", "network {}\nnetwork {}", "", ""):                                                        "Only one network block",
		body("", "", "network {\n port \"p\" { host_network = \"x\" }\n}", "", ""):                            `port "p": host_network "x" is not`,
	}
	for src, want := range refused {
		job := mustParse(t, src, "")
		job.Type = new("batch")
		if _, err := Prepare(job, "", "global"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error is %v, want %q in it, for %s", err, want, src)
		}
	}
	for name, c := range map[string]struct{ src, want string }{
		"reschedule nothing": {body("", "", "reschedule { attempts = 0 }", "", ""), ""},
		"harmless on one machine": {body("", "update { max_parallel = 1 }\naffinity {\n attribute = \"a\"\n value = \"b\"\n}", "spread { attribute = \"a\" }\nreschedule { attempts = 2 }",
			"resources { memory_max = 99 }", ""), `affinity, group "g": task "t": resources: memory_max, group "g": spread, group "g": reschedule, update`},
	} {
		job := mustParse(t, c.src, "")
		job.Type = new("batch")
		warnings, err := Prepare(job, "", "global")
		if got := strings.ReplaceAll(strings.Join(warnings, ", "), " has no effect on the embedded agent", ""); err != nil || got != c.want {
			t.Errorf("%s: %v, warnings %q, want %q", name, err, got, c.want)
		}
	}
}

func TestATaskWithVaultNeedsANodeWithIt(t *testing.T) {
	t.Parallel()
	job := mustParse(t, body("", "", "vault { role = \"r\" }", "", ""), "")
	job.Type = new("batch")
	for range 2 { // the second as when a stored job comes back
		_, err := Prepare(job, "", "global")
		if d := cmp.Diff([]*api.Constraint{{LTarget: "${attr.vault.version}", RTarget: ">= 0.6.1", Operand: "semver"}}, job.TaskGroups[0].Constraints); d != "" || err != nil {
			t.Error(d, err)
		}
	}
	job.TaskGroups[0].Tasks[0].Vault = nil
	if _, err := Prepare(job, "", "global"); err != nil || len(job.TaskGroups[0].Constraints) > 0 {
		t.Errorf("%+v, %v", job.TaskGroups[0].Constraints, err)
	}
}

func FuzzParseJob(f *testing.F) {
	f.Add(body("", "", "", "", ""), "")
	f.Add("variable \"x\" {}\njob \"a\" { meta = { a = var.x } }", "x = 1")
	f.Fuzz(func(t *testing.T, src, vars string) {
		job, err := Parse(src, vars)
		if (job == nil) == (err == nil) {
			t.Fatalf("job %v, error %v", job, err)
		}
	})
}
