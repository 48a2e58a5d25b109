package trainconf

import (
	"strings"
	"testing"

	"github.com/cotrain/cotrain/internal/run"
)

func TestRetriesByCause(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"": "", "cuda_oom=0": "cuda_oom=0", "network_dns=10, cuda_oom=1": "cuda_oom=1,network_dns=10", "config_invalid=0": "config_invalid=0",
	} {
		r := NewRequest()
		if err := r.Set(FieldRetry, text); err != nil || r.Get(FieldRetry) != want {
			t.Errorf("%q is %q, %v", text, r.Get(FieldRetry), err)
		}
		if errs := ValidateOptions(r.Options); len(errs) > 0 {
			t.Errorf("%q: %v", text, errs)
		}
	}
	for text, want := range map[string]string{
		"cuda_oom": "has no number", "cuda_oom=x": "has no number", "cuda_oom=-1": "use cuda_oom=0", "cuda_oom=21": "must have 0 to 20", "cuda-omm=1": "use cuda_oom",
		"config_invalid=1": "is never retried", "=1": "is no cause", "cuda_oom=1,,": "one is empty", "cuda_oom=1,cuda_oom=2": `names "cuda_oom" twice, with 1 and with 2`, "cuda_oom=1, cuda_oom=1": "twice",
	} {
		r := NewRequest()
		if err := r.Set(FieldRetry, text); err == nil || !strings.Contains(err.Error(), want) || r.Options.Retry != nil {
			t.Errorf("%q: %v, want one that says %q", text, err, want)
		}
	}
	if errs := ValidateOptions(run.Options{Retry: run.RetryPolicy{"cuda_oom": 99}}); len(errs) != 1 || errs[0].Field != FieldRetry {
		t.Errorf("as options: %v", errs)
	}
}

func TestTheCommandLineHasRetriesByCause(t *testing.T) {
	t.Parallel()
	r := NewRequest()
	for field, text := range map[string]string{FieldRetry: "cuda_oom=0,network_dns=9", "retries": "3"} {
		if err := r.Set(field, text); err != nil {
			t.Fatal(err)
		}
	}
	if got := r.CommandLine(""); !strings.Contains(got, "--retries 3") || !strings.Contains(got, "--retry cuda_oom=0 --retry network_dns=9") {
		t.Errorf("it is %s", got)
	}
}

func TestAFactorForGoingBackNeedsAPolicyThatGoesBack(t *testing.T) {
	t.Parallel()
	for policy, bad := range map[string]bool{"": true, run.PolicyStop: true, run.PolicyRollback: false} {
		o := run.Options{RollbackLR: 0.5, OnDivergence: policy}
		errs := ValidateOptions(o)
		if bad != (len(errs) == 1) || bad && (errs[0].Field != "rollback_lr" || errs[0].Value != "0.5" || !strings.Contains(errs[0].Fix, "on_divergence")) {
			t.Errorf("on divergence %q: %v", policy, errs)
		}
	}
}
