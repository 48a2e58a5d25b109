package localnomad

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/nomad/api"
)

// maxTaskEvents is how many events of a task are kept, as on a Nomad client.
const maxTaskEvents = 10

const (
	eventMainDead         = "Main Tasks Dead"
	eventHookFailed       = "Task hook failed"
	eventTemplate         = "Template"
	reasonMaxRunDuration  = "allocation exceeded max_run_duration"
	reasonNoRestarts      = "Policy allows no restarts"
	reasonUnrecoverable   = "Error was unrecoverable"
	reasonWithinPolicy    = "Restart within policy"
	reasonRestartDelayed  = "Exceeded allowed attempts, applying a delay"
	messageBuildTaskDir   = "Building Task Directory"
	lostWithAgent         = "the agent that ran this allocation ended"
	lostWithNode          = "the node that ran this allocation failed"
	descriptionFailed     = "Failed tasks"
	descriptionRunning    = "Tasks are running"
	descriptionNotStarted = "No tasks have started"
	descriptionComplete   = "All tasks have completed"
)

// newTaskEvent makes an event with the message Nomad shows for it.
func (s *Server) newTaskEvent(kind, message string, details map[string]string) *api.TaskEvent {
	if details == nil {
		details = map[string]string{}
	}
	return &api.TaskEvent{Type: kind, Time: s.now().UnixNano(), DisplayMessage: message, Details: details}
}

func (s *Server) receivedEvent() *api.TaskEvent {
	return s.newTaskEvent(api.TaskReceived, "Task received by client", nil)
}

func (s *Server) setupEvent() *api.TaskEvent {
	e := s.newTaskEvent(api.TaskSetup, messageBuildTaskDir, map[string]string{"message": messageBuildTaskDir})
	e.Message = messageBuildTaskDir
	return e
}

func (s *Server) startedEvent() *api.TaskEvent {
	return s.newTaskEvent(api.TaskStarted, "Task started by client", nil)
}

func (s *Server) terminatedEvent(x exit) *api.TaskEvent {
	details := map[string]string{
		"exit_code": strconv.Itoa(x.code), "signal": strconv.Itoa(x.signal), "oom_killed": strconv.FormatBool(x.oom),
	}
	parts := []string{fmt.Sprintf("Exit Code: %d", x.code)}
	if x.signal != 0 {
		parts = append(parts, fmt.Sprintf("Signal: %d", x.signal))
	}
	if x.err != nil {
		details["exit_message"] = x.err.Error()
		parts = append(parts, fmt.Sprintf("Exit Message: %q", x.err.Error()))
	}
	e := s.newTaskEvent(api.TaskTerminated, strings.Join(parts, ", "), details)
	e.ExitCode, e.Signal = x.code, x.signal
	if x.err != nil {
		e.Message = x.err.Error()
	}
	return e
}

// outputLostEvent says how many bytes of each log could not be written, which a Nomad client tells nobody.
func (s *Server) outputLostEvent(stdout, stderr int64) *api.TaskEvent {
	return s.newTaskEvent(api.TaskDriverMessage, "Output could not be written to the node's disk", map[string]string{
		"stdout_lost": strconv.FormatInt(stdout, 10), "stderr_lost": strconv.FormatInt(stderr, 10),
	})
}

func (s *Server) killingEvent(timeout time.Duration) *api.TaskEvent {
	message := "Sent interrupt"
	if timeout != 0 {
		message = fmt.Sprintf("Sent interrupt. Waiting %v before force killing", timeout)
	}
	e := s.newTaskEvent(api.TaskKilling, message, map[string]string{"kill_timeout": timeout.String()})
	e.KillTimeout = timeout
	return e
}

func (s *Server) killedEvent() *api.TaskEvent {
	return s.newTaskEvent(api.TaskKilled, "Task successfully killed", nil)
}

func (s *Server) driverFailureEvent(err error) *api.TaskEvent {
	e := s.newTaskEvent(api.TaskDriverFailure, err.Error(), map[string]string{"driver_error": err.Error()})
	e.DriverError = err.Error()
	return e
}

func (s *Server) setupFailureEvent(err error) *api.TaskEvent {
	e := s.newTaskEvent(api.TaskSetupFailure, err.Error(), map[string]string{"setup_error": err.Error(), "fails_task": "true"})
	e.SetupError, e.FailsTask = err.Error(), true
	return e
}

// templateError is a template that cannot be rendered; the client kills the
// task for it.
type templateError struct{ err error }

func (e templateError) Error() string { return e.err.Error() }
func (e templateError) Unwrap() error { return e.err }

func (s *Server) prepareFailedEvent(err error) *api.TaskEvent {
	var tmpl templateError
	if !errors.As(err, &tmpl) {
		return s.setupFailureEvent(err)
	}
	text := "Template failed: " + err.Error()
	if envErr := (*envFileError)(nil); errors.As(err, &envErr) {
		text = "Template failed to read environment variables: " + envErr.Error()
	}
	e := s.newTaskEvent(api.TaskKilling, text, map[string]string{"fails_task": "true"})
	e.FailsTask = true
	return e
}

func (s *Server) restartingEvent(reason string, delay time.Duration) *api.TaskEvent {
	message := fmt.Sprintf("Task restarting in %v", delay)
	if reason != "" && reason != reasonWithinPolicy {
		message = reason + " - " + message
	}
	e := s.newTaskEvent(api.TaskRestarting, message, map[string]string{
		"start_delay": strconv.FormatInt(int64(delay), 10), "restart_reason": reason,
	})
	e.StartDelay, e.RestartReason = int64(delay), reason
	return e
}

func (s *Server) notRestartingEvent(reason string) *api.TaskEvent {
	e := s.newTaskEvent(api.TaskNotRestarting, reason, map[string]string{"restart_reason": reason, "fails_task": "true"})
	e.RestartReason, e.FailsTask = reason, true
	return e
}

func (s *Server) siblingEvent(name string) *api.TaskEvent {
	e := s.newTaskEvent(api.TaskSiblingFailed, fmt.Sprintf("Task's sibling %q failed", name), map[string]string{"failed_sibling": name})
	e.FailedSibling = name
	return e
}

func (s *Server) signalingEvent(signal string) *api.TaskEvent {
	return s.newTaskEvent(api.TaskSignaling, "Task being sent a signal", map[string]string{"signal": signal})
}

func (s *Server) restartSignalEvent(reason string) *api.TaskEvent {
	e := s.newTaskEvent(api.TaskRestartSignal, reason, map[string]string{"restart_reason": reason})
	e.RestartReason = reason
	return e
}

// clientStatus derives an allocation's status from its tasks'.
func clientStatus(states map[string]*api.TaskState) (status, description string) {
	var pending, running, dead, failed bool
	for _, t := range states {
		switch {
		case t.State == statusRunning:
			running = true
		case t.State == statusPending:
			pending = true
		case t.Failed:
			failed = true
		default:
			dead = true
		}
	}
	switch {
	case failed:
		return clientFailed, descriptionFailed
	case running:
		return clientRunning, descriptionRunning
	case pending:
		return clientPending, descriptionNotStarted
	case dead:
		return clientComplete, descriptionComplete
	}
	return clientPending, ""
}
