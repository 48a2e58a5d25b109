package trainconf

import (
	"regexp"
	"strings"
)

var (
	// tomlStart begins a statement of TOML: a header, or a key and =.
	tomlStart = regexp.MustCompile(`^\s*(\[|["'A-Za-z0-9_-][^=]*=)`)
	// bareVariable is what a shell or a .env file begins an assignment with. CotrainCore has no key with capitals.
	bareVariable = regexp.MustCompile(`^\s*(?:-\s+)?["']?[A-Z_][A-Z0-9_]*(?:=|["']?\s*[=:]\s*)`)
	// shellStart begins a command or a part of one.
	shellStart = regexp.MustCompile(`^\s*(?:\$\s+)?(?:(?:export|env|set|setx|unset|declare|typeset|cd|source|exec|nohup|sudo|time|torchrun|\S*/torchrun|python[0-9.]*|\S*/python[0-9.]*|` +
		`uv|poetry|conda|docker|podman|singularity|apptainer|srun|sbatch|accelerate|bash|sh|echo|mkdir|if|then|else|fi|for|do|done|while|wait|sleep|trap|ulimit|module)(?:\s|$)|-e\s|-e[A-Z]|--|-m\s|@\S|&&|\|\||#!|\.\s)`)
)

// split tells the lines of a shell from those of TOML. It reads the former, and returns the latter with empty lines in
// place of the others, so that numbers of lines stay those of the text.
func (im *importer) split() []string {
	out := make([]string, len(im.lines))
	im.starts = make([]int, len(im.lines))
	var state tomlState
	secret := false // the statement that goes on is that of a secret
	for i := 0; i < len(im.lines); i++ {
		line := im.lines[i]
		if secretKey(line) && danglingSecret.MatchString(line) {
			im.hidden[i+2] = true
		}
		im.starts[i] = i
		if state.open() {
			im.starts[i] = im.starts[i-1]
		} else {
			trimmed := strings.TrimSpace(line)
			switch {
			case trimmed == "" || strings.HasPrefix(trimmed, "#") || strings.HasPrefix(trimmed, "```"):
				continue
			case isShell(line):
				for last := im.command(i); i < last; i++ {
					im.starts[i+1] = i + 1
				}
				continue
			}
			secret = false
		}
		if secret = secret || secretKey(line); secret {
			im.hidden[i+1] = true
		}
		out[i] = line
		state.feed(line)
	}
	return out
}

// danglingSecret is a line whose secret, if there is one, can only stand on the next.
var danglingSecret = regexp.MustCompile(`(=|:|[A-Za-z_])\s*\\?\s*$`)

// isShell reports whether a line that begins a statement is that of a shell or of a .env file.
func isShell(line string) bool {
	if bareVariable.MatchString(line) {
		return true
	}
	// "set = 1" is TOML, wrong as it is, and so is "env = ...".
	return shellStart.MatchString(line) && !regexpKey.MatchString(line)
}

// regexpKey is a bare or dotted key with white space before its =, which no shell takes as an assignment.
var regexpKey = regexp.MustCompile(`^\s*[A-Za-z0-9_.-]*[A-Za-z0-9_]\s+=|^\s*[a-z0-9_]+(\.[a-z0-9_]+)+\s*=|^\s*\[`)

// tomlState follows TOML from line to line, as far as is needed to know whether a line begins a statement.
type tomlState struct {
	quote string // the three quotes that a text began with, or ""
	depth int    // open brackets and braces of a value
}

func (s *tomlState) open() bool { return s.quote != "" || s.depth > 0 }

// feed takes one line.
func (s *tomlState) feed(line string) {
	if !s.open() && !tomlStart.MatchString(line) {
		return // not TOML: whoever parses it says so
	}
	value := s.open() // brackets before = are those of a header or a key
	for i := 0; i < len(line); i++ {
		rest := line[i:]
		switch {
		case s.quote != "":
			switch {
			case s.quote == `"""` && line[i] == '\\':
				i++
			case strings.HasPrefix(rest, s.quote):
				s.quote = ""
				i += 2
			}
		case line[i] == '#':
			return
		case strings.HasPrefix(rest, `"""`) || strings.HasPrefix(rest, "'''"):
			s.quote = rest[:3]
			i += 2
		case line[i] == '"' || line[i] == '\'':
			i += closing(rest)
		case line[i] == '=':
			value = true
		case value && (line[i] == '[' || line[i] == '{'):
			s.depth++
		case value && (line[i] == ']' || line[i] == '}'):
			s.depth = max(0, s.depth-1)
		}
	}
}

// closing is the place of the quote that ends the text which begins rest, or of its last byte.
func closing(rest string) int {
	for i := 1; i < len(rest); i++ {
		switch {
		case rest[i] == '\\' && rest[0] == '"':
			i++
		case rest[i] == rest[0]:
			return i
		}
	}
	return len(rest) - 1
}
