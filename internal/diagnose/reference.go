package diagnose

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/cotrain/cotrain/internal/run"
)

// Reference is the part of docs/troubleshooting.md that tells of all categories and rules, as Markdown.
func (r *Rules) Reference() string {
	var b strings.Builder
	b.WriteString("\n| category | what it is | a retry | retries without progress |\n| --- | --- | --- | --- |\n")
	for _, c := range r.categories {
		fmt.Fprintf(&b, "| [`%s`](#%s) | %s | %s | %s |\n", c.Name, run.CauseAnchor(c.Title), c.Title, retries(r.Of(c.Name)), r.RetryRules().Of(c.Name))
	}
	for _, c := range r.categories {
		fmt.Fprintf(&b, "\n### %s\n\n`%s`: %s %s\n", c.Title, c.Name, c.Meaning, c.Advice)
		rules := r.Of(c.Name)
		if len(rules) == 0 {
			continue
		}
		b.WriteString("\n| rule | what it says | what to do | a retry |\n| --- | --- | --- | --- |\n")
		for _, rule := range rules {
			fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", rule.ID, cell(plain(rule.Summary)), cell(rule.Hint), retries([]Rule{rule}))
		}
	}
	b.WriteString("\n")
	return b.String()
}

// retries says whether a retry may help.
func retries(rules []Rule) string {
	yes := 0
	for _, rule := range rules {
		if rule.Retryable {
			yes++
		}
	}
	switch {
	case len(rules) == 0:
		return ""
	case yes == 0:
		return "will not help"
	case yes == len(rules):
		return "may pass"
	}
	return "depends"
}

var (
	optional = regexp.MustCompile(`\[[^\]]*\]`)
	place    = regexp.MustCompile(`\{[^}]*\}`)
)

// plain is a summary without what is not always known.
func plain(summary string) string {
	return strings.Join(strings.Fields(place.ReplaceAllString(optional.ReplaceAllString(summary, ""), "…")), " ")
}

func cell(text string) string { return strings.ReplaceAll(text, "|", `\|`) }
