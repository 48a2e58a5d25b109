package localnomad

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/nomad/api"
)

func mustParse(t *testing.T, src, vars string) *api.Job {
	t.Helper()
	job, err := parseJob(t.Context(), src, vars)
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

func TestTheShippedJobFileParses(t *testing.T) {
	t.Parallel()
	src, err := os.ReadFile("../../jobs/cotrain-core.nomad.hcl")
	if err != nil {
		t.Fatal(err)
	}
	job := mustParse(t, string(src), `
job_id = "cotrain-core-1"
nodes = 3
gpus = 2
gpu_model = "SimGPU-24"
gpu_min_memory = 20000
cpu = 100
memory = 200
launch_script = "echo $${NOMAD_ALLOC_ID}"
shim = "pass"
unknown_to_the_file = 1
`)
	task := job.TaskGroups[0].Tasks[0]
	if *job.ID != "cotrain-core-1" || *job.TaskGroups[0].Count != 3 || job.ParameterizedJob.Payload != "required" {
		t.Errorf("job is %v, count %v", *job.ID, *job.TaskGroups[0].Count)
	}
	if got := task.Config["args"]; cmp.Diff(got, []any{"${NOMAD_TASK_DIR}/launch.sh"}) != "" {
		t.Errorf("args are %v", got)
	}
	d := task.Resources.Devices[0]
	want := []*api.Constraint{
		{LTarget: "${device.model}", RTarget: "SimGPU-24", Operand: "="},
		{LTarget: "${device.attr.memory}", RTarget: "20000 MiB", Operand: ">="},
	}
	if *d.Count != 2 || cmp.Diff(want, d.Constraints) != "" {
		t.Errorf("device is %v %v", *d.Count, cmp.Diff(want, d.Constraints))
	}
	if svc := job.TaskGroups[0].Services[0]; svc.Tags[0] != "rank-${NOMAD_ALLOC_INDEX}" {
		t.Errorf("tags are %v", svc.Tags)
	}
	script := task.Templates[slices.IndexFunc(task.Templates, func(t *api.Template) bool { return *t.DestPath == "local/launch.sh" })]
	if *script.EmbeddedTmpl != "echo ${NOMAD_ALLOC_ID}" || *script.Perms != "755" || *script.LeftDelim != "<<<cotrain:" {
		t.Errorf("script template is %+v", script)
	}
}

func TestReferencesToTheNodeStayAsWritten(t *testing.T) {
	t.Parallel()
	job := mustParse(t, body("", `
meta {
  a = "${NOMAD_ALLOC_INDEX}-${attr.cpu.arch}"
  b = "$${lit}"
  c = "${attr.cpu} ${attr.cpu.arch}"
  d = join("-", ["${attr.x}", NOMAD_Y])
}`, "", `env { X = "${meta.foo}/${node.unique.name}" }`, `args = ["${NOMAD_PORT_x}", "${attr.unique.network.ip-address}"]`), "")
	want := map[string]string{
		"a": "${NOMAD_ALLOC_INDEX}-${attr.cpu.arch}", "b": "${lit}", "c": "${attr.cpu} ${attr.cpu.arch}", "d": "${attr.x}-${NOMAD_Y}",
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
}`, "mount {\n type = \"bind\"\n}\nmount {\n type = \"tmpfs\"\n}"), "names = [\"p\", \"q\"]\nn = 3")
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
	if mounts, _ := task.Config["mount"].([]map[string]any); len(mounts) != 2 || mounts[1]["type"] != "tmpfs" {
		t.Errorf("config is %v", task.Config)
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
		"brackets without end":        {"x = " + strings.Repeat("[", 100_000), "", "nested more than 500 deep"},
	} {
		_, err := parseJob(t.Context(), c.src, c.vars)
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

func FuzzParseJob(f *testing.F) {
	f.Add(body("", "", "", "", ""), "")
	f.Add("variable \"x\" {}\njob \"a\" { meta = { a = var.x } }", "x = 1")
	f.Add(`{"job":{"a":{}}}`, "")
	f.Fuzz(func(t *testing.T, src, vars string) {
		job, err := parseJob(t.Context(), src, vars)
		if (job == nil) == (err == nil) {
			t.Fatalf("job %v, error %v", job, err)
		}
	})
}
