package conformance

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cotrain/cotrain/internal/nomad"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/jobs"
)

func testOutcomes(t *testing.T, target Target) {
	for _, c := range []struct {
		name, script string
		state        run.WorkerState
		code, signal int
		detail       string
	}{
		{"exit 0 is complete", "exit 0", run.WorkerComplete, 0, 0, "Exit Code: 0"},
		{"exit 7 is failed", "exit 7", run.WorkerFailed, 7, 0, "Exit Code: 7"},
		{"a signal is failed", "kill -9 $$", run.WorkerFailed, 137, 9, "Signal: 9"},
		{"a missing command is failed with 127", "exec /no/such/command", run.WorkerFailed, 127, 0, "Exit Code: 127"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, target, nil)
			child := b.dispatch(c.script)
			w := b.ended(child)
			if w.State != c.state || w.ExitCode != c.code || w.Signal != c.signal || w.Stopping || !w.Started || w.OOM {
				t.Errorf("worker is %+v, want %s with code %d and signal %d", w, c.state, c.code, c.signal)
			}
			if !strings.Contains(w.Detail, c.detail) {
				t.Errorf("detail is %q, want one with %q", w.Detail, c.detail)
			}
			if w.StartedAt.IsZero() || w.EndedAt.Before(w.StartedAt) || w.NodeID == "" || w.NodeName == "" || w.Rank != 0 {
				t.Errorf("worker is %+v, want times, a node and rank 0", w)
			}
			if w.OK() != (c.code == 0) {
				t.Errorf("OK is %v", w.OK())
			}
			b.eventually("the job to be dead", func(ctx ctx) (bool, string) {
				workers, state, err := b.client.Workers(ctx, child)
				if err != nil || len(workers) != 1 {
					return false, fmt.Sprint(workers, err)
				}
				return state == nomad.JobState{Status: "dead", Found: true}, fmt.Sprintf("%+v", state)
			})
		})
	}
	t.Run("a command that is not on the node says so and ends with 127", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, target, func(j *nomad.JobSettings) { j.Command = []string{"/no/such/trainer"} })
		w := b.ended(b.dispatch("x"))
		if w.State != run.WorkerFailed || w.ExitCode != 127 {
			t.Errorf("worker is %+v", w)
		}
		if text := b.text(w.AllocID, "stdout"); !strings.Contains(text, `"name":"command_missing"`) || !strings.Contains(text, "/no/such/trainer") {
			t.Errorf("stdout is %q", text)
		}
	})
	t.Run("a driver that cannot start the task fails it without a restart", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, target, func(j *nomad.JobSettings) {
			j.File = jobFile(t, strings.Replace(jobs.CotrainCore, `command = "/bin/sh"`, `command = "/no/such/shell"`, 1))
		})
		child := b.dispatch("x")
		w := b.workers(child, 1, "the failure", func(w run.Worker) bool { return w.State == run.WorkerFailed })[0]
		if w.Started || w.Exited || !strings.HasPrefix(w.Detail, "Driver Failure: ") || !strings.Contains(w.Detail, "/no/such/shell") {
			t.Errorf("worker is %+v, want one that never started, with the driver's words", w)
		}
	})
}

// testSignals has a worker answer a signal and go on, as one does that prints its stacks.
func testSignals(t *testing.T, target Target) {
	b := newBench(t, target, nil)
	child := b.dispatch(`trap 'echo stacks >&2' QUIT; trap 'echo other >&2' USR2; echo up; while :; do sleep 0.1; done`)
	w := b.workers(child, 1, "a running worker", func(w run.Worker) bool { return w.State == run.WorkerRunning })[0]
	b.printed(w.AllocID, "stdout", "up\n")
	for _, s := range [...]struct{ signal, answer string }{{"SIGQUIT", "stacks\n"}, {"SIGUSR2", "stacks\nother\n"}} {
		if err := b.client.Signal(b.context(), child, w.AllocID, s.signal); err != nil {
			t.Fatal(err)
		}
		b.printed(w.AllocID, "stderr", s.answer)
	}
	if w := b.workers(child, 1, "a running worker", func(run.Worker) bool { return true })[0]; w.State != run.WorkerRunning {
		t.Errorf("the signal ended it: %+v", w)
	}
	if err := b.client.Kill(b.context(), child); err != nil {
		t.Fatal(err)
	}
	b.ended(child)
	if err := b.client.Signal(b.context(), child, w.AllocID, "SIGQUIT"); err != nil {
		t.Errorf("a worker that has ended: %v", err)
	}
}

// testKilling kills a worker that ignores the stop, long before its kill time-out.
func testKilling(t *testing.T, target Target) {
	b := newBench(t, target, func(j *nomad.JobSettings) { j.KillTimeout = 25 * time.Second })
	child := b.dispatch(`trap '' TERM; sleep 601 & echo up; while :; do sleep 0.1; done`)
	w := b.workers(child, 1, "a running worker", func(w run.Worker) bool { return w.State == run.WorkerRunning })[0]
	b.printed(w.AllocID, "stdout", "up\n")
	if err := b.client.Kill(b.context(), child); err != nil {
		t.Fatal(err)
	}
	w = b.ended(child)
	if w.State != run.WorkerComplete || !w.Stopping || w.Signal != 9 {
		t.Errorf("a killed worker is %+v", w)
	}
	for _, e := range [...]error{b.client.Kill(b.context(), child), b.client.Kill(b.context(), child+"-none")} {
		if e != nil {
			t.Errorf("killing what has ended, or is not there: %v", e)
		}
	}
}

func testStopping(t *testing.T, target Target) {
	for _, c := range []struct {
		name, script string
		code         int
		signal       int
	}{
		{"SIGTERM lets the task end itself", `trap 'echo saved; exit 0' TERM; echo up; while :; do sleep 0.1; done`, 0, 0},
		{"its own exit code is kept", `trap 'exit 3' TERM; echo up; while :; do sleep 0.1; done`, 3, 0},
		{"SIGTERM ends a task that does nothing about it", `echo up; exec sleep 600`, 143, 15},
		{"SIGKILL follows after the kill time-out", `trap '' TERM; echo up; while :; do sleep 0.1; done`, 137, 9},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, target, nil)
			child := b.dispatch(c.script)
			w := b.workers(child, 1, "a running worker", func(w run.Worker) bool { return w.State == run.WorkerRunning })[0]
			b.printed(w.AllocID, "stdout", "up\n")
			if err := b.client.Stop(b.context(), child); err != nil {
				t.Fatal(err)
			}
			w = b.ended(child)
			if w.State != run.WorkerComplete || !w.Stopping || w.OK() {
				t.Errorf("a stopped worker is %+v, want complete, stopping, and not OK", w)
			}
			if w.ExitCode != c.code || w.Signal != c.signal {
				t.Errorf("exit code %d, signal %d; want %d and %d", w.ExitCode, w.Signal, c.code, c.signal)
			}
			b.eventually("the job to be dead and stopped", func(ctx ctx) (bool, string) {
				_, state, err := b.client.Workers(ctx, child)
				return err == nil && state == nomad.JobState{Status: "dead", Stopped: true, Found: true}, fmt.Sprintf("%+v", state)
			})
			if c.name == "SIGTERM lets the task end itself" { // Nomad may still be copying the last bytes of an ended task
				b.printed(w.AllocID, "stdout", "saved\n")
			}
			if err := b.client.Stop(b.context(), child); err != nil {
				t.Errorf("stopping it again: %v", err)
			}
		})
	}
}

func testEnvironment(t *testing.T, target Target) {
	b := newBench(t, target, func(j *nomad.JobSettings) {
		// What would break if quoting or interpolation went wrong anywhere on the way to the task.
		j.Env = map[string]string{"TRICKY": `a "b" $x %{y} {{z}} \n` + "\ttab", "FROM_NODE": "${NOMAD_ALLOC_INDEX}"}
		j.Interface = "lo"
	})
	b.shape.Nodes = 2
	d := b.attempt("env\nsha256sum \"$NOMAD_TASK_DIR/launch.sh\" \"$NOMAD_TASK_DIR/shim/wandb/__init__.py\" \"$NOMAD_TASK_DIR/config.toml\"\npwd\necho done\nexec sleep 600 # worker 0 must live when the others look for it\n")
	d.Resume = "/ckpt/step_100"
	parent, child, err := b.client.DispatchRun(b.context(), b.shape, d)
	if err != nil {
		t.Fatal(err)
	}
	b.track(parent, child)
	for i, w := range b.workers(child, 2, "both workers", func(w run.Worker) bool { return w.State == run.WorkerRunning }) {
		text := b.printed(w.AllocID, "stdout", "done\n")
		for name, want := range map[string]string{
			"NOMAD_ALLOC_ID": w.AllocID, "NOMAD_ALLOC_INDEX": strconv.Itoa(i), "NOMAD_META_run_id": string(d.RunID),
			"NOMAD_META_attempt": "1", "NOMAD_META_resume": d.Resume, "NOMAD_TASK_NAME": "trainer", "NOMAD_GROUP_NAME": "workers",
			"NOMAD_JOB_ID": child, "NOMAD_JOB_PARENT_ID": parent, "NOMAD_ALLOC_NAME": child + ".workers[" + strconv.Itoa(i) + "]",
			"GLOBAL_RANK": strconv.Itoa(i), "GLOBAL_WORLD_SIZE": "2", "GLOBAL_UNIQUE_ID": w.AllocID,
			"GLOO_SOCKET_IFNAME": "lo", "COTRAIN_NODES": "2", "FROM_NODE": strconv.Itoa(i),
			"TRICKY": `a "b" $x %{y} {{z}} \n` + "\ttab",
		} {
			if !strings.Contains("\n"+text, "\n"+name+"="+want+"\n") {
				t.Errorf("worker %d: %s is not %q", i, name, want)
			}
		}
		for _, name := range []string{"NOMAD_IP_rdzv", "NOMAD_PORT_rdzv", "NOMAD_ADDR_rdzv", "NOMAD_PORT_local", "NOMAD_TASK_DIR",
			"NOMAD_ALLOC_DIR", "NOMAD_SECRETS_DIR", "NOMAD_DC", "NOMAD_CPU_LIMIT", "NOMAD_MEMORY_LIMIT", "NOMAD_SHORT_ALLOC_ID"} {
			if !regexp.MustCompile(`(?m)^` + name + `=.+$`).MatchString(text) {
				t.Errorf("worker %d: %s is not set", i, name)
			}
		}
		if strings.Contains("\n"+text, "\nZERO_BAND_") {
			t.Error("a ZERO_BAND_ variable is set: CotrainCore would not start")
		}
		for _, file := range []string{jobs.LaunchScript, jobs.WandbShim, string(d.Payload)} {
			sum := sha256.Sum256([]byte(file))
			if !strings.Contains(text, hex.EncodeToString(sum[:])) {
				t.Errorf("worker %d: a file is not what was sent: %.40q", i, file)
			}
		}
	}
}

func testRendezvous(t *testing.T, target Target) {
	b := newBench(t, target, nil)
	b.shape.Nodes = 3
	child := b.dispatch("echo at=$GLOBAL_ADDR:$GLOBAL_PORT own=$NOMAD_IP_rdzv:$NOMAD_PORT_rdzv rank=$GLOBAL_RANK\nexec sleep 600\n")
	workers := b.workers(child, 3, "all workers", func(w run.Worker) bool { return w.State == run.WorkerRunning })
	line := regexp.MustCompile(`(?m)^at=(\S+) own=(\S+) rank=(\d)$`)
	var own []string
	worker0 := ""
	for i, w := range workers {
		text := b.printed(w.AllocID, "stdout", "rank="+strconv.Itoa(i)+"\n")
		m := line.FindStringSubmatch(text)
		if m == nil || m[3] != strconv.Itoa(i) || w.Rank != i {
			t.Fatalf("worker %d of rank %d printed %q", i, w.Rank, text)
		}
		if i == 0 {
			worker0 = m[2]
		}
		if m[1] != worker0 {
			t.Errorf("worker %d goes to %s, worker 0 is at %s", i, m[1], worker0)
		}
		if slices.Contains(own, m[2]) {
			t.Errorf("two workers have the address %s", m[2])
		}
		own = append(own, m[2])
	}
}

func testDevices(t *testing.T, target Target) {
	if target.Device == "" || target.Devices < 2 {
		t.Skip("the agent has no two devices")
	}
	b := newBench(t, target, nil)
	b.shape.Nodes, b.shape.GPUs, b.shape.GPUModel = 2, 1, target.Device
	child := b.dispatch("exec sleep 600")
	workers := b.workers(child, 2, "both workers", func(w run.Worker) bool { return w.State == run.WorkerRunning })
	var ids []string
	for _, w := range workers {
		if len(w.GPUs) != 1 || w.GPUs[0].Model != target.Device || slices.Contains(ids, w.NodeID+w.GPUs[0].ID) {
			t.Fatalf("worker has the devices %+v, others %q", w.GPUs, ids)
		}
		ids = append(ids, w.NodeID+w.GPUs[0].ID)
	}
	uses, err := b.client.GPUUses(b.context())
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range workers {
		if !slices.ContainsFunc(uses[w.NodeID], func(u run.GPUUse) bool {
			return u.Job == child && u.Rank == w.Rank && slices.Equal(u.GPUs, w.GPUs)
		}) {
			t.Errorf("worker %d with %+v is not in %+v", w.Rank, w.GPUs, uses[w.NodeID])
		}
	}
	if err := b.client.Stop(b.context(), child); err != nil { // others may need them
		t.Fatal(err)
	}
	t.Run("of an exact model, by its bare name", func(t *testing.T) {
		kind := strings.Split(target.Device, "/")[1]
		if kind != nomad.DefaultGPUDevice {
			t.Skipf("the device's type is %q, no GPU", kind)
		}
		b := newBench(t, target, nil)
		b.shape.GPUs, b.shape.GPUModel = 1, path.Base(target.Device)
		if w := b.ended(b.dispatch("exit 0")); len(w.GPUs) != 1 || w.GPUs[0].Model != target.Device {
			t.Errorf("worker is %+v", w)
		}
	})
}

func testUsage(t *testing.T, target Target) {
	b := newBench(t, target, nil)
	child := b.dispatch("sh -c 'while :; do :; done' & sleep 600") // what a task started counts as its own
	w := b.workers(child, 1, "the worker to run", func(w run.Worker) bool { return w.State == run.WorkerRunning })[0]
	b.eventually("the use of a core", func(ctx ctx) (bool, string) {
		u, err := b.client.TaskUsage(ctx, child, w.AllocID)
		return err == nil && u.CPU != nil && *u.CPU > 1 && u.Memory != nil && *u.Memory > 0 && !u.At.IsZero(), fmt.Sprintf("%+v, %v", u, err)
	})
	if _, err := b.client.TaskUsage(b.context(), child, "00000000-0000-0000-0000-000000000000"); err == nil {
		t.Error("an allocation that does not exist has been measured")
	}
}

func testLists(t *testing.T, target Target) {
	b := newBench(t, target, nil)
	w := b.ended(b.dispatch("exit 0"))
	nodes, err := b.client.Nodes(b.context())
	if err != nil || len(nodes) == 0 {
		t.Fatalf("nodes: %v, %v", nodes, err)
	}
	i := slices.IndexFunc(nodes, func(n run.Node) bool { return n.ID == w.NodeID })
	if i < 0 {
		t.Fatalf("node %s of the worker is not in %+v", w.NodeID, nodes)
	}
	n := nodes[i]
	if n.Name != w.NodeName || n.Status != "ready" || !n.Eligible || n.CPU <= 0 || n.Memory <= 0 || n.Datacenter == "" {
		t.Errorf("node is %+v", n)
	}
	if target.Device != "" && !slices.ContainsFunc(n.GPUs, func(g run.GPU) bool { return g.Model == target.Device && g.ID != "" }) {
		t.Errorf("node has the devices %+v, want %s", n.GPUs, target.Device)
	}
	if u, err := b.client.NodeUsage(b.context(), n.ID); err != nil || u.CPU == nil || u.MemoryUsed == nil || u.MemoryTotal == nil || u.DiskTotal == nil || u.At.IsZero() {
		t.Errorf("what its machine uses: %+v, %v", u, err)
	}
	if h, err := b.client.Host(b.context(), n.ID); err != nil || !h.Known || h.Most < h.Least {
		t.Errorf("its clock: %+v, %v", h, err)
	}
}
