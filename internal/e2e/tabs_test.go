package e2e

import (
	"fmt"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/cotrain/cotrain/internal/run"
)

// tabNews is what of each tab changes while the run trains, as an expression of JavaScript.
var tabNews = []struct{ path, news string }{
	{"", `document.querySelector("#chart-loss[data-points]").dataset.points + document.querySelector(".log-line:last-child").dataset.pos + document.querySelector("#event-list > li").id`},
	{"/metrics", `document.querySelector("[data-points]").dataset.points`},
	{"/logs", `document.querySelector(".log-line:last-child").dataset.pos`},
	{"/workers", `document.querySelector("#run-workers tr[data-worker-rank]").dataset.workerState`},
	{"/mesh", `document.querySelector("#mesh-rounds tr[data-round] a").textContent`},
	{"/checkpoints", `document.querySelector("#run-checkpoints tr[data-checkpoint-step]").dataset.checkpointStep`},
	{"/events", `document.querySelector("#event-list > li[id^=event-]").id`},
	{"/config", ``},
}

// TestEveryTabOfARunIsLive opens each tab of a run that trains: its head and its own content go on without a reload, nothing scrolls
// sideways on wide screens, and axe finds nothing.
func TestEveryTabOfARunIsLive(t *testing.T) {
	t.Parallel()
	c := devConsole(t, t.TempDir(), "COTRAIN_TRAINER_PACE=50ms")
	id := c.submit("--name", "tabs", "--preset", "debug-diloco", "--nodes", "2", "--gpus", "0", "--set", "optim.total_steps=100000", "--set", "ckpt.interval=10", "--set", "ckpt.path=models/temp/tabs")
	c.becomes(id, run.Running)
	c.eventually("it has saved a checkpoint", func() bool { return c.run(id).Progress.Step > 20 })
	b := openBrowser(t, c)
	path := "/runs/" + string(id)
	for _, tab := range tabNews {
		b.wide()
		b.open(path + tab.path)
		b.do("mark the page", script(`window.sameDocument = true`))
		b.waitFor("the step of "+tab.path+" is known", `document.querySelector('[data-metric="step"]').innerText !== ""`)
		step := b.text(`[data-metric="step"]`)
		if tab.news != "" && tab.path != "/workers" { // whose states stay
			before := eval[string](b, fmt.Sprintf(`(() => { try { return String(%s) } catch { return "" } })()`, tab.news))
			b.waitFor("news on the tab "+tab.path, fmt.Sprintf(`(() => { try { return String(%s) !== %q } catch { return false } })()`, tab.news, before))
		}
		b.waitFor("the head of "+tab.path+" goes on", fmt.Sprintf(`document.querySelector('[data-metric="step"]').innerText !== %q`, step))
		if !eval[bool](b, `window.sameDocument === true`) {
			t.Errorf("%s was reloaded", tab.path)
		}
		b.accessible("the tab " + tab.path)
		for _, width := range []int64{1440, 2560} {
			b.do(fmt.Sprintf("be %d wide", width), chromedp.EmulateViewport(width, 1000))
			if got := eval[int64](b, `document.scrollingElement.scrollWidth`); got > width {
				t.Errorf("the tab %s is %d wide on a screen of %d", tab.path, got, width)
			}
		}
	}
	if left, right := eval[float64](b, `document.querySelector(".config-launch").getBoundingClientRect().left`), eval[float64](b, `document.querySelector(".config-main").getBoundingClientRect().right`); left < right {
		t.Errorf("at 2560 the launch begins at %.0f, below the configuration that ends at %.0f", left, right)
	}
	b.open(path)
	if log, chart := eval[float64](b, `document.querySelector(".overview-log").getBoundingClientRect().left`), eval[float64](b, `document.querySelector("#chart-throughput").getBoundingClientRect().right`); log < chart {
		t.Errorf("at 2560 the log begins at %.0f, not beside the curves that end at %.0f", log, chart)
	}
}

// TestTabsAndActionsOfARunAreReachedByKey goes through the tabs of a run by their keys, and finds an action of the menu by the search.
func TestTabsAndActionsOfARunAreReachedByKey(t *testing.T) {
	t.Parallel()
	c := devConsole(t, t.TempDir())
	id := c.submit("--name", "keys", "--preset", "debug", "--nodes", "1", "--gpus", "0", "--set", "optim.total_steps=20")
	c.becomes(id, run.Succeeded)
	b := openBrowser(t, c)
	path := "/runs/" + string(id)
	b.open(path)
	at := func(tab string) string {
		return fmt.Sprintf(`location.pathname === %q && document.querySelector(".run-tabs [aria-current=page]").pathname === location.pathname && document.readyState === "complete"`, path+tab)
	}
	for _, press := range []struct{ key, tab string }{{"2", "/metrics"}, {"3", "/logs"}, {"4", "/workers"}, {"7", "/events"}, {"8", "/config"}, {"1", ""}} {
		b.do("press "+press.key, chromedp.KeyEvent(press.key))
		b.waitFor("the tab "+press.tab, at(press.tab))
	}
	b.do("press 5, which is the mesh, and this run has none", chromedp.KeyEvent("5"))
	b.do("open the search", chromedp.KeyEvent("k", chromedp.KeyModifiers(2)))
	b.waitFor("it offers what can be done here", `[...document.querySelectorAll("#search-actions .search-title")].map((e) => e.textContent).includes("Clone")`)
	b.accessible("the search on the page of a run")
	b.do("type", chromedp.SendKeys("#search-text", "configuration"))
	b.waitFor("it offers the action of the menu with its key, and the tab with its own",
		`[...document.querySelectorAll("#search-actions .search-hit")].map((e) => e.innerText.replace(/\s+/g, " ")).join() === "Compare configuration d,Download configuration,Configuration 8"`)
	b.do("take the third", chromedp.KeyEvent(kb.ArrowDown), chromedp.KeyEvent(kb.ArrowDown), chromedp.KeyEvent(kb.ArrowDown), chromedp.KeyEvent(kb.Enter))
	b.waitFor("the configuration", at("/config"))
	b.do("open the search", chromedp.KeyEvent("k", chromedp.KeyModifiers(2)))
	b.do("type", chromedp.SendKeys("#search-text", "delete"))
	b.waitFor("it offers to delete", `document.querySelector("#search-actions .search-title")?.textContent === "Delete"`)
	b.do("take it", chromedp.KeyEvent("\r"))
	b.waitFor("it asks first", `document.querySelector("#delete-dialog").open`)
}
