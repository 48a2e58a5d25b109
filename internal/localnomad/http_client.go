package localnomad

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"syscall"

	"github.com/hashicorp/nomad/api"
)

func (s *Server) handleClientAllocation(w http.ResponseWriter, r *http.Request) (any, error) {
	parts := strings.Split(strings.TrimPrefix(r.URL.Path, "/v1/client/allocation/"), "/")
	if len(parts) != 2 {
		return nil, codedError{http.StatusNotFound, "resource not found"}
	}
	switch parts[1] {
	case "stats":
		return s.allocStats(parts[0], r.URL.Query().Get("task"))
	case "restart":
		return s.restartAlloc(r, parts[0])
	case "signal":
		return s.signalAlloc(r, parts[0])
	}
	return nil, codedError{http.StatusNotFound, "resource not found"}
}

// errTaskNotRunning is the client's error for a task without a process.
var errTaskNotRunning = errors.New("Task not running") // Nomad's text

// runnerOf finds an allocation's runner. An allocation that has ended has
// none: nil, and no error.
func (s *Server) runnerOf(id string) (*api.Allocation, *allocRunner, error) {
	a, err := s.clientAlloc(id)
	if err != nil {
		return nil, nil, err
	}
	r := s.runners.get(id)
	if r == nil && !clientTerminal(a) {
		return nil, nil, codedError{http.StatusNotFound, "Unknown allocation " + strconv.Quote(id)}
	}
	return a, r, nil
}

func hasTask(a *api.Allocation, name string) bool {
	for _, tg := range a.Job.TaskGroups {
		for _, t := range tg.Tasks {
			if *tg.Name == a.TaskGroup && t.Name == name {
				return true
			}
		}
	}
	return false
}

// pick returns the tasks that a call means: the one it names, or all.
func (r *allocRunner) pick(name string) []*taskRunner {
	if r == nil || name == "" && len(r.tasks) == 0 {
		return nil
	}
	if name == "" {
		return r.tasks
	}
	for _, t := range r.tasks {
		if t.task.Name == name {
			return []*taskRunner{t}
		}
	}
	return nil
}

func (s *Server) restartAlloc(r *http.Request, id string) (any, error) {
	var req struct {
		TaskName string
		AllTasks bool
	}
	if err := json.NewDecoder(r.Body).Decode(&req); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	a, run, err := s.runnerOf(id)
	switch {
	case err != nil:
		return nil, err
	case req.TaskName != "" && !hasTask(a, req.TaskName):
		return nil, fmt.Errorf("Could not find task runner for task: %s", req.TaskName) // Nomad's text
	case serverTerminal(a):
		return nil, errors.New("restart of an alloc that should not run")
	}
	reason := "User requested running tasks to restart"
	if req.TaskName != "" {
		reason = "User requested task to restart"
	}
	err = errTaskNotRunning
	for _, t := range run.pick(req.TaskName) {
		if e := t.requestRestart(reason); e == nil || !errors.Is(e, errTaskNotRunning) {
			err = e
		}
	}
	if err != nil {
		return nil, err
	}
	return map[string]any{"Index": 0}, nil
}

// requestRestart ends the process and has it started again at once, outside
// the restart policy.
func (t *taskRunner) requestRestart(reason string) error {
	t.mu.Lock()
	proc, exited := t.proc, t.exited
	if proc != nil {
		t.restart = true
	}
	t.mu.Unlock()
	if proc == nil {
		return errTaskNotRunning
	}
	t.event(t.s.restartSignalEvent(reason))
	t.r.report()
	t.terminate(proc, exited)
	<-exited
	return nil
}

func (s *Server) signalAlloc(r *http.Request, id string) (any, error) {
	if !isWrite(r) {
		return nil, methodNotAllowed()
	}
	var req struct{ Task, Signal string }
	if err := decodeBody(r, &req); err != nil {
		return nil, badRequest("Failed to decode body: " + err.Error())
	}
	a, run, err := s.runnerOf(id)
	switch {
	case err != nil:
		return nil, err
	case req.Task != "" && !hasTask(a, req.Task):
		return nil, errors.New("Task not found") // Nomad's text
	case run == nil:
		return nil, errTaskNotRunning
	}
	var errs []error
	for _, t := range run.pick(req.Task) {
		errs = append(errs, t.signal(req.Signal, ""))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return map[string]any{"Index": 0}, nil
}

// signal sends a signal to the task's process.
func (t *taskRunner) signal(name, message string) error {
	if name == "" {
		name = "SIGKILL"
	}
	t.mu.Lock()
	proc := t.proc
	t.mu.Unlock()
	if proc == nil {
		return errTaskNotRunning
	}
	sig, err := signalByName(name)
	if err != nil {
		return err
	}
	e := t.s.signalingEvent(name)
	if message != "" {
		e.DisplayMessage = message
	}
	t.event(e)
	t.r.report()
	if sig == syscall.SIGKILL {
		killGroup(proc.Pid)
		return nil
	}
	return proc.Signal(sig)
}

func (s *Server) handleAgentSelf(_ http.ResponseWriter, r *http.Request) (any, error) {
	if r.Method != http.MethodGet {
		return nil, methodNotAllowed()
	}
	return map[string]any{
		"config": map[string]any{
			"Region": s.opts.Region, "Datacenter": s.opts.Datacenter, "NodeName": "localnomad", "DevMode": true,
			"Version": map[string]any{"Version": "2.0.6", "VersionPrerelease": "dev", "VersionMetadata": "localnomad", "Revision": ""},
			"ACL":     map[string]any{"Enabled": false},
		},
		"member": map[string]any{
			"Name": "localnomad." + s.opts.Region, "Addr": loopback, "Port": 0, "Status": "alive",
			"Tags": map[string]string{"region": s.opts.Region, "dc": s.opts.Datacenter, "build": agentVersion, "role": "nomad"},
		},
		"stats": map[string]any{
			"nomad":   map[string]string{"server": "true", "leader": "true", "bootstrap": "true", "known_regions": "1"},
			"runtime": map[string]string{"uptime": s.uptime().String(), "version": agentVersion},
		},
	}, nil
}

func (s *Server) handleAgentHealth(_ http.ResponseWriter, r *http.Request) (any, error) {
	if r.Method != http.MethodGet {
		return nil, methodNotAllowed()
	}
	server := map[string]any{"ok": true, "message": "ok"}
	if err := s.writable(); err != nil {
		server = map[string]any{"ok": false, "message": err.Error()}
		return nil, codedError{http.StatusInternalServerError, mustJSON(map[string]any{"server": server})}
	}
	return map[string]any{"server": server, "client": map[string]any{"ok": true, "message": "ok"}}, nil
}

func mustJSON(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		return "{}" // plain maps always encode
	}
	return string(text)
}

func (s *Server) handleLeader(http.ResponseWriter, *http.Request) (any, error) {
	return loopback + ":4647", nil
}

func (s *Server) handlePeers(http.ResponseWriter, *http.Request) (any, error) {
	return []string{loopback + ":4647"}, nil
}

func (s *Server) handleRegions(_ http.ResponseWriter, r *http.Request) (any, error) {
	if r.Method != http.MethodGet {
		return nil, methodNotAllowed()
	}
	return []string{s.opts.Region}, nil
}

func theNamespace() *api.Namespace {
	return &api.Namespace{
		Name: defaultNamespace, Description: "Default shared namespace", Meta: map[string]string{},
		CreateIndex: firstIndex, ModifyIndex: firstIndex,
	}
}

func (s *Server) handleNamespaces(w http.ResponseWriter, r *http.Request) (any, error) {
	if r.Method != http.MethodGet {
		return nil, methodNotAllowed()
	}
	setMeta(w, firstIndex)
	return []*api.Namespace{theNamespace()}, nil
}

func (s *Server) handleNamespace(w http.ResponseWriter, r *http.Request) (any, error) {
	if r.Method != http.MethodGet {
		return nil, methodNotAllowed()
	}
	setMeta(w, firstIndex)
	if strings.TrimPrefix(r.URL.Path, "/v1/namespace/") != defaultNamespace {
		return nil, codedError{http.StatusNotFound, "Namespace not found"}
	}
	return theNamespace(), nil
}
