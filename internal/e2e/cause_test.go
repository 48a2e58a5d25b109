package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/cotrain/cotrain/internal/run"
)

// TestTheCauseOfAFailureInTheBrowser reads the card of a failed run on screens of each size, follows its evidence to the line of the log, and
// writes a rule that explains it otherwise.
func TestTheCauseOfAFailureInTheBrowser(t *testing.T) {
	t.Parallel()
	c := devConsole(t, t.TempDir(), "COTRAIN_TRAINER_FAULT=cuda-oom@4")
	id := c.submit("--name", "oom", "--preset", "debug", "--nodes", "1", "--gpus", "0", "--set", "optim.total_steps=8")
	c.becomes(id, run.Failed)
	b := openBrowser(t, c)
	b.open("/runs/" + string(id))
	if got := b.text(".cause-title"); got != "GPU out of memory" {
		t.Errorf("the card says %q", got)
	}
	if got := eval[string](b, `document.querySelector("[data-cause]").dataset.cause + " " + document.querySelector("[data-cause-hint] a").getAttribute("href")`); got != "cuda_oom /help/troubleshooting#gpu-out-of-memory" {
		t.Errorf("category and help are %q", got)
	}
	b.accessible("a failed run")
	b.fits("a failed run")
	b.wide()
	b.open("/runs/" + string(id))
	text := b.text(".cause-lines li:last-child a")
	if !strings.Contains(text, "CUDA out of memory") {
		t.Errorf("the evidence is %q", text)
	}
	b.click(".cause-lines li:last-child a")
	const line = `document.querySelector(".log-line[aria-current]")`
	b.waitFor("the line of the evidence is highlighted", line+" !== null")
	if got := eval[string](b, line+`.querySelector(".log-text").textContent.trim()`); got != text {
		t.Errorf("the evidence %q leads to %q", text, got)
	}
	if seen := eval[bool](b, fmt.Sprintf(`(() => { const r = %s.getBoundingClientRect(); return r.top >= 0 && r.bottom <= innerHeight; })()`, line)); !seen {
		t.Error("the line is not on the screen")
	}
	b.accessible("the log at the evidence")

	b.open("/help/troubleshooting#error-no-run")
	b.accessible("troubleshooting")
	b.open("/admin/causes")
	b.fill("#f-text", "[[rule]]\nid = \"cuda-oom\"\ncategory = \"cuda_oom\"\nany = [\"CUDA out of memory\"]\nweight = 95\nsummary = \"Ours.\"\nhint = \"Ask us.\"")
	b.click(`[data-action="try-rules"]`)
	b.waitFor("the trial is there", fmt.Sprintf(`document.querySelector('[data-trial=%q]')?.dataset.changed === "true"`, id))
	b.accessible("rules that are tried")
	b.fits("rules that are tried")
	b.wide()
	b.click(`[data-action="save-rules"]`)
	b.waitFor("the rule is in effect", `document.querySelector("[data-rule=cuda-oom]") !== null`)
	again := c.submit("--name", "oom2", "--preset", "debug", "--nodes", "1", "--gpus", "0", "--set", "optim.total_steps=8")
	if r := c.becomes(again, run.Failed); r.Cause == nil || r.Cause.Summary != "Ours." {
		t.Errorf("with the rule the cause is %+v", r.Cause)
	}
}
