package run

import (
	"fmt"
	"strings"
	"time"
)

// Cause is why an attempt failed, as far as its workers' logs and ends tell.
type Cause struct {
	Attempt int       `json:"attempt"`
	At      time.Time `json:"at"`
	// Category is one of docs/troubleshooting.md, [UnknownCause] where nothing tells, and Title its name in words.
	Category string `json:"category"`
	Title    string `json:"title"`
	Summary  string `json:"summary"` // one sentence
	Hint     string `json:"hint"`    // what to do
	// Retryable says whether the same run, unchanged, may pass, perhaps on another node.
	Retryable bool `json:"retryable"`
	// Rank is the worker whose output or end tells, -1 for none, and Node where it was.
	Rank int    `json:"rank"`
	Node string `json:"node,omitempty"`
	// Victims are the workers that ended because of it.
	Victims []int `json:"victims,omitempty"`
	// Also says in sentences what else went wrong in the attempt, which is neither the cause nor because of it.
	Also     []string    `json:"also,omitempty" doc:"What else went wrong in the attempt, which is neither the cause nor because of it: sentences"`
	Evidence []CauseLine `json:"evidence,omitempty"`
	// Tail says that the evidence is only the last lines of the log, since none tells the cause.
	Tail bool `json:"tail,omitempty"`
	// Exit is how the process of Rank ended, such as "signal 9" or "exit code 2"; "" where that is not known.
	Exit string `json:"exit,omitempty"`
	// Fingerprint is equal for failures of the same cause and the same thing, such as a file.
	Fingerprint string `json:"fingerprint"`
	// Entity is the one thing that failed, such as a file, "" where nothing names one.
	Entity string `json:"entity,omitempty"`
	// Retry is what follows; nil for failures of older versions.
	Retry *RetryPlan `json:"retry,omitempty"`
	// Seen counts the failures of the project's runs with this fingerprint in [CauseWindow], with this one.
	Seen CauseCount `json:"seen,omitzero"`
}

// Help is where on a console the cause's category is described.
func (c *Cause) Help() string { return CauseHelp(c.Title) }

// CauseHelp is where on a console a category is described, by its title.
func CauseHelp(title string) string { return "/help/troubleshooting#" + CauseAnchor(title) }

// CauseAnchor is the fragment of a category's heading, by its title.
func CauseAnchor(title string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == ' ':
			return '-'
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '-':
			return r
		}
		return -1
	}, strings.ToLower(title))
}

// CauseLine is a line of a worker's log that speaks for a cause.
type CauseLine struct {
	// Rank is the worker whose line it is, nil for that of the cause.
	Rank *int   `json:"rank,omitempty" doc:"Worker whose line it is, where that is not the cause's"`
	Pos  LogPos `json:"pos,omitempty"` // 0 for what is not of the log, such as what Nomad says
	Text string `json:"text"`          // in one line without control characters, clipped
}

// UnknownCause is the category of failures whose cause nothing tells.
const UnknownCause = "unknown"

// Known reports whether something tells the cause.
func (c *Cause) Known() bool { return c != nil && c.Category != UnknownCause }

// because is the reason of a run whose attempt ended as in how, of which a known cause has the details. The worker is named once.
func (c *Cause) because(how string) string {
	if !c.Known() {
		return how
	}
	how, _, _ = strings.Cut(how, ": ")
	text := strings.TrimSuffix(c.Summary, ".")
	name := WorkerName(c.Rank, c.Node)
	rest, ofWorker := strings.CutPrefix(how, name+" ")
	switch {
	case ofWorker && strings.Contains(text, name):
		how = rest
	case ofWorker:
		return text + "; " + how
	}
	return text + " (" + how + ")"
}

// CauseCount is how often a cause was seen.
type CauseCount struct {
	Failures int    `json:"failures"` // attempts
	Runs     int    `json:"runs"`
	Node     string `json:"node,omitempty"` // where most of them failed
	OnNode   int    `json:"on_node,omitempty"`
}

// Without takes away a failure on a node.
func (c CauseCount) Without(node string) CauseCount {
	c.Failures = max(0, c.Failures-1)
	if node == c.Node {
		c.OnNode = max(0, c.OnNode-1)
	}
	return c
}

// With counts another failure on a node.
func (c CauseCount) With(node string) CauseCount {
	c.Failures++
	c.Runs = max(c.Runs, 1)
	if node != "" && (c.Node == node || c.OnNode == 0) {
		c.Node = node
		c.OnNode++
	}
	return c
}

// String is "The 4th time in 7 days, 3 of them on gpu-7.", or "".
func (c CauseCount) String() string {
	if c.Failures < 2 {
		return ""
	}
	text := fmt.Sprintf("The %s time in %d days", ordinal(c.Failures), int(CauseWindow.Hours())/24)
	if c.Node != "" && c.OnNode > 1 {
		text += fmt.Sprintf(", %d of them on %s", c.OnNode, c.Node)
	}
	return text + "."
}

// CauseWindow is the time in which equal causes are counted.
const CauseWindow = 7 * 24 * time.Hour
