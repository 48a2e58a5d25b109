package e2e

import (
	"testing"

	"github.com/cotrain/cotrain/internal/run"
)

// TestTheLogGoesToItsStartAndToItsEnd reads a log that is longer than a page of it.
func TestTheLogGoesToItsStartAndToItsEnd(t *testing.T) {
	t.Parallel()
	c := devConsole(t, t.TempDir())
	id := c.submit("--name", "talkative", "--preset", "debug", "--nodes", "1", "--gpus", "0", "--set", "optim.total_steps=300")
	c.becomes(id, run.Succeeded)
	b := openBrowser(t, c)
	b.open("/runs/" + string(id) + "/logs")
	const inView = `(() => { const v = document.querySelector("[data-log-view]").getBoundingClientRect(), seen = (l) => { const p = l.getBoundingClientRect(); return p.height > 0 && p.bottom > v.top && p.top < v.bottom; }; return [...document.querySelectorAll(".log-line")].filter(seen).map((l) => l.innerText).join("\n"); })()`
	const tenth, last = `/step: 10,/`, `/Training finished/`
	b.waitFor("the end is shown", last+`.test(`+inView+`)`)
	b.click("[data-log-start]")
	b.waitFor("the start is shown", `document.querySelector("[data-log-view]").scrollTop === 0 && document.querySelector("[data-log-earlier]").hidden && `+tenth+`.test(document.querySelector("[data-log-lines]").innerText) && !`+last+`.test(document.querySelector("[data-log-lines]").innerText)`)
	b.do("go on", script(`document.querySelector("[data-log-later]").click()`))
	b.waitFor("later lines are added, to the end", last+`.test(document.querySelector("[data-log-lines]").innerText) && document.querySelector("[data-log-later]").hidden`)
	if twice := eval[int](b, `(() => { const p = [...document.querySelectorAll(".log-line")].map(l => l.dataset.pos); return p.length - new Set(p).size })()`); twice != 0 {
		t.Errorf("%d lines are shown twice", twice)
	}
	b.click("[data-log-end]")
	b.waitFor("the end is shown again", last+`.test(`+inView+`)`)
	b.accessible("a log")

	b.open("/runs/" + string(id) + "/logs?step=150")
	b.waitFor("the line of the step is in the middle", `/step: 150,/.test(document.querySelector(".log-line[aria-current]").innerText) && /step: 150,/.test(`+inView+`)`)
	b.do("go on", script(`document.querySelector("[data-log-later]").click()`))
	b.waitFor("later lines are added, to the end", last+`.test(document.querySelector("[data-log-lines]").innerText) && document.querySelector("[data-log-later]").hidden`)
	b.accessible("a log at a step")
}
