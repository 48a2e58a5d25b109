package logparse

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/cotrain/cotrain/internal/run"
)

// FuzzLine holds what no line may break: no panic, bounded and printable results, the same result whatever was read
// before with the same state, and nothing written to the line.
func FuzzLine(f *testing.F) {
	for _, c := range loadCases(f) {
		for _, line := range c.Lines {
			if len(line) < 4096 {
				f.Add([]byte(line))
			}
		}
	}
	for _, c := range loadCasesFrom(f, "testdata/formats.jsonl") {
		for _, line := range c.Lines {
			f.Add([]byte(line))
		}
	}
	site, err := NewSiteFormat("acme", "[{_}] it={step} loss={loss}")
	if err != nil {
		f.Fatal(err)
	}
	for _, line := range corpus(400) {
		f.Add(line)
	}
	f.Add([]byte("COTRAIN {\"v\":1,\"kind\":\"metrics\",\"\\ud83d\\ude00\":NaN,\"step\":1e3,\"x\":[{}]}"))
	f.Add([]byte("\x1b]0;title\x07step: 1, loss: 1,234.5%\r\n"))
	f.Fuzz(func(t *testing.T, line []byte) {
		before := slices.Clone(line)
		used := Parser{Site: []*SiteFormat{site}}
		used.Line(line)
		used.Line([]byte(head + "Caught an exception, terminating children"))
		fresh := Parser{State: used.State, Site: used.Site}
		res := used.Line(line)
		first := say(res)
		checkResult(t, res)
		if second := say(fresh.Line(line)); first != second || used.State != fresh.State {
			t.Errorf("%q\nused parser  %q %+v\nfresh parser %q %+v", line, first, used.State, second, fresh.State)
		}
		if !slices.Equal(before, line) {
			t.Errorf("the line was changed from %q to %q", before, line)
		}
	})
}

func checkResult(t *testing.T, res Result) {
	t.Helper()
	metrics := res.Sample.Metrics
	switch res.Kind {
	case None:
		return
	case KindSample:
		if s := res.Sample; s.HasStep && (s.Step < 0 || s.Step >= maxStep) {
			t.Errorf("step %d", s.Step)
		}
	case KindEvent:
		metrics = res.Event.Metrics
		if !validEventName([]byte(res.Event.Name)) {
			t.Errorf("event name %q", res.Event.Name)
		}
		if m := res.Event.Message(); m == "" || !utf8.ValidString(m) || len(m) > MaxMessage || hasControl([]byte(m)) {
			t.Errorf("message %q", m)
		}
		if p := res.Event.Path(); !utf8.ValidString(p) || len(p) > MaxPath || hasControl([]byte(p)) {
			t.Errorf("path %q", p)
		}
	}
	if len(metrics) > MaxMetrics {
		t.Errorf("%d metrics", len(metrics))
	}
	for i, m := range metrics {
		name := strings.TrimPrefix(m.Name, run.SystemPrefix)
		if !validName([]byte(name)) {
			t.Errorf("metric name %q", m.Name)
		}
		for _, other := range metrics[:i] {
			if other.Name == m.Name && res.Kind == KindSample {
				t.Errorf("metric %q twice", m.Name)
			}
		}
	}
}
