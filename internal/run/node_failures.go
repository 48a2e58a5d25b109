package run

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// NodeFailures counts what failed in [CauseWindow] because of what happened on a node: attempts, and workers lost by those that went on.
type NodeFailures struct {
	Failures int           `json:"failures"`
	Hardware int           `json:"hardware" doc:"Of them, those of a cause that another node may not have, such as its GPUs or drivers"`
	Last     time.Time     `json:"last,omitzero"`
	Causes   []CauseOnNode `json:"causes" nullable:"false" doc:"Most frequent first"`
}

// CauseOnNode is how often a category of causes was seen on a node.
type CauseOnNode struct {
	Category string `json:"category"`
	Title    string `json:"title"`
	Failures int    `json:"failures"`
}

// By counts as of the node what retries avoid the node for.
func (n NodeFailures) By(rules RetryRules) NodeFailures {
	n.Hardware = 0
	for _, c := range n.Causes {
		if rules.Of(c.Category).OtherNode {
			n.Hardware += c.Failures
		}
	}
	return n
}

// With counts another failure; see By.
func (n NodeFailures) With(c *Cause) NodeFailures {
	n.Failures++
	if c.At.After(n.Last) {
		n.Last = c.At
	}
	n.Causes = slices.Clone(n.Causes)
	at := slices.IndexFunc(n.Causes, func(x CauseOnNode) bool { return x.Category == c.Category })
	if at < 0 {
		at = len(n.Causes)
		n.Causes = append(n.Causes, CauseOnNode{Category: c.Category, Title: c.Title})
	}
	n.Causes[at].Failures++
	slices.SortStableFunc(n.Causes, func(a, b CauseOnNode) int { return cmp.Compare(b.Failures, a.Failures) })
	return n
}

// String is "3 failures in 7 days, 2 of them of its hardware: GPU hardware fault 2, Disk full 1", or "".
func (n NodeFailures) String() string {
	if n.Failures == 0 {
		return ""
	}
	text := fmt.Sprintf("%d failures in %d days", n.Failures, int(CauseWindow.Hours())/24)
	if n.Failures == 1 {
		text = strings.Replace(text, "failures", "failure", 1)
	}
	if n.Hardware > 0 && n.Failures > 1 {
		text += fmt.Sprintf(", %d of them of the node itself", n.Hardware)
	}
	var parts []string
	for _, c := range n.Causes[:min(len(n.Causes), 4)] {
		parts = append(parts, fmt.Sprintf("%s %d", c.Title, c.Failures))
	}
	return text + ": " + strings.Join(parts, ", ")
}
