package run

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// RetryRule says how failures of one category are retried.
type RetryRule struct {
	Category, Title string
	// Retries is how many attempts follow failures of one cause without progress between them.
	Retries int
	// Which says which of the rules that give the category are retried, "" for all.
	Which string
	// Wait is the time before the first of them, doubled for each further one up to LongestWait; zero is [FirstRetryWait] and [LongestRetryWait].
	Wait, LongestWait time.Duration
	// OtherNode has the next attempt avoid the node that failed.
	OtherNode bool
	// OlderCheckpoint has the next attempt pass over the checkpoint that it could not load.
	OlderCheckpoint bool
	// EntityEnds ends the run when the same file fails twice.
	EntityEnds bool
	// Never has no retries, whatever the run asks for.
	Never bool
}

// The waits of rules that name none.
const (
	FirstRetryWait   = 10 * time.Second
	LongestRetryWait = 5 * time.Minute
)

// wait before the n-th attempt in a row, from 1.
func (r RetryRule) wait(n int) time.Duration {
	wait, longest := r.Waits()
	for range n - 1 {
		if wait >= longest {
			break
		}
		wait *= 2
	}
	return min(wait, longest)
}

// Waits are the first wait and the longest.
func (r RetryRule) Waits() (first, longest time.Duration) {
	first = cmp.Or(r.Wait, FirstRetryWait)
	return first, max(first, cmp.Or(r.LongestWait, LongestRetryWait))
}

// String is "3, after 10s to 5m, on another node; only disk-evicted".
func (r RetryRule) String() string {
	switch {
	case r.Never:
		return "never"
	case r.Retries == 0:
		return "0"
	}
	first, longest := r.Waits()
	out := strconv.Itoa(r.Retries) + ", after " + ShortDuration(first)
	if r.Retries > 1 {
		out += " to " + ShortDuration(min(longest, r.wait(r.Retries)))
	}
	if r.OtherNode {
		out += ", on another node"
	}
	if r.OlderCheckpoint {
		out += ", from an older checkpoint"
	}
	if r.Which != "" {
		out += "; " + r.Which
	}
	if r.Category == UnknownCause {
		out += fmt.Sprintf("; %d of lost nodes", lostNode.Retries)
	}
	return out
}

// RetryRules are the rules of all categories, in the order of docs/troubleshooting.md.
type RetryRules []RetryRule

// lostNode is the rule for workers whose node went away: that says nothing about the run.
var lostNode = RetryRule{Category: UnknownCause, Title: "Node lost", Retries: 5}

// Of returns the rule of a category. One without a rule is retried once.
func (rs RetryRules) Of(category string) RetryRule {
	if i := slices.IndexFunc(rs, func(r RetryRule) bool { return r.Category == category }); i >= 0 {
		return rs[i]
	}
	return RetryRule{Category: category, Title: category, Retries: 1}
}

// RetryPolicy is what a run asks for in place of the rules' number of retries, by category.
type RetryPolicy map[string]int

// String is "cuda_oom=0,nccl_timeout=5", sorted.
func (p RetryPolicy) String() string {
	out := make([]string, 0, len(p))
	for category, n := range p {
		out = append(out, category+"="+strconv.Itoa(n))
	}
	slices.Sort(out)
	return strings.Join(out, ",")
}

// most is the largest number of retries that the options ask for.
func (o Options) most() int {
	most := o.Retries
	for _, n := range o.Retry {
		most = max(most, n)
	}
	return most
}

// RetriesOf is how many attempts may follow failures of a category without progress between them: what the run asks for, or else the
// rule's number, but no more than its Retries.
func (o Options) RetriesOf(rule RetryRule) int {
	if n, ok := o.Retry[rule.Category]; ok && !rule.Never && rule != lostNode {
		return n
	}
	if rule.Never {
		return 0
	}
	return min(rule.Retries, o.Retries)
}

// limit says which number [Options.RetriesOf] is, to stand behind it; "" where the run and the rule have the same.
func (o Options) limit(rule RetryRule) string {
	_, asked := o.Retry[rule.Category]
	switch {
	case asked && !rule.Never && rule != lostNode:
		return ", as the run sets for " + rule.Category
	case rule.Retries < o.Retries && rule == lostNode:
		return fmt.Sprintf(", the limit for lost nodes (the run allows %d)", o.Retries)
	case rule.Retries < o.Retries:
		return fmt.Sprintf(", the limit for %s (the run allows %d)", rule.Category, o.Retries)
	case o.Retries < rule.Retries && rule == lostNode:
		return fmt.Sprintf(", the limit of the run (lost nodes have %d)", rule.Retries)
	case o.Retries < rule.Retries:
		return ", the limit of the run"
	}
	return ""
}

// MayRetry reports whether a failure of some cause would be followed by another attempt.
func (r *Run) MayRetry() bool { return !r.GivenUp && r.Retried < r.Options.most() }
