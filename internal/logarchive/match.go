package logarchive

import (
	"bytes"
	"math"
	"regexp"
	"regexp/syntax"
	"sync"
	"unicode/utf16"

	"github.com/cotrain/cotrain/internal/run"
)

// Matcher finds the lines that a filter wants. It may be used by many at once.
type Matcher struct {
	filter run.LogFilter
	since  int64 // milliseconds since 1970
	until  int64
	find   *finder
	hide   *regexp.Regexp
}

// finder finds a pattern in a chunk's text.
type finder struct {
	re      *regexp.Regexp
	exact   bool     // a line with an anchor matches
	folds   bool     // anchors are in lower case
	anchors [][]byte // every match has one; none: every line is tried
	need    need     // in lower case
}

// NewMatcher compiles a filter; errors are [run.FieldErrors] of q or hide.
func NewMatcher(f run.LogFilter) (*Matcher, error) {
	m := &Matcher{filter: f, since: math.MinInt64, until: math.MaxInt64}
	if !f.Since.IsZero() {
		m.since = f.Since.UnixMilli()
	}
	if !f.Until.IsZero() {
		m.until = f.Until.UnixMilli()
	}
	var err error
	if m.hide, err = f.Hide.Compile("hide"); err != nil {
		return nil, err
	}
	re, err := f.Find.Compile("q")
	if err != nil || re == nil {
		return m, err
	}
	m.find = newFinder(re, f.Find)
	return m, nil
}

func newFinder(re *regexp.Regexp, p run.LogPattern) *finder {
	f := &finder{re: re}
	tree, err := syntax.Parse(re.String(), syntax.Perl)
	if err != nil { // it was compiled from the same
		return f
	}
	f.need, f.folds = needOf(tree)
	if f.folds {
		f.need = f.need.lower()
	}
	for _, a := range f.need.anchors() {
		f.anchors = append(f.anchors, []byte(a))
	}
	f.need = f.need.lower()
	f.exact = !p.Regexp && len(f.anchors) == 1 && len(f.anchors[0]) == len(p.Text)
	return f
}

// Finds reports whether the filter has a pattern, or hides one: how many lines it leaves is known by looking at them only.
func (m *Matcher) Finds() bool { return m.find != nil || m.hide != nil }

// wants reports whether lines of a worker's stream are wanted.
func (m *Matcher) wants(rank int, stream string) bool {
	return m.ofWorker(rank) && (m.filter.Stream == "" || m.filter.Stream == stream)
}

func (m *Matcher) ofWorker(rank int) bool { return m.filter.Rank < 0 || m.filter.Rank == rank }

// during reports whether a time is wanted.
func (m *Matcher) during(at int64) bool { return at >= m.since && at < m.until }

func (m *Matcher) level(l run.LogLevel) bool {
	if l == run.LevelMachine {
		return m.filter.Machine
	}
	return l >= m.filter.Level
}

// Count is how many lines of a block are wanted, and whether that can be told without opening it.
func (m *Matcher) Count(a About) (n int, known bool) {
	if a.Since >= m.until || a.Until < m.since {
		return 0, true
	}
	for _, c := range a.Counts {
		for level, lines := range c.Lines {
			if m.wants(c.Rank, c.Stream) && m.level(run.LogLevel(level)) { // #nosec G115 -- of few
				n += lines
			}
		}
	}
	return n, n == 0 || !m.Finds() && m.during(a.Since) && m.during(a.Until)
}

// May reports whether a block's text may have what the pattern needs.
func (m *Matcher) May(t Trigrams) bool { return m.find == nil || m.find.need.in(t) }

var scratch = sync.Pool{New: func() any { return new([]byte) }}

// Each calls fn for the wanted lines of a chunk with their numbers, as they were printed, until it returns false; it reports whether it
// never did. What says that lines of a worker are lost is wanted whatever else is: nobody knows what was in them.
func (m *Matcher) Each(c Chunk, fn func(i int, line []byte) bool) bool {
	if c.Lost {
		for i, line := range c.Lines() {
			if m.ofWorker(c.Rank) && !fn(i, line) {
				return false
			}
		}
		return true
	}
	if !m.wants(c.Rank, c.Stream) || !m.during(c.At) {
		return true
	}
	if m.find == nil || len(m.find.anchors) == 0 || bytes.IndexByte(c.Data, esc) >= 0 {
		for i, line := range c.Lines() {
			if m.line(line, false) && !fn(i, line) {
				return false
			}
		}
		return true
	}
	text := c.Data
	if m.find.folds {
		buf := scratch.Get().(*[]byte)
		defer scratch.Put(buf)
		*buf = appendLower((*buf)[:0], text)
		text = *buf
	}
	number, counted := 0, 0 // of the line that begins at counted
	places := m.find.in(text)
	for at := places.next(0); at >= 0; {
		from := bytes.LastIndexByte(text[:at], '\n') + 1
		to := len(text)
		if n := bytes.IndexByte(text[at:], '\n'); n >= 0 {
			to = at + n
		}
		number += bytes.Count(text[counted:from], []byte("\n"))
		counted = from
		if m.line(c.Data[from:to], m.find.exact) && !fn(number, c.Data[from:to]) {
			return false
		}
		at = -1
		if to < len(text) {
			at = places.next(to + 1)
		}
	}
	return true
}

// anchored walks through the anchors in a text.
type anchored struct {
	text    []byte
	anchors [][]byte
	places  []int // the next of each anchor, len(text) for none
}

func (f *finder) in(text []byte) anchored {
	a := anchored{text, f.anchors, make([]int, len(f.anchors))}
	for i := range a.places {
		a.places[i] = -1
	}
	return a
}

// next is where the next anchor is, from an index on, or -1.
func (a anchored) next(from int) int {
	first := len(a.text)
	for i, anchor := range a.anchors {
		if a.places[i] < from { // each text is looked through once for each anchor
			a.places[i] = len(a.text)
			if n := bytes.Index(a.text[from:], anchor); n >= 0 {
				a.places[i] = from + n
			}
		}
		first = min(first, a.places[i])
	}
	if first == len(a.text) {
		return -1
	}
	return first
}

// line reports whether a line is wanted; found says that it has the pattern.
func (m *Matcher) line(line []byte, found bool) bool {
	if m.filter.Level != run.LevelInfo || !m.filter.Machine {
		if !m.level(LevelOf(line)) {
			return false
		}
	}
	return m.hide == nil && (m.find == nil || found) || m.Line(line)
}

// Line reports whether a line has the pattern, if there is one, and nothing that is hidden.
func (m *Matcher) Line(line []byte) bool {
	text := bytes.TrimSuffix(Visible(line), []byte("\r"))
	return (m.find == nil || m.find.re.Match(text)) && (m.hide == nil || !m.hide.Match(text))
}

// maxMarks bounds the places of one line.
const maxMarks = 100

// Marks are the places of the pattern in a line's visible text, as JavaScript counts: from and to in UTF-16 units.
func (m *Matcher) Marks(text string) (marks [][2]int) {
	if m.find == nil {
		return nil
	}
	text = string(Visible([]byte(text)))
	at, units := 0, 0
	until := func(to int) int {
		for _, r := range text[at:to] {
			units += max(1, utf16.RuneLen(r))
		}
		at = to
		return units
	}
	for _, place := range m.find.re.FindAllStringIndex(text, maxMarks) {
		if place[0] < place[1] {
			marks = append(marks, [2]int{until(place[0]), until(place[1])})
		}
	}
	return marks
}
