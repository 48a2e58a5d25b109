package bench

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/PuerkitoBio/goquery"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store"
	"github.com/cotrain/cotrain/internal/trainconf"
)

// What the store holds while a person types.
const (
	typedTemplates = 200
	typedRuns      = 10_000
	keystrokes     = 600
)

// BenchmarkFormKeystroke sends the whole form as a browser does after a keystroke, with one field changed each time, to a
// console whose store holds 200 templates and 10 000 runs; the form was filled from one of the templates, which every
// answer compares it with. The baseline is the same on an empty store.
func BenchmarkFormKeystroke(b *testing.B) {
	for range b.N {
		emptyMedian, emptyWorst := typing(b, b.TempDir(), "preset=7B-diloco")
		full := b.TempDir()
		fill(b, full)
		median, worst := typing(b, full, "template=template-100")
		b.ReportMetric(median, "ms-median")
		b.ReportMetric(worst, "ms-p99(<20)")
		b.ReportMetric(emptyMedian, "ms-median-baseline-empty")
		b.ReportMetric(emptyWorst, "ms-p99-baseline-empty")
		b.ReportMetric(median/emptyMedian, "ratio")
	}
}

// fill writes the templates and the runs.
func fill(b *testing.B, dir string) {
	b.Helper()
	s, err := store.Open(b.Context(), dir)
	if err != nil {
		b.Fatal(err)
	}
	preset, _ := trainconf.PresetByName("7B-diloco")
	config, now := string(preset.Config.TOML()), time.Now()
	for i := range typedTemplates {
		_, err := s.SaveTemplate(b.Context(), run.Template{
			Project: "default",
			Name:    fmt.Sprintf("template-%d", i), Config: config, Shape: preset.Shape, Actor: "bench", CreatedAt: now,
		}, run.AnyVersion)
		if err != nil {
			b.Fatal(err)
		}
	}
	for i := range typedRuns {
		at := now.Add(-time.Duration(typedRuns-i) * time.Second)
		r := run.Run{ID: run.NewID(at), Name: fmt.Sprintf("run %d", i), Config: config, Shape: preset.Shape, State: run.Succeeded, CreatedAt: at, EndedAt: at}
		if _, _, err := s.CreateRun(b.Context(), r, ""); err != nil {
			b.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
}

// typing returns the median and the 99th percentile of an answer, in milliseconds.
func typing(b *testing.B, dir, from string) (median, p99 float64) {
	b.Helper()
	c := start(b, []string{"COTRAIN_LISTEN=127.0.0.1:0", "COTRAIN_DATA_DIR=" + dir}, "server", "--dev")
	form := formOf(b, "http://"+c.addr+"/runs/new?"+from)
	client := &http.Client{}
	var took []time.Duration
	for i := range keystrokes {
		form.Set("optim.batch_size", fmt.Sprint(1024+8*(i%7)))
		form.Set("name", strings.Repeat("n", 1+i%40))
		body := form.Encode()
		began := time.Now()
		req, err := http.NewRequestWithContext(b.Context(), http.MethodPost, "http://"+c.addr+"/runs/validate", strings.NewReader(body))
		if err != nil {
			b.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("HX-Request", "true")
		resp, err := client.Do(req)
		if err != nil {
			b.Fatal(err)
		}
		answer, err := io.ReadAll(resp.Body)
		took = append(took, time.Since(began))
		if closing := resp.Body.Close(); err != nil || closing != nil || resp.StatusCode != http.StatusOK || !strings.Contains(string(answer), "form-shown") {
			b.Fatalf("status %d, %v, %v", resp.StatusCode, err, closing)
		}
		doc, err := goquery.NewDocumentFromReader(strings.NewReader(string(answer)))
		if err != nil {
			b.Fatal(err)
		}
		form.Set("shown", doc.Find("#form-shown").AttrOr("value", ""))
	}
	slices.Sort(took)
	at := func(q float64) float64 { return float64(took[int(q*float64(len(took)-1))].Microseconds()) / 1000 }
	return at(0.5), at(0.99)
}

// formOf is what a browser would send of the form on a page.
func formOf(b *testing.B, address string) url.Values {
	b.Helper()
	resp, err := http.Get(address)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	doc, err := goquery.NewDocumentFromReader(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		b.Fatalf("form: %d, %v", resp.StatusCode, err)
	}
	out := url.Values{}
	doc.Find("#run-form input[name], #run-form textarea[name], #run-form select[name]").Each(func(_ int, el *goquery.Selection) {
		name, value := el.AttrOr("name", ""), el.AttrOr("value", "")
		switch {
		case goquery.NodeName(el) == "textarea":
			value = strings.TrimPrefix(el.Text(), "\n")
		case goquery.NodeName(el) == "select":
			value = el.Find("option[selected]").AttrOr("value", "")
		case el.AttrOr("type", "") == "checkbox":
			if _, checked := el.Attr("checked"); !checked {
				return
			}
		}
		out.Set(name, value)
	})
	return out
}
