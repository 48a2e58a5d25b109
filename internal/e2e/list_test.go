package e2e

import (
	"testing"

	"github.com/chromedp/chromedp"
)

// TestRunsAreFilteredSelectedTaggedStoppedAndDeleted uses the list as a person does.
func TestRunsAreFilteredSelectedTaggedStoppedAndDeleted(t *testing.T) {
	t.Parallel()
	c := devConsole(t, t.TempDir(), "COTRAIN_TRAINER_PACE=50ms")
	b := openBrowser(t, c)
	for range 2 {
		c.submit("--name", "listed", "--preset", "debug", "--nodes", "1", "--gpus", "0", "--set", "optim.total_steps=4000")
	}
	b.open("/")
	b.waitFor("both runs are listed", `document.querySelectorAll("tr[data-run-id]").length === 2`)
	selected := `getComputedStyle(document.querySelector("#bulk")).display`
	if got := eval[string](b, selected); got != "none" {
		t.Errorf("with nothing selected the bar is %s", got)
	}
	b.do("select one by keyboard", script(`document.querySelector('input[name="run"]').focus()`), chromedp.KeyEvent(" "))
	b.waitFor("the bar counts it", selected+` === "flex" && document.querySelector("[data-bulk-count]").innerText === "1 run"`)
	b.accessible("a list with a selection")
	b.click("[data-select-all]")
	b.waitFor("both are selected", `document.querySelector("[data-bulk-count]").innerText === "2 runs"`)
	b.click(`[data-action="bulk-tag"]`)
	b.waitFor("the page asks for tags", `document.querySelector("#bulk-add") !== null`)
	b.accessible("tags of several runs")
	b.fill("#bulk-add", "paper")
	b.click(`[data-action="bulk"]`)
	b.waitFor("both have the tag", `document.querySelectorAll("tr[data-run-id] [data-tag]").length === 2`)

	b.open("/?tag=paper&cols=step,loss,curve&sort=-step")
	b.waitFor("the filter finds both", `document.querySelectorAll("tr[data-run-id]").length === 2 && document.querySelectorAll("[data-chip=tag]").length === 1`)
	b.click(`[data-menu="columns"] > summary`)
	b.accessible("the choice of columns")
	b.do("close it", chromedp.KeyEvent("\u001b"))
	b.waitFor("it is closed", `!document.querySelector('[data-menu="columns"]').open`)
	b.click("[data-select-all]")
	b.waitFor("compare is possible", `!document.querySelector('[data-action="compare"]').disabled`)
	b.click(`[data-action="bulk-stop"]`)
	b.waitFor("the page asks before the stop", `document.querySelector("#bulk-title") !== null && document.querySelector("#bulk-title").innerText === "Stop 2 runs"`)
	b.click(`[data-action="bulk"]`)
	b.waitFor("both stopped", `document.querySelectorAll('tr[data-run-state="stopped"]').length === 2`)
	b.click("[data-select-all]")
	b.click(`[data-action="bulk-delete"]`)
	b.click(`[data-action="bulk"]`)
	b.waitFor("nothing is left", `document.querySelector("[data-empty]") !== null`)
}
