package runs

import (
	"strings"
	"testing"
)

func TestALogLineIsShownAsATerminalWould(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"plain":                                 "plain",
		"\x1b[1;32mINFO\x1b[0m done":            "INFO done",
		"10%\r50%\r100%":                        "100%",
		"kept\r":                                "kept",
		"a\tb":                                  "a\tb",
		"bell\a null\x00 del\x7f c1\u0085":      "bell null del c1",
		"\x1b]8;;http://x\x07link\x1b]8;;\x07!": "link!",
		"\x1b]0;title\x1b\\after":               "after",
		"cut off \x1b[38;5":                     "cut off ",
		"cut off \x1b":                          "cut off ",
		"\x1b(Bcharset":                         "charset",
		"emoji 🚀 مرحبا":                         "emoji 🚀 مرحبا",
	} {
		if got := PlainLog(in); got != want {
			t.Errorf("PlainLog(%q) = %q, want %q", in, got, want)
		}
	}
	if got := PlainLog(strings.Repeat("x", 1<<20)); len(got) > MaxLogText+20 || !strings.HasSuffix(got, "(cut)") {
		t.Errorf("a line of 1 MiB: %d bytes, ends in %q", len(got), got[len(got)-10:])
	}
}

func FuzzPlainLogNeverShowsControlCharacters(f *testing.F) {
	for _, s := range []string{"\x1b[31mred", "\x1b", "\x1b]", "\r\r", "\xff\x1b[", "\x1b[\x1b[m"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		out := PlainLog(s)
		if strings.ContainsAny(out, "\x1b\r\n\x00\x07") {
			t.Errorf("PlainLog(%q) = %q", s, out)
		}
		if len(out) > MaxLogText+20 {
			t.Errorf("%d bytes", len(out))
		}
	})
}
