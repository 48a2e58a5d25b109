package diagnose

import (
	"bufio"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"
)

// logCase is a line of ../logparse/testdata/cases.jsonl, or of testdata/held-out.jsonl.
type logCase struct {
	ID     string     `json:"id"`
	Kind   string     `json:"kind"`
	Lines  []caseLine `json:"lines"`
	Expect struct {
		Category  string   `json:"category"`
		Accept    []string `json:"accept"`
		Retryable *bool    `json:"retryable"`
	} `json:"expect"`
	Exit struct {
		Code      *int `json:"code"`
		Signal    *int `json:"signal"`
		OOMKilled bool `json:"oom_killed"`
	} `json:"exit"`
}

type caseLine string

func (l *caseLine) UnmarshalJSON(b []byte) error {
	if b[0] == '"' {
		return json.Unmarshal(b, (*string)(l))
	}
	var long struct {
		Prefix, Repeat, Suffix string
		Times                  int
	}
	if err := json.Unmarshal(b, &long); err != nil {
		return err
	}
	*l = caseLine(long.Prefix + strings.Repeat(long.Repeat, long.Times) + long.Suffix)
	return nil
}

func loadCases(t testing.TB, name string) []logCase {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }() // only read
	var out []logCase
	for in := bufio.NewReader(f); ; {
		b, err := in.ReadBytes('\n')
		if len(b) > 1 {
			var head struct{ Kind string }
			if err := json.Unmarshal(b, &head); err != nil {
				t.Fatalf("%s, case %d: %v", name, len(out)+1, err)
			}
			if head.Kind != "metrics" {
				var c logCase
				if err := json.Unmarshal(b, &c); err != nil {
					t.Fatalf("%s, case %d: %v", name, len(out)+1, err)
				}
				out = append(out, c)
			}
		}
		if err != nil {
			return out
		}
	}
}

func builtinRules(t testing.TB) *Rules {
	t.Helper()
	rules, err := Builtin()
	if err != nil {
		t.Fatal(err)
	}
	return rules
}

func (c logCase) exit() Exit {
	exit := Exit{Known: c.Exit.Code != nil || c.Exit.Signal != nil, OOMKilled: c.Exit.OOMKilled}
	if c.Exit.Code != nil {
		exit.Code = *c.Exit.Code
	}
	if c.Exit.Signal != nil {
		exit.Signal = *c.Exit.Signal
	}
	return exit
}

func (c logCase) diagnose(t testing.TB, rules *Rules) Cause {
	t.Helper()
	var b strings.Builder
	for _, line := range c.Lines {
		b.WriteString(string(line) + "\n")
	}
	s := rules.NewScanner()
	if err := s.Scan(strings.NewReader(b.String())); err != nil {
		t.Fatal(err)
	}
	return s.Cause(c.exit())
}

// score counts right answers, and logs the wrong ones.
func score(t *testing.T, rules *Rules, cases []logCase) (categories, failures, retryable, alarms, noise int) {
	t.Helper()
	for _, c := range cases {
		got := c.diagnose(t, rules)
		if c.Kind == "noise" {
			noise++
			if got.Category != None {
				alarms++
				t.Logf("%s: %s by %s at %+v", c.ID, got.Category, got.Rule, got.Evidence)
			}
			continue
		}
		failures++
		if got.Category == c.Expect.Category || slices.Contains(c.Expect.Accept, got.Category) {
			categories++
		} else {
			t.Logf("%s: %s by %s, want %s %v", c.ID, got.Category, got.Rule, c.Expect.Category, c.Expect.Accept)
		}
		if c.Expect.Retryable == nil || *c.Expect.Retryable == got.Retryable {
			retryable++
		} else {
			t.Logf("%s: retryable %v by %s", c.ID, got.Retryable, got.Rule)
		}
	}
	return categories, failures, retryable, alarms, noise
}

func TestKnownCases(t *testing.T) {
	t.Parallel()
	categories, failures, retryable, alarms, noise := score(t, builtinRules(t), loadCases(t, "../logparse/testdata/cases.jsonl"))
	if failures != 102 || noise != 24 || categories < 101 || retryable < 98 || alarms > 0 {
		t.Errorf("%d of %d categories, %d retryable, %d false alarms of %d", categories, failures, retryable, alarms, noise)
	}
}

func TestHeldOutCases(t *testing.T) {
	t.Parallel()
	categories, failures, retryable, alarms, noise := score(t, builtinRules(t), loadCases(t, "testdata/held-out.jsonl"))
	if failures < 350 || noise < 110 || categories < failures*99/100 || retryable < failures*98/100 || alarms > 0 {
		t.Errorf("%d of %d categories, %d retryable, %d false alarms of %d", categories, failures, retryable, alarms, noise)
	}
}
