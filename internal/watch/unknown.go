package watch

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cotrain/cotrain/internal/run"
)

const (
	// tailLines is how many of a worker's last lines stand in for evidence where nothing tells the cause.
	tailLines = 5
	// aftermath is how soon after the root a worker ends that ends because of it: the core evicts a peer after 10 s without a heartbeat,
	// and agents may report ends late.
	aftermath = 30 * time.Second
)

// untold completes a cause of which only the end of the worker is known: failures that ended alike count as the same.
func (s suspect) untold(c *run.Cause) {
	code, signal := s.worker.Exit()
	if code > signalExit && signal == 0 {
		signal = code - signalExit
	}
	switch {
	case c.Fingerprint == lostFingerprint || !s.worker.Exited:
	case s.worker.Hopeless() && code == run.ExitUsage:
		c.Category, c.Retryable = "config_invalid", false
		c.Summary = sentence(fmt.Sprintf("%s refused its configuration or arguments (exit code %d)", run.WorkerName(s.worker.Rank, s.worker.NodeName), code))
		c.Hint, c.Fingerprint = "Change what the last lines of its log name; cotrain config validate finds most of these before a run.", "config_invalid/exit-usage"
	case s.worker.Hopeless():
		c.Retryable, c.Fingerprint = false, fmt.Sprintf("%s/code-%d", run.UnknownCause, code)
	case s.byEnd() && signal != 0:
		c.Fingerprint = fmt.Sprintf("%s/signal-%d", run.UnknownCause, signal)
	case s.byEnd():
		c.Fingerprint = fmt.Sprintf("%s/code-%d", run.UnknownCause, code)
	}
}

// byEnd reports whether nothing but the end of the process tells of the failure.
func (s suspect) byEnd() bool { return len(s.cause.Evidence) == 0 || s.cause.Guess }

// tail is the last lines of the worker's log that are neither empty nor for the console.
func (s suspect) tail() []run.CauseLine {
	var out []run.CauseLine
	for _, l := range slices.Backward(s.lines) {
		if text := oneLine(l.Text); strings.TrimSpace(text) != "" && !strings.HasPrefix(text, run.MachineMark) {
			out = append(out, run.CauseLine{Pos: l.Pos, Text: text})
		}
		if len(out) == tailLines {
			break
		}
	}
	slices.Reverse(out)
	return out
}
