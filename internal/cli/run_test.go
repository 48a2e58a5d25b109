package cli

import (
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cotrain/cotrain/internal/client"
	"github.com/cotrain/cotrain/internal/hostile"
	"github.com/cotrain/cotrain/internal/run"
)

func TestSubmitSendsWhatWasAskedFor(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	r := c.cotrain("run", "submit", "--preset", "debug-diloco", "--name", "x", "--nodes", "3", "--gpus", "1", "--gpu-model", "A100", "--gpu-min-memory", "40000",
		"--cpu", "500", "--memory", "1000", "--key", "k", "--set", "optim.total_steps=100", "--set", "data.dataset_name_or_paths=a,b", "--set=data.fake=").want(t, exitDone)
	got := c.Submissions()[0]
	want := run.Shape{Nodes: 3, GPUs: 1, GPUModel: "A100", GPUMinMemory: 40000, CPU: 500, Memory: 1000}
	if got.Name != "x" || got.Key != "k" || got.Preset != "debug-diloco" || got.Shape != want ||
		!strings.Contains(got.Config, "total_steps = 100") || !strings.Contains(got.Config, `"a,b"`) || strings.Contains(got.Config, "fake") {
		t.Errorf("%+v", got)
	}
	runs, err := c.Runs(t.Context(), run.RunFilter{Projects: run.AllProjects(), Limit: 1})
	if err != nil || r.out != string(runs[0].ID)+"\n" {
		t.Errorf("stdout %q, runs %v, %v", r.out, runs, err)
	}
}

func TestSubmitReadsTheConfigurationFromAFileOrStdin(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	c.files["my.toml"] = "# mine\n[train]\nmicro_bs = 2\n"
	c.stdin = "[train]\nmicro_bs = 4\n"
	got := fromJSON[run.Run](t, c.cotrain("run", "submit", "--file", "my.toml", "--name", "x", "--format", "json").want(t, exitDone))
	if got.Config != c.files["my.toml"] || got.Shape.Nodes != 1 || got.State != run.Queued {
		t.Errorf("%+v", got)
	}
	c.cotrain("run", "submit", "--file", "-", "--name", "x").want(t, exitDone)
	all := c.Submissions()
	if all[1].Config != c.stdin || all[0].Key == "" || all[0].Key == all[1].Key {
		t.Errorf("%+v", all)
	}
}

func TestListShowsRuns(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	c.cotrain("run", "list").want(t, exitDone, "ID", "no runs")
	c.cotrain("run", "list", "--state", "failed").want(t, exitDone, "ID", "no run matches")
	if got := fromJSON[client.RunPage](t, c.cotrain("run", "list", "--format", "json")); got.Items == nil || len(got.Items) != 0 {
		t.Errorf("%+v", got)
	}
	var ids []string
	for i := range 12 {
		ids = append(ids, string(c.Add(run.Run{Name: fmt.Sprint("run-", i), State: []run.State{run.Running, run.Failed}[i%2], StepsTotal: 200,
			Progress: run.Progress{Step: 50, Loss: 3.14159, HasLoss: true}, Shape: run.Shape{Nodes: 3}})))
	}
	r := c.cotrain("run", "list", "--limit", "2").want(t, exitDone, "there are more runs")
	lines := strings.Split(strings.TrimSpace(r.out), "\n")
	if len(lines) != 3 || !strings.HasPrefix(lines[1], ids[11]+"  run-11  failed   50/200 (25%)  3.142  3 nodes without GPUs  5m") || !strings.HasSuffix(lines[1], " ago") {
		t.Errorf("%s", r.out)
	}
	if got := fromJSON[client.RunPage](t, c.cotrain("run", "list", "--state", "failed", "--text", "RUN-1", "--format", "json")); len(got.Items) != 2 {
		t.Errorf("%+v", got)
	}
	if got := fromJSON[client.RunPage](t, c.cotrain("run", "list", "--state", "failed,running", "--format", "json", "--limit", "12")); len(got.Items) != 12 || got.Next != "" {
		t.Errorf("%d items, next %q", len(got.Items), got.Next)
	}
}

func TestAListLongerThanAPageIsReadInPages(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	for range listPage + 20 {
		c.Add(run.Run{Name: "x", State: run.Running})
	}
	got := fromJSON[client.RunPage](t, c.cotrain("run", "list", "--limit", fmt.Sprint(listPage+10), "--format", "json"))
	ids := map[run.ID]bool{}
	for _, r := range got.Items {
		ids[r.ID] = true
	}
	if len(ids) != listPage+10 || got.Next != string(got.Items[listPage+9].ID) {
		t.Errorf("%d runs, next %q", len(ids), got.Next)
	}
}

func TestShowPrintsTheRunAndItsWorkers(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	id := c.Add(run.Run{Name: "mine", State: run.Degraded, Reason: "worker 1 (n2) exited with code 3", Shape: run.Shape{Nodes: 2, GPUs: 1}, StepsTotal: 10,
		StartedAt: c.now.Add(-90 * time.Minute), Progress: run.Progress{Step: 5, Loss: math.NaN(), HasLoss: true, TokensPerSec: 51234}})
	c.SetWorkers(id, []run.Worker{
		{Rank: 0, NodeName: "n1", State: run.WorkerRunning, GPUs: []run.GPU{{ID: "1", Model: "nvidia/gpu/A100"}, {ID: "2", Model: "nvidia/gpu/A100"}}},
		{Rank: 1, NodeName: "n2", State: run.WorkerFailed, Exited: true, ExitCode: 3, GPUs: []run.GPU{{ID: "1", Model: "sim/gpu/SimGPU-24"}}},
	}, run.Attempt{Number: 1, JobID: "cotrain-core-x/dispatch-1"})
	c.cotrain("run", "show", string(id)).want(t, exitDone, string(id), "mine", "degraded: worker 1 (n2) exited with code 3", "5/10 (50%)", "NaN", "51.2 k tok/s",
		"1h30m ago", "2 x nvidia/gpu/A100 ", "1 x sim/gpu/SimGPU-24 (simulated)", "cotrain-core-x/dispatch-1", "exited with code 3")
	got := fromJSON[map[string]any](t, c.cotrain("run", "show", string(id), "--format", "json"))
	if got["run"] == nil || len(got["workers"].([]any)) != 2 || len(got["attempts"].([]any)) != 1 {
		t.Errorf("%v", got)
	}
}

func TestStopAndDelete(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	id := c.Add(run.Run{State: run.Running})
	c.cotrain("run", "stop", string(id)).want(t, exitDone, "stopping")
	looks := 0
	inner := c.handler()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			if looks++; looks == 3 { // one client, so one request at a time
				c.Change(id, func(r *run.Run) { r.State = run.Stopped })
			}
		}
		inner.ServeHTTP(w, r)
	}))
	t.Cleanup(srv.Close)
	c.url = srv.URL
	if got := fromJSON[run.Run](t, c.cotrain("run", "stop", string(id), "--wait", "--format", "json").want(t, exitDone)); got.State != run.Stopped || looks != 3 {
		t.Errorf("%+v after %d looks", got, looks)
	}
	c.cotrain("run", "stop", string(id)).want(t, exitRefused, "has already ended")
	c.cotrain("run", "delete", string(id), "--yes").want(t, exitDone, "deleted")
	c.cotrain("run", "delete", string(id), "--yes").want(t, exitNotFound)
}

func TestNodesAreListed(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	c.cotrain("node", "list").want(t, exitDone, "no nodes")
	c.SetNodes(run.Node{ID: "0123456789abcdef", Name: "n1", Datacenter: "dc1", Status: "ready", CPU: 8000, Memory: 2048, Simulated: true,
		GPUs: []run.GPU{{ID: "0", Model: "sim/gpu/S"}, {ID: "1", Model: "sim/gpu/S"}, {ID: "2", Model: "sim/gpu/S"}, {ID: "3", Model: "sim/gpu/S"}},
		Uses: []run.GPUUse{
			{GPUs: []run.GPU{{ID: "0", Model: "sim/gpu/S"}}, Job: "cotrain-core-x/dispatch-1", Run: "r-0123456789", Rank: 0},
			{GPUs: []run.GPU{{ID: "1", Model: "sim/gpu/S"}}, Job: "cotrain-core-x/dispatch-1", Run: "r-0123456789", Rank: 1},
			{GPUs: []run.GPU{{ID: "3", Model: "sim/gpu/S"}}, Job: "other", Rank: -1},
		}}, run.Node{ID: "1", Name: "n2"}, run.Node{ID: "2", Name: "n3", Stats: []run.GPUStats{
		{ID: "a", Utilization: new(int64(87)), MemoryUsed: new(int64(40960)), MemoryTotal: new(int64(81920))},
		{ID: "b", Utilization: new(int64(0)), MemoryUsed: new(int64(4)), MemoryTotal: new(int64(81920))}, {ID: "c", Power: new(int64(9))},
	}})
	r := c.cotrain("node", "list").want(t, exitDone, "n1", "ready, takes no new work", "8000 MHz", "2048 MiB", "4 x sim/gpu/S (simulated)  1     -                    r-0123456789 (2), other (1)  -               01234567", "44 %, 40 of 160 GiB")
	if strings.Count(r.out, "simulated") != 1 || !strings.Contains(r.out, "-                          -     -                    -") {
		t.Errorf("%s", r.out)
	}
	got := fromJSON[struct{ Items []run.Node }](t, c.cotrain("node", "list", "--format", "json"))
	if len(got.Items) != 3 || len(got.Items[0].Uses) != 3 || got.Items[0].ID != "0123456789abcdef" {
		t.Errorf("%+v", got)
	}
}

func TestNodesAreListedWithTheirEntriesInConsul(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	c.SetNodes(run.Node{ID: "1", Name: "a", Status: "ready", Eligible: true}, run.Node{ID: "2", Name: "b", Status: "ready", Eligible: true}, run.Node{ID: "3", Name: "c", Status: "down"})
	lost := []run.ConsulCheck{{ID: "serfHealth", Name: "Serf", Status: run.ConsulCritical, Output: "not live\x1b[31m"}}
	c.SetCatalog(&run.Catalog{Problem: "Consul is away.", Nodes: []run.ConsulNode{
		{Name: "a", Health: run.ConsulPassing, Meta: map[string]string{"zone": "r1", "site": "ams"}}, {Name: "b", Health: run.ConsulCritical, Failing: lost, More: 2},
		{Name: "gone", Datacenter: "dc1", Client: true, Health: run.ConsulCritical, Failing: lost},
	}})
	r := c.cotrain("node", "list").want(t, exitDone, "CONSUL", "passing       site=ams,zone=r1", "critical (3)  -")
	for _, want := range []string{
		"b: Ready in Nomad, and Consul's other agents do not reach its agent", "b: Consul's check Serf is critical: not live", "b: 2 more checks fail", "gone in dc1: in Consul's catalog, and not in Nomad", "Consul: Consul is away.",
	} {
		if !strings.Contains(r.errOut, want) {
			t.Errorf("it does not say %q: %s", want, r.errOut)
		}
	}
	if strings.Contains(r.out+r.errOut, "\x1b") {
		t.Error("the output of a check reaches the terminal")
	}
}

func TestLogsOfAWorkerThatTheRunDoesNotHaveAreNotFound(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	id := c.Add(run.Run{State: run.Running})
	c.cotrain("run", "logs", string(id), "--worker", "3").want(t, exitNotFound, "no worker 3", "0 to 2")
}

// TestATerminalObeysNoHostileText has each hostile text wherever a run can have one.
func TestATerminalObeysNoHostileText(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	c.terminal = true
	id := c.Add(run.Run{State: run.Running})
	for _, text := range hostile.Texts() {
		c.Add(run.Run{Name: text, Preset: text, State: run.Failed, Reason: text})
		for line := range strings.Lines(text) {
			c.Log(id, 0, strings.TrimSuffix(line, "\n"))
		}
	}
	var shown strings.Builder
	show := func(args ...string) {
		r := c.cotrain(args...).want(t, exitDone)
		shown.WriteString(r.out)
		if i := strings.IndexFunc(r.out+r.errOut, func(r rune) bool { return r != '\n' && unprintable(r) }); i >= 0 {
			t.Errorf("%v: a terminal gets %.80q", args, (r.out + r.errOut)[i:])
		}
	}
	for _, format := range []string{"table", "json"} {
		show("run", "list", "--limit", "100", "--format", format)
		show("run", "logs", string(id), "--raw", "--format", format)
	}
	for _, r := range fromJSON[struct{ Items []run.Run }](t, c.cotrain("run", "list", "--limit", "100", "--format", "json")).Items {
		show("run", "show", string(r.ID))
	}
	if !strings.Contains(shown.String(), `\x1b[2J`) || !strings.Contains(shown.String(), `gnp.\u202egpj`) {
		t.Error("the texts are not shown at all")
	}
}

func TestATerminalNeverGetsControlCharacters(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	const evil = "\x1b]0;x\x07\x1b[31m \u202eright\u202c \u061c\u200b\ufeff\U000E0041 \u0085\tcaf\u00e9 \U0001F600"
	id := c.Add(run.Run{Name: evil, State: run.Failed, Reason: evil})
	c.Log(id, 0, evil)
	for _, args := range [][]string{{"run", "list"}, {"run", "show", string(id)}, {"run", "logs", string(id)}, {"run", "logs", string(id), "--worker", "0"}} {
		c.terminal = true
		r := c.cotrain(args...).want(t, exitDone, `\x1b[31m`, `\u202e`, `\u061c\u200b\ufeff\U000e0041`, `\u0085`, "caf\u00e9")
		if i := strings.IndexFunc(r.out, func(r rune) bool { return r != '\n' && unprintable(r) }); i >= 0 {
			t.Errorf("%v: a terminal gets %q", args, r.out[i:])
		}
		c.terminal = false
		if r := c.cotrain(args...).want(t, exitDone); args[1] == "logs" && !strings.Contains(r.out, evil) {
			t.Errorf("a pipe does not get the line as it is: %q", r.out)
		}
	}
	c.terminal = true
	r := c.cotrain("run", "logs", string(id), "--format", "json").want(t, exitDone, `\u0085`, `\udb40\udc41`)
	if i := strings.IndexFunc(r.out, func(r rune) bool { return r != '\n' && unprintable(r) }); i >= 0 {
		t.Errorf("as JSON a terminal gets %q", r.out[i:])
	}
	if got := fromJSON[run.LogLine](t, r); got.Text != evil {
		t.Errorf("the JSON for a terminal holds %q", got.Text)
	}
	if r := c.cotrain("run", "show", "\x1b[2J").want(t, exitNotFound); strings.Contains(r.errOut, "\x1b") {
		t.Errorf("%q", r.errOut)
	}
}

func TestShowSaysWhyARunThatGoesOnLostAWorker(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	id := c.Add(run.Run{Name: "a", State: run.Degraded, Attempt: 1, Shape: run.Shape{Nodes: 2}, InnerSteps: 5})
	cause := &run.Cause{Title: "GPU out of memory", Summary: "GPU memory ran out.", Hint: "Lower train.micro_bs.", Rank: 1, Evidence: []run.CauseLine{{Pos: 77, Text: "CUDA out of memory\x1b[2J"}}}
	c.SetWorkers(id, []run.Worker{{State: run.WorkerRunning}, {Rank: 1, State: run.WorkerFailed, Cause: cause}})
	got := c.cotrain("run", "show", string(id)).want(t, exitDone, "Worker 1", "GPU out of memory: GPU memory ran out.", "Lower train.micro_bs.", "1 of 2 workers is left, without a step since then.", "CUDA out of memory")
	if strings.Contains(got.out, "\x1b") {
		t.Errorf("it prints %q", got.out)
	}
	d := fromJSON[client.RunDetail](t, c.cotrain("run", "show", string(id), "--format", "json"))
	if len(d.Workers) != 2 || d.Workers[1].Cause == nil || d.Workers[1].Cause.Evidence[0].Pos != 77 {
		t.Errorf("%+v", d.Workers)
	}
}

func TestALogIsSearched(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	id := c.Add(run.Run{Name: "a", State: run.Running, Shape: run.Shape{Nodes: 2}})
	c.Log(id, 0, "step: 1, loss: 4.5", "[ERROR] lost worker 1", `COTRAIN {"v":1,"lost":true}`)
	c.Log(id, 1, "step: 1, loss: 4.25", "[WARNING] slow, loss: nan", "LOSS is \x1b[31mred\x1b[0m")
	for args, want := range map[string]string{
		"--grep loss:":                 "[0] step: 1, loss: 4.5\n[1] step: 1, loss: 4.25\n[1] [WARNING] slow, loss: nan\n",
		"--grep ^step.*4.5 -F":         "",
		"--grep ^step.*4.5":            "[0] step: 1, loss: 4.5\n",
		"--grep LOSS --case":           "[1] LOSS is \x1b[31mred\x1b[0m\n",
		"--grep is.red":                "[1] LOSS is \x1b[31mred\x1b[0m\n",
		"--level error":                "[0] [ERROR] lost worker 1\n",
		"--level warning --worker 1":   "[WARNING] slow, loss: nan\n",
		"--grep lost --raw":            "[0] [ERROR] lost worker 1\n[0] COTRAIN {\"v\":1,\"lost\":true}\n",
		"--grep loss: --hide nan|4.25": "[0] step: 1, loss: 4.5\n",
		"--stream stdout":              "",
		"--grep loss: --tail 1":        "[1] [WARNING] slow, loss: nan\n",
		"--tail 2 --level warning":     "[0] [ERROR] lost worker 1\n[1] [WARNING] slow, loss: nan\n",
	} {
		if r := c.cotrain(append([]string{"run", "logs", string(id)}, strings.Fields(args)...)...).want(t, exitDone); r.out != want {
			t.Errorf("%s: %q, want %q", args, r.out, want)
		}
	}
	around := c.cotrain("run", "logs", string(id), "--grep", "slow", "--context", "1", "--format", "json").want(t, exitDone)
	if !strings.Contains(around.out, `"found":true`) || strings.Count(around.out, "\n") != 6 {
		t.Errorf("%s", around.out)
	}
	file := filepath.Join(t.TempDir(), "log")
	c.cotrain("run", "logs", string(id), "--worker", "1", "--output", file).want(t, exitDone, file)
	if got, err := os.ReadFile(file); err != nil || !strings.HasPrefix(string(got), "step: 1, loss: 4.25\n") {
		t.Errorf("%q, %v", got, err)
	}
	c.cotrain("run", "logs", string(id), "--grep", "(").want(t, exitUsage, "--grep", "regular expression: missing closing )")
	c.cotrain("run", "logs", string(id), "--attempt", "3").want(t, exitUsage, "no attempt 3")
}
