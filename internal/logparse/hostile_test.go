package logparse

import (
	"strings"
	"testing"
)

// hostileLines are as long as lines can be and made to be read again and again.
func hostileLines() map[string]string {
	fill := func(s string) string { return strings.Repeat(s, 1<<20/len(s)) }
	return map[string]string{
		"JSON with many members":            `{"step":1,"loss":1` + fill(`,"a":1`) + "}",
		"nested JSON":                       fill(`{"a":`),
		"nested lists":                      fill("["),
		"parentheses":                       fill("("),
		"a dictionary without an end":       fill("{'a': 1, "),
		"many dictionaries":                 fill("{'a': 1}"),
		"pairs":                             "step: 1, " + fill("loss: 1, "),
		"numbers":                           "step 1 " + fill("1 "),
		"numbers and letters":               "step 1 " + fill("1 a "),
		"letters":                           "step 1 loss " + fill("a "),
		"lists as values":                   "step 1 " + fill("a [1, "),
		"bars":                              fill("Epoch 0: 22%|█| 4/18 [00:17<01:02, 4.47s/it, "),
		"columns":                           "step 1 | " + fill("a: 1 | "),
		"verl":                              "step:1 - " + fill("a:1 - "),
		"logfmt":                            "step=1 " + fill("a=1 "),
		"heads":                             fill("[INFO] "),
		"times":                             fill("10:00:00 "),
		"glyphs":                            fill("━"),
		"quotes":                            fill(`"`),
		"dots and digits":                   fill("1."),
		"half a character":                  "loss: " + fill("\xe2\x96"),
		"NULs":                              "step: 1, loss: 2" + fill("\x00"),
		"escapes":                           fill("\x1b["),
		"a name of 1 MiB":                   "step 1 " + fill("a") + " 1",
		"SQL and HTML as names":             `{"step":1,"loss":1,"'; DROP TABLE points; --":2,"<script>alert(1)</script>":3}`,
		"binary":                            "\x7fELF\x02\x01\x01" + fill("\x00\xff\xfe\x01loss step {'"),
		"random bytes with promising words": "epoch step iter loss " + fill("\x80\xc0 loss=\xff"),
	}
}

func TestHostileLinesAreBounded(t *testing.T) {
	t.Parallel()
	site, err := NewSiteFormat("acme", "{_} a {_} a {_} a {loss}")
	if err != nil {
		t.Fatal(err)
	}
	for name, line := range hostileLines() {
		for _, size := range []int{len(line), MaxLine} { // longer lines are cut before anything looks at them
			p := Parser{Site: []*SiteFormat{site}}
			res := p.Line([]byte(line[:min(size, len(line))]))
			checkResult(t, res)
			if len(p.metrics) > MaxMetrics || len(p.names.plain) > maxNames {
				t.Errorf("%s: %d metrics, %d names", name, len(p.metrics), len(p.names.plain))
			}
		}
	}
}

func TestAMillionNamesAreReadAndNotKept(t *testing.T) {
	t.Parallel()
	var p Parser
	var line []byte
	for i := range 1 << 16 {
		line = append(line[:0], `{"step":1,"loss":2.5`...)
		for k := range 16 {
			line = append(line, `,"m`...)
			for v := i<<4 | k; v > 0; v >>= 4 {
				line = append(line, 'a'+byte(v&15))
			}
			line = append(line, `":1`...)
		}
		line = append(line, '}')
		if res := p.Line(line); res.Kind != KindSample || p.index("loss") < 0 {
			t.Fatalf("%q: %+v", line, res)
		}
	}
	if len(p.names.plain) > maxNames {
		t.Errorf("%d names are kept", len(p.names.plain))
	}
}

// BenchmarkHostile reads lines that are made to be slow: ns/byte says whether any is.
func BenchmarkHostile(b *testing.B) {
	for name, line := range hostileLines() {
		data := []byte(line[:min(len(line), MaxLine)])
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(data)))
			var p Parser
			for b.Loop() {
				p.Line(data)
			}
		})
	}
}
