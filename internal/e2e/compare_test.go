package e2e

import (
	"fmt"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/cotrain/cotrain/internal/run"
)

// TestRunsAreComparedInTheBrowser compares three runs by keyboard: their curves, tables and parallel coordinates follow what is hidden
// and filtered, the address says it, and axe finds nothing.
func TestRunsAreComparedInTheBrowser(t *testing.T) {
	t.Parallel()
	c := devConsole(t, t.TempDir())
	var ids [3]run.ID
	for i, lr := range []string{"1e-4", "1e-3", "4e-3"} {
		ids[i] = c.submit("--name", "rate "+lr, "--preset", "debug", "--nodes", "1", "--gpus", "0", "--set", "optim.total_steps=20", "--set", "optim.optim.lr="+lr)
		c.becomes(ids[i], run.Succeeded)
	}
	b := openBrowser(t, c)
	b.wide()
	page := fmt.Sprintf("/compare?runs=%s,%s,%s&base=%s", ids[0], ids[1], ids[2], ids[0])
	b.open("/")
	b.do("ask until what the runs reached is summarized", script(fmt.Sprintf(`(function ask() {
		fetch("%s").then((a) => a.text()).then((text) => text.split("41.0 k").length === 4 ? (window.ready = true) : setTimeout(ask, 300));
	})()`, page)))
	b.waitFor("it is", `window.ready === true`)
	b.open(page)
	drawn := func(curves int) string {
		return fmt.Sprintf(`Number(document.querySelector("figure[data-curves]").dataset.points) === 60 && document.querySelectorAll(".chart-key[aria-pressed=true]").length === %d`, curves)
	}
	b.waitFor("the curves", drawn(3))
	b.accessible("the comparison of three runs")

	b.do("hide the second run", script(fmt.Sprintf(`document.querySelector('[data-show="%s"]').focus()`, ids[1])), chromedp.KeyEvent(" "))
	b.waitFor("its curve is hidden", drawn(2))
	if got := eval[string](b, `new URLSearchParams(location.search).get("hide")`); got != string(ids[1]) {
		t.Errorf("the address hides %q", got)
	}
	b.do("sort", script(`document.querySelector('[data-column="best:loss"] a').focus()`), chromedp.KeyEvent(kb.Enter))
	b.waitFor("the best is first", fmt.Sprintf(`location.search.includes("sort=best") && document.querySelector("#compare-rows > tr").dataset.run === "%s"`, ids[2]))
	b.waitFor("what was hidden stays so", drawn(2))
	b.click(`[data-action="show-all"]`)
	b.waitFor("all curves", drawn(3))

	b.do("take the highest rate away", script(`document.querySelector('[data-axis="0"] [data-handle="high"]').focus()`), chromedp.KeyEvent(kb.ArrowDown))
	b.waitFor("its row and its curve are gone", fmt.Sprintf(`document.querySelector('tr[data-run="%s"]').hidden && document.querySelectorAll("#compare-rows > tr:not([hidden])").length === 2 && %s`, ids[2], drawn(2)))
	if got := b.text("[data-parallel-count]"); got != "2 of 3 runs" {
		t.Errorf("the parallel coordinates show %q", got)
	}
	b.do("clear the axis", chromedp.KeyEvent(kb.Escape))
	b.waitFor("all are back", drawn(3))

	b.do("group by the rate", script(`document.querySelector("#c-group").value = "optim.optim.lr"; document.querySelector("#compare-form").requestSubmit(document.querySelector('[data-action="update"]'))`))
	b.waitFor("a line for each group", `location.search.includes("group=optim.optim.lr") && document.querySelectorAll('tr[data-line^="g-"]').length === 3 && `+drawn(3))
	b.accessible("the comparison of groups")
	b.fits("the comparison of groups")
	for _, width := range []int64{1440, 2560} {
		b.do(fmt.Sprintf("be %d wide", width), chromedp.EmulateViewport(width, 1000))
		if got := eval[int64](b, `document.scrollingElement.scrollWidth`); got > width {
			t.Errorf("the comparison is %d wide on a screen of %d", got, width)
		}
	}
}
