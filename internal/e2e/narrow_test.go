package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/cotrain/cotrain/internal/run"
)

// narrowWidths are what pages must fit, in CSS pixels: the narrowest that WCAG 2.2 asks for (1.4.10), a phone, a large
// one, a 1440 pixels wide screen at 200 %, and a tablet.
var narrowWidths = []int64{320, 390, 500, 720, 768}

// layoutFaults lists what is wrong with the layout of a page, each in a few words.
const layoutFaults = `(screen) => {
	const faults = new Set();
	const seen = (el) => el.checkVisibility({visibilityProperty: true}) && el.getClientRects().length > 0 && !el.closest(".visually-hidden, .skip-link, svg svg");
	const name = (el) => el.tagName.toLowerCase() + (el.id ? "#" + el.id : "") + [...el.classList].map((c) => "." + c).join("") + " '" + (el.innerText || el.ariaLabel || "").trim().slice(0, 30) + "'";
	const clipped = (el) => getComputedStyle(el).clipPath !== "none";
	const above = (el, ok) => { for (let p = el.parentElement; p && p !== document.body; p = p.parentElement) if (ok(p)) return p; return null; };
	const boxed = (el) => above(el, (p) => getComputedStyle(p).overflowX !== "visible");
	const controls = "a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex='0']";

	const wide = document.scrollingElement.scrollWidth;
	if (wide !== screen || innerWidth !== screen) faults.add("the page is " + wide + " wide, the window " + innerWidth);
	for (const el of document.body.querySelectorAll("*")) {
		if (!seen(el) || clipped(el) || above(el, clipped)) continue;
		const place = el.getBoundingClientRect(), style = getComputedStyle(el);
		if ((place.right > screen + 1 || place.left < -1) && !boxed(el)) faults.add(name(el) + " is out of the screen");
		const card = el.closest(".card, .headline, .chart, .empty, .code, .note");
		if (card && card !== el && !boxed(el) && place.right > card.getBoundingClientRect().right + 1) faults.add(name(el) + " is out of its card");
		const scrolls = (/auto|scroll/.test(style.overflowX) && el.scrollWidth > el.clientWidth + 1) || (/auto|scroll/.test(style.overflowY) && el.scrollHeight > el.clientHeight + 1);
		if (scrolls && el.tabIndex < 0 && ![...el.querySelectorAll(controls)].some(seen)) faults.add(name(el) + " scrolls, but not by keyboard");
		if (/hidden|clip/.test(style.overflowX) && el.scrollWidth > el.clientWidth + 1 && el.innerText && !el.matches(".row-tag, .mark-text")) faults.add(name(el) + " is cut");
		if (!el.matches(controls)) continue;
		if ((el.matches("a") && style.display === "inline") || style.pointerEvents === "none") continue; // a link in a sentence, or for keys alone
		const label = el.closest("label");
		const whole = getComputedStyle(el, "::after").position === "absolute" ? el.closest("tr") : label; // a card leads where its name does
		const target = (whole || el).getBoundingClientRect();
		if (target.width < 24 || target.height < 24) faults.add(name(el) + " is " + Math.round(target.width) + " x " + Math.round(target.height) + ", too small to hit");
	}
	const menu = document.getElementById("menu"), sheet = menu !== null && seen(document.querySelector(".topbar-menu")); // no menu before the log-in
	if (sheet) menu.showPopover();
	for (const link of document.querySelectorAll(".topnav a")) {
		const place = link.getBoundingClientRect();
		if (document.elementFromPoint(place.x + place.width / 2, place.y + place.height / 2)?.closest("a") !== link) faults.add("the link " + link.innerText + " is not to be seen");
	}
	if (sheet) menu.hidePopover();
	for (const tab of document.querySelectorAll(".tabs [aria-current]")) {
		const place = tab.getBoundingClientRect(), row = tab.parentElement.getBoundingClientRect();
		if (seen(tab) && (place.left < row.left - 1 || place.right > row.right + 1)) faults.add("the tab " + tab.innerText + " is current and out of sight");
	}
	return JSON.stringify([...faults]);
}`

// emulate gives the browser the screen and the finger of a phone or tablet.
func (b *browser) emulate(width int64) {
	b.t.Helper()
	b.do(fmt.Sprintf("be %d wide", width), chromedp.EmulateViewport(width, 844, chromedp.EmulateMobile, chromedp.EmulateTouch))
}

// fits reports what is wrong with the layout of the open page at each of the narrow widths.
func (b *browser) fits(page string) {
	b.t.Helper()
	for _, width := range narrowWidths {
		b.emulate(width)
		raw := eval[string](b, fmt.Sprintf(`new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done((`+layoutFaults+`)(%d)))))`, width), chromedp.EvalAwaitPromise)
		var faults []string
		if err := json.Unmarshal([]byte(raw), &faults); err != nil {
			b.t.Fatal(err)
		}
		for _, f := range faults {
			b.t.Errorf("%s, %d wide: %s", page, width, f)
		}
	}
}

// narrowData fills a console with what pages may have to show: names and values that are too long for a line among them.
type narrowData struct {
	done, waiting run.ID
	sweep         string
}

func makeNarrowData(t *testing.T, c *process, dir string) narrowData {
	t.Helper()
	const long = "a run with a name that is so long that no screen of a phone has it in one line, ever"
	small := []string{"--preset", "debug", "--nodes", "1", "--gpus", "0"}
	var d narrowData
	d.done = c.submit(append(small, "--name", long, "--tags", "baseline,nightly,a-tag-with-a-rather-long-name", "--description", strings.Repeat("why ", 40))...)
	d.waiting = c.submit("--preset", "7B-diloco", "--name", strings.Repeat("unbroken", 12), "--nodes", "16", "--gpus", "8")
	for _, batch := range []string{"256", "512", "768"} {
		if _, errs, code := c.cli("template", "save", "a-template-with-a-name-of-more-than-forty-characters", "--preset", "1B", "--set", "optim.batch_size="+batch, "--note", long, "--description", long); code != 0 {
			t.Fatalf("save a template: %s", errs)
		}
	}
	out, errs, code := c.cli(append([]string{"sweep", "submit", "--format", "json", "--grid", "optim.optim.lr=1e-3,1e-2", "--grid", "optim.warmup_steps=1,2"}, append(small, "--name", "rates")...)...)
	var made struct{ ID string }
	if err := json.Unmarshal([]byte(out), &made); code != 0 || err != nil || made.ID == "" {
		t.Fatalf("submit a sweep: code %d, %v\n%s\n%s", code, err, out, errs)
	}
	d.sweep = made.ID
	for _, name := range []string{"shard-0001.bin", strings.Repeat("long-name-", 12) + ".parquet"} {
		if err := os.WriteFile(filepath.Join(dir, "storage", "datasets", "raw", name), []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c.becomes(d.done, run.Succeeded)
	c.eventually("a run of the sweep has a loss", func() bool {
		_, page, err := c.get("/sweeps/" + d.sweep)
		return err == nil && strings.Contains(page, `data-best="true"`)
	})
	return d
}

// TestEveryPageFitsNarrowScreens opens every page as phones, tablets and magnified screens show it: nothing but wide content
// in its own box scrolls sideways, and that by keyboard too; nothing is cut; whatever can be pressed can be hit.
func TestEveryPageFitsNarrowScreens(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c := devConsole(t, dir)
	b := openBrowser(t, c)
	b.open("/")
	b.fits("the empty list")
	b.open("/sweeps")
	b.fits("no sweeps")
	d := makeNarrowData(t, c, dir)
	done, template := "/runs/"+string(d.done), "/templates/a-template-with-a-name-of-more-than-forty-characters"
	for _, page := range []string{
		"/", "/?q=no+such+run", "/?state=succeeded", "/runs/new", "/runs/new?preset=7B-diloco", "/runs/import",
		done, done + "/metrics", done + "/logs", done + "/logs?worker=0", done + "/workers", done + "/events", done + "/config", done + "/template", done + "/delete", "/runs/" + string(d.waiting), "/runs/" + string(d.waiting) + "/stop",
		"/templates", template, template + "?version=1", template + "/delete", "/templates/7B-diloco",
		"/diff", "/diff?a=run:" + string(d.done) + "&b=preset:7B-diloco", "/diff?a=run:r-x&b=nothing",
		"/?open=" + d.sweep, "/sweeps/new", "/sweeps", "/sweeps/new?from=preset:7B", "/sweeps/" + d.sweep, "/sweeps/" + d.sweep + "?metric=throughput", "/sweeps/" + d.sweep + "/delete",
		"/storage", "/storage?path=datasets/raw", "/storage?path=models/final", "/storage/delete?path=datasets/raw/shard-0001.bin",
		"/cluster", "/dev/components", "/runs/r-0000000000",
	} {
		b.emulate(390)
		b.open(page)
		b.do("open what is folded", script(`document.querySelectorAll("details").forEach((d) => d.open = true)`))
		b.waitFor("curves are drawn", `[...document.querySelectorAll(".overview .chart, .metrics .chart, #sweep-chart")].filter((c) => c.getBoundingClientRect().top < innerHeight).every((c) => c.querySelector("canvas") || c.querySelector("[data-chart-empty]:not([hidden])"))`)
		b.fits(page)
	}

	b.emulate(390)
	b.open("/sweeps/" + d.sweep)
	if place := eval[[]float64](b, `(() => { const p = document.querySelector("#sweep-rows [data-best-mark]").getBoundingClientRect(); return [p.left, p.right] })()`); place[0] < 0 || place[1] > 390 {
		t.Errorf("the word that marks the best run is at %v of 390", place)
	}
	for _, cell := range []string{".cell-state", `[data-metric="step"]`, `[data-metric="loss"]`} {
		if place := eval[[]float64](b, fmt.Sprintf(`(() => { const p = document.querySelector('#sweep-rows [data-best=true] %s').getBoundingClientRect(); return [p.left, p.right, p.height] })()`, cell)); place[0] < 0 || place[1] > 390 || place[2] == 0 {
			t.Errorf("%s of the best run is at %v of 390", cell, place)
		}
	}
	b.accessible("a sweep on a phone")
	b.open("/")
	b.click(".topbar-menu")
	b.accessible("the menu")
	b.click(`#menu [data-nav="sweeps"]`)
	b.waitFor("the menu leads on", `location.pathname === "/sweeps"`)
	b.open("/")
	b.accessible("the list on a phone")
	if roles := eval[[]string](b, `[...new Set([...document.querySelectorAll(".table-runs, .table-runs *")].map((e) => e.role).filter(Boolean))]`); !slices.Contains(roles, "rowheader") || !slices.Contains(roles, "columnheader") {
		t.Errorf("the cards are no table any more: %v", roles)
	}
}

// TestNoFieldOfTheFormHidesBehindABar goes through the form on a phone: what has the focus is not below the bar with the
// button that starts the run, nor below the links at the top.
func TestNoFieldOfTheFormHidesBehindABar(t *testing.T) {
	t.Parallel()
	b := openBrowser(t, devConsole(t, t.TempDir()))
	b.emulate(390)
	b.open("/runs/new?preset=debug-diloco")
	b.do("open every section", script(`document.querySelectorAll("details").forEach((d) => d.open = true)`))
	hidden := eval[[]string](b, `(() => {
		const out = [];
		const fields = [...document.querySelectorAll("#run-form .field :is(input, select, textarea):not([type=hidden])")].filter((e) => e.checkVisibility());
		for (const el of [...fields, ...fields.reverse()]) {
			el.focus();
			const place = el.getBoundingClientRect();
			const top = document.elementFromPoint(place.left + place.width / 2, place.top + place.height / 2);
			if (!top || (top !== el && !top.contains(el) && !el.closest("label")?.contains(top))) out.push(el.name + " at " + Math.round(place.top));
		}
		if (fields.length < 20) out.push("only " + fields.length + " fields");
		return out;
	})()`)
	if len(hidden) > 0 {
		t.Errorf("hidden while they have the focus: %v", hidden)
	}
	for _, sel := range []string{`[data-action="submit-run"]`, `[data-action="dry-run"]`} {
		if !eval[bool](b, fmt.Sprintf(`(() => { scrollTo(0, 1000); const e = document.querySelector(%q), p = e.getBoundingClientRect(); return e.contains(document.elementFromPoint(p.left + p.width / 2, p.top + p.height / 2)) })()`, sel)) {
			t.Errorf("%s is not in sight in the middle of the form", sel)
		}
	}
}

// TestTheListOfDocumentsIsFoldedWhereThereIsNoRoom opens a document on a phone and on a desk.
func TestTheListOfDocumentsIsFoldedWhereThereIsNoRoom(t *testing.T) {
	t.Parallel()
	b := openBrowser(t, devConsole(t, t.TempDir()))
	seen := `document.querySelector(".doc-side .doc-link").checkVisibility({contentVisibilityAuto: true, visibilityProperty: true}) && document.querySelector(".doc-side .doc-link").getClientRects().length > 0`
	b.open("/help/security")
	if !eval[bool](b, seen) {
		t.Error("the documents are not listed beside one")
	}
	b.fits("a document")
	b.emulate(390)
	if eval[bool](b, seen) || eval[float64](b, `document.querySelector(".doc-side").getBoundingClientRect().height`) > 60 {
		t.Error("the list of documents is not folded on a phone")
	}
	b.do("open it", script(`document.querySelector(".doc-fold summary").click()`))
	b.waitFor("it opens", seen)
	b.fits("a document with the list of all")
	b.accessible("a document with the list of all")
}
