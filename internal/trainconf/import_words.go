package trainconf

import (
	"regexp"
	"strings"
)

// word is one word of a shell, or an operator between two commands.
type word struct {
	text    string // without quotes
	line    int    // counted from 1
	expands bool   // holds a variable or a command, so that its value is not known
	end     byte   // of an operator: one of ;&|<>() or a line feed at the end; 0 of a word
}

// heredoc is where the lines of a here-document end.
type heredoc struct {
	end    string
	quoted bool // nothing in it is replaced
	tabs   bool // the line that ends it may be indented
}

func (h heredoc) endsAt(line string) bool {
	if h.tabs {
		line = strings.TrimLeft(line, "\t")
	}
	return strings.TrimRight(line, " \t") == h.end
}

// maxQuoted is how many lines one text in quotes may have. A quote without its end in them ends with its line, so that one
// mistake does not swallow the rest.
const maxQuoted = 200

var (
	expansion    = regexp.MustCompile("`|" + `\$[A-Za-z0-9_{(@*#?]`)
	doubleQuoted = strings.NewReplacer(`\\`, `\`, `\"`, `"`, `\$`, `$`, "\\`", "`")
	heredocForm  = regexp.MustCompile(`^<<(-?)[ \t]*(?:\\?([A-Za-z0-9_.-]+)|'([^']+)'|"([^"]+)")`)
)

// scanner splits a command into words.
type scanner struct {
	lines []string
	i     int    // the line that is read
	line  string // what is left of it, and of the lines that a quote reaches to
	limit int    // lines from here on are not the command's
	words []word
	docs  []heredoc

	text             strings.Builder // of the word that is read
	started, expands bool
	at               int
}

// shellWords reads the words of the command that begins at line i and ends before line limit, with the lines that it is
// continued on, and returns the last of them.
func shellWords(lines []string, i, limit int) (words []word, docs []heredoc, last int) {
	s := scanner{lines: lines, i: i, line: asCommand(lines[i]), limit: limit}
	for s.scan() {
		s.i++
		s.line = s.lines[s.i]
	}
	s.operator('\n')
	return s.words, s.docs, s.i
}

// scan reads a line, and reports whether the command goes on with the next.
func (s *scanner) scan() (more bool) {
	for s.line != "" {
		c := s.line[0]
		size := 1
		switch {
		case c == '\\' && strings.TrimSpace(s.line[1:]) == "":
			return s.i+1 < s.limit
		case c == '\\':
			s.add(s.line[1:2], false)
			size = 2
		case c == '\'' || c == '"' || c == '`' || strings.HasPrefix(s.line, "$(") || strings.HasPrefix(s.line, "${"):
			size = s.span()
		case c == '#' && !s.started:
			return false
		case c == ' ' || c == '\t' || c == '\n':
			s.flush()
		case strings.HasPrefix(s.line, "<<<"):
			s.operator('<')
			size = 3
		case strings.HasPrefix(s.line, "<<") && heredocForm.MatchString(s.line):
			m := heredocForm.FindStringSubmatch(s.line)
			s.docs = append(s.docs, heredoc{m[2] + m[3] + m[4], m[2] == "" || s.line[2+len(m[1])] == '\\', m[1] != ""})
			size = len(m[0])
			s.operator('<')
		case c == '(' && s.started && strings.HasSuffix(s.text.String(), "="):
			s.add("(...)", true) // a list, whose items are read as a command
			s.operator(c)
		case strings.IndexByte(";&|<>()", c) >= 0:
			s.operator(c)
		default:
			s.add(s.line[:1], c == '$' && expansion.MatchString(s.line[:min(len(s.line), 2)]))
		}
		s.line = s.line[min(size, len(s.line)):]
	}
	return false
}

// span reads a text in quotes, a variable in braces or a command in the command, and returns its length.
func (s *scanner) span() int {
	end := spanEnd(s.line)
	if end < 0 {
		if last := min(s.i+maxQuoted, s.limit); s.i+1 < last {
			long := s.line + "\n" + strings.Join(s.lines[s.i+1:last], "\n")
			if end = spanEnd(long); end >= 0 {
				rest := len(long)
				if n := strings.IndexByte(long[end:], '\n'); n >= 0 {
					rest = end + n
				}
				s.begin()
				s.i += strings.Count(long[:rest], "\n")
				s.line = long[:rest]
			}
		}
	}
	if end < 0 {
		end = len(s.line)
	}
	text := s.line[:min(end+1, len(s.line))]
	switch text[0] {
	case '\'':
		s.add(strings.TrimSuffix(text[1:], "'"), false)
	case '"':
		inner := text[1:]
		if end < len(s.line) {
			inner = strings.TrimSuffix(inner, `"`)
		}
		s.add(doubleQuoted.Replace(inner), expansion.MatchString(inner))
	default:
		s.add(text, true)
	}
	return len(text)
}

// spanEnd is the place of the last byte of what begins text: quotes, $(...), ${...} or a command in backquotes; -1 when it has
// no end.
func spanEnd(text string) int {
	end, nests := text[0], text[0] != '\'' && text[0] != '`'
	i, depth := 1, 1
	switch {
	case strings.HasPrefix(text, "$("):
		end, i = ')', 2
	case strings.HasPrefix(text, "${"):
		end, i = '}', 2
	}
	quoted := text[0] == '"' // in which ' is a letter
	for ; i < len(text); i++ {
		c := text[i]
		switch {
		case c == '\\' && text[0] != '\'':
			i++
		case c == end:
			if depth--; depth == 0 {
				return i
			}
		case end == ')' && c == '(':
			depth++
		case nests && (c == '`' || !quoted && (c == '"' || c == '\'') || strings.HasPrefix(text[i:], "$(") || strings.HasPrefix(text[i:], "${")):
			n := spanEnd(text[i:])
			if n < 0 {
				return -1
			}
			i += n
		}
	}
	return -1
}

func (s *scanner) begin() {
	if !s.started {
		s.started, s.at = true, s.i
	}
}

func (s *scanner) add(text string, expands bool) {
	s.begin()
	s.expands = s.expands || expands
	s.text.WriteString(text)
}

func (s *scanner) flush() {
	if s.started {
		s.words = append(s.words, word{s.text.String(), s.at + 1, s.expands, 0})
	}
	s.text.Reset()
	s.started, s.expands = false, false
}

func (s *scanner) operator(c byte) {
	s.flush()
	s.words = append(s.words, word{line: s.i + 1, end: c})
}

// hasOperator reports whether a line holds what only a shell has: an operator, a variable, or a sign that it goes on.
func hasOperator(line string) bool {
	if strings.HasSuffix(line, `\`) {
		return true
	}
	words, docs, _ := shellWords([]string{line}, 0, 1)
	for i, w := range words {
		if w.expands || w.end != 0 && i < len(words)-1 {
			return true
		}
	}
	return len(docs) > 0
}
