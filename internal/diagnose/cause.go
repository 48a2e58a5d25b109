package diagnose

import (
	"fmt"
	"strings"

	"github.com/cotrain/cotrain/internal/fault"
)

// None is the category of output in which nothing failed, Unknown of a failure without a known cause.
const (
	None    = "none"
	Unknown = "unknown"
)

// Bounds of a cause.
const (
	MaxEvidence = 8   // lines
	maxText     = 400 // bytes of a line shown as evidence
	maxFact     = 120 // bytes of a fact named in a summary
	maxSummary  = 400 // bytes
)

// Cause is why a process failed.
type Cause struct {
	Category string `json:"category"`
	// Retryable says whether the same job, unchanged, may pass, perhaps on another node.
	Retryable bool       `json:"retryable"`
	Summary   string     `json:"summary"` // one sentence
	Hint      string     `json:"hint"`    // what to do
	Evidence  []Evidence `json:"evidence"`

	// Rule is the ID of the rule that decided, "" without one.
	Rule string `json:"-"`
	// Echo marks what follows from the end of another process.
	Echo bool `json:"-"`
	// Guess marks a category that is only the most frequent of those that it could be.
	Guess bool `json:"-"`
	// Blank marks that nothing tells whether it would fail again.
	Blank bool `json:"-"`
	// Entity is the one thing that failed, such as a file or a host; "" where the rule names none.
	Entity string `json:"-"`
	// Rank is that of the process whose line decided, -1 where no line tells.
	Rank int `json:"-"`

	tier, score int
	same        string // the summary, whichever process it is
}

// Evidence is a line of the output.
type Evidence struct {
	Line int64  `json:"line"` // counted from 0
	Text string `json:"text"` // without escape sequences, clipped
}

// anyException is the category of whatever a program raises: what it says is all that tells one from another.
const anyException = "python_exception"

// Fingerprint is equal for failures of the same cause and the same entity.
func (c Cause) Fingerprint() string {
	if c.Rule == "" {
		return c.Category
	}
	if c.Entity == "" && c.Category == anyException {
		return c.Category + "/" + c.Rule + "/" + c.same
	}
	if c.Entity == "" {
		return c.Category + "/" + c.Rule
	}
	return c.Category + "/" + c.Rule + "/" + c.Entity
}

// Beats reports whether c explains a failure better than other: of the workers of an attempt, the one whose cause no other beats is
// the root, and among equals the one that failed first.
func (c Cause) Beats(other Cause) bool {
	if c.tier != other.tier {
		return c.tier < other.tier
	}
	return c.score > other.score
}

// Exit is how a process ended, as far as it is known.
type Exit struct {
	Known     bool // Code and Signal are known
	Code      int
	Signal    int  // 0 where no signal ended it
	OOMKilled bool // the kernel or the scheduler says so
}

// signal also understands the code of a shell whose child a signal ended.
func (e Exit) signal() int {
	if e.Signal == 0 && e.Code > 128 && e.Code < 128+65 {
		return e.Code - 128
	}
	return e.Signal
}

func (e Exit) failed() bool { return e.OOMKilled || e.Known && (e.Code != 0 || e.Signal != 0) }

func (e Exit) clean() bool { return e.Known && !e.failed() }

func (e Exit) String() string {
	switch n := e.signal(); {
	case e.OOMKilled:
		return "out of memory"
	case n != 0:
		return fmt.Sprintf("signal %d", n)
	}
	return fmt.Sprintf("code %d", e.Code)
}

// clean makes text of a log fit to be shown: one line of valid UTF-8 in which nothing is hidden.
func clean(b []byte, limit int) string {
	s := strings.ToValidUTF8(string(b[:min(len(b), 4*limit)]), "\uFFFD")
	s = strings.Map(func(r rune) rune {
		switch {
		case r == '\t':
			return ' '
		case fault.Unseen(r):
			return -1
		}
		return r
	}, s)
	return fault.Clip(strings.TrimSpace(s), limit)
}
