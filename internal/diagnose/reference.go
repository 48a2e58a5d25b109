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
	b.WriteString("\n| category | what it is | retries without progress |\n| --- | --- | --- |\n")
	for _, rule := range r.RetryRules() {
		fmt.Fprintf(&b, "| [`%s`](#%s) | %s | %s |\n", rule.Category, run.CauseAnchor(rule.Title), rule.Title, rule)
	}
	for _, c := range r.categories {
		fmt.Fprintf(&b, "\n### %s\n\n`%s`: %s %s\n", c.Title, c.Name, c.Meaning, c.Advice)
		rules := r.Of(c.Name)
		if len(rules) == 0 {
			continue
		}
		b.WriteString("\n| rule | what it says | what to do | a retry |\n| --- | --- | --- | --- |\n")
		for _, rule := range rules {
			fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", rule.ID, cell(plain(rule.Summary)), cell(rule.Hint), r.outlook(rule))
		}
	}
	b.WriteString("\n")
	return b.String()
}

// outlook says of a rule whether a retry may pass.
func (r *Rules) outlook(rule Rule) string {
	text := r.Outlook(Cause{Category: rule.Category, Retryable: rule.Retryable, Blank: rule.Blank, Guess: rule.Guess})
	if rule.Blank || rule.Guess {
		return "not known"
	}
	return strings.TrimPrefix(text, "a retry ")
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
