package conformance

import (
	"fmt"
	"maps"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cotrain/cotrain/internal/nomad"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/jobs"
)

// recorder stands for torchrun on the nodes: it prints what it was started with and then lives on, so that the other
// workers find worker 0.
const recorder = `#!/bin/sh
for a in "$@"; do printf 'arg=%s\n' "$a"; done
env | sort | sed 's/^/env=/'
printf 'pwd=%s\nrecorded\n' "$PWD"
exec sleep 600
`

// withRecorder makes the job file put recorder on the path as torchrun.
func withRecorder(t *testing.T, j *nomad.JobSettings) {
	block := "template {\n        destination = \"local/bin/torchrun\"\n        perms = \"755\"\n        change_mode = \"noop\"\n        data = <<EOT\n" +
		strings.ReplaceAll(strings.ReplaceAll(recorder, "${", "$${"), "%{", "%%{") + "EOT\n      }\n\n      logs {"
	j.File = jobFile(t, strings.Replace(jobs.CotrainCore, "logs {", block, 1))
	j.Command, j.Trainer = nil, "src/train.py"
	j.Env = map[string]string{"PATH": "${NOMAD_TASK_DIR}/bin:/usr/local/bin:/usr/bin:/bin"}
}

// record is what one worker's torchrun was started with.
type record struct {
	worker run.Worker
	args   []string
	env    map[string]string
	pwd    string
	text   string // all of stdout
}

// record waits until torchrun has been started n times in an allocation, and returns the last start.
func (b *bench) record(w run.Worker, n int) record {
	b.Helper()
	text := ""
	b.eventually(fmt.Sprintf("start %d of torchrun in %s", n, w.AllocID), func(ctx ctx) (bool, string) {
		var out strings.Builder
		err := b.client.TailLog(ctx, w.AllocID, "stdout", nomad.Cursor{}, false, func(c nomad.LogChunk) error {
			out.Write(c.Data)
			return nil
		})
		text = out.String()
		return err == nil && strings.Count(text, "recorded\n") == n, fmt.Sprintf("%q %v", text, err)
	})
	r := record{worker: w, env: map[string]string{}, text: text}
	starts := strings.SplitAfter(text, "recorded\n")
	for line := range strings.Lines(starts[n-1]) {
		key, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
		switch key {
		case "arg":
			r.args = append(r.args, value)
		case "env":
			name, v, _ := strings.Cut(value, "=")
			r.env[name] = v
		case "pwd":
			r.pwd = value
		}
	}
	return r
}

// launch dispatches with the recorder and returns what each worker's torchrun was started with.
func (b *bench) launch(d nomad.Dispatch) (child string, records []record) {
	b.Helper()
	parent, child, err := b.client.DispatchRun(b.context(), b.shape, d)
	if err != nil {
		b.Fatalf("dispatch: %v", err)
	}
	b.track(parent, child)
	workers := b.workers(child, b.shape.Nodes, "all workers", func(w run.Worker) bool { return w.State == run.WorkerRunning })
	for _, w := range workers {
		records = append(records, b.record(w, 1))
	}
	return child, records
}

// expectEnv asserts variables; "" says that one must not be set.
func (r record) expectEnv(b *bench, want map[string]string) {
	b.Helper()
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if got := r.env[name]; got != want[name] {
			b.Errorf("worker %d: %s is %q, want %q", r.worker.Rank, name, got, want[name])
		}
	}
	for name := range r.env {
		if _, ok := want[name]; !ok && (strings.HasPrefix(name, "ZERO_BAND_") || strings.HasPrefix(name, "GLOBAL_")) {
			b.Errorf("worker %d: %s is set", r.worker.Rank, name)
		}
	}
}

func (r record) expectArgs(b *bench, want []string) {
	b.Helper()
	for i, a := range want {
		want[i] = strings.ReplaceAll(a, "CONFIG", "@"+r.env["NOMAD_TASK_DIR"]+"/config.toml")
	}
	if d := cmp.Diff(want, r.args); d != "" {
		b.Errorf("worker %d: arguments: %s", r.worker.Rank, d)
	}
}

func testLaunches(t *testing.T, target Target) {
	t.Run("a single node", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, target, func(j *nomad.JobSettings) { withRecorder(t, j) })
		if target.Device != "" && target.Devices > 1 {
			b.shape.GPUs, b.shape.GPUModel = 2, target.Device
		}
		d := b.attempt("name_model = \"150M\"\n[train]\nmicro_bs = 1\n")
		_, records := b.launch(d)
		r := records[0]
		r.expectEnv(b, map[string]string{
			"GLOBAL_ADDR": r.env["NOMAD_IP_rdzv"], "GLOBAL_PORT": r.env["NOMAD_PORT_rdzv"], "GLOBAL_RANK": "0", "GLOBAL_WORLD_SIZE": "1",
			"GLOBAL_UNIQUE_ID": r.worker.AllocID, "PYTHONPATH": r.env["NOMAD_TASK_DIR"] + "/shim", "COTRAIN_STORAGE": "",
			"CUDA_VISIBLE_DEVICES": r.env["NVIDIA_VISIBLE_DEVICES"],
		})
		r.expectArgs(b, []string{"--nproc_per_node=" + strconv.Itoa(max(1, b.shape.GPUs)), "--nnodes=1", "--node_rank=0",
			"--rdzv_endpoint=localhost:" + r.env["NOMAD_PORT_local"], "src/train.py", "CONFIG"})
		b.checkLaunch(d, r)
	})
	t.Run("four DiLoCo workers", func(t *testing.T) {
		t.Parallel()
		testDiLoCoLaunch(t, target)
	})
	t.Run("two nodes in one world", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, target, func(j *nomad.JobSettings) { withRecorder(t, j) })
		b.shape.Nodes = 2
		d := b.attempt("name_model = \"150M\"\n")
		d.Resume = "/ckpt/step_3"
		_, records := b.launch(d)
		worker0 := records[0].env
		for i, r := range records {
			r.expectEnv(b, map[string]string{"PYTHONPATH": r.env["NOMAD_TASK_DIR"] + "/shim", "NOMAD_META_resume": "/ckpt/step_3"})
			r.expectArgs(b, []string{"--nproc_per_node=1", "--nnodes=2", "--node_rank=" + strconv.Itoa(i),
				"--rdzv_endpoint=" + worker0["NOMAD_IP_rdzv"] + ":" + worker0["NOMAD_PORT_rdzv"], "src/train.py", "CONFIG", "--ckpt.resume", "/ckpt/step_3"})
		}
		b.checkLaunch(d, records[0])
	})
}

func testDiLoCoLaunch(t *testing.T, target Target) {
	storage := "/tmp" // on every node
	b := newBench(t, target, func(j *nomad.JobSettings) {
		withRecorder(t, j)
		j.Storage = storage
	})
	b.shape.Nodes = 4
	d := b.attempt("name_model = \"150M\"\n[diloco]\ninner_steps = 5\n")
	d.Env = map[string]string{"NCCL_DEBUG": "INFO", "MY_TEXT": `a "b" $x 'y' \n {{z}} = #`, "ZERO_BAND_OPTIM_BATCH_SIZE": "8"}
	d.Args = []string{"--train.micro_bs", "2", "it's"}
	d.CheckpointPath, d.Resume = "no-such-folder/ckpt", "no-such-folder/ckpt/step_5"
	_, records := b.launch(d)
	worker0 := records[0].env
	for i, r := range records {
		r.expectEnv(b, map[string]string{
			"GLOBAL_ADDR": worker0["NOMAD_IP_rdzv"], "GLOBAL_PORT": worker0["NOMAD_PORT_rdzv"], "GLOBAL_RANK": strconv.Itoa(i), "GLOBAL_WORLD_SIZE": "4",
			"GLOBAL_UNIQUE_ID": r.worker.AllocID, "COTRAIN_STORAGE": storage, "NCCL_DEBUG": "INFO", "MY_TEXT": d.Env["MY_TEXT"], "ZERO_BAND_OPTIM_BATCH_SIZE": "8",
			"NOMAD_META_ckpt_path": d.CheckpointPath, "NOMAD_META_secrets": "",
		})
		r.expectArgs(b, []string{"--nproc_per_node=1", "--nnodes=1", "--node_rank=0", "--rdzv_endpoint=localhost:" + r.env["NOMAD_PORT_local"],
			"src/train.py", "CONFIG", "--data.data_rank", strconv.Itoa(i), "--data.data_world_size", "4", "--ckpt.path", "no-such-folder/ckpt/worker_" + strconv.Itoa(i),
			"--ckpt.resume", "no-such-folder/ckpt/step_5", "--train.micro_bs", "2", "it's"})
		if r.pwd != storage {
			t.Errorf("worker %d is in %q, want the storage", i, r.pwd)
		}
	}
	b.checkLaunch(d, records[0])
}

// checkLaunch asserts that what the client says about a start before it happens is what happened on worker 0.
func (b *bench) checkLaunch(d nomad.Dispatch, r record) {
	b.Helper()
	l, err := b.client.Launch(b.context(), b.shape, d)
	if err != nil {
		b.Fatalf("Launch: %v", err)
	}
	known := map[string]string{
		"<task folder>": r.env["NOMAD_TASK_DIR"], "<worker 0's address>": r.env["NOMAD_IP_rdzv"], "<worker 0's port>": r.env["NOMAD_PORT_rdzv"],
		"<local port>": r.env["NOMAD_PORT_local"], "<allocation ID>": r.worker.AllocID, "<the worker's GPUs>": r.env["NVIDIA_VISIBLE_DEVICES"],
		"<the interface with the worker's address>": r.env["GLOO_SOCKET_IFNAME"],
	}
	fill := func(s string) string {
		for placeholder, value := range known {
			s = strings.ReplaceAll(s, placeholder, value)
		}
		return s
	}
	// A shell reads the line as the words that torchrun got.
	out, err := exec.CommandContext(b.context(), "/bin/sh", "-c", "for a in "+l.Command+`; do printf '%s\n' "$a"; done`).Output()
	if err != nil {
		b.Fatalf("the command %q is no shell line: %v", l.Command, err)
	}
	words := strings.Split(strings.TrimSuffix(fill(string(out)), "\n"), "\n")
	if want := append([]string{"torchrun"}, r.args...); !slices.Equal(words, want) {
		b.Errorf("Launch says %q, torchrun got %q", words, want)
	}
	if l.ParentJob != b.shape.ParentJob() || l.Script != jobs.LaunchScript || len(l.Job) == 0 || l.Meta["run_id"] != string(d.RunID) {
		b.Errorf("Launch says %+v", l)
	}
	last := map[string]string{}
	for _, v := range l.Env {
		last[v.Name] = fill(v.Value)
	}
	for name, want := range last {
		if name == "PATH" { // interpolated on the node
			continue
		}
		if first, _, _ := strings.Cut(want, "\n"); r.env[name] != first { // the record is by line
			b.Errorf("Launch says %s=%q, it is %q", name, want, r.env[name])
		}
	}
	for _, prefix := range []string{"GLOBAL_", "GLOO_", "CUDA_", "COTRAIN_"} {
		for name := range r.env {
			if _, ok := last[name]; !ok && strings.HasPrefix(name, prefix) {
				b.Errorf("Launch says nothing of %s=%q", name, r.env[name])
			}
		}
	}
}
