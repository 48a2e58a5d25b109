package diagnose

import (
	"regexp"
	"strconv"
	"strings"
)

// Rule is a kind of line that tells of a cause. Its fields are those of a [[rule]] in TOML.
type Rule struct {
	ID       string `toml:"id"`
	Category string `toml:"category"`
	// Any are texts of which one must stand in the line, whatever its case.
	Any []string `toml:"any"`
	// None are texts of which none may stand in the line; they cost nothing, other than Unless.
	None []string `toml:"none"`
	// Match is a regular expression that the line must match, Unless one that it must not.
	Match  string `toml:"match"`
	Unless string `toml:"unless"`
	// UnlessFrame is one that no frame of the traceback above must match, nor the source that it quotes: what was being done.
	UnlessFrame string `toml:"unless_frame"`
	// More is how many of the lines that follow belong to the message.
	More int `toml:"more"`
	// Facts are expressions whose named groups are facts for Summary, as those of Match are; of names that differ by digits at
	// their end, such as path and path2, the first found counts. Facts that a rule does not find are looked for with those that
	// all rules share, see [Fact].
	Facts []string `toml:"facts"`
	// Shape "exception" wants a line that ends a Python process, or what a C++ one says at its end.
	Shape string `toml:"shape"`
	// Exit are ends of a process that the rule stands for: "oom-killed", "signal 11", "code 1".
	Exit []string `toml:"exit"`
	// Curve stands for how the loss ended: "nan" or "spike".
	Curve string `toml:"curve"`
	// Needs are rules of which one must have been seen, too.
	Needs []string `toml:"needs"`
	// Weight says how sure the rule is, from 1 to 100.
	Weight int `toml:"weight"`
	// Echo marks what follows from the end of another process.
	Echo bool `toml:"echo"`
	// Guess marks a category that is only the most frequent reason for what the rule sees: nobody should rely on it.
	Guess bool `toml:"guess"`
	// Sticky rules count in full in warnings, and where a line speaks of further tries.
	Sticky bool `toml:"sticky"`
	// Blank marks what says only that a process failed: whether it would again, nobody knows.
	Blank bool `toml:"blank"`
	// Retryable, Summary and Hint are those of the cause. In Summary {name} is a fact, and [parts] need theirs.
	Retryable bool   `toml:"retryable"`
	Summary   string `toml:"summary"`
	Hint      string `toml:"hint"`
	// Entity is the fact that names the one thing that failed.
	Entity string `toml:"entity"`
	// Off removes a rule of the same ID that was there before.
	Off bool `toml:"off"`

	file                       string
	match, unless, unlessFrame *regexp.Regexp

	facts []*regexp.Regexp // match among them
}

// Fact is an expression with a group that finds a fact in the lines of any rule. Its fields are those of a [[fact]] in TOML.
type Fact struct {
	Match string `toml:"match"`

	match *regexp.Regexp
}

// Marker is a kind of line that says how to take others. Its fields are those of a [[marker]] in TOML.
type Marker struct {
	ID string `toml:"id"`
	// Without Any, Match and Unless look at the messages, after times and levels, of the lines in which a rule has a text.
	Any    []string `toml:"any"`
	Match  string   `toml:"match"`
	Unless string   `toml:"unless"`
	// Effect is "ignore": the line tells nothing; "handled": what it and the Reach lines before it tell was handled; "recovered": what
	// was seen of the Clears categories is over; or "finished": the training ended well, so what was seen counts only if the process failed.
	Effect string   `toml:"effect"`
	Reach  int64    `toml:"reach"`
	Clears []string `toml:"clears"`
	// Sticky says that what sticky rules saw of them is over, too.
	Sticky bool `toml:"sticky"`

	file          string
	match, unless *regexp.Regexp
}

// Effects of a marker.
const (
	ignore    = "ignore"
	handled   = "handled"
	recovered = "recovered"
	finished  = "finished"
)

// tier orders causes: a real one, an echo, an unknown one.
func (r *Rule) tier() int {
	switch {
	case r.Category == Unknown:
		return 2
	case r.Echo:
		return 1
	}
	return 0
}

// ends reports whether the rule stands for how a process ended.
func (r *Rule) ends(e Exit) bool {
	for _, want := range r.Exit {
		name, number, _ := strings.Cut(want, " ")
		n, _ := strconv.Atoi(number) // "" is "failed"
		switch {
		case name == "oom-killed" && e.OOMKilled,
			name == "signal" && e.signal() == n,
			name == "code" && e.Known && e.Code == n && e.signal() == 0,
			name == "failed" && e.failed():
			return true
		}
	}
	return false
}
