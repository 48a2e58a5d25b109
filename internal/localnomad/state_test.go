package localnomad

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"

	"github.com/cotrain/cotrain/internal/localnomad/state"
	"github.com/cotrain/cotrain/internal/localnomad/task"
)

func parameterized(id, script string, count int) *api.Job {
	job := shellJob(id, script, count)
	job.ParameterizedJob = &api.ParameterizedJobConfig{Payload: "optional", MetaRequired: []string{"run_id"}, MetaOptional: []string{"resume"}}
	return job
}

func (a *testAgent) dispatch(parent, token string) string {
	a.t.Helper()
	body, code := a.do("PUT", "/v1/job/"+parent+"/dispatch?idempotency_token="+token, `{"Meta":{"run_id":"r1"}}`)
	if code != http.StatusOK {
		a.t.Fatalf("dispatch: %d %s", code, body)
	}
	_, rest, _ := strings.Cut(body, `"DispatchedJobID":"`)
	id, _, _ := strings.Cut(rest, `"`)
	return id
}

func TestARestartKeepsJobsAllocationsLogsAndTokens(t *testing.T) {
	t.Parallel()
	a := startAgent(t, nil)
	a.register(parameterized("parent", "echo done", 1))
	child := a.dispatch("parent", "tok")
	al := a.waitAllocs(child, api.AllocClientStatusComplete, 1)[0]
	a.register(sleeper("replaced", 1, nil))
	a.register(sleeper("kept", 1, func(tg *api.TaskGroup, _ *api.Task) { tg.Disconnect = &api.DisconnectStrategy{Replace: new(false)} }))
	replaced, kept := a.waitAllocs("replaced", api.AllocClientStatusRunning, 1)[0], a.waitAllocs("kept", api.AllocClientStatusRunning, 1)[0]
	nodes, _, err := a.client.Nodes().List(nil)
	if err != nil {
		t.Fatal(err)
	}
	index := a.s.store.Index()
	a.stop()
	a.start()
	if got := a.s.store.Index(); got < index {
		t.Errorf("the index went back from %d to %d", index, got)
	}
	again, _, err := a.client.Nodes().List(nil)
	if err != nil || len(again) != len(nodes) {
		t.Fatal(err)
	}
	for _, n := range again {
		if !slices.ContainsFunc(nodes, func(o *api.NodeListStub) bool { return o.ID == n.ID && o.Name == n.Name }) {
			t.Errorf("node %s has another ID", n.Name)
		}
	}
	if same := a.dispatch("parent", "tok"); same != child {
		t.Errorf("the token now gives %s, not %s", same, child)
	}
	if got := a.logs(al.ID, "main", "stdout"); got != "done\n" {
		t.Errorf("the old log is %q", got)
	}
	for _, c := range []struct {
		id, desired string
	}{{replaced.ID, api.AllocDesiredStatusStop}, {kept.ID, api.AllocDesiredStatusRun}} {
		got := a.alloc(c.id)
		if got.ClientStatus != api.AllocClientStatusLost || got.ClientDescription != task.LostWithAgent || got.DesiredStatus != c.desired || got.Job == nil {
			t.Errorf("%+v", got)
		}
		if st := got.TaskStates["main"]; st.State != state.Dead || st.FinishedAt.IsZero() {
			t.Errorf("task state %+v", st)
		}
	}
	a.waitAllocs("replaced", api.AllocClientStatusRunning, 1)
	if n := len(a.allocs("kept")); n != 1 {
		t.Errorf("the one that must not be replaced has %d allocations", n)
	}
	if body, code := a.get("/v1/job/kept/evaluations"); code != 200 || !strings.Contains(body, state.TriggerNode) {
		t.Errorf("%d %s", code, body)
	}
}

func TestABlockedJobIsPlacedAfterARestart(t *testing.T) {
	t.Parallel()
	a := startAgent(t, func(o *Options) { o.Nodes = 1 })
	big := func(id string) *api.Job {
		return sleeper(id, 1, func(_ *api.TaskGroup, task *api.Task) { task.Resources.MemoryMB = new(3000) })
	}
	first := big("first")
	first.TaskGroups[0].Disconnect = &api.DisconnectStrategy{Replace: new(false)}
	a.register(first)
	a.waitAllocs("first", api.AllocClientStatusRunning, 1)
	a.register(big("second"))
	a.failedAlloc("second")
	a.stop()
	a.start()
	a.waitAllocs("second", api.AllocClientStatusRunning, 1)
}

func TestCompactionKeepsEverything(t *testing.T) {
	t.Parallel()
	a := startAgent(t, nil)
	a.register(parameterized("parent", "echo hi", 2))
	child := a.dispatch("parent", "tok")
	a.waitAllocs(child, api.AllocClientStatusComplete, 2)
	a.register(sleeper("gone", 0, nil))
	if _, _, err := a.client.Jobs().Deregister("gone", true, nil); err != nil {
		t.Fatal(err)
	}
	if body, code := a.do("PUT", "/v1/var/a/b", `{"Items":{"k":"v"}}`); code != 200 {
		t.Fatal(body)
	}
	if err := a.s.store.CompactNow(); err != nil {
		t.Fatal(err)
	}
	a.register(sleeper("later", 0, nil))
	until(t, "the evaluation to be done", func() bool {
		job, _, err := a.client.Jobs().Info("later", nil)
		return err == nil && *job.Status == state.Dead
	})
	before, _ := a.get("/v1/jobs")
	allocs, _ := a.get("/v1/allocations")
	a.stop()
	names, err := filepath.Glob(filepath.Join(a.opts.DataDir, "state", "*"))
	if err != nil || len(names) != 1 {
		t.Errorf("files after compaction: %v, %v", names, err)
	}
	a.start()
	if after, _ := a.get("/v1/jobs"); after != before {
		t.Errorf("jobs were\n%s\nare\n%s", before, after)
	}
	if after, _ := a.get("/v1/allocations"); after != allocs {
		t.Errorf("allocations were\n%s\nare\n%s", allocs, after)
	}
	a.s.store.View(func(tables *state.Tables) {
		if v := tables.Vars["a/b"]; v == nil || v.Items["k"] != "v" {
			t.Errorf("the variable is %+v", v)
		}
	})
}

func TestATornLineAtTheEndOfTheLogIsDropped(t *testing.T) {
	t.Parallel()
	a := startAgent(t, nil)
	a.register(sleeper("whole", 0, nil))
	a.stop()
	path := filepath.Join(a.opts.DataDir, "state", "state.log")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := bytes.SplitAfter(text, []byte("\n"))
	last := lines[len(lines)-2]
	for name, damage := range map[string][]byte{
		"half a line": last[:len(last)/2], "a wrong sum": append([]byte("00000000"), last[8:]...), "no JSON": []byte("deadbeef x\n"), "zeros": make([]byte, 4096),
	} {
		if err := os.WriteFile(path, append(bytes.Clone(text), damage...), 0o600); err != nil {
			t.Fatal(err)
		}
		a.start()
		if _, _, err := a.client.Jobs().Info("whole", nil); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		a.register(sleeper("after", 0, nil))
		a.stop()
		a.start()
		if _, _, err := a.client.Jobs().Info("after", nil); err != nil {
			t.Errorf("%s: what was written after it is gone: %v", name, err)
		}
		a.stop()
	}
	a.start()
}

func TestADataDirectoryThatCannotBeUsedIsRefusedClearly(t *testing.T) {
	t.Parallel()
	a := startAgent(t, nil)
	if _, err := New(a.opts); !errors.Is(err, ErrInUse) {
		t.Errorf("a second agent in the same directory: %v", err)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"/proc/cotrain", filepath.Join(file, "x"), ""} {
		s, err := New(Options{DataDir: dir})
		if err == nil {
			t.Errorf("%q was accepted", dir)
			_ = s.Stop(t.Context())
			continue
		}
		if !strings.HasPrefix(err.Error(), "localnomad: ") {
			t.Errorf("%q: %v", dir, err)
		}
	}
	for _, o := range []Options{{Nodes: -1}, {Nodes: 10_000}, {SimulatedGPUs: new(1000)}, {SimulatedGPUs: new(-1)}, {NodeCPUMHz: -1}} {
		o.DataDir = t.TempDir()
		if _, err := New(o); err == nil {
			t.Errorf("%+v was accepted", o)
		}
	}
}

func TestAFullDiskRefusesNewJobsAndRecovers(t *testing.T) {
	t.Parallel()
	a := startAgent(t, nil)
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip("the system has no /dev/full")
	}
	defer func() { _ = full.Close() }() // never written
	if err := syscall.Dup3(int(full.Fd()), openFile(t, filepath.Join(a.opts.DataDir, "state", "state.log")), syscall.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	a.register(sleeper("unlucky", 0, nil)) // accepted: nobody knew yet
	_, _, err = a.client.Jobs().Register(sleeper("refused", 0, nil), nil)
	if err == nil || !strings.Contains(err.Error(), "agent cannot write its state") {
		t.Errorf("with a full disk: %v", err)
	}
	if err := a.s.store.Compact(); err != nil { // as the housekeeping does
		t.Fatal(err)
	}
	a.register(sleeper("welcome", 0, nil))
	a.stop()
	a.start()
	for _, id := range []string{"unlucky", "welcome"} {
		if _, _, err := a.client.Jobs().Info(id, nil); err != nil {
			t.Errorf("%s: %v", id, err)
		}
	}
}

func TestDeadJobsAndOldDirectoriesAreCollected(t *testing.T) {
	t.Parallel()
	var ahead time.Duration
	a := startAgent(t, func(o *Options) {
		o.MaxAllocDirs = 2
		o.Now = func() time.Time { return time.Now().Add(ahead) }
	})
	a.register(parameterized("parent", "true", 4))
	child := a.dispatch("parent", "tok")
	a.waitAllocs(child, api.AllocClientStatusComplete, 4)
	until(t, "the runners to end", func() bool { return a.s.runners.Len() == 0 })
	a.s.collect()
	if dirs, err := os.ReadDir(filepath.Join(a.opts.DataDir, "alloc")); err != nil || len(dirs) != 2 {
		t.Errorf("%d directories, %v", len(dirs), err)
	}
	if n := len(a.allocs(child)); n != 4 {
		t.Errorf("%d allocations before their time", n)
	}
	gone := 0
	for _, al := range a.allocs(child) {
		if body, code := a.get("/v1/client/fs/logs/" + al.ID + "?task=main&type=stdout"); code == 404 && strings.Contains(body, "not found on client") {
			gone++
		}
	}
	if gone != 2 {
		t.Errorf("logs of %d allocations are gone, want 2", gone)
	}
	a.stop()
	ahead = 5 * time.Hour
	a.start()
	a.s.collect()
	if _, code := a.get("/v1/job/" + child); code != 404 {
		t.Errorf("the dead child is still there: %d", code)
	}
	if _, code := a.get("/v1/job/parent"); code != 200 {
		t.Errorf("the parent is gone: %d", code)
	}
	if other := a.dispatch("parent", "tok"); other == child {
		t.Error("the token still gives the collected child")
	}
}

// crashEnv makes the test binary be an agent that its parent kills.
const crashEnv = "LOCALNOMAD_CRASH_DIR"

// runCrashAgent runs one job and waits to be killed.
func runCrashAgent(dir string) {
	s, err := New(Options{DataDir: dir, Nodes: 1, SimulatedGPUs: new(0), NodeCPUMHz: 4000, NodeMemoryMiB: 4096})
	if err != nil {
		fmt.Println("error:", err)
		os.Exit(1)
	}
	if err := s.Start(context.Background()); err != nil {
		fmt.Println("error:", err)
		os.Exit(1)
	}
	h := &http.Client{Transport: &http.Transport{DialContext: s.DialContext}}
	c, err := api.NewClient(&api.Config{Address: "http://local", HttpClient: h})
	if err != nil {
		os.Exit(1)
	}
	script := `sleep 600 & echo $! > local/child; (setsid sleep 600 & echo $! > local/stray); echo $$ > local/self; wait`
	if _, _, err := c.Jobs().Register(shellJob("crash", script, 1), nil); err != nil {
		fmt.Println("error:", err)
		os.Exit(1)
	}
	// A task is guarded before it is told to run; one that is killed with its agent before that is found at the next start.
	for {
		allocs, _, err := c.Allocations().List(nil)
		if err == nil && len(allocs) == 1 && allocs[0].ClientStatus == api.AllocClientStatusRunning {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	fmt.Println("running")
	select {}
}

func TestKillingTheAgentKillsItsTasksAndTheyAreLost(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), crashEnv+"="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line := make([]byte, 8)
	if _, err := io.ReadFull(out, line); err != nil || string(line) != "running\n" {
		rest, _ := io.ReadAll(out)
		t.Fatalf("the agent says %q %q, %v", line, rest, err)
	}
	pids := map[string]int{}
	until(t, "the task's processes", func() bool {
		for _, name := range []string{"self", "child", "stray"} {
			files, err := filepath.Glob(filepath.Join(dir, "alloc", "*", "main", "local", name))
			if err != nil || len(files) != 1 {
				return false
			}
			text, err := os.ReadFile(files[0])
			if err != nil {
				return false
			}
			if pids[name], err = strconv.Atoi(strings.TrimSpace(string(text))); err != nil {
				return false
			}
		}
		return true
	})
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // killed
	for _, name := range []string{"self", "child"} {
		until(t, name+" to die with its agent", func() bool { return !alive(pids[name]) })
	}
	s, err := New(Options{DataDir: dir, Nodes: 1, SimulatedGPUs: new(0), NodeCPUMHz: 4000, NodeMemoryMiB: 4096, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	until(t, "the process that left its group to die at the next start", func() bool { return !alive(pids["stray"]) })
	lost := 0
	s.store.View(func(t *state.Tables) {
		for _, al := range t.Allocs {
			if al.ClientStatus == api.AllocClientStatusLost && al.ClientDescription == task.LostWithAgent {
				lost++
			}
		}
	})
	if lost != 1 {
		t.Errorf("%d allocations are lost, want 1", lost)
	}
	if err := s.Stop(t.Context()); err != nil {
		t.Error(err)
	}
}
