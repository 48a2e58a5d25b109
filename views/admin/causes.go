package admin

import (
	"fmt"
	"time"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/views/ui"
)

// CausesPath is the address of the site's rules of diagnosis.
const CausesPath = "/admin/causes"

// ExampleRule is shown where there are no rules yet.
const ExampleRule = `[[rule]]
id = "acme-licence"
category = "config_invalid"
any = ["licence server"]
match = 'licence server (?P<host>\S+) (?:denied|refused)'
weight = 80
retryable = false
summary = "The licence server {host} denied the run."
hint = "Ask the platform team for a seat."`

// CauseRules is the site's rules of diagnosis, with a change under way.
type CauseRules struct {
	Stored   run.CauseRules
	Revision int64 // that the form changes
	Form     Form
	Trials   *run.CauseTrials // nil where nothing was tried
	Notice   string
	Now      time.Time
}

// trialsTitle is the result of a trial.
func trialsTitle(t run.CauseTrials) string {
	return fmt.Sprintf("%d of %s would be explained otherwise", t.Changed, ui.Plural(len(t.Trials), "failure"))
}

func retryWord(a run.Answer) string {
	if a.Retryable {
		return "retried"
	}
	return "not retried"
}
