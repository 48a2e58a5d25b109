package e2e

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store"
	"github.com/cotrain/cotrain/internal/store/points"
)

// What is drawn: a run of two attempts and two workers, of which one had a single step far out, one that was not a number, and with
// very many metrics.
const (
	chartSteps  = 10_000
	spikeAt     = 6_345
	spike       = 99.5
	nanAt       = 7_501
	restartedAt = 9_000
	manyMetrics = 2000
)

func chartLoss(rank int, step int64) float64 {
	switch {
	case rank == 0 && step == spikeAt:
		return spike
	case rank == 1 && step == nanAt:
		return math.NaN()
	}
	return 2 + 8*math.Exp(-float64(step)/4000) + 0.05*math.Sin(float64(step)/7+float64(rank))
}

// chartRun stores the run and returns its ID.
func chartRun(t *testing.T, dir string) run.ID {
	t.Helper()
	s, err := store.Open(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	at := time.Now().Add(-10 * time.Hour).UTC().Truncate(time.Second)
	r := run.Run{
		ID: "r-0000000042", Name: "curves", State: run.Succeeded, Config: "[train]\n", Project: "default", Shape: run.Shape{Nodes: 2}, StepsTotal: chartSteps, CreatedAt: at, StartedAt: at,
		EndedAt: at.Add(9 * time.Hour), Attempt: 2,
	}
	if _, _, err := s.CreateRun(t.Context(), r, "", run.Event{RunID: r.ID, At: at, Kind: "state", To: run.Running, Rank: -1}); err != nil {
		t.Fatal(err)
	}
	const piece = 2000
	for rank := range 2 {
		for attempt, steps := range map[int][2]int64{1: {1, restartedAt + 500}, 2: {restartedAt, chartSteps}} {
			if attempt == 2 {
				continue // after the first, below
			}
			reportLoss(t, s, r.ID, rank, attempt, steps, piece, at)
		}
	}
	for rank := range 2 {
		reportLoss(t, s, r.ID, rank, 2, [2]int64{restartedAt, chartSteps}, piece, at)
	}
	b := &store.Batch{RunID: r.ID, AllocID: "many", Stream: "stdout", Attempt: 2, At: at.Add(time.Hour), To: store.Cursor{File: "f", Offset: 1}}
	for i := range manyMetrics {
		for step := range int64(3) {
			b.Points = append(b.Points, points.Point{Metric: fmt.Sprintf("layer%03d/norm%04d", i/20, i), Step: restartedAt + step, Value: float64(i) + float64(step), Exact: true})
		}
	}
	if err := s.Commit(t.Context(), []*store.Batch{b}); err != nil {
		t.Fatal(err)
	}
	for more := true; more; {
		rolled, _, err := s.RollUp(t.Context(), r.ID)
		if err != nil {
			t.Fatal(err)
		}
		more = rolled.More
	}
	if err := s.SaveProgress(t.Context(), r.ID, run.Progress{Step: chartSteps, Loss: 2, HasLoss: true, UpdatedAt: at}); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return r.ID
}

// reportLoss stores what a worker printed, with a line of its log a thousand steps.
func reportLoss(t *testing.T, s *store.Store, id run.ID, rank, attempt int, steps [2]int64, piece int64, start time.Time) {
	t.Helper()
	var cursor store.Cursor
	for from := steps[0]; from <= steps[1]; from += piece {
		b := &store.Batch{
			RunID: id, AllocID: fmt.Sprintf("a%d-%d", rank, attempt), Stream: "stdout", Rank: rank, Attempt: attempt, At: start.Add(time.Duration(from) * time.Second),
			From: cursor, To: store.Cursor{File: "f", Offset: cursor.Offset + 1}, Log: []byte(fmt.Sprintf("step: %d, loss: %.4f\n", from, chartLoss(rank, from))),
		}
		for step := from; step < from+piece && step <= steps[1]; step++ {
			b.Points = append(b.Points, points.Point{Metric: "loss", Step: step, Value: chartLoss(rank, step), Exact: true})
		}
		if err := s.Commit(t.Context(), []*store.Batch{b}); err != nil {
			t.Fatal(err)
		}
		cursor = b.To
	}
}

// seriesOf is what the API of the pages answers.
func seriesOf(b *browser, id run.ID, query string) (out []struct {
	Width  int64
	Points int
	Step   []int64
	Value  []*float64
	Max    []*float64
	Odd    [][]any
}) {
	b.t.Helper()
	status, body, err := b.site.get("/runs/" + string(id) + "/series?" + query)
	var answer struct{ Series json.RawMessage }
	if err == nil {
		err = json.Unmarshal([]byte(body), &answer)
	}
	if err == nil {
		err = json.Unmarshal(answer.Series, &out)
	}
	if err != nil || status != 200 || len(out) == 0 {
		b.t.Fatalf("series %s: %d %v %.300s", query, status, err, body)
	}
	return out
}

// shift is the bit of that key.
const shift = 8

const lossArea = `#chart-loss [data-chart-area]`

// lossRead is the readout of the chart of the loss: its exact value and step.
func lossRead(b *browser) (value float64, step int64) {
	b.t.Helper()
	read := eval[string](b, `(({value, step}) => value + " " + step)(document.querySelector("#chart-loss [data-chart-read]").dataset)`)
	if _, err := fmt.Sscan(read, &value, &step); err != nil {
		b.t.Fatalf("the readout is %q", read)
	}
	return value, step
}

// TestTheChartsOfARun looks at a curve with a mouse and by keyboard, and compares what it reads with what the console answers.
func TestTheChartsOfARun(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	id := chartRun(t, dir)
	b := openBrowser(t, devConsole(t, dir))
	page := "/runs/" + string(id) + "/metrics"
	drawn := `document.querySelector("#chart-loss canvas") && !document.querySelector("#chart-loss [data-chart-empty]").checkVisibility()`
	b.open(page)
	b.waitFor("the loss is drawn", drawn)

	t.Run("one step far out is seen in the whole curve", func(*testing.T) {
		s := seriesOf(b, id, "metric=loss&px=320")[0]
		if s.Width == 1 || highest(s.Max) != spike {
			t.Errorf("columns of %d steps reach up to %v", s.Width, highest(s.Max))
		}
		if !strings.Contains(b.text("#chart-loss [data-chart-note]"), "not finite") {
			t.Errorf("the note says %q", b.text("#chart-loss [data-chart-note]"))
		}
		b.waitFor("the restart is marked", `document.querySelector("#chart-loss .chart-mark-restart")`)
	})

	t.Run("keys move the crosshair, zoom, pan and reset", func(*testing.T) {
		b.do("focus the chart", chromedp.Focus(lossArea))
		for range 3 {
			b.do("zoom in", chromedp.KeyEvent("+"))
		}
		b.waitFor("the address has the zoom", `new URLSearchParams(location.search).get("from") > 0`)
		before := eval[float64](b, `Number(new URLSearchParams(location.search).get("from"))`)
		b.do("pan", chromedp.KeyEvent(kb.ArrowRight))
		b.waitFor("it has moved", fmt.Sprintf(`Number(new URLSearchParams(location.search).get("from")) > %v`, before))
		b.do("move the crosshair", chromedp.KeyEvent(kb.ArrowLeft, chromedp.KeyModifiers(shift)))
		b.do("reset", chromedp.KeyEvent("0"))
		b.waitFor("all is in sight", `!new URLSearchParams(location.search).has("from")`)
		b.waitFor("the restart is in sight", `document.querySelector("#chart-loss .chart-mark-restart")`)
		b.do("go to the next annotation", chromedp.KeyEvent("m"))
		b.waitFor("its words are shown", `document.activeElement.matches(".chart-mark") && document.querySelector("#chart-loss .chart-tip").checkVisibility()`)
	})

	t.Run("a drag zooms until the values are exact, a double click resets", func(*testing.T) {
		b.open(fmt.Sprintf("%s?from=%d&to=%d", page, spikeAt-150, spikeAt+150))
		b.waitFor("the part is drawn", drawn)
		x, y, w, h := overOf(b)
		b.do("drag", chromedp.MouseEvent(chromedp.MousePressed, x+w*0.4, y+h/2, chromedp.ButtonLeft, chromedp.ClickCount(1)),
			chromedp.MouseEvent(chromedp.MouseMoved, x+w*0.5, y+h/2, chromedp.ButtonLeft), chromedp.MouseEvent(chromedp.MouseMoved, x+w*0.6, y+h/2, chromedp.ButtonLeft),
			chromedp.MouseEvent(chromedp.MouseReleased, x+w*0.6, y+h/2, chromedp.ButtonLeft, chromedp.ClickCount(1)))
		b.waitFor("it is closer", `(p => p.get("to") - p.get("from") < 100)(new URLSearchParams(location.search))`)
		from, to := eval[int64](b, `Number(new URLSearchParams(location.search).get("from"))`), eval[int64](b, `Number(new URLSearchParams(location.search).get("to"))`)
		exact := seriesOf(b, id, fmt.Sprintf("metric=loss&from=%d&to=%d", from, to))[0]
		b.do("point", chromedp.MouseEvent(chromedp.MouseMoved, x+w*0.3, y+h*0.7))
		b.waitFor("the readout is of a step in sight", fmt.Sprintf(`((r) => r.dataset.step >= %d && r.dataset.step <= %d && r.innerText.includes("at step"))(document.querySelector("#chart-loss [data-chart-read]"))`, from, to))
		value, step := lossRead(b)
		if want := valueAt(exact.Step, exact.Value, step); exact.Width != 1 || value != want {
			t.Errorf("step %d reads %v, the console says %v in columns of %d", step, value, want, exact.Width)
		}
		if mean := (chartLoss(0, step) + chartLoss(1, step)) / 2; value != mean {
			t.Errorf("step %d reads %v, the workers printed %v", step, value, mean)
		}
		x, y, w, h = overOf(b)
		b.do("double click", chromedp.MouseEvent(chromedp.MousePressed, x+w/2, y+h/2, chromedp.ButtonLeft, chromedp.ClickCount(2)), chromedp.MouseEvent(chromedp.MouseReleased, x+w/2, y+h/2, chromedp.ButtonLeft, chromedp.ClickCount(2)))
		b.waitFor("all is in sight", `!new URLSearchParams(location.search).has("from")`)
	})

	t.Run("the table is of what the charts are zoomed to", func(*testing.T) {
		b.open(page + "?table=1&from=101&to=120")
		cell := func(name string) string {
			return `document.querySelector('tr[data-metric="loss"] [data-cell="` + name + `"]').textContent`
		}
		b.waitFor("the numbers are of the range", cell("points")+` === "20" && `+cell("step")+` === "120"`)
		b.click(`[data-zoom="reset"]`)
		b.waitFor("they are of the whole run again", cell("points")+` !== "20" && document.querySelector("[data-table-range]").textContent === "Of the whole run"`)
	})

	t.Run("a smoothed value is the same at every zoom", func(*testing.T) {
		whole := seriesOf(b, id, "metric=loss&smooth=ema:0.99&px=4096")[0]
		part := seriesOf(b, id, "metric=loss&smooth=ema:0.99&px=4096&from=4000&to=5000")[0]
		compared := 0
		for i, step := range whole.Step {
			if last := step + whole.Width - 1; last >= 4000 && last <= 5000 && whole.Value[i] != nil {
				if want := valueAt(part.Step, part.Value, last); *whole.Value[i] != want {
					t.Errorf("step %d is %v in the whole and %v in the part", last, *whole.Value[i], want)
				}
				compared++
			}
		}
		if compared < 50 {
			t.Errorf("%d values were compared", compared)
		}
	})

	t.Run("the address brings the whole view back", func(*testing.T) {
		b.open(page + "?x=elapsed&smooth=gauss:20&workers=each&log=loss&clip=1&formula=%3Dloss*2")
		b.waitFor("a curve for each worker", `document.querySelectorAll("#chart-loss .chart-key").length === 2`)
		b.waitFor("the formula has a chart", `document.querySelector("#first-charts figure:last-child canvas")`)
		if got := eval[string](b, `[document.querySelector('[name=x]').value, document.querySelector('[name=workers]').value, document.querySelector('[name=clip]').checked,
			document.querySelector('#chart-loss [data-tool=log]').getAttribute('aria-pressed'), document.querySelector('[data-kernel]').value, document.querySelector('[data-smoothing]').innerText].join(" ")`); got != "elapsed each true true gauss 20" {
			t.Errorf("the controls say %q", got)
		}
		if !strings.Contains(b.text("#chart-loss [data-chart-note]"), "clipped") {
			t.Errorf("the note says %q", b.text("#chart-loss [data-chart-note]"))
		}
	})

	t.Run("a formula that is wrong is told", func(*testing.T) {
		b.open(page)
		b.waitFor("the loss is drawn", drawn)
		b.do("type", chromedp.SendKeys("#formula", "loss -\r"))
		b.waitFor("the console's words are shown", `document.querySelector("[data-formula-message]").innerText.includes('formula = "loss -": is not finished')`)
		b.do("name what there is not", script(`document.getElementById("formula").value = "los * 2"`), chromedp.SendKeys("#formula", "\r"))
		b.waitFor("it is told what there is", `document.querySelector("[data-formula-message]").innerText.includes('"los": is not reported by this run; use loss')`)
		b.open(page + "?chart=los&workers=9")
		b.waitFor("so is who follows an address", `["los", "9"].every((v) => document.querySelector("#first-charts [data-chart-empty]").innerText.includes('"' + v + '"'))`)
	})

	t.Run("the pointer pans, opens the log at a point, and an annotation leads to its event", func(*testing.T) {
		at := fmt.Sprintf("%s?from=%d&to=%d", page, restartedAt-30, restartedAt+30)
		b.open(at)
		b.waitFor("the part is drawn", drawn)
		x, y, w, h := overOf(b)
		b.do("drag with shift", chromedp.MouseEvent(chromedp.MousePressed, x+w/2, y+h*0.9, chromedp.ButtonLeft, chromedp.ClickCount(1), chromedp.ButtonModifiers(shift)),
			chromedp.MouseEvent(chromedp.MouseMoved, x+w*0.4, y+h*0.9, chromedp.ButtonLeft, chromedp.ButtonModifiers(shift)), chromedp.MouseEvent(chromedp.MouseReleased, x+w*0.4, y+h*0.9, chromedp.ButtonLeft, chromedp.ClickCount(1), chromedp.ButtonModifiers(shift)))
		b.waitFor("it has moved by a tenth", fmt.Sprintf(`Math.abs(Number(new URLSearchParams(location.search).get("from")) - %d) <= 2`, restartedAt-30+6))
		b.waitFor("what happened is known", `document.querySelector("#chart-loss .chart-mark-restart")`)
		b.do("look at the restart", chromedp.Focus(lossArea), chromedp.KeyEvent("m"))
		b.waitFor("it has the focus", `document.activeElement.matches(".chart-mark")`)
		if href := eval[string](b, `document.activeElement.getAttribute("href")`); !strings.Contains(href, "/events") && !strings.Contains(href, "/logs?step=") {
			b.t.Errorf("the annotation leads to %s", href)
		}
		x, y, w, h = overOf(b)
		b.do("point at a value", chromedp.MouseEvent(chromedp.MouseMoved, x+w/2, y+h/2))
		dot := `((r) => [r.x + r.width / 2, r.y + r.height / 2])(document.querySelector("#chart-loss .chart-dot").getBoundingClientRect())`
		b.waitFor("a point near it is marked", fmt.Sprintf(`!document.querySelector("#chart-loss .chart-dot").hidden && Math.abs(%s[0] - %v) < 20`, dot, x+w/2))
		point := eval[[]float64](b, dot)
		b.do("go to it", chromedp.MouseEvent(chromedp.MouseMoved, point[0], point[1]))
		b.waitFor("it can be clicked", `document.querySelector("#chart-loss .chart-at-point")`)
		_, step := lossRead(b)
		b.do("click it", chromedp.MouseClickXY(point[0], point[1]))
		b.waitFor("the log is open at its step", fmt.Sprintf(`location.pathname.endsWith("/logs") && new URLSearchParams(location.search).get("step") === "%d"`, step))
	})

	t.Run("a chart fills the screen, and is taken elsewhere", func(*testing.T) {
		b.open(page)
		b.waitFor("the loss is drawn", drawn)
		b.do("fill the screen", chromedp.Focus(lossArea), chromedp.KeyEvent("f"))
		b.waitFor("the curves have it", `document.fullscreenElement?.id === "chart-loss" && document.querySelector("#chart-loss canvas").clientHeight > innerHeight / 2`)
		b.do("leave it", chromedp.KeyEvent("f"))
		b.waitFor("it is left", `!document.fullscreenElement`)
		b.do("keep what is downloaded", script(`window.files = []; URL.createObjectURL = (file) => (files.push(file), "#")`))
		b.do("download", script(`for (const tool of ["png", "svg", "csv"]) document.querySelector("#chart-loss [data-tool=" + tool + "]").click()`))
		b.waitFor("there are three files", `files.length === 3`)
		files := eval[map[string]string](b, `Promise.all(files.map(async (f) => [f.type, await f.text()])).then(Object.fromEntries)`, chromedp.EvalAwaitPromise)
		if !strings.HasPrefix(files["image/png"], "\ufffdPNG") || len(files["image/png"]) < 2000 {
			b.t.Errorf("the picture begins with %.20q", files["image/png"])
		}
		if problem := eval[string](b, `files.find((f) => f.type === "image/svg+xml").text().then((text) => { const svg = new DOMParser().parseFromString(text, "image/svg+xml"); return svg.querySelector("parsererror")?.textContent || (svg.querySelector("polyline, polygon") ? "" : "no curve") })`, chromedp.EvalAwaitPromise); problem != "" {
			b.t.Errorf("the drawing: %s", problem)
		}
		whole := seriesOf(b, id, "metric=loss&px=4096")[0]
		if rows := strings.Count(files["text/csv"], "\n"); rows < 100 || !strings.Contains(files["text/csv"], fmt.Sprint(",", spike, ",")) || highest(whole.Max) != spike {
			b.t.Errorf("the table has %d lines, and begins with %.300s", rows, files["text/csv"])
		}
	})

	t.Run("charts are arranged, and the arrangement saved", func(*testing.T) {
		charts := func(of string) string {
			return `new URLSearchParams(location.search).getAll("chart").join() === "` + of + `"`
		}
		press := func(tool string) {
			b.t.Helper()
			b.do("press "+tool, script(fmt.Sprintf(`document.querySelector('#first-charts figure [data-tool="%s"]').click()`, tool)))
		}
		b.open(page + "?chart=layer000/norm0001&chart=loss&x=elapsed")
		b.waitFor("the loss is drawn", drawn)
		b.click(`[data-menu="layout"] summary`)
		b.click(`[data-action="save-layout"]`)
		b.waitFor("it is back where the address says nothing, which then says it", charts("layer000/norm0001,loss")+` && location.search.includes("x=elapsed") && document.querySelector("[data-saved]")`)
		press("later")
		b.waitFor("the first has moved", charts("loss,layer000/norm0001"))
		press("x")
		b.waitFor("it is drawn over the loss", `new URLSearchParams(location.search).get("x") === "loss" && document.querySelector("[name=x]").value === "loss"`)
		press("remove")
		b.waitFor("it is gone", charts("layer000/norm0001"))
		b.do("show one of a group", script(`document.querySelector('#metric-groups [data-tool="pin"]').click()`))
		b.waitFor("it is in the first row", `document.querySelectorAll("#first-charts figure").length === 2 && document.querySelector("#first-charts figure:last-child .chart-name").innerText !== ""`)
		b.click(`[data-menu="layout"] summary`)
		b.click(`[data-action="reset-layout"]`)
		b.waitFor("the usual charts are back", `location.search === "" && document.querySelector("#first-charts figure").dataset.key === "loss"`)
	})

	t.Run("Enter opens the log at the step", func(*testing.T) {
		b.open(page + fmt.Sprintf("?from=%d&to=%d", 4001-3, 4001+3))
		b.waitFor("the part is drawn", drawn)
		b.do("go there", chromedp.Focus(lossArea), chromedp.KeyEvent(kb.ArrowLeft, chromedp.KeyModifiers(shift)), chromedp.KeyEvent("\r"))
		b.waitFor("the log has a line in the middle", `location.pathname.endsWith("/logs") && document.querySelector(".log-line[aria-current]")`)
	})

	t.Run("as many metrics as are kept are searched and opened", func(*testing.T) {
		b.open(page)
		b.do("search", chromedp.SendKeys(`#metrics-view [name="q"]`, "norm0042"))
		b.waitFor("one is left, and drawn", `document.querySelectorAll("tr[data-metric]").length === 1 && document.querySelector("#metric-groups canvas")`)
		b.do("forget the search", script(`location.assign(location.pathname)`))
		b.waitFor("all are back", `document.querySelectorAll("tr[data-metric]").length > `+strconv.Itoa(manyMetrics))
		b.do("open a group", chromedp.Click(`[id="group-layer020"] summary`))
		b.waitFor("its charts are drawn", `document.querySelectorAll('[id="group-layer020"] canvas').length >= 3`)
		b.do("go back up", script(`scrollTo(0, 0)`))
		b.waitFor("charts far away are let go", `document.querySelectorAll('[id="group-layer020"] canvas').length === 0`)
	})

	b.open(page)
	b.waitFor("the loss is drawn", drawn)
	b.accessible("the tab Metrics")
	b.do("open the menus", script(`document.querySelectorAll("details.menu").forEach((d) => d.open = true)`))
	b.fits("the tab Metrics")
}

// overOf is where the curves of the loss are, once the page around them has come to rest.
func overOf(b *browser) (x, y, w, h float64) {
	b.t.Helper()
	b.waitFor("the chart stands still", `(() => {
		const place = JSON.stringify(document.querySelector("#chart-loss .u-over").getBoundingClientRect()), now = performance.now();
		if (window.stands?.place !== place) window.stands = { place, since: now };
		return now - window.stands.since > 300;
	})()`)
	box := eval[[]float64](b, `((r) => [r.x, r.y, r.width, r.height])(document.querySelector("#chart-loss .u-over").getBoundingClientRect())`)
	return box[0], box[1], box[2], box[3]
}

func highest(values []*float64) float64 {
	out := math.Inf(-1)
	for _, v := range values {
		if v != nil {
			out = max(out, *v)
		}
	}
	return out
}

func valueAt(steps []int64, values []*float64, step int64) float64 {
	for i, s := range steps {
		if s == step && values[i] != nil {
			return *values[i]
		}
	}
	return math.NaN()
}
