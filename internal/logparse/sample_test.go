package logparse

import (
	"fmt"
	"math"
	"strings"
	"testing"
)

// say renders a result in one line, so that tables can hold what they expect.
func say(res Result) string {
	var b strings.Builder
	switch res.Kind {
	case None:
		return ""
	case KindSample:
		b.WriteString("sample")
		if res.Sample.HasStep {
			fmt.Fprintf(&b, " %d", res.Sample.Step)
		}
		if res.Sample.Exact {
			b.WriteString(" exact")
		}
		for _, m := range res.Sample.Metrics {
			fmt.Fprintf(&b, " %s=%v", m.Name, m.Value)
		}
	case KindEvent:
		fmt.Fprintf(&b, "%s %s", res.Event.Level, res.Event.Name)
		if res.Event.HasStep {
			fmt.Fprintf(&b, " %d", res.Event.Step)
		}
		for _, m := range res.Event.Metrics {
			fmt.Fprintf(&b, " %s=%v", m.Name, m.Value)
		}
		if p := res.Event.Path(); p != "" {
			b.WriteString(" path=" + p)
		}
	}
	return b.String()
}

func sayLine(line string) string {
	var p Parser
	return say(p.Line([]byte(line)))
}

type lineTest struct{ name, line, want string }

func checkLines(t *testing.T, tests []lineTest) {
	t.Helper()
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := sayLine(tt.line); got != tt.want {
				t.Errorf("%q\n got %q\nwant %q", tt.line, got, tt.want)
			}
		})
	}
}

const head = "03:22:58 [INFO] [Rank 0] "

func TestStepLines(t *testing.T) {
	t.Parallel()
	full := "step: 12, loss: 4.1234, inner_lr: 0.0004, tokens_per_second: 123.45, mfu: 12.34, diloco_peers: 2"
	fullWant := "sample 12 loss=4.1234 learning_rate=0.0004 tokens_per_second=123.45 mfu=12.34 num_peers=2"
	checkLines(t, []lineTest{
		{"a whole line", head + full, fullWant},
		{"without throughput on the first step", head + "step: 1, loss: 10.8585, diloco_peers: 3", "sample 1 loss=10.8585 num_peers=3"},
		{"without a head", full, fullWant},
		{"a head that lost its first bytes", "NFO] [Rank 0] " + full, fullWant},
		{"a head that is only a rank", "[Rank 0] " + full, fullWant},
		{"a cut head of a debug line gives nothing", "EBUG] [Rank 0] " + full, ""},
		{"another tag in the head", "03:22:14 [INFO] [TRAIN] [Rank 12] " + full, fullWant},
		{"behind compose's prefix", "worker-1  | " + head + full, fullWant},
		{"behind a runtime's time and stream", "2025-07-31T08:28:47.911109392Z stderr F " + head + full, fullWant},
		{"behind torchrun's rank", "[default0]:" + head + full, fullWant},
		{"bare behind compose's prefix", "worker-1  | " + full, fullWant},
		{"bare behind time and stream", "2025-07-31T08:28:47.911109392Z stdout F " + full, fullWant},
		{"bare behind torchrun's rank", "[rank0]:" + full, fullWant},
		{"in colour", "\x1b[32m03:22:58\x1b[0m [\x1b[1mINFO\x1b[0m] [Rank 0] step: \x1b[38;2;180;60;0m12\x1b[39m, loss: 4.5", "sample 12 loss=4.5"},
		{"with CRLF", head + "step: 12, loss: 4.5\r", "sample 12 loss=4.5"},
		{"the last segment counts", "step: 11, loss: 4.6\r" + head + "step: 12, loss: 4.5\r\r", "sample 12 loss=4.5"},
		{"an erased last segment is nothing", head + "step: 12, loss: 4.5\r        \x1b[K", ""},
		{"behind a hole of NULs", strings.Repeat("\x00", 300) + head + "step: 12, loss: 4.5\x00\x00", "sample 12 loss=4.5"},
		{"a hole inside a number makes no other number", head + "step: 12\x00\x00\x004, loss: 4.5", ""},
		{"keys in another order", head + "loss: 4.5, step: 12, extra_1: 7", "sample 12 loss=4.5 extra_1=7"},
		{"keys in another order without a head", "loss: 4.5, step: 12", ""},
		{"keys that are not known keep their name", head + "step: 12, loss: 4.5, outer_step: 3, train/acc: 0.5", "sample 12 loss=4.5 outer_step=3 train/acc=0.5"},
		{"capitals", head + "step: 12, Loss: 4.5, Perplexity: 90.01", "sample 12 loss=4.5 perplexity=90.01"},
		{"nan and infinities", head + "step: 9, loss: nan, mfu: inf, grad_norm: -inf", "sample 9 loss=NaN mfu=+Inf grad_norm=-Inf"},
		{"percent and thousands", head + "step: 9, loss: 4.5, mfu: 12.5%, tokens_per_second: 1,289,174.58", "sample 9 loss=4.5 mfu=12.5 tokens_per_second=1.28917458e+06"},
		{"words and durations are left out", head + "step: 9, loss: 4.5, time: 1.2s, phase: warm", "sample 9 loss=4.5"},
		{"a number cut at the end is left out", head + "step: 9, loss: 4.5, mfu: 12.", "sample 9 loss=4.5"},
		{"a key cut at the end is left out", head + "step: 9, loss: 4.5, tokens_pe", "sample 9 loss=4.5"},
		{"nan cut at the end is left out", head + "step: 9, loss: na", "sample 9"},
		{"bytes that are no text", "\xff\xfe" + head + "step: 12, loss: 4.5", "sample 12 loss=4.5"},
	})
}

func TestLinesThatLookLikeStepsAndAreNot(t *testing.T) {
	t.Parallel()
	checkLines(t, []lineTest{
		{"debug", "03:22:58 [DEBUG] [Rank 0] step: 12, loss: 4.5", ""},
		{"debug with a tag", "03:22:58 [DEBUG] [TRAIN] [Rank 0] step: 12, loss: 4.5", ""},
		{"debug behind a bar", "DEBUG    | step: 12, loss: 4.5", ""},
		{"a gradient accumulation step", "03:22:58 [DEBUG] [Rank 0] Grad acc step 3 completed in 0.42 seconds", ""},
		{"a step without metrics", head + "step: 12", ""},
		{"a step that is cut", head + "step: 12,", ""},
		{"prose", "step: 3, please wait", ""},
		{"prose with a head", head + "Resuming at step: 3, loss: 4.5", ""},
		{"a negative step", head + "step: -3, loss: 4.5", ""},
		{"a step that is no whole number", head + "step: 3.5, loss: 4.5", ""},
		{"a step beyond all measure", head + "step: 99999999999999999999, loss: 4.5", ""},
		{"two records glued at the number", "step: 1, loss: 2.0step: 2, loss: 3.0", ""},
		{"two records glued at the key", "step: 1, lossstep: 2, loss: 3.0", ""},
		{"two records glued at the end", "step: 1, loss: 2.0, step: 2, loss: 3.0", ""},
		{"the same metric twice", "step: 1, loss: 2.0, mfu: 3, loss: 4", ""},
		{"the rest of a cut record", "4, loss: 6.9331, tokens_per_second: 89167.91, mfu: 18.19", ""},
		{"source code", `    log = f"step: {step}, loss: {loss:.4f}"`, ""},
		{"docker's JSON", `{"log":"step: 12, loss: 4.5\n","stream":"stderr"}`, ""},
		{"a long line that ends as a step", strings.Repeat("x", MaxLine) + head + "step: 12, loss: 4.5", ""},
		{"a long line that begins as a step", head + "step: 12, loss: 4.5, note: " + strings.Repeat("x", MaxLine), ""},
	})
}

func TestTheLastWholeRecordOfALineSharedByProcessesCounts(t *testing.T) {
	t.Parallel()
	checkLines(t, []lineTest{
		{"cut in the step", "03:22:58 [INFO] [Rank 0] step: 12403:22:58 [INFO] [Rank 1] step: 1244, loss: 6.5", "sample 1244 loss=6.5"},
		{"cut by an event", head + "step: 1244, loss: 6.9303:22:58 [INFO] [Rank 1] outer_step step: 3", "info outer_step outer_step=3"},
		{"cut by a debug line", head + "step: 1244, loss: 6.9303:22:58 [DEBUG] [Rank 1] step: 7, loss: 1.5", ""},
		{"cut by a machine line", head + `step: 124COTRAIN {"v":1,"kind":"metrics","step":7,"loss":1.5}`, "sample 7 exact loss=1.5"},
		{"a machine line cut by another", `COTRAIN {"v":1,"kind":"meCOTRAIN {"v":1,"kind":"metrics","step":7,"loss":1.5}`, "sample 7 exact loss=1.5"},
		{"a machine line without its newline", `COTRAIN {"v":1,"kind":"metrics","step":7,"loss":1.5}` + head + "step: 8, loss: 1.25", "sample 8 loss=1.25"},
		{"a rank inside a message is no head", "05:10:00 [ERROR] [Rank 0] Error syncing pseudo gradient: [PG 1] [Rank 3] timeout, retry 1/3", "warning sync_error retry=1 retries=3"},
	})
}

func TestALineOfAnyLengthIsReadFromItsLastSegment(t *testing.T) {
	t.Parallel()
	bar := strings.Repeat("\rEpoch 0: 22% | 4/18 [00:17<01:02, loss=9.947]", 3000)
	if got := sayLine(bar + "\rstep: 19, loss: 9.0901\r"); got != "sample 19 loss=9.0901" {
		t.Errorf("after a bar: %q", got)
	}
	if got := sayLine("step: 19, loss: 9.0901\r" + strings.Repeat("x", 3*MaxLine)); got != "" {
		t.Errorf("the last segment begins out of sight, got %q", got)
	}
	if got := sayLine(strings.Repeat("\x00", 5*MaxLine) + "step: 19, loss: 9.0901"); got != "sample 19 loss=9.0901" {
		t.Errorf("after a hole: %q", got)
	}
}

func TestPrintedNumbersAreTheNearestFloats(t *testing.T) {
	t.Parallel()
	for _, s := range []string{
		"0", "-0", "1", "6.9331", "89167.91", "1.5e-05", "3.120e+14", "9007199254740993", "0.1", "123456789012345678901234567890",
		"4.9406564584124654e-324", "1.7976931348623157e308", "2.9471371284783834e-10", "0.30000000000000004", "1e22", "1e23", "-7.25E+2",
	} {
		var want float64
		if _, err := fmt.Sscan(s, &want); err != nil {
			t.Fatal(err)
		}
		got, ok := parseDecimal([]byte(s))
		if !ok || got != want || math.Signbit(got) != math.Signbit(want) {
			t.Errorf("%s: %v %v, want %v", s, got, ok, want)
		}
	}
	for _, s := range []string{"", "-", "+", ".", "6.", ".5", "1e", "1e+", "1.2.3", "0x10", "1_000", "1e5000", "١", "nan", "12 "} {
		if v, ok := parseDecimal([]byte(s)); ok {
			t.Errorf("%q is taken for %v", s, v)
		}
	}
	for s, want := range map[string]float64{"1,234": 1234, "12,345,678.5": 12345678.5, "-1,000": -1000, "+inf": math.Inf(1), "Infinity": math.Inf(1)} {
		if v, ok := parsePrinted([]byte(s)); !ok || v != want {
			t.Errorf("%q: %v %v, want %v", s, v, ok, want)
		}
	}
	for _, s := range []string{",123", "1,23", "1234,567", "1,234,56", "1,,234", "1.5,000", "%", "1,234,", "infinit", "nano"} {
		if v, ok := parsePrinted([]byte(s)); ok {
			t.Errorf("%q is taken for %v", s, v)
		}
	}
}
