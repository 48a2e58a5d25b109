package bench

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// stamps notes when each line of the log comes into the page, in milliseconds since 1970.
const stamps = `(() => {
	window.came = [];
	const now = () => performance.timeOrigin + performance.now();
	const note = (all) => all.forEach((m) => m.addedNodes.forEach((n) => n.dataset?.pos && window.came.push([n.querySelector(".log-text").textContent, now()])));
	new MutationObserver(note).observe(document.querySelector("[data-log-lines]"), {childList: true});
})()`

// stamped is what [stamps] has noted: texts, and times.
const stamped = `window.came.map(([text, at]) => text + " " + at.toFixed(3)).join("\n")`

// BenchmarkLineInBrowser measures from a line printed by a task of the embedded agent to the line in the document of the run's page in
// Chromium. The browser paints it with the next frame. Baseline is a socket of the same run, without a browser.
func BenchmarkLineInBrowser(b *testing.B) {
	chromium, err := exec.LookPath("chromium")
	if err != nil {
		b.Skip("chromium is not installed")
	}
	for range b.N {
		dir := b.TempDir()
		script := filepath.Join(dir, "printer.sh")
		if err := os.WriteFile(script, []byte(printer), 0o600); err != nil {
			b.Fatal(err)
		}
		console := start(b, []string{"COTRAIN_LISTEN=127.0.0.1:0", "COTRAIN_DATA_DIR=" + filepath.Join(dir, "console"), "COTRAIN_JOB_TRAIN_COMMAND=/bin/sh " + script}, "server", "--dev")
		console.login = http.Header{}
		ctx, end := openTab(b, chromium)
		id := submitPrinter(b, console)
		baseline := make(chan []time.Duration)
		go func() { baseline <- socketLatencies(b, console, id) }()
		if err := chromedp.Do(ctx, chromedp.Navigate("http://"+console.addr+"/runs/"+string(id)), chromedp.Evaluate[chromedp.Void](stamps)); err != nil {
			b.Fatal(err)
		}
		socket := <-baseline // when the last line has come
		text, err := chromedp.Run(ctx, chromedp.Evaluate[string](`new Promise((done) => setTimeout(() => done(`+stamped+`), 500))`, chromedp.EvalAwaitPromise))
		if err != nil {
			b.Fatal(err)
		}
		end()
		var page []time.Duration
		var live time.Time // those printed before are later for the page's start
		for line := range strings.Lines(text) {
			printed, stamp, _ := strings.Cut(strings.TrimSpace(line), " ")
			came, err := time.ParseDuration(stamp + "ms")
			at := time.Unix(0, 0).Add(came)
			d, ok := latency(printed, at)
			if !ok || err != nil {
				continue
			}
			if live.IsZero() {
				live = at
			}
			if at.Add(-d).After(live) {
				page = append(page, d)
			}
		}
		if len(page) < printed/4 || len(socket) < printed/2 {
			b.Fatalf("only %d and %d of %d lines were seen", len(page), len(socket), printed)
		}
		b.ReportMetric(ms(page), "ms-p50-page")
		b.ReportMetric(p99(page), "ms-p99-page(<10)")
		b.ReportMetric(ms(socket), "ms-p50-baseline-socket")
		b.ReportMetric(p99(socket), "ms-p99-baseline-socket")
		b.ReportMetric(ms(page)/ms(socket), "ratio")
	}
}
