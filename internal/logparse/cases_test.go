package logparse

import (
	"bufio"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/cotrain/cotrain/internal/run"
)

// logCase is one line of testdata/cases.jsonl, lines that people saw and what they say, or of testdata/formats.jsonl, lines as the
// trainers' own code prints them.
type logCase struct {
	ID     string                     `json:"id"`
	Kind   string                     `json:"kind"`
	Group  string                     `json:"group"`
	Lines  []caseLine                 `json:"lines"`
	Expect map[string]json.RawMessage `json:"expect"`
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

type caseExpect struct {
	Step    *int64         `json:"step"`
	Metrics map[string]any `json:"metrics"`
	Extra   map[string]any `json:"extra"`
}

func loadCases(t testing.TB) []logCase { return loadCasesFrom(t, "testdata/cases.jsonl") }

func loadCasesFrom(t testing.TB, name string) []logCase {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }() // only read
	var out []logCase
	lines := bufio.NewReader(f)
	for {
		b, err := lines.ReadBytes('\n')
		if len(b) > 0 {
			var c logCase
			if err := json.Unmarshal(b, &c); err != nil {
				t.Fatalf("case %d: %v", len(out)+1, err)
			}
			out = append(out, c)
		}
		if err != nil {
			return out
		}
	}
}

// numberOf reads a number of the cases, where the three that JSON lacks are strings.
func numberOf(t *testing.T, v any) float64 {
	t.Helper()
	if s, ok := v.(string); ok {
		f, err := strconv.ParseFloat(s, 64)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	return v.(float64)
}

func sameNumber(a, b float64) bool { return a == b || math.IsNaN(a) && math.IsNaN(b) }

// difference says how a sample differs from what a case expects, "" if it does not. Metrics under names that trainers share are
// exact; others may be missing, but not wrong.
func difference(t *testing.T, s run.Sample, want caseExpect) string {
	t.Helper()
	if (want.Step != nil) != s.HasStep || s.HasStep && *want.Step != s.Step {
		return fmt.Sprintf("step %d (%v)", s.Step, s.HasStep)
	}
	if s.Exact {
		return "a printed line is marked exact"
	}
	seen := 0
	for _, m := range s.Metrics {
		v, ok := want.Metrics[m.Name]
		switch {
		case ok:
			seen++
		case Shared(m.Name):
			return "unexpected metric " + m.Name
		default:
			if v, ok = want.Extra[m.Name]; !ok {
				continue
			}
		}
		if !sameNumber(numberOf(t, v), m.Value) {
			return fmt.Sprintf("%s = %v, want %v", m.Name, m.Value, v)
		}
	}
	if seen != len(want.Metrics) {
		return fmt.Sprintf("metrics %v, want %v", s.Metrics, want.Metrics)
	}
	return ""
}

func sharedOnly(s run.Sample) bool {
	return slices.ContainsFunc(s.Metrics, func(m run.Metric) bool { return Shared(m.Name) })
}

func TestMetricsCasesComeOutExactly(t *testing.T) {
	t.Parallel()
	exact := 0
	for _, c := range loadCases(t) {
		if c.Kind == "metrics" {
			exact += checkCase(t, c)
		}
	}
	if exact != 97 {
		t.Errorf("%d samples compared, want 97", exact)
	}
}

func TestLinesOfEachFormatComeOutExactly(t *testing.T) {
	t.Parallel()
	exact := 0
	for _, c := range loadCasesFrom(t, "testdata/formats.jsonl") {
		exact += checkCase(t, c)
	}
	if exact < 180 {
		t.Errorf("only %d samples compared", exact)
	}
}

// checkCase compares what the lines of a case yield with what it expects, and returns how many samples were right.
func checkCase(t *testing.T, c logCase) (exact int) {
	t.Helper()
	var p Parser
	for i, line := range c.Lines {
		res := p.Line([]byte(line))
		var want caseExpect
		if raw, listed := c.Expect[strconv.Itoa(i)]; listed {
			if err := json.Unmarshal(raw, &want); err != nil {
				t.Fatal(err)
			}
		}
		shown := line[:min(len(line), 300)]
		switch {
		case len(want.Metrics) == 0:
			if res.Kind == KindSample && sharedOnly(res.Sample) {
				t.Errorf("%s line %d: sample %+v from %q", c.ID, i, res.Sample, shown)
			}
		case res.Kind != KindSample:
			t.Errorf("%s line %d: no sample from %q", c.ID, i, shown)
		default:
			if d := difference(t, res.Sample, want); d != "" {
				t.Errorf("%s line %d: %s from %q (%s)", c.ID, i, d, shown, res.Format)
				continue
			}
			exact++
		}
	}
	return exact
}

func TestNoiseCasesGiveNoSampleAndOnlyTheEventsThatTheyHold(t *testing.T) {
	t.Parallel()
	// These lines are noise as far as metrics and failures go, and still rows of CotrainCore's table of lines.
	events := map[string][]string{
		"n-001": {PeakFLOPS, Parameters, MeshReady},
		"n-006": {SyncError, SyncDone},
		"n-007": {CheckpointSaved},
	}
	count := 0
	for _, c := range loadCases(t) {
		if c.Kind != "noise" {
			continue
		}
		count++
		var p Parser
		var got []string
		for _, line := range c.Lines {
			switch res := p.Line([]byte(line)); res.Kind {
			case KindSample:
				t.Errorf("%s: sample %+v from %q", c.ID, res.Sample, line)
			case KindEvent:
				got = append(got, res.Event.Name)
				if res.Event.Level == Error {
					t.Errorf("%s: error event from %q", c.ID, line)
				}
			}
		}
		if !slices.Equal(got, events[c.ID]) {
			t.Errorf("%s: events %v, want %v", c.ID, got, events[c.ID])
		}
	}
	if count != 24 {
		t.Errorf("%d noise cases, want 24", count)
	}
}

func TestFailureCasesGiveOnlyTheSamplesThatTheyHold(t *testing.T) {
	t.Parallel()
	want := map[string]string{
		"f-gloo-001 2": "1244 loss=6.9331", "f-gloo-001 3": "1244 loss=6.9331",
		"f-hostoom-004 0": "479 loss=0.6319", "f-hostoom-004 1": "511 loss=0.5117",
		"f-nan-001 0": "loss=0.2051", "f-nan-001 1": "loss=0", "f-nan-001 2": "loss=0",
		"f-nan-003 0": "3000 loss=4.249", "f-nan-003 1": "3010 loss=NaN", "f-nan-003 2": "3020 loss=NaN", "f-nan-003 3": "3030 loss=NaN",
		"f-nan-005 1": "4 loss=+Inf",
		"f-nan-006 0": "413 loss=NaN", "f-nan-006 1": "414 loss=NaN",
		"f-peer-007 5":  "1301 loss=6.9127",
		"f-spike-001 0": "loss=0.4827", "f-spike-001 1": "loss=0.6607", "f-spike-001 2": "loss=1.0354",
		"f-spike-001 3": "loss=5.8871", "f-spike-001 4": "loss=6.0113", "f-spike-001 5": "loss=6.0094",
	}
	count := 0
	for _, c := range loadCases(t) {
		if c.Kind != "failure" {
			continue
		}
		count++
		var p Parser
		for i, line := range c.Lines {
			key := fmt.Sprintf("%s %d", c.ID, i)
			got := ""
			if res := p.Line([]byte(line)); res.Kind == KindSample {
				res.Sample.Metrics = res.Sample.Metrics[:1]
				got = strings.TrimPrefix(say(res), "sample ")
			}
			if got != want[key] {
				t.Errorf("%s: sample %q, want %q, from %q", key, got, want[key], line)
			}
		}
	}
	if count != 102 {
		t.Errorf("%d failure cases, want 102", count)
	}
}
