package run

import "testing"

func TestAMetricIsKnownByItsName(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]MetricInfo{
		"loss":              {Title: "Loss", Better: Lower},
		"train/loss":        {Title: "train/loss", Better: Lower},
		"tokens_per_second": {Title: "Throughput", Unit: "tokens/s", Better: Higher, Total: true},
		"a/b/grad_norm":     {Title: "a/b/grad_norm", Log: true},
		"system/gpu0/util":  {Title: "system/gpu0/util"},
		"/loss":             {Title: "/loss"},
		"loss/":             {Title: "loss/"},
		"":                  {},
	} {
		if got := KnownMetric(name); got != want {
			t.Errorf("%q is %+v, want %+v", name, got, want)
		}
	}
	seen := map[string]bool{}
	for _, name := range KnownMetrics() {
		if seen[name] || KnownMetric(name).Title == "" {
			t.Errorf("%q is there twice, or without a title", name)
		}
		seen[name] = true
	}
}

func TestAGroupIsWhatANameHasBeforeItsLastSlash(t *testing.T) {
	t.Parallel()
	for name, want := range map[string][2]string{
		"loss": {"", "loss"}, "train/loss": {"train", "loss"}, "a/b/c": {"a/b", "c"}, "/a": {"", "/a"}, "a/": {"", "a/"}, "": {"", ""}, "/": {"", "/"},
	} {
		if group, rest := MetricGroup(name); [2]string{group, rest} != want {
			t.Errorf("%q is %q and %q, want %q", name, group, rest, want)
		}
	}
}

func TestRatesAreAddedOverWorkers(t *testing.T) {
	t.Parallel()
	p := CurvePoint{Mean: 2, Sum: 6, Workers: 3}
	for name, want := range map[string]float64{"tokens_per_second": 6, "train/tokens_per_second": 6, "samples_per_second": 6, "loss": 2, "mfu": 2, "unheard": 2} {
		if got := KnownMetric(name).Over(p); got != want {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
}
