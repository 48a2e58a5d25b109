package nomad

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/nomad/api"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/jobs"
)

// Values of run.EnvVar.From.
const (
	fromJob    = "job"
	fromRun    = "run"
	fromScript = "launch script"
	fromSecret = "secret"
)

// Launch describes what starts an attempt's workers: all of [run.Launch] except the configuration, which is d.Payload.
// It changes nothing. What only a node knows stands in <>. The error is that of [Client.Job], or [fault.ErrInvalid] for
// what d cannot send.
func (c *Client) Launch(ctx context.Context, shape run.Shape, d Dispatch) (run.Launch, error) {
	meta, err := d.Meta()
	if err != nil {
		return run.Launch{}, err
	}
	job, _, err := c.wouldRegister(ctx, shape)
	if err != nil {
		return run.Launch{}, err
	}
	text, err := json.Marshal(job)
	if err != nil {
		return run.Launch{}, fmt.Errorf("encode job %s: %w", deref(job.ID), err)
	}
	l := worker0{task: taskOf(job), nodes: workersIn(job), d: d, diloco: dilocoTable.Match(d.Payload)}
	return run.Launch{
		ParentJob: deref(job.ID), Job: text, Meta: meta, Script: orDefault(c.cfg.Job.LaunchScript, jobs.LaunchScript),
		Env: l.env(meta), Command: l.command(),
	}, nil
}

// dilocoTable matches as the launch script does.
var dilocoTable = regexp.MustCompile(`(?m)^[ \t\v\f\r]*(\[[ \t\v\f\r]*diloco[ \t\v\f\r]*[\].]|diloco[ \t\v\f\r]*[.=])`)

// worker0 derives what the launch script does on worker 0's first start. A test compares it with the script.
type worker0 struct {
	task   *api.Task
	nodes  int
	d      Dispatch
	diloco bool
}

func taskOf(job *api.Job) *api.Task {
	for _, g := range job.TaskGroups {
		if g == nil || deref(g.Name) != groupName {
			continue
		}
		for _, t := range g.Tasks {
			if t != nil && t.Name == TaskName {
				return t
			}
		}
	}
	return &api.Task{} // parse refuses such a job
}

func workersIn(job *api.Job) int {
	for _, g := range job.TaskGroups {
		if g != nil && deref(g.Name) == groupName {
			return deref(g.Count)
		}
	}
	return 0
}

// get is a variable as the script sees it.
func (l worker0) get(name string) string {
	if v, ok := l.d.Env[name]; ok {
		return v
	}
	return l.task.Env[name]
}

// words is the job file's command for the script, nil for torchrun.
func (l worker0) words() []string {
	args, _ := l.task.Config["args"].([]any)
	var out []string
	for _, a := range args {
		out = append(out, fmt.Sprint(a))
	}
	if len(out) == 0 {
		return nil
	}
	return out[1:] // after the script
}

// home is the trainer's folder if it does not start there.
func (l worker0) home() string {
	if dir := l.get("COTRAIN_WORK_DIR"); dir != "" && l.get("COTRAIN_STORAGE") != "" {
		return path.Clean(dir)
	}
	return ""
}

// atHome prefixes a word that names a file in the trainer's folder, as the script does. Only the node knows its files,
// so this assumes scripts.
func (l worker0) atHome(i int, word string) string {
	script := strings.HasSuffix(word, ".py") || strings.HasSuffix(word, ".sh")
	if home := l.home(); home != "" && !path.IsAbs(word) && !strings.HasPrefix(word, "-") && (i == 0 && strings.Contains(word, "/") || i > 0 && script) {
		return home + "/" + word
	}
	return word
}

// world reports whether all workers form one torchrun world.
func (l worker0) world() bool { return len(l.words()) == 0 && !l.diloco && l.nodes > 1 }

func (l worker0) gpus() int {
	n, _ := strconv.Atoi(l.get("COTRAIN_GPUS")) // 0 if not a number
	return n
}

// env lists the environment by origin; later entries win.
func (l worker0) env(meta map[string]string) []run.EnvVar {
	var out []run.EnvVar
	add := func(from string, vars map[string]string) {
		for _, name := range slices.Sorted(maps.Keys(vars)) {
			out = append(out, run.EnvVar{Name: name, Value: vars[name], From: from})
		}
	}
	add(fromJob, l.task.Env)
	for _, key := range slices.Sorted(maps.Keys(meta)) {
		out = append(out, run.EnvVar{Name: "NOMAD_META_" + key, Value: meta[key], From: fromRun})
	}
	add(fromRun, l.d.Env)
	for _, ref := range l.d.Secrets {
		out = append(out, run.EnvVar{Name: orDefault(ref.Env, "*"), Value: "<" + ref.String() + ">", From: fromSecret})
	}
	add(fromScript, l.scriptEnv())
	return out
}

func (l worker0) scriptEnv() map[string]string {
	out := map[string]string{}
	var python []string
	if l.get("COTRAIN_DUMP_SIGNAL") != "" {
		python = append(python, "<task folder>/dump")
	}
	if l.get("COTRAIN_REAL_WANDB") != "1" {
		python = append(python, "<task folder>/shim")
	}
	if v := l.get("PYTHONPATH"); v != "" {
		python = append(python, v)
	}
	if home := l.home(); home != "" {
		python = append(python, home)
	}
	if v := strings.Join(python, ":"); v != l.get("PYTHONPATH") {
		out["PYTHONPATH"] = v
	}
	switch {
	case l.get("COTRAIN_INTERFACE") != "" && l.d.Env["GLOO_SOCKET_IFNAME"] == "":
		out["GLOO_SOCKET_IFNAME"] = l.get("COTRAIN_INTERFACE")
	case l.get("GLOO_SOCKET_IFNAME") == "":
		out["GLOO_SOCKET_IFNAME"] = "<the interface with the worker's address>"
	}
	if l.gpus() > 0 && l.get("CUDA_VISIBLE_DEVICES") == "" {
		out["CUDA_VISIBLE_DEVICES"] = "<the worker's GPUs>"
	}
	if l.torchrun() && l.get(patience) == "" {
		out[patience] = strconv.Itoa(l.killSeconds())
	}
	if !l.world() {
		maps.Copy(out, map[string]string{
			"GLOBAL_ADDR": "<worker 0's address>", "GLOBAL_PORT": "<worker 0's port>", "GLOBAL_RANK": "0",
			"GLOBAL_WORLD_SIZE": strconv.Itoa(l.nodes), "GLOBAL_UNIQUE_ID": "<allocation ID>",
		})
	}
	return out
}

// patience is how long torchrun waits for its processes after a signal, in seconds.
const patience = "TORCH_ELASTIC_SHUTDOWN_TIMEOUT"

func (l worker0) torchrun() bool {
	words := l.words()
	return len(words) == 0 || path.Base(words[0]) == "torchrun"
}

// killSeconds is the kill time-out, or a long default if an older job file does not pass it.
func (l worker0) killSeconds() int {
	const unknown = 600
	d, err := time.ParseDuration(l.get("COTRAIN_KILL_TIMEOUT"))
	if err != nil || d <= 0 || d%time.Second != 0 { // as the script reads it
		return unknown
	}
	return int(d / time.Second)
}

// command is the resulting shell line.
func (l worker0) command() string {
	words := l.words()
	if len(words) == 0 {
		processes := "--nproc_per_node=" + strconv.Itoa(max(1, l.gpus()))
		words = []string{"torchrun", processes, "--nnodes=1", "--node_rank=0", "--rdzv_endpoint=localhost:<local port>"}
		if l.world() {
			words = []string{"torchrun", processes, "--nnodes=" + strconv.Itoa(l.nodes), "--node_rank=0",
				"--rdzv_endpoint=<worker 0's address>:<worker 0's port>"}
		}
		words = append(words, l.atHome(1, l.get("COTRAIN_TRAINER")))
	}
	for i, word := range l.words() {
		words[i] = l.atHome(i, word)
	}
	words = append(words, "@<task folder>/config.toml")
	if l.diloco && l.nodes > 1 {
		words = append(words, "--data.data_rank", "0", "--data.data_world_size", strconv.Itoa(l.nodes))
		if l.d.CheckpointPath != "" {
			words = append(words, "--ckpt.path", strings.TrimRight(l.d.CheckpointPath, "/")+"/worker_0")
		}
	}
	if l.d.Resume != "" {
		words = append(words, "--ckpt.resume", l.d.Resume)
	}
	words = append(words, l.d.Args...)
	for i, w := range words {
		words[i] = shellWord(w)
	}
	return strings.Join(words, " ")
}

var plainWord = regexp.MustCompile(`^[A-Za-z0-9_@%+=:,./-]+$`)

// shellWord quotes a word if needed; placeholders keep their <> inside.
func shellWord(s string) string {
	if plainWord.MatchString(s) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
