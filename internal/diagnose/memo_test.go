package diagnose

import (
	"fmt"
	"math"
	"reflect"
	"testing"
)

// TestLinesThatComeAgainAndAgainAreJudgedAsBefore repeats every known case, with its numbers changed, beyond what the memory starts at, and
// compares with a scanner that remembers nothing.
func TestLinesThatComeAgainAndAgainAreJudgedAsBefore(t *testing.T) {
	t.Parallel()
	rules := builtinRules(t)
	for _, c := range loadCases(t, "../logparse/testdata/cases.jsonl") {
		if len(c.Lines) > 40 {
			continue
		}
		with, without := rules.NewScanner(), rules.NewScanner()
		with.units, without.units = memoAfter, math.MinInt
		for n := range 12 {
			for _, line := range c.Lines {
				text := fmt.Appendf(nil, "2026-01-02 03:%02d:%02d %s", n%60, n%7, line)
				with.Line(text)
				without.Line(text)
			}
		}
		if got, want := with.Cause(c.exit()), without.Cause(c.exit()); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, want %+v", c.ID, got, want)
		}
	}
}

func TestTheMemoryAsksUntilTheAnswersAgree(t *testing.T) {
	t.Parallel()
	var m memo
	asked := 0
	for n := range 3 * memoTimes {
		m.start(fmt.Appendf(nil, "worker %d failed", 1000*n))
		value := uint8(1)
		if n == memoTimes-1 {
			value = 2
		}
		m.recall(7, func() uint8 { asked++; return value })
	}
	if asked != 2*memoTimes {
		t.Errorf("asked %d times, want %d", asked, 2*memoTimes)
	}
	m.start([]byte("worker x failed"))
	if m.recall(7, func() uint8 { return 5 }) != 5 {
		t.Error("another line has the answer of the first")
	}
	m.start([]byte("worker 12 failed"))
	if m.recall(8, func() uint8 { return 6 }) != 6 || m.recall(7, func() uint8 { return 9 }) != 1 {
		t.Error("expressions have each other's answers")
	}
}
