package e2e

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/cotrain/cotrain/internal/client"
	"github.com/cotrain/cotrain/internal/measure"
)

// TestTheClusterIsMeasured has three local nodes measure each other, kills the console in the middle of a second measurement, and one
// node's process in that of a third.
func TestTheClusterIsMeasured(t *testing.T) {
	dir := t.TempDir()
	p := devConsole(t, dir, "COTRAIN_DEV_NODES=3")
	out, errOut, _ := p.cli("cluster", "measure", "--format", "json") // its exit code depends on this machine's disk
	if !strings.Contains(errOut, "measuring 3 nodes") || !strings.Contains(out, `"bandwidth_bits_per_second"`) {
		t.Fatalf("%s\n%s", errOut, out)
	}
	known := func() client.Measured {
		got, err := getJSON[client.Measured](p, "/api/v1/cluster/measurements")
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	whole := func() bool {
		m := known()
		for _, r := range m.Nodes {
			for _, l := range r.Links {
				if l.Error != "" || l.RoundTrip <= 0 || l.Bandwidth <= 0 {
					t.Errorf("%s: %+v", r.Node.Name, l)
				}
			}
			if len(r.Links) != 2 || r.Facts.MemoryTotal <= 0 || r.Facts.Storage == nil {
				t.Errorf("%s: %+v", r.Node.Name, r)
			}
		}
		return m.Last.State == measure.Done && len(m.Nodes) == 3
	}
	if !whole() {
		t.Errorf("%+v", known().Last)
	}
	if code, body, err := p.get("/cluster"); err != nil || code != 200 || strings.Count(body, `data-matrix="nodes"`) != 1 {
		t.Errorf("the page: %d, %v", code, err)
	}

	// A console that was killed in the middle ends what it has begun.
	c, err := client.New(p.url(""))
	if err != nil {
		t.Fatal(err)
	}
	second, err := c.Measure(t.Context(), client.MeasureInput{})
	if err != nil {
		t.Fatal(err)
	}
	p.eventually("it runs", func() bool { return known().Last.State == measure.Running })
	p.kill()
	p = devConsole(t, dir, "COTRAIN_DEV_NODES=3")
	p.eventually("it has ended", func() bool { m := known().Last; return m.ID == second.ID && !m.State.Active() })

	// A node whose process dies is told of, and the others are measured.
	if c, err = client.New(p.url("")); err != nil {
		t.Fatal(err)
	}
	third, err := c.Measure(t.Context(), client.MeasureInput{})
	if err != nil {
		t.Fatal(err)
	}
	p.eventually("a process to kill", func() bool { return killProbe(t, dir) })
	p.eventually("it has ended", func() bool { m := known().Last; return m.ID == third.ID && !m.State.Active() })
	told := 0
	for _, issue := range known().Problems {
		if issue.Kind == measure.NoReport {
			told++
		}
	}
	if m := known().Last; m.State != measure.Done || told != 1 {
		t.Errorf("%+v, %+v", m, known().Problems)
	}
}

// TestAMeasuredClusterIsAccessibleAndFitsNarrowScreens shows what nodes have measured of each other, and a measurement under way.
func TestAMeasuredClusterIsAccessibleAndFitsNarrowScreens(t *testing.T) {
	t.Parallel()
	p := devConsole(t, t.TempDir(), "COTRAIN_DEV_NODES=3")
	if _, errOut, _ := p.cli("cluster", "measure"); !strings.Contains(errOut, "measuring 3 nodes") { // its exit code depends on this machine's disk
		t.Fatal(errOut)
	}
	b := openBrowser(t, p)
	b.open("/cluster")
	b.waitFor("the measured ways are there", `document.querySelectorAll("[data-matrix=nodes] td").length === 9 && document.querySelectorAll("[data-measured]").length === 3`)
	b.accessible("the measured cluster")
	b.fits("the measured cluster")
	if got := eval[string](b, `getComputedStyle(document.querySelector(".table-ways")).borderCollapse`); got != "separate" {
		t.Errorf("the borders of a matrix are %s: those of its first column do not stay with it", got)
	}
	c, err := client.New(p.url(""))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Measure(t.Context(), client.MeasureInput{}); err != nil {
		t.Fatal(err)
	}
	b.open("/cluster")
	b.accessible("a cluster that is being measured")
	b.do("stop it", script(`document.querySelector("[data-action=stop-measurement] button").click()`))
	b.waitFor("it is stopped", `document.querySelector("[data-measurement=done], [data-measurement=failed]")?.innerText.includes("Stopped by")`)
}

// killProbe kills the process of one node in a measurement, and reports whether there was one.
func killProbe(t *testing.T, dir string) bool {
	t.Helper()
	tasks, err := filepath.Glob(filepath.Join("/proc", "[0-9]*", "cmdline"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range tasks {
		args, _ := os.ReadFile(path) // one that has ended is none
		if !bytes.HasSuffix(args, []byte("\x00measure\x00")) {
			continue
		}
		env, _ := os.ReadFile(filepath.Join(filepath.Dir(path), "environ"))
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if err == nil && bytes.Contains(env, []byte("="+dir)) && syscall.Kill(pid, syscall.SIGKILL) == nil {
			return true
		}
	}
	return false
}
