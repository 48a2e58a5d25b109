package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	cdpbrowser "github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/trainconf"
)

// browser is a tab of a real Chromium.
type browser struct {
	t    *testing.T
	ctx  context.Context
	site *process
	axe  string
}

// openBrowser starts Chromium, or skips the test where there is none.
func openBrowser(t *testing.T, site *process) *browser {
	t.Helper()
	chromium, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("chromium is not installed (apt-get install chromium)")
	}
	axe, err := os.ReadFile(filepath.Join("..", "..", "node_modules", "axe-core", "axe.min.js"))
	if err != nil {
		t.Skip("axe-core is not installed (make build fetches it)")
	}
	opts := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(chromium), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.WindowSize(1440, 1000),
		chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-quic", true))
	ctx, cancel := chromedp.NewExecAllocator(context.Background(), opts...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx, chromedp.WithListener(func(ev any) {
		switch ev := ev.(type) {
		case *runtime.EventExceptionThrown:
			t.Errorf("a script failed: %+v", ev.ExceptionDetails)
		case *runtime.EventConsoleAPICalled:
			if text := consoleText(ev.Args); ev.Type == runtime.ConsoleAPICalledTypeError && !superseded(text) {
				t.Errorf("the console of the page says: %s", text)
			}
		}
	}))
	t.Cleanup(cancel)
	b := &browser{t: t, ctx: ctx, site: site, axe: string(axe)}
	if err := chromedp.Do(ctx, chromedp.Navigate("about:blank")); err != nil { // no time limit: it would be the browser's
		t.Fatal(err)
	}
	if site.pass != nil {
		b.open("/login")
		b.do("have a session", script(fmt.Sprintf(`document.cookie = "%s=%s; path=/"`, site.pass.session.Name, site.pass.session.Value)))
	}
	return b
}

// consoleText is what the arguments of a call of console.error hold.
func consoleText(args []*runtime.RemoteObject) string {
	var said []string
	for _, a := range args {
		said = append(said, strings.TrimSpace(string(a.Value)+" "+a.Description))
	}
	return strings.Join(said, " ")
}

// superseded tells htmx's two messages about a request that a newer one replaced (hx-sync): a user who types faster than
// the form is checked. A request that goes wrong in any other way has a message of its own besides.
func superseded(text string) bool {
	return strings.HasPrefix(text, `"htmx:sendAbort`) || strings.HasPrefix(text, `"htmx:afterRequest`)
}

func (b *browser) do(what string, actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, actions...); err != nil {
		b.t.Fatalf("%s: %v\npage: %s", what, err, b.excerpt())
	}
}

// excerpt is the text of the page, for a failed test.
func (b *browser) excerpt() string {
	ctx, cancel := context.WithTimeout(b.ctx, 5*time.Second)
	defer cancel()
	text, err := chromedp.Run(ctx, chromedp.Evaluate[string](`document.body ? document.body.innerText.slice(0, 1500) : ""`))
	if err != nil {
		return err.Error()
	}
	return text
}

func (b *browser) open(path string) {
	b.t.Helper()
	b.do("open "+path, chromedp.Navigate(b.site.url(path)), chromedp.WaitReady("main"))
}

// allow grants the console's pages a permission, as a person does who is asked.
func (b *browser) allow(permission string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	p := cdpbrowser.SetPermissionParams{Permission: &cdpbrowser.PermissionDescriptor{Name: permission}, Setting: cdpbrowser.PermissionSettingGranted, Origin: b.site.url("")}
	if _, err := chromedp.CallBrowser(ctx, cdpbrowser.SetPermission, p); err != nil {
		b.t.Fatalf("allow %s: %v", permission, err)
	}
}

func (b *browser) click(sel string) {
	b.t.Helper()
	b.do("click "+sel, chromedp.WaitVisible(sel), chromedp.Click(sel))
}

// waitFor waits until an expression of JavaScript is true of a whole page, over any number of navigations.
func (b *browser) waitFor(what, expression string) {
	b.t.Helper()
	var last error
	came := b.site.until(func() bool {
		ctx, cancel := context.WithTimeout(b.ctx, patience)
		defer cancel()
		ok, err := chromedp.Run(ctx, chromedp.Evaluate[bool](`document.readyState !== "loading" && Boolean(`+expression+")"))
		last = err
		return ok
	})
	if !came {
		b.t.Fatalf("never came true: %s (%v)\npage: %s", what, last, b.excerpt())
	}
}

func (b *browser) text(sel string) string {
	b.t.Helper()
	return strings.TrimSpace(eval[string](b, fmt.Sprintf(`document.querySelector(%q).innerText`, sel)))
}

func eval[T any](b *browser, expression string, opts ...chromedp.EvaluateOption) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	out, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression, opts...))
	if err != nil {
		b.t.Fatalf("evaluate %.200s: %v\npage: %s", expression, err, b.excerpt())
	}
	return out
}

// script runs an expression for its effect.
func script(expression string) chromedp.Action[chromedp.Void] {
	return chromedp.Evaluate[chromedp.Void](expression)
}

// fill replaces the content of a field as a person does: select, type, go on.
func (b *browser) fill(sel, text string) {
	b.t.Helper()
	b.do("fill "+sel, chromedp.WaitVisible(sel), script(fmt.Sprintf(`document.querySelector(%q).select()`, sel)),
		chromedp.SendKeys(sel, text), chromedp.Blur(sel))
}

// accessible lets axe look at the page in both themes.
func (b *browser) accessible(what string) {
	b.t.Helper()
	for _, theme := range []string{"light", "dark"} {
		b.do("axe on "+what, script(fmt.Sprintf(`document.documentElement.dataset.theme = %q`, theme)), script(b.axe))
		b.waitFor("colours have settled", `document.getAnimations().filter(a => a instanceof CSSTransition).length === 0`)
		raw := eval[string](b, `axe.run(document, {resultTypes: ["violations"]}).then(r => JSON.stringify(r.violations.map(
			v => ({id: v.id, help: v.help, nodes: v.nodes.map(n => n.html.slice(0, 200))}))))`, chromedp.EvalAwaitPromise)
		var violations []struct {
			ID, Help string
			Nodes    []string
		}
		if err := json.Unmarshal([]byte(raw), &violations); err != nil {
			b.t.Fatal(err)
		}
		for _, v := range violations {
			b.t.Errorf("axe on %s (%s): %s: %s: %v", what, theme, v.ID, v.Help, v.Nodes)
		}
	}
	b.do("restore the theme", script(`document.documentElement.dataset.theme = "auto"`))
}

// TestTheSampleRunInTheBrowser is the first minute of a new user: the empty page, one click, and a live page that ends
// well without a reload.
func TestTheSampleRunInTheBrowser(t *testing.T) {
	t.Parallel()
	b := openBrowser(t, devConsole(t, t.TempDir()))
	b.open("/")
	if got := b.text("#run-list"); !strings.Contains(got, "The sample run trains") {
		t.Errorf("the empty page says %q", got)
	}
	b.accessible("the empty list")
	b.click(`[data-action="sample-run"]`)
	b.waitFor("the run's page", `document.querySelector("#run-page") !== null`)
	b.do("mark the page", script(`window.sameDocument = true`))
	b.waitFor("it is running", `document.querySelector("#run-headline").dataset.runState === "running"`)
	b.waitFor("three workers run", `document.querySelectorAll("[data-worker-rank]").length === 3 && document.querySelector('[data-metric="participants"]').innerText.includes("3 / 3")`)
	b.waitFor("the loss chart has points", `Number(document.querySelector("#chart-loss").dataset.points) >= 5`)
	before := eval[int](b, `Number(document.querySelector("#chart-loss").dataset.points)`)
	b.waitFor("the loss chart grows", fmt.Sprintf(`Number(document.querySelector("#chart-loss").dataset.points) > %d`, before+3))
	b.waitFor("log lines of all workers come", `[0, 1, 2].every(r => [...document.querySelectorAll(".log-line")].some(l => l.innerText.includes("step: ")))`)
	b.waitFor("the time left is known", `/^\d+ (s|min)/.test(document.querySelector('[data-metric="eta"]').innerText)`)
	b.waitFor("title and icon have the progress", `/^\d+ % · /.test(document.title) && /running-\d\.svg$/.test(document.querySelector("link[rel=icon]").href)`)
	b.allow("notifications")
	b.do("ask to be told of the end, and note what Chromium has shown", script(`window.Notification = class extends Notification { constructor(title, options) { super(title, options); this.addEventListener("show", () => window.told = title); } }`),
		script(`document.querySelector("[data-notify]").click()`))
	b.waitFor("it is noted", `document.querySelector("[data-notify]").ariaPressed === "true"`)
	b.accessible("a live run")
	b.waitFor("it succeeded", `document.querySelector("#run-headline").dataset.runState === "succeeded"`)
	b.waitFor("that is told, in title and icon too", `window.told?.endsWith(" succeeded") && document.title.startsWith("succeeded · ") && document.querySelector("link[rel=icon]").href.endsWith("/succeeded.svg") && localStorage.length === 0`)
	if !eval[bool](b, `window.sameDocument === true`) {
		t.Error("the page was reloaded")
	}
	_, sample, shape := trainconf.Sample()
	total := fmt.Sprint(sample.Plan(shape).StepsTotal)
	if got := b.text(`[data-metric="step"]`); !strings.Contains(got, total) {
		t.Errorf("the final step is %q", got)
	}
	b.waitFor("the whole curve is there", `Number(document.querySelector("#chart-loss").dataset.points) === `+total)
	if n := eval[int](b, `document.querySelectorAll("#event-list > .event").length`); n < 5 {
		t.Errorf("%d events", n)
	}
	b.accessible("a finished run")
	b.do("reload", chromedp.Reload(), chromedp.WaitReady("main"))
	if got := eval[string](b, `document.querySelector("#run-headline").dataset.runState`); got != "succeeded" {
		t.Errorf("after a reload it is %q", got)
	}
}

// TestTheFormTheListStopAndDeleteInTheBrowser makes mistakes, mends them by the messages, and follows the run from the
// form to its end.
func TestTheFormTheListStopAndDeleteInTheBrowser(t *testing.T) {
	t.Parallel()
	c := devConsole(t, t.TempDir(), "COTRAIN_TRAINER_PACE=50ms")
	b := openBrowser(t, c)
	b.open("/runs/new")
	b.accessible("the form")
	b.do("choose a preset", chromedp.SetValue("#f-preset", "debug-diloco"),
		script(`document.querySelector("#f-preset").dispatchEvent(new Event("change", {bubbles: true}))`))
	b.waitFor("the preset fills the form", `document.querySelector("#run-form") && document.querySelector("[name='optim.batch_size']").value === "16"`)
	b.fill(`[name="name"]`, "from the form")
	b.fill(`[name="train.micro_bs"]`, "7")
	b.waitFor("the rule across fields is told beside its field", `document.querySelector("[data-field='optim.batch_size']").innerText.includes("multiple")`)
	b.fill(`[name="optim.optim.lr"]`, "fast")
	b.waitFor("a word is no number", `document.querySelector("[data-field='optim.optim.lr'] [id$='-message']").innerText.length > 5`)
	b.accessible("the form with mistakes")
	b.click(`[data-action="submit-run"]`)
	b.waitFor("the summary lists the mistakes", `document.querySelector("[data-form-summary]") !== null`)
	if got := eval[string](b, `document.querySelector("[name='optim.optim.lr']").value`); got != "fast" {
		t.Errorf("what was typed is now %q", got)
	}
	b.fill(`[name="optim.optim.lr"]`, "5e-3")
	b.fill(`[name="train.micro_bs"]`, "8")
	b.fill(`[name="optim.total_steps"]`, "4998")
	b.fill(`[name="gpus"]`, "0")
	b.fill(`[name="nodes"]`, "2")
	b.waitFor("the TOML follows", `document.body.innerText.includes("total_steps = 4998")`)
	b.waitFor("the plan says what DiLoCo rounds to", `document.querySelector(".form-side").innerText.replace(/[\s,]/g, "").includes("5000")`)
	b.click(`[data-action="submit-run"]`)
	b.waitFor("the run's page", `document.querySelector("#run-page") !== null`)
	b.waitFor("it is running", `document.querySelector("#run-headline").dataset.runState === "running"`)
	id := run.ID(eval[string](b, `document.querySelector("#run-page").dataset.runId`))

	b.open("/")
	row := fmt.Sprintf(`tr[data-run-id="%s"]`, id)
	b.waitFor("the list is live", fmt.Sprintf(`document.querySelector('%s') !== null && document.querySelector('%s').dataset.runState === "running"`, row, row))
	b.accessible("the list")
	b.fill("#filter-text", "no such run")
	b.waitFor("the filter hides it", fmt.Sprintf(`document.querySelector('%s') === null`, row))
	b.accessible("an empty filter")
	b.fill("#filter-text", "FROM the")
	b.waitFor("the filter finds it", fmt.Sprintf(`document.querySelector('%s') !== null`, row))

	b.open("/runs/" + string(id))
	b.click(`[data-action="ask-stop"]`)
	b.accessible("the question before a stop")
	b.click(`dialog [data-action="stop"]`)
	b.waitFor("it stopped", `document.querySelector("#run-headline").dataset.runState === "stopped"`)
	b.click(`[popovertarget="run-menu"]`)
	b.accessible("the menu of a run")
	b.click(`[data-action="ask-delete"]`)
	b.click(`dialog [data-action="delete"]`)
	b.waitFor("the list is empty again", `document.querySelector("#run-list") !== null && document.querySelector("#run-list").innerText.includes("No runs yet")`)

	for _, path := range []string{"/cluster", "/dev/components", "/runs/r-0000000000"} {
		b.open(path)
		b.accessible(path)
	}
}

// TestALostConnectionIsToldAndResumedWithoutGaps kills the console under a live page and starts it again at the same
// address, while the workers go on in an agent of their own.
func TestALostConnectionIsToldAndResumedWithoutGaps(t *testing.T) {
	t.Parallel()
	c, _, _, restart := agentConsole(t, "COTRAIN_TRAINER_PACE=50ms")
	id := c.submit(shortRun("cut", "--set", "optim.total_steps=120")...)
	b := openBrowser(t, c)
	b.open("/runs/" + string(id))
	b.do("mark the page", script(`window.sameDocument = true`))
	b.waitFor("the chart has points", `Number(document.querySelector("#chart-loss").dataset.points) >= 3`)
	c.kill()
	b.waitFor("the page says that the connection is lost", `document.querySelector("[data-banner=connection]").hidden === false`)
	restart(c.addr)
	b.waitFor("it ends well", `document.querySelector("#run-headline").dataset.runState === "succeeded"`)
	b.waitFor("the whole curve is there", `Number(document.querySelector("#chart-loss").dataset.points) === 120`)
	if !eval[bool](b, `window.sameDocument === true && document.querySelector("[data-banner=connection]").hidden`) {
		t.Error("the page was reloaded, or still says that the connection is lost")
	}
	if dup := eval[int](b, `(() => { const p = [...document.querySelectorAll(".log-line")].map(l => l.dataset.pos); return p.length - new Set(p).size })()`); dup != 0 {
		t.Errorf("%d log lines are shown twice", dup)
	}
}
