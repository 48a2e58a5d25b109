package run

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"regexp/syntax"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// LogPos is a position in a run's log, all workers' lines merged as they were received; after an outage by their times. Zero is the start.
type LogPos int64

// LogLine is a stored line of a worker.
type LogLine struct {
	Pos    LogPos    `json:"pos"`
	Rank   int       `json:"rank"`
	Stream string    `json:"stream"` // stdout or stderr
	At     time.Time `json:"at"`     // received by the console, or printed if that was long before
	Text   string    `json:"text"`   // valid UTF-8 without the newline; control characters kept
	Level  LogLevel  `json:"level,omitempty"`
	// Cut says that the worker's next line continues this one, which is longer than the console takes at once.
	Cut bool `json:"cut,omitempty"`
	// Lost says that the line is the console's own: it stands where lines of the worker were that cannot be read.
	Lost bool `json:"lost,omitempty"`
	// Binary is how many bytes were printed of a line that is no text, and Escaped the first of them, as in a string of Go.
	Binary  int    `json:"binary,omitempty"`
	Escaped string `json:"escaped,omitempty"`
}

// RawLine is a line as it was printed.
type RawLine struct {
	Pos    LogPos
	Rank   int
	Stream string
	At     time.Time
	Text   []byte // with its line feed, if it has one; nobody may change or keep it
	// Where lines are told with those around them: whether it is one that was sought, and whether some before it are left out.
	Found, Gap bool
	Lost       bool // see [LogLine]
}

// LostLines is the trailer of a file that says how many of its lines stand for others that cannot be read; it is a header where only a range
// of the file is sent.
const LostLines = "Cotrain-Lost-Lines"

// LogLevel is how much a line matters, as the program says that printed it.
type LogLevel uint8

// The levels. A line that says nothing is [LevelInfo].
const (
	LevelInfo LogLevel = iota
	LevelWarning
	LevelError
	// LevelMachine is a line that is meant for the console: it begins with [MachineMark].
	LevelMachine

	// LogLevels is how many there are.
	LogLevels = iota
)

// MachineMark begins the lines that are meant for the console; people read the same in the trainer's own.
const MachineMark = "COTRAIN {"

var levelNames = [LogLevels]string{"info", "warning", "error", "machine"}

// String returns info, warning, error or machine.
func (l LogLevel) String() string { return levelNames[min(int(l), LogLevels-1)] }

// MarshalText is String.
func (l LogLevel) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

// UnmarshalText reads the name of a level.
func (l *LogLevel) UnmarshalText(text []byte) error {
	for i, name := range levelNames {
		if name == string(text) {
			*l = LogLevel(i)
			return nil
		}
	}
	return FieldErrors{{Field: "level", Value: clip(string(text)), Rule: "is no level of a line", Fix: "use info, warning or error"}}
}

// MaxLogText is how many bytes of text end a page of lines, whatever its limit: lines can be long.
const MaxLogText = 8 << 20

// LogQuery selects lines of a run's log.
type LogQuery struct {
	Rank   int    // -1 for all workers
	After  LogPos // ignored with Tail
	Tail   bool   // the newest Limit lines, oldest first
	Before LogPos // with Tail, 0 for the end
	Limit  int    // 1 to 10000
}

// LogMap is where the lines are that a filter leaves of a log.
type LogMap struct {
	Total  int64      `json:"total"`          // lines
	Lost   int        `json:"lost,omitempty"` // pieces that cannot be read, of those that may have some
	Pieces []LogPiece `json:"pieces" nullable:"false"`
}

// LogPiece is a stretch of a log: a block of the archive, or what is not yet in one.
type LogPiece struct {
	First LogPos         `json:"first"` // no line of it is before, none of the next piece
	Lines int            `json:"lines"` // that the filter leaves
	Since time.Time      `json:"since"`
	Until time.Time      `json:"until"`
	Level [LogLevels]int `json:"level"` // all its lines of the filter's worker and stream, by level
	Bytes int            `json:"bytes"` // as printed, of all
}

// LogSpot is a place in the lines that a filter leaves: the first of these that is set, else the end.
type LogSpot struct {
	Line *int64    // the line with this number, from 0
	Pos  LogPos    // the line at this position, or the next
	At   time.Time // the first line of this time or later
}

// LogPage is a few of the lines that a filter leaves.
type LogPage struct {
	First int64     `json:"first"`          // number of the first, from 0
	Spot  LogPos    `json:"spot"`           // of the line that was asked for, 0 for none
	Total int64     `json:"total"`          // how many the filter leaves
	Lost  int       `json:"lost,omitempty"` // pieces that cannot be read, of those that may have some; a line in their place says so
	Lines []LogLine `json:"lines" nullable:"false"`
}

// LogFound is how far a search has come.
type LogFound struct {
	Piece   LogPos    `json:"piece"`           // first position of the piece that was searched
	Hits    int       `json:"hits"`            // lines found in it
	Lines   []LogLine `json:"lines,omitempty"` // the first of them, while few are found
	Lost    bool      `json:"lost,omitempty"`  // the piece cannot be read: its lines are not searched
	Scanned int64     `json:"scanned"`         // bytes so far, of Of
	Of      int64     `json:"of"`
}

// LogFilter is which lines of a run's log are wanted. [AllLines] wants all; the zero value is worker 0's.
type LogFilter struct {
	Rank    int       // -1 for all workers
	Stream  string    // stdout or stderr; "" for both
	Level   LogLevel  // at least: LevelInfo, LevelWarning or LevelError
	Machine bool      // also the lines for the console, which have no other level
	Since   time.Time // zero for the beginning
	Until   time.Time // lines before it; zero for the end
	Find    LogPattern
	Hide    LogPattern
}

// AllLines wants every line of a log.
func AllLines() LogFilter { return LogFilter{Rank: -1, Machine: true} }

// LogPattern is what a line holds; the zero value is none.
type LogPattern struct {
	Text   string // at most [MaxLogPattern] bytes
	Regexp bool   // Text is a regular expression (RE2) within a line
	Case   bool   // upper and lower case differ
}

// MaxLogPattern is the most bytes of a pattern, and maxPatternSteps what it may compile to.
const (
	MaxLogPattern   = 1000
	maxPatternSteps = 20000
)

// clip cuts a value for a message.
func clip(s string) string {
	if len(s) > 80 {
		s = s[:80] + "…"
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}

// Compile returns the pattern as an expression, nil for none; errors are [FieldErrors] of the field.
func (p LogPattern) Compile(field string) (*regexp.Regexp, error) {
	bad := func(rule, fix string) (*regexp.Regexp, error) {
		return nil, FieldErrors{{Field: field, Value: clip(p.Text), Rule: rule, Fix: fix}}
	}
	text := p.Text
	switch {
	case text == "":
		return nil, nil //nolint:nilnil // that nothing is sought is no error
	case len(text) > MaxLogPattern:
		return bad(fmt.Sprintf("has %d bytes, at most %d are allowed", len(text), MaxLogPattern), "search for a part of it")
	case !utf8.ValidString(text):
		return bad("is no UTF-8", "use text")
	case strings.ContainsAny(text, "\n\r"):
		return bad("has more than one line", "search within one line")
	case !p.Regexp:
		text = regexp.QuoteMeta(text)
	}
	if !p.Case {
		text = "(?i)" + text
	}
	tree, err := syntax.Parse(text, syntax.Perl)
	if err != nil {
		why := err.Error()
		if e := (*syntax.Error)(nil); errors.As(err, &e) {
			why = e.Code.String()
		}
		return bad("is no regular expression: "+why, `use the syntax of RE2 (no look-around, no back references), such as "loss: (nan|inf)", or search for plain text`)
	}
	if program, err := syntax.Compile(tree.Simplify()); err != nil || len(program.Inst) > maxPatternSteps {
		return bad(fmt.Sprintf("compiles to more than %d steps", maxPatternSteps), "repeat less: {1,50} makes fifty copies")
	}
	re, err := regexp.Compile(text)
	if err != nil {
		return bad("is no regular expression: "+err.Error(), "use the syntax of RE2")
	}
	return re, nil
}

// ParseLogFilter reads a filter from a URL's query: worker, stream, level, machine, since, until (RFC 3339), q, regexp, case and hide
// (always an expression). Errors are [FieldErrors].
func ParseLogFilter(q url.Values) (LogFilter, error) {
	f := LogFilter{Rank: -1, Stream: q.Get("stream"), Machine: isOn(q, "machine"),
		Find: LogPattern{Text: q.Get("q"), Regexp: isOn(q, "regexp"), Case: isOn(q, "case")}, Hide: LogPattern{Text: q.Get("hide"), Regexp: true, Case: true}}
	var errs FieldErrors
	if text := q.Get("worker"); text != "" && text != "-1" {
		rank, err := strconv.Atoi(text)
		if err != nil || rank < 0 || rank > maxLogRank {
			errs = append(errs, FieldError{Field: "worker", Value: clip(text), Rule: "is no worker", Fix: "use its number, such as 0, or leave it out for all"})
		}
		f.Rank = rank
	}
	if f.Stream != "" && f.Stream != "stdout" && f.Stream != "stderr" {
		errs = append(errs, FieldError{Field: "stream", Value: clip(f.Stream), Rule: "is no stream of a worker", Fix: "use stdout or stderr, or leave it out for both"})
	}
	if text := q.Get("level"); text != "" {
		if err := f.Level.UnmarshalText([]byte(text)); err != nil || f.Level > LevelError {
			errs = append(errs, FieldError{Field: "level", Value: clip(text), Rule: "is no level of a line", Fix: "use info, warning or error"})
		}
	}
	moment := func(name string) (at time.Time) {
		text := q.Get(name)
		at, err := time.Parse(time.RFC3339Nano, text)
		if text != "" && err != nil {
			errs = append(errs, FieldError{Field: name, Value: clip(text), Rule: "is not a time", Fix: "use 2026-05-06T07:08:09Z"})
		}
		return at
	}
	f.Since, f.Until = moment("since"), moment("until")
	if !f.Until.IsZero() && f.Until.Before(f.Since) {
		errs = append(errs, FieldError{Field: "until", Value: q.Get("until"), Rule: "is before since", Fix: "use a later time"})
	}
	check := func(field string, p LogPattern) {
		var e FieldErrors
		if _, err := p.Compile(field); errors.As(err, &e) {
			errs = append(errs, e...)
		}
	}
	check("q", f.Find)
	check("hide", f.Hide)
	if len(errs) > 0 {
		return f, errs
	}
	return f, nil
}

// maxLogRank bounds the number of a worker.
const maxLogRank = 1 << 20

func isOn(q url.Values, name string) bool {
	return cmp.Or(q.Get(name), "0") != "0" && q.Get(name) != "false"
}

// Values is the filter as [ParseLogFilter] reads it.
func (f LogFilter) Values() url.Values {
	q := url.Values{}
	set := func(name, text string, on bool) {
		if on {
			q.Set(name, text)
		}
	}
	set("worker", strconv.Itoa(f.Rank), f.Rank >= 0)
	set("stream", f.Stream, f.Stream != "")
	set("level", f.Level.String(), f.Level != LevelInfo)
	set("machine", "1", f.Machine)
	set("since", f.Since.Format(time.RFC3339Nano), !f.Since.IsZero())
	set("until", f.Until.Format(time.RFC3339Nano), !f.Until.IsZero())
	set("q", f.Find.Text, f.Find.Text != "")
	set("regexp", "1", f.Find.Text != "" && f.Find.Regexp)
	set("case", "1", f.Find.Text != "" && f.Find.Case)
	set("hide", f.Hide.Text, f.Hide.Text != "")
	return q
}
