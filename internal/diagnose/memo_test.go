package diagnose

import (
	"bytes"
	"fmt"
	"math"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// forgetful is a scanner that reads every line anew, and mindful one that keeps notes from its first line on, few of them.
func forgetful(r *Rules) *Scanner {
	s := r.NewScanner()
	s.units = math.MinInt
	return s
}

func mindful(r *Rules, sets int) *Scanner {
	s := r.NewScanner()
	s.units = memoAfter
	s.memo = newMemo(sets)
	return s
}

func allCases(t testing.TB) []logCase {
	t.Helper()
	return append(loadCases(t, "../logparse/testdata/cases.jsonl"), loadCases(t, "testdata/held-out.jsonl")...)
}

// sampleLines are all lines of the known cases but the very long ones, each once.
func sampleLines(t testing.TB) []string {
	t.Helper()
	var out []string
	for _, c := range allCases(t) {
		for _, line := range c.Lines {
			if len(line) < 4096 {
				out = append(out, string(line))
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// otherDigits draws some digits of a text anew.
func otherDigits(t *rapid.T, text string) string {
	out := []byte(text)
	for i, c := range out {
		if isDigit(c) && rapid.Bool().Draw(t, "change") {
			out[i] = rapid.SampledFrom([]byte("0123456789")).Draw(t, "digit")
		}
	}
	return string(out)
}

// TestLinesThatComeAgainAndAgainAreJudgedAsBefore repeats every known case, with its numbers changed.
func TestLinesThatComeAgainAndAgainAreJudgedAsBefore(t *testing.T) {
	t.Parallel()
	rules := builtinRules(t)
	for _, c := range allCases(t) {
		if len(c.Lines) > 40 {
			continue
		}
		with, without := mindful(rules, memoSets), forgetful(rules)
		for n := range 4 {
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

// TestAnyMixOfLinesIsJudgedAsWithoutNotes draws logs of a few lines that come again and again, with other digits and heads.
func TestAnyMixOfLinesIsJudgedAsWithoutNotes(t *testing.T) {
	t.Parallel()
	rules, lines := builtinRules(t), sampleLines(t)
	heads := []string{"", "", "2026-01-02 03:04:05,678 ", "03:22:58 [INFO] [Rank 0] ", "[rank3]: ", "[default1]:", "E1206 18:44:12.715298 77 a.cc:7] ", "step 12 loss 2.5 ", "\x1b[31m", "  "}
	exits := []Exit{{}, {Known: true}, {Known: true, Code: 1}, {Known: true, Signal: 9}}
	rapid.Check(t, func(rt *rapid.T) {
		with, without := mindful(rules, rapid.SampledFrom([]int{1, memoSets}).Draw(rt, "sets")), forgetful(rules)
		few := rapid.SliceOfN(rapid.SampledFrom(lines), 1, 12).Draw(rt, "lines")
		for range 60 {
			line := rapid.SampledFrom(heads).Draw(rt, "head") + rapid.SampledFrom(few).Draw(rt, "line")
			if rapid.Bool().Draw(rt, "other digits") {
				line = otherDigits(rt, line)
			}
			with.Line([]byte(line))
			without.Line([]byte(line))
			for i, got := range with.seen {
				if !reflect.DeepEqual(got, without.seen[i]) {
					rt.Fatalf("after %q rule %s has seen %+v, want %+v", line, rules.rules[i].ID, got, without.seen[i])
				}
			}
		}
		for _, exit := range exits {
			if got, want := with.Cause(exit), without.Cause(exit); !reflect.DeepEqual(got, want) {
				rt.Fatalf("%s: %+v, want %+v", exit, got, want)
			}
		}
	})
}

// TestNotesThatLinesShareAreThoseOfEach holds what a line says against what one with other digits does.
func TestNotesThatLinesShareAreThoseOfEach(t *testing.T) {
	t.Parallel()
	rules, lines := builtinRules(t), sampleLines(t)
	alike, apart := 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		line := []byte(rapid.SampledFrom(lines).Draw(rt, "line"))
		line = line[:min(len(line), maxUnit)]
		s := rules.NewScanner()
		s.memo = newMemo(1)
		key := s.memo.start(line, true)
		n := s.shared(line, true)
		for ; len(n.depends) > 0; n = s.shared(line, true) {
			key = s.memo.further(key, line, n.depends)
		}
		other := []byte(otherDigits(rt, string(line)))
		for _, of := range s.memo.fixed {
			copy(other[of.from:of.to], line[of.from:of.to])
			apart++
		}
		alike++
		want := &notes{}
		s.read(want, other, true)
		s.judge(want, other, matches)
		got := *n
		got.rank = want.rank // is read from each
		if !reflect.DeepEqual(got, *want) {
			rt.Fatalf("%q: %+v\n%q: %+v", line, got, other, *want)
		}
	})
	if alike == apart || apart == 0 {
		t.Errorf("of %d lines %d digits tell some apart", alike, apart)
	}
}

func TestExpressionsAreWithinTheirBounds(t *testing.T) {
	t.Parallel()
	rules, lines := builtinRules(t), sampleLines(t)
	d := rules.digits()
	if len(d.bounds) < 20 {
		t.Errorf("only %d expressions tell digits from each other", len(d.bounds))
	}
	rapid.Check(t, func(rt *rapid.T) {
		line := otherDigits(rt, rapid.SampledFrom(lines).Draw(rt, "line"))
		other := otherDigits(rt, line)
		for e, b := range d.bounds {
			least, most := b.least.MatchString(line), b.most.MatchString(line)
			if least && !e.MatchString(line) || e.MatchString(line) && !most {
				rt.Fatalf("%q matches %q and %q: %v and %v", line, b.least, b.most, least, most)
			}
			if least != b.least.MatchString(other) || most != b.most.MatchString(other) {
				rt.Fatalf("bounds of %q tell %q from %q", e, line, other)
			}
		}
	})
	for text, want := range map[string][2]string{ // lines that each bound matches, beside x1y
		`^a12$`:           {"", "a12 a99"},
		`^\d[a5-7z]?$`:    {"4 4a", "4 4a 43 45 99"},
		`^[^0]x$`:         {"ax", "ax 0x 1x"},
		`^(?i)k[3]+|b$`:   {"B", "K4 B k33"},
		`^(?:a|2){2,3}?$`: {"aa aaa", "a12 a99 4a 43 45 aa aaa a3a 99"},
	} {
		for i, bound := range []string{withDigits(text, false), withDigits(text, true)} {
			for _, line := range strings.Fields("a12 a99 4 4a 43 45 ax 0x 1x B K4 k33 aa aaa a3a 99 x1y") {
				if got := regexp.MustCompile(bound).MatchString(line); got != slices.Contains(strings.Fields(want[i]), line) {
					t.Errorf("%s becomes %s, which matches %s: %v", text, bound, line, got)
				}
			}
		}
	}
}

func TestAMaskHidesDigitsAlone(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		text := rapid.OneOf(rapid.SliceOf(rapid.Byte()), rapid.SliceOf(rapid.SampledFrom([]byte("0129/:;@ aA\x00\x10\x19\x80\xb0\xb9\xff")))).Draw(rt, "text")
		var want []byte
		for _, c := range text {
			if isDigit(c) {
				c = '0'
			}
			want = append(want, c)
		}
		if got := mask(nil, text); !bytes.Equal(got, want) {
			rt.Fatalf("%q, want %q", got, want)
		}
	})
}

func TestANumberThatTellsAnotherCauseIsSeenAmongManyLikeIt(t *testing.T) {
	t.Parallel()
	lines := slices.Repeat([]string{"NVRM: Xid (PCI:0000:0f:00): 31, pid=712, name=python"}, 5000)
	lines = append(lines, "NVRM: Xid (PCI:0000:0f:00): 79, pid=712, name=python")
	if got := causeOf(t, builtinRules(t), Exit{}, lines...); got.Category != "ecc_error_xid" || got.Evidence[0].Line != 5000 {
		t.Errorf("%s by %+v", got.Category, got.Evidence)
	}
}
