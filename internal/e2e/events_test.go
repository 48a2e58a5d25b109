package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// unbroken is true of a timeline, newest first, in which no event is missing and none comes twice. Only one run writes events.
const unbroken = `(() => { const s = [...document.querySelectorAll("#event-list > .event")].map(l => Number(l.id.slice(6))); return s.every((n, i) => i === 0 || n === s[i-1] - 1) })()`

// shown is how many events the timeline shows.
const shown = `document.querySelectorAll("#event-list > .event").length`

// TestEarlierEventsAreReachedOnALivePage follows a run that saves a checkpoint at each step. The console is killed under the
// page in the middle, so that the page reads its timeline anew.
func TestEarlierEventsAreReachedOnALivePage(t *testing.T) {
	t.Parallel()
	c, _, _, restart := agentConsole(t, "COTRAIN_TRAINER_PACE=25ms")
	id := c.submit("--name", "eventful", "--preset", "debug", "--nodes", "1", "--gpus", "0",
		"--set", "optim.total_steps=600", "--set", "ckpt.interval=1", "--set", "ckpt.path="+t.TempDir())
	c.eventually("more events than a page shows", func() bool { return c.run(id).Progress.Step >= 230 })
	b := openBrowser(t, c)
	b.open("/runs/" + string(id) + "/events")
	b.do("mark the page", script(`window.sameDocument = true`), chromedp.Focus("#events-earlier"))
	oldest := eval[string](b, `document.querySelector("#event-list").lastElementChild.id`)
	b.do("ask for earlier events", chromedp.KeyEvent("\r"))
	b.waitFor("the beginning is reached", `document.querySelector("[data-events-beginning]").hidden === false`)
	b.waitFor("the first new event has the focus", fmt.Sprintf(`document.activeElement === document.getElementById(%q).nextElementSibling`, oldest))
	if !eval[bool](b, unbroken+` && document.querySelector("#events-earlier").hidden`) {
		t.Error("events are missing or come twice, or there is a way beyond the beginning")
	}
	b.waitFor("live events still come", fmt.Sprintf(shown+" > %d", eval[int](b, shown)+5))

	c.kill()
	b.waitFor("the page says that the connection is lost", `document.querySelector("[data-banner=connection]").hidden === false`)
	restart(c.addr)
	b.waitFor("it is connected again", `document.querySelector("[data-banner=connection]").hidden`)
	b.waitFor("live events come again", fmt.Sprintf(shown+" > %d", eval[int](b, shown)+5))
	if !eval[bool](b, unbroken+` && document.querySelector("[data-events-beginning]").hidden === false && window.sameDocument === true`) {
		t.Error("after the connection was lost the timeline does not reach from the beginning to now")
	}
	b.waitFor("it succeeded", `document.querySelector("#run-headline").dataset.runState === "succeeded"`)
	out, errs, code := c.cli("run", "events", string(id))
	total := strings.Count(out, "\n")
	if code != 0 || total < 600 {
		t.Fatalf("%d events, code %d: %s", total, code, errs)
	}
	for reads := 0; !eval[bool](b, shown+fmt.Sprintf(" === %d", total)); reads++ {
		if reads == 5 || !eval[bool](b, unbroken) {
			t.Fatalf("%d events of %d are shown", eval[int](b, shown), total)
		}
		b.click("#events-earlier")
		b.waitFor("they are there", `!document.querySelector(".htmx-request") && (document.querySelector("#events-earlier").hidden || `+shown+" > 300)")
	}
	if !eval[bool](b, unbroken) {
		t.Error("the whole timeline has a hole, or repeats something")
	}
	b.accessible("a run with many events")
}
