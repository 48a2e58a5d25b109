package trainconf

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/cotrain/cotrain/internal/diagnose"
	"github.com/cotrain/cotrain/internal/run"
)

// RetryRules are the rules that a run's retries by cause take the place of.
func RetryRules() run.RetryRules { return diagnose.BuiltinRetryRules() }

// canonicalRetry sorts retries by cause, such as "cuda_oom=0".
func canonicalRetry(items []string) (string, *problem) {
	policy := run.RetryPolicy{}
	for _, item := range items {
		category, number, _ := strings.Cut(item, "=")
		n, err := strconv.Atoi(strings.TrimSpace(number))
		if err != nil {
			return "", &problem{fmt.Sprintf("must be %s, and %.80q has no number", placementRule(FieldRetry), item), "write cuda_oom=0, for example"}
		}
		category = strings.TrimSpace(category)
		if first, twice := policy[category]; twice {
			return "", &problem{fmt.Sprintf("names %.80q twice, with %d and with %d", category, first, n), fmt.Sprintf("name it once, such as %.80s=%d", category, n)}
		}
		policy[category] = n
	}
	return policy.String(), retryProblem(policy)
}

// retryPolicy reads a canonical text.
func retryPolicy(text string) run.RetryPolicy {
	if text == "" {
		return nil
	}
	out := run.RetryPolicy{}
	for item := range strings.SplitSeq(text, ",") {
		category, number, _ := strings.Cut(item, "=")
		out[category], _ = strconv.Atoi(number)
	}
	return out
}

func retryProblem(policy run.RetryPolicy) *problem {
	rules := RetryRules()
	for _, category := range slices.Sorted(maps.Keys(policy)) {
		n := policy[category]
		i := slices.IndexFunc(rules, func(r run.RetryRule) bool { return r.Category == category })
		switch {
		case i < 0:
			return &problem{fmt.Sprintf("names %.80q, which is no cause", category), "use " + nearestCause(category, rules) + ", or another of docs/troubleshooting.md"}
		case rules[i].Never && n != 0:
			return &problem{category + " is never retried: unchanged the run would fail in the same way", "remove it"}
		case n < 0 || n > MaxRetries:
			return &problem{fmt.Sprintf("has %d retries of %s, and must have 0 to %d", n, category, MaxRetries), fmt.Sprintf("use %s=%d", category, min(max(n, 0), MaxRetries))}
		}
	}
	return nil
}

// nearestCause is the cause that somebody probably meant.
func nearestCause(name string, rules run.RetryRules) string {
	var names []string
	for _, r := range rules {
		if !r.Never {
			names = append(names, r.Category)
		}
	}
	return cmp.Or(typo(strings.ToLower(strings.ReplaceAll(name, "-", "_")), names), names[0])
}
