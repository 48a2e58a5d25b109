package diagnose

import (
	"reflect"
	"strings"
	"testing"
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
		case r.Retries > 0 && r.Category != "hang" && !r.OtherNode && !r.OlderCheckpoint && !retryable(rules.Of(r.Category)):
			t.Errorf("%s has retries, and no rule says that one may pass", r.Category)
		}
	}
	for category, want := range map[string]string{
		"ecc_error_xid": "3, after 10s to 40s, on another node", "config_invalid": "never", "cuda_oom": "0", "unknown": "1, after 10s",
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

func retryable(rules []Rule) bool {
	for _, r := range rules {
		if r.Retryable {
			return true
		}
	}
	return false
}
