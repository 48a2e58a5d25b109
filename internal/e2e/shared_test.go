package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"github.com/cotrain/cotrain/internal/run"
)

// gate is a reverse proxy before a console, which counts sockets and cuts them.
type gate struct {
	*process // at the gate's address

	mu     sync.Mutex
	next   int
	open   map[int]context.CancelFunc
	opened int // so far

	lives  time.Duration    // of each socket, 0 for as long as both sides like
	worker http.HandlerFunc // answers for the script of the worker, nil for the console
}

func newGate(t *testing.T, c *process) *gate {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := &gate{process: &process{t: t, addr: l.Addr().String(), pass: c.pass}, open: map[int]context.CancelFunc{}}
	to := &url.URL{Scheme: "http", Host: c.addr}
	through := &httputil.ReverseProxy{ErrorLog: log.New(io.Discard, "", 0), Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(to)
		r.Out.Host = r.In.Host
	}}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/ws" {
			ctx, cancel := context.WithCancel(r.Context())
			defer g.count(cancel)()
			if g.lives > 0 {
				defer time.AfterFunc(g.lives, cancel).Stop()
			}
			r = r.WithContext(ctx)
		}
		if g.worker != nil && strings.HasSuffix(r.URL.Path, "/live/worker.js") {
			g.worker(w, r)
			return
		}
		through.ServeHTTP(w, r)
	})}
	done := make(chan struct{})
	go func() { // ends with Close
		defer close(done)
		_ = server.Serve(l)
	}()
	t.Cleanup(func() {
		g.cut()
		_ = server.Close()
		<-done
	})
	return g
}

// count counts a socket until the returned function is called.
func (g *gate) count(cut context.CancelFunc) func() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.next++
	g.opened++
	n := g.next
	g.open[n] = cut
	return func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		delete(g.open, n)
		cut()
	}
}

// cut cuts all sockets, and returns how many there were.
func (g *gate) cut() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, cut := range g.open {
		cut()
	}
	return len(g.open)
}

func (g *gate) sockets() (open, opened int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.open), g.opened
}

// tab opens another tab of the browser.
func (b *browser) tab(path string) *browser {
	b.t.Helper()
	ctx, cancel := chromedp.NewContext(b.ctx)
	b.t.Cleanup(cancel)
	other := &browser{t: b.t, ctx: ctx, site: b.site, axe: b.axe}
	if err := chromedp.Do(ctx, chromedp.Navigate("about:blank")); err != nil { // no time limit: it would be the tab's
		b.t.Fatal(err)
	}
	other.open(path)
	return other
}

// counting is a run whose worker prints numbers until the returned file is made.
func counting(t *testing.T, every string) (c *process, id run.ID, enough string) {
	t.Helper()
	dir := t.TempDir()
	trainer, enough := filepath.Join(dir, "trainer"), filepath.Join(dir, "enough")
	script := fmt.Sprintf("#!/bin/sh\ni=0\nuntil [ -e %s ]; do i=$((i + 1)); echo \"line $i\"; sleep %s; done\n", enough, every)
	if err := os.WriteFile(trainer, []byte(script), 0o755); err != nil { //nolint:gosec // it is to be run
		t.Fatal(err)
	}
	c = devConsole(t, filepath.Join(dir, "data"), "COTRAIN_JOB_TRAIN_COMMAND="+trainer)
	id = c.submit("--name", "counting", "--preset", "debug", "--nodes", "1", "--gpus", "0")
	c.becomes(id, run.Running)
	return c, id, enough
}

// collect notes all lines of the log that come into a page.
const collect = `(() => {
	const list = document.querySelector("[data-log-lines]");
	const read = (line) => line.dataset?.pos && window.came.push({pos: Number(line.dataset.pos), text: line.querySelector(".log-text").textContent});
	window.came = [];
	[...list.children].forEach(read);
	new MutationObserver((all) => all.forEach((m) => m.addedNodes.forEach(read))).observe(list, {childList: true});
})()`

// goesOn waits for further lines.
func (b *browser) goesOn(what string) {
	b.t.Helper()
	last := eval[int](b, `Number(document.querySelector(".log-line:last-child")?.dataset.pos ?? 0)`)
	b.waitFor(what, fmt.Sprintf(`Number(document.querySelector(".log-line:last-child")?.dataset.pos ?? 0) > %d`, last))
}

// seen has the page believe that its tab is looked at, or not.
func (b *browser) seen(is bool) {
	b.t.Helper()
	b.do("be seen or hidden", script(fmt.Sprintf(`Object.defineProperty(document, "hidden", {value: %v, configurable: true}); document.dispatchEvent(new Event("visibilitychange"))`, !is)))
}

// complete compares the lines that came into a page with those that were stored until then.
func (b *browser) complete(c *process, id run.ID) {
	b.t.Helper()
	var lines []run.LogLine
	if err := json.Unmarshal([]byte(eval[string](b, `JSON.stringify(window.came)`)), &lines); err != nil || len(lines) == 0 {
		b.t.Fatalf("%d lines, %v", len(lines), err)
	}
	want := stored(b.t, c, id, lines[0].Pos)
	for i, l := range lines {
		if i >= len(want) || l.Pos != want[i].Pos || l.Text != want[i].Text {
			b.t.Errorf("line %d of %d that came is %+v, of %d stored %+v", i, len(lines), l, len(want), want[min(i, len(want)-1)])
			return
		}
	}
}

// TestAllTabsShareASocket opens five tabs, and has them hide, close and crash, also the one in whose process the worker runs.
func TestAllTabsShareASocket(t *testing.T) {
	t.Parallel()
	c, id, _ := counting(t, "0.1")
	g := newGate(t, c)
	first := openBrowser(t, g.process)
	path := "/runs/" + string(id)
	first.open(path) // the worker runs in its process
	second := first.tab(path)
	tabs := []*browser{first, second, first.tab("/"), first.tab(path + "/logs"), first.tab("/sweeps")}
	for _, b := range []*browser{first, second, tabs[3]} {
		b.goesOn("lines come")
	}
	if open, opened := g.sockets(); open != 1 || opened != 1 {
		t.Errorf("five tabs opened %d sockets, of which %d are open", opened, open)
	}
	second.do("note what comes", script(collect))
	for _, b := range tabs[2:] {
		call(b, page.Close, cdp.Empty{})
	}
	second.goesOn("lines come after others are closed")

	first.seen(false)
	second.goesOn("lines come after another is hidden")
	second.seen(false)
	g.eventually("hidden tabs have no socket", func() bool { open, _ := g.sockets(); return open == 0 })
	still := eval[int](second, `window.came.length`)
	c.eventually("the run goes on meanwhile", func() bool {
		return strings.Contains(logOf(c, id), fmt.Sprintf("line %d\n", still+20))
	})
	if now := eval[int](second, `window.came.length`); now != still {
		t.Errorf("%d lines came into a hidden tab", now-still)
	}
	second.seen(true)
	second.goesOn("lines come again")
	second.complete(c, id)

	second.open("/")
	second.do("go back", script(`history.back()`))
	second.waitFor("the page of the run", `location.pathname === "`+path+`"`)
	second.goesOn("lines come after going back")
	second.do("note what comes", script(collect))

	third := second.tab(path)
	_, before := g.sockets()
	crash(first)
	second.goesOn("lines come after the first tab has crashed")
	third.goesOn("lines come there, too")
	second.complete(c, id)
	if open, opened := g.sockets(); open != 1 || opened > before+1 { // of the next worker
		t.Errorf("%d sockets are open, %d were opened, before the crash %d", open, opened, before)
	}
}

// crash ends the process of a tab, from which no answer comes.
func crash(b *browser) {
	ctx, cancel := context.WithCancel(b.ctx)
	go func() { // ends with the context
		_, _ = chromedp.Call(ctx, page.Crash, cdp.Empty{})
	}()
	b.t.Cleanup(cancel)
}

// logOf is a run's log as the command line prints it.
func logOf(c *process, id run.ID) string {
	out, _, _ := c.cli("run", "logs", string(id))
	return out + "\n"
}

// TestTabsMissAndRepeatNothingHoweverOftenTheyAreCut cuts the socket of two tabs a hundred times.
func TestTabsMissAndRepeatNothingHoweverOftenTheyAreCut(t *testing.T) {
	t.Parallel()
	c, id, enough := counting(t, "0.2")
	g := newGate(t, c)
	g.lives = 200 * time.Millisecond
	first := openBrowser(t, g.process)
	path := "/runs/" + string(id)
	first.open(path)
	first.do("note what comes", script(collect))
	second := first.tab(path)
	second.do("note what comes", script(collect))
	c.eventually("a hundred cuts", func() bool { _, opened := g.sockets(); return opened > 100 })
	if err := os.WriteFile(enough, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, b := range []*browser{first, second} {
		b.waitFor("the run has ended", `document.querySelector("#run-headline").dataset.runTerminal === "true"`)
		b.complete(c, id)
	}
	if _, opened := g.sockets(); opened > 200 {
		t.Errorf("two tabs opened %d sockets", opened)
	}
}

// TestTabsWithoutASharedWorkerHaveASocketEach has the worker be missing, fail and hang.
func TestTabsWithoutASharedWorkerHaveASocketEach(t *testing.T) {
	t.Parallel()
	c, id, _ := counting(t, "0.1")
	path := "/runs/" + string(id)
	for name, broken := range map[string]http.HandlerFunc{
		"missing": nil,
		"failing": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotFound) },
		"hanging": func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newGate(t, c)
			g.worker = broken
			first := openBrowser(t, g.process)
			var tabs []*browser
			for _, b := range []*browser{first, first.tab("/runs")} {
				if broken == nil {
					call(b, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: `delete window.SharedWorker`})
				}
				b.open(path)
				b.goesOn("lines come")
				tabs = append(tabs, b)
			}
			g.eventually("each has a socket", func() bool { open, _ := g.sockets(); return open == len(tabs) })
			tabs[0].do("note what comes", script(collect))
			g.cut()
			tabs[0].goesOn("lines come after a cut")
			tabs[0].complete(c, id)
			for _, b := range tabs {
				b.seen(false)
			}
			g.eventually("hidden tabs have no socket", func() bool { open, _ := g.sockets(); return open == 0 })
		})
	}
}

// TestASignOutEndsAllTabs signs out in one of three tabs, of which one is hidden and one has a form that is filled in. Then somebody else
// signs in: the form's page stays what it was, and follows nothing of the other's.
func TestASignOutEndsAllTabs(t *testing.T) {
	t.Parallel()
	c, b := newTeam(t)
	g := newGate(t, c)
	ann := &browser{t: t, ctx: b.ctx, site: g.process, axe: b.axe}
	ann.open("/") // cookies are for all ports
	made := ann.post("/admin/users", "name=bob&kind=person")
	_, rest, _ := strings.Cut(made, `id="secret"`)
	_, rest, _ = strings.Cut(rest, ">")
	password, _, _ := strings.Cut(rest, "<")
	hidden, form := ann.tab("/sweeps"), ann.tab("/account/password")
	form.fill(`[name="current"]`, "half a form")
	form.do("mark the page", script(`window.sameDocument = true`))
	g.eventually("one socket is open", func() bool { open, _ := g.sockets(); return open == 1 })
	hidden.seen(false)
	ann.logOut(`location.pathname === "/login"`)
	hidden.waitFor("the hidden tab is signed out, too", `location.pathname === "/login"`)
	form.waitFor("the form says so", `document.querySelector("[data-banner=access]").hidden === false`)

	ann.fill("[name=name]", "bob")
	ann.fill("[name=password]", strings.TrimSpace(password))
	ann.click("[data-action=login]")
	ann.waitFor("bob has to choose a password", `location.pathname === "/account/password"`)
	ann.fill("[name=current]", strings.TrimSpace(password))
	ann.fill("[name=password]", admitPassword)
	ann.fill("[name=again]", admitPassword)
	ann.click("[data-action=change-password]")
	ann.waitFor("bob goes on", `location.pathname === "/"`)
	_, before := g.sockets()
	g.eventually("the form's page has tried with bob's session", func() bool { _, opened := g.sockets(); return opened > before+1 })
	if !eval[bool](form, `window.sameDocument === true && document.querySelector("[data-banner=access]").hidden === false && document.querySelector('[name="current"]').value === "half a form"`) {
		t.Error("the page of the form is another one, or says that it is live")
	}
	ann.logOut(`location.pathname === "/login"`)
	ann.logIn("ann", admitPassword)
	form.waitFor("the form's page is live again", `document.querySelector("[data-banner=access]").hidden === true`)
	if !eval[bool](form, `window.sameDocument === true && document.querySelector('[name="current"]').value === "half a form"`) {
		t.Error("what was filled in is gone")
	}
}
