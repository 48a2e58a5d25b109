package conformance

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/nomad"
	"github.com/cotrain/cotrain/jobs"
)

func testParse(t *testing.T, b *bench) {
	t.Run("parse", func(t *testing.T) {
		type request struct {
			JobHCL, Variables string
			Canonicalize      bool
		}
		b.expect(b.raw("POST", "/v1/jobs/parse", request{JobHCL: "job {"}), 400, "Failed to parse job")
		b.expect(b.raw("POST", "/v1/jobs/parse", request{JobHCL: jobs.CotrainCore, Variables: "job_id = \"x\"\n"}), 400, "Failed to parse job")
		b.expect(b.raw("POST", "/v1/jobs/parse", request{JobHCL: jobs.CotrainCore, Variables: "job_id = ${\n"}), 400, "Failed to parse job")
		b.expect(b.raw("POST", "/v1/jobs/parse", request{}), 400, "Job spec is empty")
		b.expect(b.raw("POST", "/v1/jobs/parse", request{JobHCL: "job \"x\" {\n  no = 1\n}"}), 400, "input.hcl:2,3-5")
		testParsedDrivers(t, b)
		testParsedCases(t, b)
		broken := newBench(t, b.target, func(j *nomad.JobSettings) {
			j.File = jobFile(t, strings.Replace(jobs.CotrainCore, `group "workers" {`, `group "others" {`, 1))
		})
		if _, err := broken.client.EnsureParent(b.context(), broken.shape); !errors.Is(err, fault.ErrInvalid) {
			t.Errorf("a file without the group gives %v, want ErrInvalid", err)
		}
		broken = newBench(t, b.target, func(j *nomad.JobSettings) { j.File = jobFile(t, "job {") })
		if _, err := broken.client.EnsureParent(b.context(), broken.shape); !errors.Is(err, fault.ErrInvalid) {
			t.Errorf("a file that does not parse gives %v, want ErrInvalid", err)
		}
	})
}

// testParsedDrivers checks what the job file becomes for each driver, and what GPUs add.
func testParsedDrivers(t *testing.T, b *bench) {
	type task struct {
		Driver, KillSignal string
		KillTimeout        time.Duration
		Config             map[string]any
		Env                map[string]string
		Templates          []struct {
			DestPath, EmbeddedTmpl, ChangeMode, LeftDelim, Perms string
			Once                                                 bool
		}
		Vault *struct {
			Role, ChangeMode string
			Env, DisableFile bool
		}
		Resources struct {
			CPU, MemoryMB int
			Devices       []struct {
				Name        string
				Count       int
				Constraints []struct{ LTarget, RTarget, Operand string }
			}
		}
	}
	type job struct {
		ID         string
		TaskGroups []struct {
			Count            int
			Tasks            []task
			RestartPolicy    struct{ Attempts int }
			ReschedulePolicy struct {
				Attempts  int
				Unlimited bool
			}
			Disconnect struct {
				Replace   bool
				LostAfter time.Duration
			}
		}
	}
	const common = "job_id = \"x\"\nnodes = 2\ncpu = 10\nmemory = 20\nlaunch_script = \"a $${b} \\u0025{c}\"\nshim = \"s\"\ncommand = [\"/bin/t\", \"y\"]\n"
	script := []any{"${NOMAD_TASK_DIR}/launch.sh", "/bin/t", "y"}
	for driver, config := range map[string]map[string]any{
		"raw_exec": {"command": "/bin/sh", "args": script},
		"exec":     {"command": "/bin/sh", "args": script},
		"docker": {"image": "i:1", "network_mode": "host", "init": true, "shm_size": 1048576.0, "volumes": []any{"/a:/b"},
			"entrypoint": []any{"/bin/sh"}, "args": script},
		"podman": {"image": "i:1", "network_mode": "host", "init": true, "volumes": []any{"/a:/b"}, "entrypoint": []any{"/bin/sh"}, "args": script},
	} {
		vars := common + "driver = \"" + driver + "\"\nimage = \"i:1\"\nvolumes = [\"/a:/b\"]\nshm_mb = 1\nenv = { A = \"b\" }\n" +
			"gpus = 2\ngpu_device = \"nvidia/gpu\"\ngpu_model = \"A100\"\ngpu_min_memory = 40960\nkill_timeout = \"7s\"\n"
		got := decode[job](b, b.raw("POST", "/v1/jobs/parse", map[string]any{"JobHCL": jobs.CotrainCore, "Variables": vars}))
		if got.ID != "x" || len(got.TaskGroups) != 1 || got.TaskGroups[0].Count != 2 || len(got.TaskGroups[0].Tasks) != 1 {
			t.Fatalf("parsed job is %+v", got)
		}
		g := got.TaskGroups[0]
		if g.RestartPolicy.Attempts != 0 || g.ReschedulePolicy.Attempts != 0 || g.ReschedulePolicy.Unlimited || g.Disconnect.Replace || g.Disconnect.LostAfter != 8760*time.Hour {
			t.Errorf("policies are %+v", g)
		}
		task := g.Tasks[0]
		if d := cmp.Diff(config, task.Config); d != "" {
			t.Errorf("config for %s: %s", driver, d)
		}
		if task.Driver != driver || task.KillSignal != "SIGTERM" || task.KillTimeout != 7*time.Second || task.Env["A"] != "b" || task.Env["COTRAIN_NODES"] != "2" {
			t.Errorf("task is %+v", task)
		}
		var paths []string
		for _, tmpl := range task.Templates {
			paths = append(paths, tmpl.DestPath)
			if tmpl.ChangeMode != "noop" || tmpl.Once || tmpl.DestPath == "local/launch.sh" && (tmpl.EmbeddedTmpl != "a ${b} %{c}" || tmpl.Perms != "755") {
				t.Errorf("a template is %+v", tmpl)
			}
		}
		if d := cmp.Diff([]string{"local/worker0", "secrets/run.sh", "local/launch.sh", "local/shim/wandb/__init__.py"}, paths); d != "" || task.Vault != nil {
			t.Error(d, task.Vault)
		}
		devices := task.Resources.Devices
		if len(devices) != 1 || devices[0].Name != "nvidia/gpu" || devices[0].Count != 2 || len(devices[0].Constraints) != 2 ||
			devices[0].Constraints[0].LTarget != "${device.model}" || devices[0].Constraints[1].LTarget != "${device.attr.memory}" ||
			devices[0].Constraints[1].Operand != ">=" || devices[0].Constraints[1].RTarget != "40960 MiB" {
			t.Errorf("devices are %+v", devices)
		}
	}
	testParsedStorage(t, b, common)
	got := decode[job](b, b.raw("POST", "/v1/jobs/parse", map[string]any{"JobHCL": jobs.CotrainCore, "Variables": common}))
	if n := len(got.TaskGroups[0].Tasks[0].Resources.Devices); n != 0 {
		t.Errorf("without GPUs there are %d device blocks", n)
	}
	got = decode[job](b, b.raw("POST", "/v1/jobs/parse", map[string]any{"JobHCL": jobs.CotrainCore, "Variables": strings.Replace(common, "nodes = 2", "nodes = 1", 1) + "vault = true\nvault_role = \"r\"\n"}))
	alone := got.TaskGroups[0].Tasks[0]
	if v := alone.Vault; v == nil || v.Role != "r" || v.ChangeMode != "noop" || v.Env || !v.DisableFile || alone.Templates[0].DestPath != "secrets/run.sh" || !alone.Templates[0].Once {
		t.Errorf("with Vault, and a single worker, the task is %+v", alone)
	}
}

// testParsedStorage checks what shared storage and a site add to the job.
func testParsedStorage(t *testing.T, b *bench, common string) {
	type mount struct{ Volume, Destination string }
	type job struct {
		Datacenters []string
		TaskGroups  []struct {
			Volumes map[string]struct{ Name, Type, Source string }
			Tasks   []struct {
				Config       map[string]any
				Env          map[string]string
				VolumeMounts []mount
			}
		}
	}
	for name, c := range map[string]struct {
		vars, dc  string
		env       string
		volumes   any
		requested bool
		mounted   []mount
	}{
		"nothing":                       {vars: "driver = \"docker\"\n", dc: "*", volumes: []any{}},
		"a site":                        {vars: "site = \"ams\"\ndatacenters = [\"a*\"]\n", dc: "ams"},
		"datacenters":                   {vars: "datacenters = [\"a*\"]\n", dc: "a*"},
		"a folder":                      {vars: "storage = \"/srv/c\"\n", dc: "*", env: "/srv/c"},
		"a folder for containers":       {vars: "driver = \"podman\"\nstorage = \"/srv/c\"\nvolumes = [\"/a:/b\"]\n", dc: "*", env: "/srv/c", volumes: []any{"/a:/b", "/srv/c:/srv/c"}},
		"a host volume":                 {vars: "storage = \"/srv/c\"\nstorage_volume = \"shared\"\n", dc: "*", env: "/srv/c", requested: true},
		"a host volume for containers":  {vars: "driver = \"docker\"\nstorage = \"/srv/c\"\nstorage_volume = \"shared\"\n", dc: "*", env: "/srv/c", volumes: []any{}, requested: true, mounted: []mount{{"storage", "/srv/c"}}},
		"a host volume in an exec task": {vars: "driver = \"exec\"\nstorage = \"/srv/c\"\nstorage_volume = \"shared\"\n", dc: "*", env: "/srv/c", requested: true, mounted: []mount{{"storage", "/srv/c"}}},
	} {
		got := decode[job](b, b.raw("POST", "/v1/jobs/parse", map[string]any{"JobHCL": jobs.CotrainCore, "Variables": common + c.vars}))
		g := got.TaskGroups[0]
		task := g.Tasks[0]
		if len(got.Datacenters) != 1 || got.Datacenters[0] != c.dc || task.Env["COTRAIN_STORAGE"] != c.env {
			t.Errorf("%s: datacenters %q, storage %q", name, got.Datacenters, task.Env["COTRAIN_STORAGE"])
		}
		if d := cmp.Diff(c.volumes, task.Config["volumes"]); d != "" {
			t.Errorf("%s: volumes: %s", name, d)
		}
		if v, ok := g.Volumes["storage"]; ok != c.requested || ok && (v.Type != "host" || v.Source != "shared") {
			t.Errorf("%s: requests %+v", name, g.Volumes)
		}
		if d := cmp.Diff(c.mounted, task.VolumeMounts); d != "" {
			t.Errorf("%s: mounts: %s", name, d)
		}
	}
}
