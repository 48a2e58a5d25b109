package form

import (
	"slices"
	"strconv"
	"strings"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/trainconf"
	"github.com/cotrain/cotrain/views/ui"
)

// offeredRetries are the numbers of retries that can be chosen for a cause.
var offeredRetries = [...]int{0, 1, 2, 3, 5, 10, trainconf.MaxRetries}

// retryRows are the causes with their defaults, and what was chosen. What is never retried has no row.
func retryRows(value string) []ui.FieldRow {
	chosen := strings.Split(value, ",")
	var out []ui.FieldRow
	for _, rule := range trainconf.RetryRules() {
		if rule.Never {
			continue
		}
		row := ui.FieldRow{Label: rule.Title, Note: note(rule), Choices: []ui.Choice{{Label: standardRetries(rule)}}, Cells: []string{waits(rule), where(rule)}}
		for n := range trainconf.MaxRetries + 1 {
			item := rule.Category + "=" + strconv.Itoa(n)
			if slices.Contains(offeredRetries[:], n) || slices.Contains(chosen, item) {
				row.Choices = append(row.Choices, ui.Choice{Value: item, Label: countOrNever(n)})
			}
		}
		out = append(out, row)
	}
	return out
}

// note is the category, and of which of its kinds the default is.
func note(r run.RetryRule) string {
	if r.Which == "" {
		return r.Category
	}
	return r.Category + ": " + r.Which
}

func countOrNever(n int) string {
	if n == 0 {
		return "never"
	}
	return strconv.Itoa(n)
}

func standardRetries(r run.RetryRule) string {
	if r.Retries == 0 {
		return "default: never"
	}
	return "default: up to " + strconv.Itoa(r.Retries)
}

func waits(r run.RetryRule) string {
	first, longest := r.Waits()
	return run.ShortDuration(first) + " to " + run.ShortDuration(longest)
}

func where(r run.RetryRule) string {
	switch {
	case r.OtherNode:
		return "on another node"
	case r.OlderCheckpoint:
		return "from an older checkpoint"
	}
	return "any node"
}
