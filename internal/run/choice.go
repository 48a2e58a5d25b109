package run

import (
	"fmt"
	"strconv"
	"strings"
)

// ResumeChoice is what a person has the next attempt continue from: [ResumeNewest], [ResumeStart], or a checkpoint as the
// name of its folder, "step_120".
type ResumeChoice string

// The choices that name no checkpoint.
const (
	ResumeNewest ResumeChoice = ""      // the newest complete checkpoint
	ResumeStart  ResumeChoice = "start" // as the configuration says
)

// ResumeAt is the checkpoint of a step.
func ResumeAt(step int64) ResumeChoice { return ResumeChoice(stepFolder(step)) }

// ParseResumeChoice reads "newest" or "", "start", a step, or the name of its folder. Errors are [FieldErrors] of the field from.
func ParseResumeChoice(s string) (ResumeChoice, error) {
	switch s {
	case "", "newest":
		return ResumeNewest, nil
	case string(ResumeStart):
		return ResumeStart, nil
	}
	step, err := strconv.ParseInt(strings.TrimPrefix(s, "step_"), 10, 64)
	if err != nil || step < 0 || step > MaxStep {
		return "", FieldErrors{{Field: "from", Value: named(s), Rule: "is no checkpoint", Fix: "use newest, start, or a step at which the run has saved one, such as 120"}}
	}
	return ResumeAt(step), nil
}

// Step is the step of the chosen checkpoint; ok is false where none is named.
func (c ResumeChoice) Step() (step int64, ok bool) {
	name, ok := strings.CutPrefix(string(c), "step_")
	if !ok {
		return 0, false
	}
	step, err := strconv.ParseInt(name, 10, 64)
	return step, err == nil
}

// Among returns the points that the choice allows, newest first: a broken checkpoint leads to the one before it.
func (c ResumeChoice) Among(points []ResumePoint) []ResumePoint {
	for i, p := range points {
		if c.allows(p.Step) {
			return points[i:]
		}
	}
	return nil
}

// allows reports whether the choice allows the checkpoint of a step.
func (c ResumeChoice) allows(step int64) bool {
	newest, named := c.Step()
	return c != ResumeStart && (!named || step <= newest)
}

// Check returns an error unless the choice can be made: one of the points is the checkpoint that it names. Errors are
// [FieldErrors] of the field from.
func (c ResumeChoice) Check(points []ResumePoint) error {
	step, ok := c.Step()
	if !ok {
		return nil
	}
	var have []string
	for _, p := range points {
		if p.Step == step {
			return nil
		}
		have = append(have, strconv.FormatInt(p.Step, 10))
	}
	fix := "it has no complete checkpoint: use start"
	if n := len(have); n > maxNamed {
		fix = fmt.Sprintf("use newest, start, or one of %d steps such as %s and %s", n, strings.Join(have[:maxNamed], ", "), have[n-1])
	} else if n > 0 {
		fix = "use newest, start, or one of " + strings.Join(have, ", ")
	}
	return FieldErrors{{Field: "from", Value: strconv.FormatInt(step, 10), Rule: "is no step of which every worker of the run is known to have a checkpoint", Fix: fix}}
}

// maxNamed is how many steps an error names, newest first.
const maxNamed = 10

// String says what the attempt continues from.
func (c ResumeChoice) String() string {
	if step, ok := c.Step(); ok {
		return fmt.Sprintf("the checkpoint of step %d", step)
	}
	if c == ResumeStart {
		return "the beginning"
	}
	return "the newest complete checkpoint"
}
