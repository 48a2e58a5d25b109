package localnomad

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(crashEnv); dir != "" {
		runCrashAgent(dir)
	}
	goleak.VerifyTestMain(m)
}

// testAgent is an agent and a client that talks to it without a port.
type testAgent struct {
	t      *testing.T
	s      *Server
	client *api.Client
	http   *http.Client
	opts   Options
}

func startAgent(t *testing.T, change func(*Options)) *testAgent {
	t.Helper()
	opts := Options{DataDir: t.TempDir(), SimulatedGPUs: new(2), NodeCPUMHz: 4000, NodeMemoryMiB: 4096}
	if os.Getenv("LOCALNOMAD_TEST_LOG") != "" {
		opts.Logger = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	if change != nil {
		change(&opts)
	}
	a := &testAgent{t: t, opts: opts}
	a.start()
	t.Cleanup(a.stop)
	return a
}

func (a *testAgent) start() {
	a.t.Helper()
	s, err := New(a.opts)
	if err != nil {
		a.t.Fatal(err)
	}
	if err := s.Start(a.t.Context()); err != nil {
		a.t.Fatal(err)
	}
	a.s = s
	a.http = &http.Client{Transport: &http.Transport{DialContext: s.DialContext, MaxIdleConnsPerHost: 16}}
	a.client, err = api.NewClient(&api.Config{Address: "http://local", HttpClient: a.http})
	if err != nil {
		a.t.Fatal(err)
	}
}

func (a *testAgent) stop() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := a.s.Stop(ctx); err != nil {
		a.t.Errorf("stop: %v", err)
	}
	a.http.CloseIdleConnections()
}

// until polls until ok says so; it fails the test after a generous time.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("never happened: %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// shellJob is a batch job whose task runs a shell script.
func shellJob(id, script string, count int) *api.Job {
	return &api.Job{
		ID: &id, Name: &id, Type: new(api.JobTypeBatch),
		TaskGroups: []*api.TaskGroup{{
			Name: new("workers"), Count: &count,
			RestartPolicy:    &api.RestartPolicy{Attempts: new(0), Mode: new("fail"), Interval: new(time.Minute), Delay: new(time.Second)},
			ReschedulePolicy: &api.ReschedulePolicy{Attempts: new(0), Unlimited: new(false)},
			Tasks: []*api.Task{{
				Name: "main", Driver: "raw_exec", KillTimeout: new(5 * time.Second),
				Config:    map[string]any{"command": "/bin/sh", "args": []string{"-c", script}},
				Resources: &api.Resources{CPU: new(100), MemoryMB: new(64)},
			}},
		}},
	}
}

func (a *testAgent) register(job *api.Job) *api.JobRegisterResponse {
	a.t.Helper()
	resp, _, err := a.client.Jobs().Register(job, nil)
	if err != nil {
		a.t.Fatalf("register %s: %v", *job.ID, err)
	}
	return resp
}

func (a *testAgent) allocs(jobID string) []*api.AllocationListStub {
	a.t.Helper()
	allocs, _, err := a.client.Allocations().List(&api.QueryOptions{Filter: `JobID == "` + jobID + `"`})
	if err != nil {
		a.t.Fatal(err)
	}
	return allocs
}

// waitAllocs waits until the job has n allocations in the client status.
func (a *testAgent) waitAllocs(jobID, status string, n int) []*api.AllocationListStub {
	a.t.Helper()
	var found []*api.AllocationListStub
	deadline := time.Now().Add(time.Minute)
	for {
		found = nil
		all := a.allocs(jobID)
		for _, al := range all {
			if al.ClientStatus == status {
				found = append(found, al)
			}
		}
		if len(found) == n {
			return found
		}
		if time.Now().After(deadline) {
			for _, al := range all {
				a.t.Logf("%s %s/%s %q", al.Name, al.DesiredStatus, al.ClientStatus, al.ClientDescription)
				for _, ts := range al.TaskStates {
					for _, e := range ts.Events {
						a.t.Logf("  %s: %s", e.Type, e.DisplayMessage)
					}
				}
			}
			a.t.Fatalf("job %s: want %d allocations %s, have %d of %d", jobID, n, status, len(found), len(all))
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// logs returns a task's whole stdout or stderr.
func (a *testAgent) logs(allocID, task, kind string) string {
	a.t.Helper()
	body, code := a.get("/v1/client/fs/logs/" + allocID + "?task=" + task + "&type=" + kind + "&plain=true")
	if code != http.StatusOK {
		a.t.Fatalf("logs: %d %s", code, body)
	}
	return body
}

func (a *testAgent) get(path string) (string, int) { return a.do(http.MethodGet, path, "") }

func (a *testAgent) do(method, path, body string) (string, int) {
	a.t.Helper()
	req, err := http.NewRequestWithContext(a.t.Context(), method, "http://local"+path, strings.NewReader(body))
	if err != nil {
		a.t.Fatal(err)
	}
	resp, err := a.http.Do(req)
	if err != nil {
		a.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }() // read to its end
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		a.t.Fatal(err)
	}
	return string(text), resp.StatusCode
}

// alloc is an allocation as it is stored, with its resources and its job.
func (a *testAgent) alloc(id string) *api.Allocation {
	a.t.Helper()
	al := a.s.store.Alloc(id)
	if al == nil {
		a.t.Fatalf("there is no allocation %s", id)
	}
	return al
}

// sleeper is a batch job that runs until it is stopped.
func sleeper(id string, count int, change func(*api.TaskGroup, *api.Task)) *api.Job {
	job := shellJob(id, "exec sleep 600", count)
	if change != nil {
		change(job.TaskGroups[0], job.TaskGroups[0].Tasks[0])
	}
	return job
}
