package diagnose

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cotrain/cotrain/internal/run"
)

func TestCategoriesSayHowTheyAreRetried(t *testing.T) {
	t.Parallel()
	rules, err := Builtin()
	if err != nil {
		t.Fatal(err)
	}
	all := rules.RetryRules()
	if !reflect.DeepEqual(all, BuiltinRetryRules()) {
		t.Error("the embedded categories alone give others")
	}
	for _, r := range all {
		first, longest := r.Waits()
		switch {
		case r.Title == "" || r.Retries < 0 || r.Retries > 20 || longest < first:
			t.Errorf("%+v", r)
		case r.Never && r.Retries > 0:
			t.Errorf("%s is never retried, %d times", r.Category, r.Retries)
		}
	}
	for category, want := range map[string]string{
		"ecc_error_xid": "3, after 10s to 40s, on another node", "config_invalid": "never", "cuda_oom": "0", "unknown": "1, after 10s; not open-files; 5 of lost nodes", "disk_full": "1, after 5m; only disk-evicted", "cuda_driver_mismatch": "0", "python_exception": "1, after 10s; only cuda-other",
		"network_dns": "5, after 30s to 8m", "checkpoint_corrupt": "2, after 10s to 20s, from an older checkpoint",
	} {
		if got := all.Of(category).String(); got != want {
			t.Errorf("%s: %q, want %q", category, got, want)
		}
	}
	const bad = "[[category]]\nname = \"x\"\nwait = \"soon\"\n"
	if _, err := rules.With("site.toml", []byte(bad)); err == nil || !strings.Contains(err.Error(), "30s or 5m") {
		t.Errorf("a wait of no length: %v", err)
	}
}

// TestRulesCategoriesAndRunsAgreeOnRetries has each rule decide the failure of a run: what the table of categories says of it is what happens.
func TestRulesCategoriesAndRunsAgreeOnRetries(t *testing.T) {
	t.Parallel()
	rules := builtinRules(t)
	for _, c := range rules.categories {
		all, some := rules.Of(c.Name), 0
		for _, rule := range all {
			decided := Cause{Category: c.Name, Retryable: rule.Retryable, Blank: rule.Blank, Guess: rule.Guess}
			cause := &run.Cause{Category: c.Name, Retryable: rule.Retryable || rule.Blank, Fingerprint: rule.ID}
			w := run.Worker{NodeID: "n", State: run.WorkerFailed, Started: true, Exited: true, ExitCode: 1, Report: run.ExitReport{Read: true}}
			r := run.Run{Attempt: 1, Shape: run.Shape{Nodes: 1}, Options: run.Options{Retries: 20}}
			reason, again := r.Retry(run.Failure{Observation: run.Observation{Found: true, Workers: []run.Worker{w}}, Cause: cause, Resume: "c/step_1"}, rules.RetryRules(), time.Unix(0, 0))
			if again {
				some++
			}
			if listed := rules.RetryRules().Of(c.Name).Retries > 0 && named(rules.RetryRules().Of(c.Name).Which, rule.ID); again != listed || again != c.retries(rule) {
				t.Errorf("%s of %s is tried again: %v, and the table says %q: %s", rule.ID, c.Name, again, rules.RetryRules().Of(c.Name), reason)
			}
			if outlook := rules.Outlook(decided); again != (outlook != "a retry will not help") && !rule.Guess {
				t.Errorf("%s of %s is tried again: %v, and diagnose says that %s", rule.ID, c.Name, again, outlook)
			}
		}
		if len(all) > 0 && (some > 0) != (c.Retries > 0) {
			t.Errorf("%s has %d retries, and %d of its %d rules are retried", c.Name, c.Retries, some, len(all))
		}
	}
	const bad = "[[rule]]\nid = \"ours\"\ncategory = \"cuda_oom\"\nany = [\"our words\"]\nweight = 80\nretryable = true\nsummary = \"x\"\nhint = \"x\"\n"
	if _, err := rules.With("site.toml", []byte(bad)); err == nil || !strings.Contains(err.Error(), "contradicts cuda_oom") {
		t.Errorf("a rule that is retried, of a category that is not: %v", err)
	}
}

// named reports whether a rule is among those that a table names.
func named(which, id string) bool {
	list, not := strings.CutPrefix(which, "not ")
	list = strings.TrimPrefix(list, "only ")
	return which == "" || slices.Contains(strings.Split(list, ", "), id) != not
}

func TestSummariesNameTheProcess(t *testing.T) {
	t.Parallel()
	rules := builtinRules(t)
	say := func(rank int, name, text string) Cause {
		s := rules.NewScanner()
		s.Process(name)
		s.Line([]byte(fmt.Sprintf("[rank%d]: %s", rank, text)))
		return s.Cause(Exit{Known: true, Code: 1})
	}
	for _, text := range []string{oom, "RuntimeError: CUDA error: device-side assert triggered", "OSError: [Errno 28] No space left on device: '/data/x'", "KeyError: 'x'", "PermissionError: [Errno 13] Permission denied: '/x'"} {
		own, other := say(0, "worker 3 (gpu-7)", text), say(5, "worker 1 (gpu-9)", text)
		if !strings.Contains(own.Summary, "worker 3 (gpu-7)") || strings.Contains(own.Summary, "rank") {
			t.Errorf("it is %q", own.Summary)
		}
		if own.Fingerprint() != other.Fingerprint() {
			t.Errorf("other processes have another fingerprint: %q, %q", own.Fingerprint(), other.Fingerprint())
		}
		if got := say(5, "", text); !strings.Contains(got.Summary, "rank 5") {
			t.Errorf("without a name it is %q", got.Summary)
		}
	}
}
