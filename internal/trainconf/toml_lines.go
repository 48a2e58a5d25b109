package trainconf

import (
	"regexp"
	"strings"
)

// tomlStart begins a statement of TOML: a header, or a key and =.
var tomlStart = regexp.MustCompile(`^\s*(\[|["'A-Za-z0-9_-][^=]*=)`)

// tomlState follows TOML from line to line, as far as is needed to know whether a line begins a statement.
type tomlState struct {
	text  tomlTexts
	depth int // open brackets and braces of a value
}

func (s *tomlState) open() bool { return s.text.quote != "" || s.depth > 0 }

// feed takes one line.
func (s *tomlState) feed(line string) {
	if !s.open() && !tomlStart.MatchString(line) {
		return // not TOML: whoever parses it says so
	}
	value := s.open() // brackets before = are those of a header or a key
	for _, c := range s.text.outside(line) {
		switch c {
		case '=':
			value = true
		case '[', '{':
			if value {
				s.depth++
			}
		case ']', '}':
			if value {
				s.depth = max(0, s.depth-1)
			}
		}
	}
}

// tomlTexts follows the texts of TOML from line to line.
type tomlTexts struct {
	quote string // the three quotes that the one which goes on began with, or ""
}

// outside is a line without its comment and without what stands in texts.
func (t *tomlTexts) outside(line string) string {
	var out strings.Builder
	for len(line) > 0 {
		switch {
		case t.quote != "":
			n := closing(line, t.quote)
			if n > len(line) { // on another line
				return out.String()
			}
			for more := 2; more > 0 && n < len(line) && line[n] == t.quote[0]; more-- {
				n++ // a text may end with quotes of its own
			}
			t.quote, line = "", line[n:]
		case line[0] == '#':
			return out.String()
		case strings.HasPrefix(line, `"""`) || strings.HasPrefix(line, "'''"):
			t.quote, line = line[:3], line[3:]
		case line[0] == '"' || line[0] == '\'':
			line = line[min(len(line), 1+closing(line[1:], line[:1])):]
		default:
			out.WriteByte(line[0])
			line = line[1:]
		}
	}
	return out.String()
}

// closing is the place after the quote that ends a text, more than the line has when that is not on it. Only those with double
// quotes know a backslash.
func closing(line, quote string) int {
	for i := 0; i < len(line); i++ {
		switch {
		case line[i] == '\\' && quote[0] == '"':
			i++
		case strings.HasPrefix(line[i:], quote):
			return i + len(quote)
		}
	}
	return len(line) + 1
}
