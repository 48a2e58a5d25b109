package cli

import (
	"strings"
	"testing"

	"github.com/cotrain/cotrain/internal/run"
)

func TestRulesOfCausesAreTriedSavedAndRemoved(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	c.files["acme.toml"] = "[[rule]]\nid = \"acme\"\n"
	c.files["bad.toml"] = "broken"
	c.Causes.Trials = run.CauseTrials{Found: 5, TimedOut: 3, Changed: 1, Trials: []run.CauseTrial{
		{Run: "r-0000000002", Attempt: 2, Changed: true, Now: run.Answer{Category: "unknown"}, With: run.Answer{Category: "config_invalid", Summary: "The licence server denied it."}},
	}}
	if r := c.cotrain("cause", "try", "acme.toml").want(t, exitDone, "config_invalid", "The licence server denied it."); !strings.Contains(r.errOut, "1 of 1 failures would be explained otherwise") ||
		!strings.Contains(r.errOut, "3 failures could not be read in time") || !strings.Contains(r.errOut, "1 failures were deleted meanwhile") {
		t.Error(r.errOut)
	}
	c.cotrain("cause", "try", "bad.toml").want(t, exitRefused, `text = "broken"`, "start each rule with [[rule]]")
	c.cotrain("cause", "save", "bad.toml").want(t, exitRefused, `text = "broken"`)
	c.cotrain("cause", "save", "acme.toml").want(t, exitDone, "revision 1")
	c.cotrain("cause", "list").want(t, exitDone, "acme", "config_invalid", "adds")
	if r := c.cotrain("cause", "show").want(t, exitDone); r.out != c.files["acme.toml"] {
		t.Errorf("%q", r.out)
	}
	c.cotrain("cause", "save", "--revision", "0", "acme.toml").want(t, exitRefused, "revision 1 by now")
	c.cotrain("cause", "delete").want(t, exitUsage, "--yes")
	c.cotrain("cause", "delete", "--yes").want(t, exitDone, "revision 2")
	c.cotrain("cause", "save", "none.toml").want(t, exitUsage, "none.toml")
	c.cotrain("cause", "list", "--format", "json").want(t, exitDone, `"revision":2`)
}
