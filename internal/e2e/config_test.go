package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// TestConfiguringRunsInTheBrowser builds a run from scratch, breaks five fields and mends them by the messages, keeps it as a
// template, clones it, compares the two, and sweeps over four learning rates.
func TestConfiguringRunsInTheBrowser(t *testing.T) {
	t.Parallel()
	b := openBrowser(t, devConsole(t, t.TempDir()))
	b.open("/runs/new?preset=")
	b.accessible("an empty form")
	set := func(field, value string) { b.fill(fmt.Sprintf(`[name="%s"]`, field), value) }
	message := func(field string) string {
		return fmt.Sprintf(`document.querySelector("#f-%s-message").innerText`, strings.ReplaceAll(field, ".", "-"))
	}
	mark := func(field string) string {
		return fmt.Sprintf(`document.querySelector("#f-%s-mark").innerText.includes("changed")`, field)
	}
	// As a person does: what an answer moves is where it stays before the next click.
	b.do("choose the model", script(`(() => { const el = document.querySelector("[name='name_model']"); el.value = "debugmodel"; el.dispatchEvent(new Event("change", {bubbles: true})); })()`))
	b.waitFor("the model is checked", mark("name_model"))
	b.click(`#f-data-fake`)
	b.waitFor("the data are checked", mark("data-fake"))
	b.click(`#f-diloco`)
	set("name", "built by hand")
	b.waitFor("DiLoCo asks for its inner steps", message("diloco.inner_steps")+` !== ""`)
	set("optim.warmup_steps", "2")
	for _, broken := range []struct{ field, bad, said, good string }{
		{"diloco.inner_steps", "often", "whole number", "5"},
		{"optim.total_steps", "-3", "from 1", "10"},
		{"optim.optim.lr", "fast", "number", "0.01"},
		{"optim.batch_size", "17", "multiple", "16"},
		{"nodes", "5000", "1024", "2"},
	} {
		if broken.field == "optim.batch_size" {
			set("train.micro_bs", "8")
		}
		set(broken.field, broken.bad)
		b.waitFor(broken.field+" is told", fmt.Sprintf(`%s.includes(%q)`, message(broken.field), broken.said))
		set(broken.field, broken.good)
		b.waitFor(broken.field+" is mended", message(broken.field)+` === ""`)
	}
	b.waitFor("no section is wrong", `[...document.querySelectorAll(".section-count")].every(c => c.innerText === "")`)
	b.waitFor("changes are marked", mark("optim-batch_size"))

	b.fill("#field-search", "betas2")
	b.waitFor("the search finds one setting", `document.querySelector("[data-search-count]").innerText.startsWith("1 ")`)
	b.do("clear the search", script(`(() => { const s = document.querySelector("#field-search"); s.value = ""; s.dispatchEvent(new Event("input", {bubbles: true})); })()`))

	b.click(`[data-action="dry-run"]`)
	b.waitFor("the dry run says that it fits", `document.querySelector("#dry-run [data-fits='true']") !== null`)
	b.waitFor("its answer has the focus, and is in sight", `document.activeElement.id === "dry-run" && (() => { const p = document.querySelector("#dry-run h2").getBoundingClientRect(); return p.top >= 0 && p.bottom <= innerHeight })()`)
	b.accessible("the form with a dry run")

	b.click(`[data-action="save-template"]`)
	b.waitFor("the page that saves a template", `document.querySelector("[name='template']") !== null`)
	b.fill(`[name="template"]`, "by-hand")
	b.do("save it", script(`document.querySelector("[name='template']").form.requestSubmit()`))
	b.waitFor("the template's page", `location.pathname === "/templates/by-hand"`)
	b.accessible("a template")

	b.open("/runs/new?template=by-hand")
	set("name", "from the template")
	b.click(`[data-action="submit-run"]`)
	b.waitFor("the run's page", `document.querySelector("#run-page") !== null`)
	id := eval[string](b, `document.querySelector("#run-page").dataset.runId`)
	b.waitFor("it succeeded", `document.querySelector("#run-headline").dataset.runState === "succeeded"`)
	b.open("/runs/" + id + "/config")
	b.waitFor("its launch is shown", `document.querySelector("[data-launch-part=script]") !== null && document.querySelector("#config-toml").innerText.includes("debugmodel")`)
	b.accessible("the configuration of a run")

	b.open("/runs/" + id)
	b.click(`[data-action="clone"]`)
	b.waitFor("the form of the clone", `location.search.includes("clone=") && document.querySelector("#run-form") !== null`)
	set("name", "the clone")
	set("optim.batch_size", "32")
	b.waitFor("what differs from the run is marked", `document.querySelector("#f-optim-batch_size-mark").innerText.includes("from the template")`)
	b.click(`[data-action="submit-run"]`)
	b.waitFor("the clone's page", `document.querySelector("#run-page") !== null`)
	clone := eval[string](b, `document.querySelector("#run-page").dataset.runId`)
	b.open("/diff?a=run:" + id + "&b=run:" + clone)
	b.waitFor("the difference is the batch and the name", `document.querySelector("[data-diff-count]").innerText.includes("differ") && document.querySelector("main").innerText.includes("Batch size")`)
	b.accessible("a comparison")

	b.open("/runs/new?template=by-hand")
	set("name", "rates")
	b.click(`[data-action="sweep"]`)
	b.waitFor("the page of a sweep", `document.querySelector("[name='field']") !== null`)
	b.fill(`[name="field"]`, "optim.optim.lr")
	b.fill(`[name="values"]`, "0.001, 0.003, 0.01, 0.03")
	b.fill(`[name="parallel"]`, "2")
	b.accessible("a new sweep")
	b.click(`[data-action="submit-sweep"]`)
	b.waitFor("the sweep's page", `document.querySelector("#sweep-page") !== null`)
	b.do("mark the page", script(`window.sameDocument = true`))
	b.waitFor("the rows of four runs say that they have succeeded", `document.querySelectorAll("#sweep-rows [data-state=succeeded]").length === 4`)
	b.waitFor("so does the headline", `document.querySelector("#sweep-headline [data-count-state=succeeded]")?.innerText.startsWith("4")`)
	b.waitFor("the best one is marked", `document.querySelectorAll("#sweep-rows [data-best=true] [data-best-mark]").length === 1`)
	b.waitFor("the curves are drawn", `document.querySelectorAll("#sweep-chart .chart-key").length === 4`)
	if !eval[bool](b, `window.sameDocument === true`) {
		t.Error("the page was reloaded")
	}
	b.accessible("a sweep")
	b.open("/")
	b.waitFor("the list has the sweep in one row", `document.querySelectorAll("tr[data-sweep-id]").length === 1 && document.querySelectorAll("tr.row-folded").length === 0`)
	b.click(`[data-action="toggle-sweep"]`)
	b.waitFor("its runs are shown", `document.querySelectorAll("tr.row-folded[data-run-id]").length === 4 && location.search.startsWith("?open=s-")`)
	b.accessible("the list with an open sweep")

	b.open("/storage")
	for _, folder := range []string{"datasets", "raw"} {
		b.click(fmt.Sprintf(`tr[data-storage-name="%s"] .row-link`, folder))
		b.waitFor("the folder "+folder, fmt.Sprintf(`document.querySelector("[data-storage-path]").dataset.storagePath.endsWith(%q)`, folder))
	}
	b.accessible("a folder of shared storage")
	b.click(`tr[data-storage-name="sample.txt"] [data-action="ask-delete"]`)
	b.waitFor("what would be deleted", `document.body.innerText.includes("1 file")`)
	b.accessible("the question before a file is deleted")
	b.do("delete it", script(`document.querySelector("main form[method='post']").requestSubmit()`))
	b.waitFor("the folder without it", `document.querySelector("[data-storage-gone]") !== null && document.querySelector("tr[data-storage-name='sample.txt']") === null`)

	for _, path := range []string{"/templates", "/sweeps", "/runs/import", "/storage"} {
		b.open(path)
		b.accessible(path)
	}
}

// TestACheckDoesNotMoveWhatIsPressed presses the mouse on one field while the check of the field before is due.
func TestACheckDoesNotMoveWhatIsPressed(t *testing.T) {
	t.Parallel()
	b := openBrowser(t, devConsole(t, t.TempDir()))
	b.open("/runs/new?preset=")
	b.do("watch for the check", script(`document.addEventListener("htmx:confirm", (event) => { window.held = event.defaultPrevented; })`))
	b.do("type", chromedp.SendKeys(`[name="optim.batch_size"]`, "x"), script(`document.querySelector("#f-data-fake").scrollIntoView({block: "center", behavior: "instant"})`))
	at := func(axis, size string) float64 {
		return eval[float64](b, fmt.Sprintf(`(() => { const r = document.querySelector("#f-data-fake").getBoundingClientRect(); return r.%s + r.%s / 2 })()`, axis, size))
	}
	x, y := at("x", "width"), at("y", "height")
	left := []chromedp.MouseOption{chromedp.ButtonLeft, chromedp.ClickCount(1)}
	b.do("press the mouse", chromedp.MouseEvent(chromedp.MousePressed, x, y, left...))
	b.waitFor("the check is due", `window.held !== undefined`)
	if !eval[bool](b, `window.held`) {
		t.Error("the check does not wait for the mouse")
	}
	b.do("release it", chromedp.MouseEvent(chromedp.MouseReleased, x, y, left...))
	b.waitFor("the click counts", `document.querySelector("#f-data-fake").checked`)
	b.waitFor("the check has been made", `document.querySelector("#f-optim-batch_size-message").innerText.includes("number")`)
}
