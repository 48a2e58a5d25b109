package e2e

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store"
)

const longLog = 500_000 // lines: more than a browser has pixels for

// writeLog stores a run of two workers with a long log.
func writeLog(t *testing.T, dir string, id run.ID) {
	t.Helper()
	s, err := store.Open(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	began := time.Now().Add(-3 * time.Hour).Truncate(time.Second)
	r := run.Run{ID: id, Name: "talkative", Project: "default", State: run.Succeeded, CreatedAt: began, StartedAt: began, EndedAt: began.Add(2 * time.Hour), Attempt: 1, Shape: run.Shape{Nodes: 2}, StepsTotal: longLog}
	if _, _, err := s.CreateRun(t.Context(), r, "", run.Event{RunID: id, At: began.Add(time.Hour), Kind: "checkpoint_saved", Level: "info", Actor: run.Trainer, Rank: 0, Message: "half of it"}); err != nil {
		t.Fatal(err)
	}
	const batch = 10_000
	cursors := map[int]store.Cursor{}
	for from := 0; from < longLog; from += batch {
		var text bytes.Buffer
		for i := from; i < from+batch; i++ {
			switch {
			case i%100_000 == 50_000:
				fmt.Fprintf(&text, "\x1b[31m[ERROR]\x1b[0m a needle: %d\n", i)
			case i == 250_003:
				fmt.Fprintf(&text, "\r 10%%\r 50%%\r100%% \x1b[38;5;208mdone\x1b[0m\n")
			case i == 250_004:
				fmt.Fprintf(&text, "\x00\xff\x01\n")
			case i == 250_005:
				fmt.Fprintf(&text, "long %s end of it\n", bytes.Repeat([]byte("x"), 5000))
			case i >= 250_010 && i < 250_015:
				fmt.Fprintf(&text, "the same again\n")
			default:
				fmt.Fprintf(&text, "line %d of worker %d\n", i, from/batch%2)
			}
		}
		rank := from / batch % 2
		to := store.Cursor{File: "f", Offset: cursors[rank].Offset + int64(text.Len())}
		b := &store.Batch{RunID: id, AllocID: fmt.Sprint("a", rank), Stream: "stdout", Rank: rank, Attempt: 1, At: began.Add(time.Duration(from/batch) * time.Minute), From: cursors[rank], To: to, Log: text.Bytes()}
		if err := s.Commit(t.Context(), []*store.Batch{b}); err != nil {
			t.Fatal(err)
		}
		cursors[rank] = to
	}
	if err := s.Seal(t.Context(), id, 1); err != nil {
		t.Fatal(err)
	}
}

// logReading has what a reader of the log sees: rows are the lines in the window, and text is theirs.
const logReading = `
	const view = (i = 0) => document.querySelectorAll("[data-log-view]")[i];
	const rows = (i = 0) => { const v = view(i).getBoundingClientRect(); return [...view(i).querySelectorAll(".log-line")].filter((l) => { const p = l.getBoundingClientRect(); return p.height > 0 && p.bottom > v.top + 1 && p.top < v.top + view(i).clientHeight - 1; }); };
	const text = (i = 0) => rows(i).map((l) => l.querySelector(".log-text").innerText).join("\n");
	const loaded = (i = 0) => rows(i).length > 5 && !rows(i).some((l) => l.matches(".log-pending"));
	const set = (name, value) => { const el = document.querySelector('[data-log-bar] [name="' + name + '"]'); if (el.type === "checkbox") el.checked = value; else el.value = value; el.dispatchEvent(new Event(el.type === "checkbox" || el.matches("select") ? "change" : "input", {bubbles: true})); };
	const row = (words) => rows().find((l) => l.innerText.includes(words));
	const fold = (what) => document.querySelector('[data-log-do="' + what + '"]');
`

// TestALogOfAnyLengthIsRead scrolls, searches, links and copies in a log that has more lines than a browser has room for.
func TestALogOfAnyLengthIsRead(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	const id = run.ID("r-0000000001")
	writeLog(t, dir, id)
	c := devConsole(t, dir)
	b := openBrowser(t, c)
	open := func(query string) {
		b.open("/runs/" + string(id) + "/logs" + query)
		b.do("read", script(logReading))
	}
	open("")
	b.waitFor("the end is shown", `loaded() && text().includes("line 499999 of worker 1") && document.querySelector("[data-log-follow]").ariaPressed === "true"`)
	b.accessible("a log")

	b.do("drag the bar", script(`view().scrollTop = view().scrollHeight * 0.3`))
	b.waitFor("the middle is shown", `loaded() && /line 1(49|50)\d{3} of worker/.test(text())`)
	b.do("scroll a little", script(`window.was = Number(rows()[0].dataset.n); window.step = rows()[1].offsetHeight; view().scrollBy(0, 10 * window.step)`))
	b.waitFor("ten lines further", `Number(rows()[0].dataset.n) === window.was + 10`)
	b.do("go to the start", script(`view().focus()`), chromedp.KeyEvent(kb.Home))
	b.waitFor("the start is shown", `loaded() && text().startsWith("line 0 of worker 0\nline 1 of") && view().scrollTop === 0`)
	b.do("go to the end", chromedp.KeyEvent(kb.End))
	b.waitFor("the end is shown again", `loaded() && text().endsWith("line 499999 of worker 1")`)

	b.do("search", script(`set("q", "NEEDLE")`))
	b.waitFor("the matches are counted, and over time", `document.querySelector("[data-log-count]").textContent === "5 matches" && document.querySelectorAll("[data-log-histogram] rect").length === 5 && !document.querySelector(".strip-hit").getAttribute("d").includes("undefined")`)
	b.do("go to the first", script(`view().focus()`), chromedp.KeyEvent(kb.Home), chromedp.KeyEvent("n"))
	b.waitFor("it is shown and marked", `loaded() && row("a needle: 50000")?.querySelector("mark")?.textContent === "needle" && row("a needle: 50000").ariaCurrent === "true" && document.querySelector("[data-log-count]").textContent === "1 of 5"`)
	b.do("go back, which begins at the end", chromedp.KeyEvent("N"))
	b.waitFor("the last is shown", `loaded() && row("a needle: 450000")`)
	b.do("only matches", script(`set("only", true)`))
	b.waitFor("only these are shown", `rows().length === 5 && location.search === "?q=NEEDLE&only=1"`)
	b.do("an expression that is none", script(`set("regexp", true); set("q", "needle: (")`))
	b.waitFor("it is told", `document.querySelector("#log-problem-q").innerText.includes("missing closing )") && document.querySelector("#log-q").ariaInvalid === "true"`)
	b.do("all lines", script(`set("regexp", false); set("only", false); set("q", "")`))
	b.waitFor("the search is gone", `location.search === "" && document.querySelector("#log-problem-q").hidden && document.querySelector("[data-log-count]").textContent === ""`)
	b.do("errors of a worker", script(`set("level", "error"); set("worker", "1")`))
	b.waitFor("the errors are shown", `rows().length > 0 && rows().every((l) => l.matches(".log-error") && l.querySelector(".log-rank").innerText === "1" && l.querySelector(".log-level").title === "Error")`)

	open("?from=9000000")
	b.waitFor("behind the end is the end, in a full window", `loaded() && text().endsWith("line 499999 of worker 1") && rows()[0].getBoundingClientRect().top <= view().getBoundingClientRect().top + 1`)

	const middle = 250_003
	open("?at=2000-01-01T00:00:00Z")
	b.waitFor("the first line is meant", `loaded() && rows()[0].ariaCurrent === "true"`)
	b.do("go to a line by its number", script(fmt.Sprintf(`window.leaving = true; location.search = "?from=%d"`, middle-1)))
	b.waitFor("it is there", `!window.leaving && document.readyState === "complete" && document.querySelector('.log-line[data-n="250003"]')`)
	b.do("read", script(logReading))
	b.waitFor("a progress bar has its last state, and colours", `row("100% done")?.querySelector(".ansi-rgb")?.innerText === "done" && !row("100% done").innerText.includes(" 50%") && fold("states").innerText === "3 states"`)
	b.do("open what is folded", script(`fold("states").click(); fold("binary").click(); fold("repeats").click(); fold("all").click()`))
	b.waitFor("the states before, the bytes, the whole line and the repeated lines are there", `[...document.querySelectorAll(".log-state")].map((s) => s.innerText.trim()).join() === "10%,50%" && row("binary, 3 bytes")?.innerText.includes("\\x00\\xff\\x01") && document.body.innerText.includes("x end of it") && document.body.innerText.split("the same again").length === 6`)

	b.do("select lines", script(`row("line 250006").querySelector("time").click(); row("line 250008").querySelector(".log-rank").dispatchEvent(new MouseEvent("click", {bubbles: true, shiftKey: true}))`))
	b.waitFor("three are selected", `document.querySelectorAll(".log-line[aria-current]").length === 3 && /line=\d+-\d+/.test(location.search) && document.querySelector(".log-selected").innerText.startsWith("3 lines")`)
	if got := eval[string](b, `(() => { const s = getSelection(); s.setBaseAndExtent(row("line 250006"), 0, row("line 250007"), row("line 250007").childNodes.length); return s.toString(); })()`); got != "line 250006 of worker 1\nline 250007 of worker 1" {
		t.Errorf("copied: %q", got)
	}
	b.do("follow the link", script(`window.leaving = true; location.reload()`))
	b.waitFor("the same lines are selected", `!window.leaving && document.readyState === "complete" && document.querySelectorAll(".log-window .log-line[aria-current]").length === 3`)
	b.do("read", script(logReading), script(`row("line 250010") || row("line 250009").querySelector("time").click()`))
	b.do("hide lines like one", script(`[...document.querySelectorAll(".log-selected button")].find((x) => x.innerText === "Hide lines like this").click()`))
	b.waitFor("they are hidden", `new URL(location.href).searchParams.get("hide") === "line \\d+ of worker \\d+" && rows().length > 0 && !text().includes("line ")`)

	open("?side=0,1&at=2000-01-01T00:00:00Z")
	b.waitFor("two workers are side by side", `document.querySelectorAll(".log-pane").length === 2 && loaded(0) && loaded(1) && text(0).includes("of worker 0") && text(1).includes("of worker 1")`)
	b.do("scroll the one", script(`view(0).scrollTop = view(0).scrollHeight * 0.4`))
	b.waitFor("the other shows the same time", `loaded(0) && loaded(1) && Math.abs(Date.parse(rows(0)[0].querySelector("time").dateTime) - Date.parse(rows(1)[0].querySelector("time").dateTime)) <= 60000 && Number(rows(1)[0].dataset.n) > 50000`)
	b.accessible("logs side by side")
}

// TestTheLogIsFollowed watches the log of a run that goes on.
func TestTheLogIsFollowed(t *testing.T) {
	t.Parallel()
	c := devConsole(t, t.TempDir())
	id := c.submit("--name", "talkative", "--preset", "debug", "--nodes", "1", "--gpus", "0", "--set", "optim.total_steps=300")
	b := openBrowser(t, c)
	b.open("/runs/" + string(id) + "/logs")
	b.do("read", script(logReading))
	b.waitFor("lines come, and the newest is in the window", `/step: \d+,/.test(text())`)
	c.becomes(id, run.Succeeded)
	b.waitFor("the end is shown", `/Training finished/.test(text())`)
	if wrong := eval[int](b, `(() => { const p = [...view().querySelectorAll(".log-line")].map((l) => Number(l.dataset.pos)); return p.filter((x, i) => i > 0 && x <= p[i - 1]).length })()`); wrong != 0 {
		t.Errorf("%d lines are out of order or shown twice", wrong)
	}
	b.open("/runs/" + string(id) + "/logs?step=150")
	b.do("read", script(logReading))
	b.waitFor("the line of the step is in the window", `/step: 150,/.test(document.querySelector(".log-line[aria-current]").innerText) && /step: 150,/.test(text())`)
}
