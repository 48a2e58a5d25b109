package diagnose

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"

	"github.com/cotrain/cotrain/internal/fault"
)

// state counts the bytes that a scanner keeps.
func (s *Scanner) state() int {
	n := 4*(cap(s.hits)+cap(s.found)+cap(s.counts)) + cap(s.stripped) + cap(s.curve.newest.text) + cap(s.curve.bar)
	sightings := []*sighting{&s.curve.since}
	for i := range s.seen {
		sightings = append(sightings, &s.seen[i].first, &s.seen[i].last)
	}
	for _, g := range sightings {
		n += cap(g.kept.text) + cap(g.at) + cap(g.frame.text)
		for _, k := range g.after {
			n += cap(k.text)
		}
	}
	for _, t := range s.traces {
		n += cap(t.at) + cap(t.shown.text) + cap(t.frames)
	}
	return n + s.memo.size()
}

// size counts the bytes of the notes that are kept, without the slots.
func (m *memo) size() (n int) {
	if m == nil {
		return 0
	}
	for _, set := range m.sets {
		for _, of := range set {
			if of.notes != nil {
				n += notesBytes + 4*(cap(of.notes.structure)+cap(of.notes.markers)+cap(of.notes.rules)+cap(of.notes.shaped)) + 16*cap(of.notes.depends)
			}
		}
	}
	return n + cap(m.masked) + cap(m.raw) + 16*cap(m.fixed)
}

// notesBytes is about what notes take without their lists, which have 100 entries at most.
const notesBytes = 256

// maxState bounds what is kept: the lines of a block, of each rule two sightings with what belongs to them, and notes.
func maxState(r *Rules) int {
	return 4*scanBlock + 64<<10 + len(r.rules)*2*(3+maxMore)*2*maxKept + memoSets*memoWays*(notesBytes+4*100)
}

// lorry is a log of a line that comes again and again.
type lorry struct {
	line string
	left int
	at   int
}

func (l *lorry) Read(p []byte) (n int, err error) {
	for n < len(p) {
		if l.left == 0 {
			return n, io.EOF
		}
		k := copy(p[n:], l.line[l.at:])
		n += k
		if l.at += k; l.at == len(l.line) {
			l.at = 0
			l.left--
		}
	}
	return n, nil
}

func hostileLogs() map[string]io.Reader {
	fill := func(s string) string { return strings.Repeat(s, 1<<20/len(s)) }
	everything := "[rank1]: RuntimeError: CUDA out of memory. Tried to allocate 1.00 GiB No space left on device: '/a/b' NVRM: Xid (PCI:0000:01:00): 79 Killed process 1 (a)\n"
	return map[string]io.Reader{
		"a line of 1 MiB":             strings.NewReader(fill("a")),
		"a line of texts":             strings.NewReader(fill("CUDA out of memory ")),
		"a line of almost texts":      strings.NewReader(fill("CUDA out of memor ")),
		"carriage returns":            strings.NewReader(fill("CUDA out of memory\r")),
		"progress bars":               strings.NewReader(fill("1/9 [loss=2.5]\r2/9 [CUDA out of memory, loss=nan]\r")),
		"NULs":                        strings.NewReader(fill("CUDA out of memory\x00")),
		"escapes":                     strings.NewReader(fill("\x1b[31mCUDA out of \x1b[0mmemory\n")),
		"unfinished escapes":          strings.NewReader(fill("\x1b]CUDA out of memory")),
		"binary":                      strings.NewReader(fill("\x7fELF\x00\xff\xfeError: \xc3\n")),
		"half characters":             strings.NewReader(fill("RuntimeError: \xe2\x82\n")),
		"tracebacks of many ranks":    strings.NewReader(fill("[rank1]: Traceback (most recent call last):\n[rank2]:   File \"a.py\", line 1, in b\n[rank99999]: Traceback (most recent call last):\n")),
		"frames":                      strings.NewReader(fill("  File \"a.py\", line 1, in b\n")),
		"brackets":                    strings.NewReader(fill("[") + "Error: \n"),
		"losses":                      strings.NewReader(fill("loss: nan loss: 1 ")),
		"numbers that are long":       strings.NewReader("loss: " + fill("1") + "\n"),
		"lines that match many rules": &lorry{line: everything, left: 10_000},
		"a million failures":          &lorry{line: "ValueError: no\n", left: 1_000_000},
		"a million NaN":               &lorry{line: "step 1 loss nan\n", left: 1_000_000},
		"lines that all differ":       differing(100_000),
	}
}

// differing are failures of which each has a form of its own, and comes twice.
func differing(lines int) io.Reader {
	var b strings.Builder
	for i := range lines {
		name := strings.Map(func(r rune) rune { return r + 'g' - '0' }, strconv.Itoa(i/2))
		fmt.Fprintf(&b, "RuntimeError: %s: [Errno 28] No space left on device: '/data/%s'\n", name, name)
	}
	return strings.NewReader(b.String())
}

func TestHostileLogsAreReadWithBoundedState(t *testing.T) {
	t.Parallel()
	rules := builtinRules(t)
	for name, log := range hostileLogs() {
		s := rules.NewScanner()
		if err := s.Scan(log); err != nil {
			t.Fatal(err)
		}
		if n := s.state(); n > maxState(rules) {
			t.Errorf("%s: %d bytes are kept, more than %d", name, n, maxState(rules))
		}
		checkCause(t, s.Cause(Exit{Known: true, Code: 1}))
	}
}

func TestStateDoesNotGrowWithTheLog(t *testing.T) {
	t.Parallel()
	rules := builtinRules(t)
	after := func(lines int) int {
		s := rules.NewScanner()
		if err := s.Scan(&lorry{line: "[rank1]: RuntimeError: CUDA out of memory\nstep 1 loss 2.5\n", left: lines}); err != nil {
			t.Fatal(err)
		}
		return s.state()
	}
	if few, many := after(20_000), after(200_000); many > few {
		t.Errorf("%d bytes are kept of 20000 lines, %d of 200000", few, many)
	}
}

// checkCause holds what no log may break.
func checkCause(t *testing.T, c Cause) {
	t.Helper()
	texts := []string{c.Summary, c.Hint, c.Entity}
	for i, e := range c.Evidence {
		texts = append(texts, e.Text)
		if len(e.Text) > maxText || e.Line < 0 || i > 0 && e.Line <= c.Evidence[i-1].Line {
			t.Errorf("evidence %+v", c.Evidence)
		}
	}
	for _, text := range texts {
		if !utf8.ValidString(text) || strings.ContainsFunc(text, fault.Unseen) {
			t.Errorf("text %q", text)
		}
	}
	if c.Evidence == nil || len(c.Evidence) > MaxEvidence || c.Summary == "" || len(c.Summary) > maxSummary {
		t.Errorf("cause %+v", c)
	}
}

func TestLinesGiveWhatTheWholeLogGives(t *testing.T) {
	t.Parallel()
	rules := builtinRules(t)
	for _, c := range append(loadCases(t, "../logparse/testdata/cases.jsonl"), loadCases(t, "testdata/held-out.jsonl")...) {
		want := c.diagnose(t, rules)
		var text strings.Builder
		lines, bytewise := rules.NewScanner(), rules.NewScanner()
		for _, line := range c.Lines {
			lines.Line([]byte(line))
			text.WriteString(string(line) + "\n")
		}
		if err := bytewise.Scan(iotest.OneByteReader(strings.NewReader(text.String()))); err != nil {
			t.Fatal(err)
		}
		exit := c.exit()
		for how, got := range map[string]Cause{"line by line": lines.Cause(exit), "byte by byte": bytewise.Cause(exit)} {
			if got.Category != want.Category || got.Rule != want.Rule || got.Summary != want.Summary || !slices.Equal(got.Evidence, want.Evidence) {
				t.Errorf("%s %s: %+v, want %+v", c.ID, how, got, want)
			}
		}
	}
}

func FuzzScan(f *testing.F) {
	for _, c := range append(loadCases(f, "../logparse/testdata/cases.jsonl"), loadCases(f, "testdata/held-out.jsonl")...) {
		var b strings.Builder
		for _, line := range c.Lines {
			b.WriteString(string(line) + "\n")
		}
		if b.Len() < 4096 {
			f.Add([]byte(b.String()), 1)
		}
	}
	rules := builtinRules(f)
	f.Fuzz(func(t *testing.T, log []byte, code int) {
		before := slices.Clone(log)
		exit := Exit{Known: true, Code: code}
		s := rules.NewScanner()
		if err := s.Scan(bytes.NewReader(log)); err != nil {
			t.Fatal(err)
		}
		checkCause(t, s.Cause(exit))
		if s.state() > maxState(rules) {
			t.Errorf("%d bytes are kept", s.state())
		}
		if !slices.Equal(before, log) {
			t.Error("the log was changed")
		}
		again := rules.NewScanner()
		for line := range bytes.Lines(log) {
			again.Line(bytes.TrimSuffix(line, newline))
		}
		if len(log) < scanBlock && again.Cause(exit).Fingerprint() != s.Cause(exit).Fingerprint() {
			t.Errorf("%q: %+v line by line, %+v at once", log, again.Cause(exit), s.Cause(exit))
		}
	})
}
