package e2e

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/heapprofiler"
	"github.com/chromedp/cdproto/memory"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/cotrain/cotrain/internal/run"
)

const (
	streamingCharts = 20
	streamedSteps   = 400     // that come in the short test
	heapGrowth      = 2 << 20 // bytes: new points, and what the engine keeps; answers that are never let go of are twice as much
	nodeGrowth      = 1000    // DOM nodes and listeners, but those of signs, which come and go with ticks and words; one a chart and step would be eight times that
	looks           = 5
	watchEvery      = time.Minute
)

// footprint is what a tab holds after its garbage was collected.
type footprint struct {
	points           int // of the curve of the loss
	heap             int64
	nodes, listeners int64
}

// footprint is the least of some looks: what has just come and waits to be shown is no growth.
func (b *browser) footprint() footprint {
	b.t.Helper()
	out := b.held()
	for range looks - 1 {
		f := b.held()
		out.points, out.heap, out.nodes, out.listeners = f.points, min(out.heap, f.heap), min(out.nodes, f.nodes), min(out.listeners, f.listeners)
	}
	return out
}

func (b *browser) held() footprint {
	b.t.Helper()
	call(b, heapprofiler.CollectGarbage, cdp.Empty{})
	heap, dom := call(b, runtime.GetHeapUsage, cdp.Empty{}), call(b, memory.GetDOMCounters, cdp.Empty{})
	return footprint{
		points: eval[int](b, `Number(document.querySelector("#chart-loss").dataset.points)`),
		heap:   int64(heap.UsedSize + heap.EmbedderHeapUsedSize + heap.BackingStorageSize),
		nodes:  dom.Nodes - 2*eval[int64](b, `document.querySelectorAll(".chart-mark").length`), listeners: dom.JsEventListeners,
	}
}

func (f footprint) String() string {
	return fmt.Sprintf("%d points, %.1f MiB, %d nodes, %d listeners", f.points, float64(f.heap)/(1<<20), f.nodes, f.listeners)
}

// TestMemoryOfStreamingChartsIsFlat watches a tab in which twenty charts stream what a run prints, over ten steps a second.
// COTRAIN_CHARTS_MINUTES=30 watches as long.
func TestMemoryOfStreamingChartsIsFlat(t *testing.T) {
	t.Parallel()
	c := devConsole(t, t.TempDir())
	id := c.submit("--preset", "debug-diloco", "--name", "streaming", "--nodes", "1", "--gpus", "0", "--set", "optim.total_steps=10000000")
	b := openBrowser(t, c)
	page := "/runs/" + string(id) + "/metrics"
	c.eventually("the run prints as many metrics as there are to be charts", func() bool {
		_, body, err := c.get(page)
		return err == nil && strings.Count(body, "data-curves") >= streamingCharts && strings.Contains(body, run.TaskCPU) // the last to come
	})
	b.do("have a screen that shows all of them", chromedp.EmulateViewport(2560, 3600))
	b.open(page)
	b.waitFor("they are drawn", fmt.Sprintf(`((all) => all.length >= %d && all.every((f) => f.querySelector("canvas")) && document.querySelector("#chart-loss").dataset.points > 100)([...document.querySelectorAll("figure")])`, streamingCharts))
	before := b.footprint()
	b.waitFor("the curves grow", fmt.Sprintf(`Number(document.querySelector("#chart-loss").dataset.points) > %d`, before.points+streamedSteps))
	after := b.footprint()
	flat(t, before, after)
	if minutes, _ := strconv.Atoi(os.Getenv("COTRAIN_CHARTS_MINUTES")); minutes > 0 {
		watch(t, b, time.Duration(minutes)*time.Minute)
	}
	if state := run.State(eval[string](b, `document.querySelector("#run-headline").dataset.runState`)); state != run.Running {
		t.Errorf("the run is %s: nothing has streamed", state)
	}
}

// watch compares what a tab holds with what it held a minute after it began, when its curves have as many columns as they ever have.
func watch(t *testing.T, b *browser, long time.Duration) {
	t.Helper()
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	var first footprint
	for end := time.Now().Add(long); time.Now().Before(end); {
		<-tick.C
		f := b.footprint()
		if first.points == 0 {
			first = f
			continue
		}
		flat(t, first, f)
	}
}

func flat(t *testing.T, before, after footprint) {
	t.Helper()
	if after.points <= before.points || after.heap > before.heap+heapGrowth || after.nodes > before.nodes+nodeGrowth || after.listeners > before.listeners+nodeGrowth {
		t.Errorf("the tab holds %v, before %v", after, before)
	} else {
		t.Logf("%v, before %v", after, before)
	}
}
