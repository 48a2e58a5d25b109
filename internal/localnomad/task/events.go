package task

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/nomad/api"

	"github.com/cotrain/cotrain/internal/localnomad/state"
)

// maxTaskEvents is how many events of a task are kept, as on a Nomad client.
const maxTaskEvents = 10

// Nomad's words.
const (
	reasonNoRestarts   = "Policy allows no restarts"
	reasonWithinPolicy = "Restart within policy"
	reasonDelayed      = "Exceeded allowed attempts, applying a delay"
	messageBuildDir    = "Building Task Directory"
)

// newEvent makes an event with the message that Nomad shows for it.
func (r *allocRunner) newEvent(kind, message string, details map[string]string) *api.TaskEvent {
	return state.NewTaskEvent(r.rs.Store.Now(), kind, message, details)
}

func (r *allocRunner) terminated(x exit) *api.TaskEvent {
	details := map[string]string{"exit_code": strconv.Itoa(x.code), "signal": strconv.Itoa(x.signal), "oom_killed": strconv.FormatBool(x.oom)}
	parts := []string{fmt.Sprintf("Exit Code: %d", x.code)}
	if x.signal != 0 {
		parts = append(parts, fmt.Sprintf("Signal: %d", x.signal))
	}
	if x.err != nil {
		details["exit_message"] = x.err.Error()
		parts = append(parts, fmt.Sprintf("Exit Message: %q", x.err.Error()))
	}
	e := r.newEvent(api.TaskTerminated, strings.Join(parts, ", "), details)
	e.ExitCode, e.Signal, e.Message = x.code, x.signal, details["exit_message"]
	return e
}

// outputLost says how many bytes of each log could not be written, which a Nomad client tells nobody.
func (r *allocRunner) outputLost(stdout, stderr int64) *api.TaskEvent {
	return r.newEvent(api.TaskDriverMessage, "Output could not be written to the node's disk", map[string]string{
		"stdout_lost": strconv.FormatInt(stdout, 10), "stderr_lost": strconv.FormatInt(stderr, 10),
	})
}

// killing says that the task is asked to end, and why when that is not the user's doing.
func (r *allocRunner) killing(timeout time.Duration) *api.TaskEvent {
	message := "Sent interrupt"
	if timeout != 0 {
		message = fmt.Sprintf("Sent interrupt. Waiting %v before force killing", timeout)
	}
	e := r.newEvent(api.TaskKilling, message, map[string]string{"kill_timeout": timeout.String()})
	e.KillTimeout = timeout
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.lostWhy != "" {
		e.KillReason, e.Details["kill_reason"], e.DisplayMessage = r.lostWhy, r.lostWhy, r.lostWhy
	}
	return e
}

func (r *allocRunner) killed() *api.TaskEvent {
	return r.newEvent(api.TaskKilled, "Task successfully killed", nil)
}

func (r *allocRunner) driverFailed(err error) *api.TaskEvent {
	e := r.newEvent(api.TaskDriverFailure, err.Error(), map[string]string{"driver_error": err.Error()})
	e.DriverError = err.Error()
	return e
}

func (r *allocRunner) setupFailed(err error) *api.TaskEvent {
	e := r.newEvent(api.TaskSetupFailure, err.Error(), map[string]string{"setup_error": err.Error(), "fails_task": "true"})
	e.SetupError, e.FailsTask = err.Error(), true
	return e
}

// templateError is a template that cannot be rendered; the client kills the task for it.
type templateError struct{ error }

func (e templateError) Unwrap() error { return e.error }

// envError is a template with env = true that holds no environment.
type envError struct{ error }

func (r *allocRunner) prepareFailed(err error) *api.TaskEvent {
	if !errors.As(err, new(templateError)) {
		return r.setupFailed(err)
	}
	text := "Template failed: " + err.Error()
	if errors.As(err, new(envError)) {
		text = "Template failed to read environment variables: " + err.Error()
	}
	e := r.newEvent(api.TaskKilling, text, map[string]string{"fails_task": "true"})
	e.FailsTask = true
	return e
}

func (r *allocRunner) restarting(reason string, delay time.Duration) *api.TaskEvent {
	message := fmt.Sprintf("Task restarting in %v", delay)
	if reason != "" && reason != reasonWithinPolicy {
		message = reason + " - " + message
	}
	e := r.newEvent(api.TaskRestarting, message, map[string]string{
		"start_delay": strconv.FormatInt(int64(delay), 10), "restart_reason": reason,
	})
	e.StartDelay, e.RestartReason = int64(delay), reason
	return e
}

func (r *allocRunner) notRestarting(reason string) *api.TaskEvent {
	e := r.newEvent(api.TaskNotRestarting, reason, map[string]string{"restart_reason": reason, "fails_task": "true"})
	e.RestartReason, e.FailsTask = reason, true
	return e
}

func (r *allocRunner) siblingFailed(name string) *api.TaskEvent {
	e := r.newEvent(api.TaskSiblingFailed, fmt.Sprintf("Task's sibling %q failed", name), map[string]string{"failed_sibling": name})
	e.FailedSibling = name
	return e
}
