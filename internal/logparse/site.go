package logparse

import (
	"bytes"
	"fmt"
	"strings"
)

// Bounds of a site's own formats.
const (
	MaxSiteFormats = 32
	MaxPattern     = 1024 // bytes
	maxFields      = 32
	maxFormatName  = 32
)

// SiteFormat is a format that a site has added: text as its lines have it, with the places of numbers in braces, such as
// "[{_}] it={step} loss={loss} lr={learning_rate}". Each place's name is the metric's; {step} is the step, and {_} is skipped. The
// text before the first place may stand anywhere in a line. A line is read once from left to right, so time is linear.
type SiteFormat struct {
	Name  string
	first []byte // text before the first place
	parts []part
}

// part is a place and the text that ends it, "" at the end of the pattern.
type part struct {
	name string
	end  []byte
}

// PatternError is a broken rule of a pattern, and its fix.
type PatternError struct{ Rule, Fix string }

func (e *PatternError) Error() string { return e.Rule + "; " + e.Fix }

// NewSiteFormat checks a name and a pattern. Errors are [*PatternError].
func NewSiteFormat(name, pattern string) (*SiteFormat, error) {
	broken := func(rule, fix string) (*SiteFormat, error) { return nil, &PatternError{rule, fix} }
	if !validFormatName(name) {
		return broken(fmt.Sprintf("needs a name of 1 to %d lower-case letters, digits, - and _", maxFormatName), "write acme: it={step} loss={loss}, for example")
	}
	if len(pattern) > MaxPattern || strings.ContainsFunc(pattern, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) {
		return broken(fmt.Sprintf("must be one line of at most %d bytes without control characters", MaxPattern), "name the places of numbers only")
	}
	first, rest, ok := strings.Cut(pattern, "{")
	f := &SiteFormat{Name: name, first: []byte(first)}
	metrics := 0
	for seen := map[string]bool{}; ok; {
		field, after, closed := strings.Cut(rest, "}")
		if !closed {
			return broken("has a { without its }", "write {loss}, for example")
		}
		if field != "_" && (!validName([]byte(field)) || strings.ContainsAny(field, "{ ")) {
			return broken(fmt.Sprintf("has a place {%s} whose name is no metric's", field), "use 1 to 100 characters without spaces, or {_} for what is skipped")
		}
		if field != "_" && seen[field] {
			return broken(fmt.Sprintf("has {%s} twice", field), "keep one, and write {_} for the other")
		}
		seen[field] = true
		if field != "_" && field != "step" {
			metrics++
		}
		var end string
		end, rest, ok = strings.Cut(after, "{")
		if ok && strings.TrimSpace(end) == "" && !strings.ContainsAny(end, " \t") {
			return broken(fmt.Sprintf("has nothing between {%s} and the next place", field), "put the text there that stands between them in a line")
		}
		f.parts = append(f.parts, part{field, []byte(end)})
	}
	switch {
	case metrics == 0:
		return broken("names no metric", "add a place such as {loss}")
	case len(f.parts) > maxFields:
		return broken(fmt.Sprintf("has more than %d places", maxFields), "name those that matter")
	case len(bytes.TrimSpace(f.first)) == 0 && len(bytes.TrimSpace(f.parts[0].end)) == 0:
		return broken("has no text before or after its first place", "start with text that every line has, such as it={step}")
	}
	return f, nil
}

// ParseSiteFormat reads "name: pattern".
func ParseSiteFormat(text string) (*SiteFormat, error) {
	name, pattern, _ := strings.Cut(text, ":")
	return NewSiteFormat(strings.TrimSpace(name), strings.TrimLeft(pattern, " "))
}

func validFormatName(name string) bool {
	if name == "" || len(name) > maxFormatName {
		return false
	}
	for _, c := range []byte(name) {
		if (c < 'a' || c > 'z') && !isDigit(c) && c != '_' && c != '-' {
			return false
		}
	}
	return true
}

// parse reads a whole line.
func (f *SiteFormat) parse(p *Parser, line []byte) Result {
	start := bytes.Index(line, f.first)
	if start < 0 {
		return Result{}
	}
	var r reading
	rest := line[start+len(f.first):]
	for _, part := range f.parts {
		text := rest
		if len(part.end) > 0 {
			n := bytes.Index(rest, part.end)
			if n < 0 {
				return Result{}
			}
			text, rest = rest[:n], rest[n+len(part.end):]
		}
		if part.name == "_" {
			continue
		}
		s := items{b: text, i: 0}
		s.i = s.spaces(0)
		var it item
		if !s.scalar(&it) || len(part.end) > 0 && s.spaces(s.i) != len(text) {
			return Result{}
		}
		if part.name == "step" {
			step, whole := wholeStep(it.value)
			if !whole {
				return Result{}
			}
			r.step, r.rank = step, 5
			continue
		}
		p.add(part.name, it.value)
	}
	return p.record(r, 0)
}
