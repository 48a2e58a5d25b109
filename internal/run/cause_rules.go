package run

import (
	"fmt"
	"strings"
	"time"
)

// MaxCauseRules bounds the text of a site's rules of diagnosis, in bytes.
const MaxCauseRules = 64 << 10

// CauseRules are a site's own rules of diagnosis.
type CauseRules struct {
	Revision int64     `json:"revision" doc:"Raised by each change, 0 before the first"`
	Text     string    `json:"text" doc:"TOML"`
	At       time.Time `json:"at,omitzero" doc:"When it was saved"`
	Actor    string    `json:"actor,omitempty" doc:"Who saved it"`

	// Rules is what the text says, and Problem why it is not in effect, "" if it is.
	Rules   []CauseRule `json:"rules" nullable:"false"`
	Problem string      `json:"problem,omitempty" doc:"Why the rules are not in effect; left out if they are"`
}

// CauseRule is a rule of a site.
type CauseRule struct {
	ID       string `json:"id"`
	Category string `json:"category,omitempty"`
	Summary  string `json:"summary,omitempty"`
	Replaces bool   `json:"replaces" doc:"It takes the place of a built-in rule"`
	Off      bool   `json:"off" doc:"It turns the built-in rule off"`
}

// CauseTrials is what rules would have said of past failures.
type CauseTrials struct {
	Trials  []CauseTrial `json:"trials" nullable:"false" doc:"Newest first"`
	Changed int          `json:"changed" doc:"How many of them would have another cause"`
	Found   int          `json:"found" doc:"How many failures were found; those that are not in trials could not be read in time, or were deleted meanwhile"`
	// TimedOut are those of Found that are not in Trials because time was over.
	TimedOut int `json:"timed_out" doc:"How many of them could not be read in time: of these nothing is known"`
}

// CauseTrial is a past failure, with what is said of it now and with other rules.
type CauseTrial struct {
	Run     ID        `json:"run"`
	Name    string    `json:"name"`
	Project string    `json:"project"`
	Attempt int       `json:"attempt"`
	At      time.Time `json:"at" doc:"When it ended"`
	Now     Answer    `json:"now"`
	With    Answer    `json:"with"`
	Changed bool      `json:"changed"`
}

// Answer is what rules say of a failure.
type Answer struct {
	Category  string `json:"category"`
	Title     string `json:"title"`
	Summary   string `json:"summary"`
	Retryable bool   `json:"retryable"`
	Rank      int    `json:"rank" doc:"Of the worker that tells, -1 for none"`
}

// AnswerOf is what a cause says.
func AnswerOf(c *Cause) Answer {
	if c == nil {
		return Answer{Category: UnknownCause, Title: "Unknown", Rank: -1}
	}
	return Answer{c.Category, c.Title, c.Summary, c.Retryable, c.Rank}
}

// CheckCauseRules checks what can be checked without reading the rules.
func CheckCauseRules(text string) error {
	switch {
	case len(text) > MaxCauseRules:
		return FieldErrors{{Field: "text", Value: fmt.Sprintf("%d bytes", len(text)), Rule: fmt.Sprintf("must have at most %d bytes", MaxCauseRules), Fix: "remove rules that never decide"}}
	case strings.ContainsRune(text, 0):
		return FieldErrors{{Field: "text", Value: "a NUL byte", Rule: "must be text", Fix: "remove it"}}
	}
	return nil
}

// PastFailure is an attempt that failed, where its run is.
type PastFailure struct {
	Attempt
	Name, Project string
	Next          time.Time // when the attempt after it was made, zero for none
}
