package localnomad

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf16"
)

// envKey is what Nomad takes as a name in a template with env = true.
var envKey = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_./]*$`)

// envFileError is what is wrong with a rendered template with env = true.
type envFileError struct {
	file string
	line int
	why  error
}

func (e *envFileError) Error() string {
	return fmt.Sprintf("error parsing env template %q: error on line %d: %v", e.file, e.line, e.why)
}

// parseEnvFile reads the NAME=value lines of a template with env = true. A
// value may have parts in double quotes, with JSON's escapes, and in single
// quotes, as they are; # begins a comment outside of quotes.
func parseEnvFile(file, text string) (map[string]string, error) {
	env := map[string]string{}
	n := 0
	for line := range strings.Lines(text) {
		n++
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		name, value, err := parseEnvLine(line)
		if err != nil {
			return nil, &envFileError{file: file, line: n, why: err}
		}
		env[name] = value
	}
	return env, nil
}

func parseEnvLine(line string) (name, value string, err error) {
	name, value, ok := strings.Cut(line, "=")
	if !ok {
		return "", "", errors.New("missing =")
	}
	name = strings.TrimSpace(name)
	if bare := strings.TrimPrefix(name, "export "); bare != "" {
		name = bare
	}
	if !envKey.MatchString(name) {
		return "", "", fmt.Errorf("name %q is no name of a variable", name)
	}
	value, err = envValue(strings.TrimSpace(value))
	return name, value, err
}

// envValue takes quotes, escapes and comments out of a value.
func envValue(s string) (string, error) {
	var out strings.Builder
	end := 0 // of what counts before a comment: its white space does not
	for i := 0; i < len(s); {
		c := s[i]
		switch {
		case c < ' ' && c != '\t':
			return "", fmt.Errorf("0x%02x is an invalid value character", c)
		case c == '#':
			return out.String()[:end], nil
		case c == '\'':
			n := strings.IndexByte(s[i+1:], '\'')
			if n < 0 {
				return "", errors.New("unmatched '")
			}
			out.WriteString(s[i+1 : i+1+n])
			i += n + 2
			end = out.Len()
			continue
		case c == '"':
			n, err := envQuoted(&out, s[i+1:])
			if err != nil {
				return "", err
			}
			i += n + 1
			end = out.Len()
			continue
		}
		out.WriteByte(c)
		i++
		if c != ' ' && c != '\t' {
			end = out.Len()
		}
	}
	return out.String(), nil
}

// envEscapes are the escapes of one character inside double quotes.
var envEscapes = map[byte]byte{'"': '"', '\\': '\\', '/': '/', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t'}

// envQuoted reads up to the closing double quote and returns how much it read.
func envQuoted(out *strings.Builder, s string) (int, error) {
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '"':
			return i + 1, nil
		case s[i] != '\\':
			out.WriteByte(s[i])
			continue
		}
		i++
		if i == len(s) {
			break
		}
		if plain, ok := envEscapes[s[i]]; ok {
			out.WriteByte(plain)
			continue
		}
		r, err := hex4(s[i:])
		if err != nil {
			return 0, err
		}
		i += 4
		if utf16.IsSurrogate(r) {
			rest, ok := strings.CutPrefix(s[i+1:], `\`)
			low, err := hex4(rest)
			if !ok || err != nil {
				return 0, errors.New("incomplete Unicode surrogate pair")
			}
			r = utf16.DecodeRune(r, low)
			i += 6
		}
		out.WriteRune(r)
	}
	return 0, errors.New(`unmatched "`)
}

// hex4 reads "uXXXX".
func hex4(s string) (rune, error) {
	if s == "" || s[0] != 'u' {
		return 0, fmt.Errorf("invalid escape sequence: %.1q", s)
	}
	if len(s) < 5 {
		return 0, errors.New("incomplete hex sequence")
	}
	n, err := strconv.ParseUint(s[1:5], 16, 16)
	if err != nil {
		return 0, fmt.Errorf("invalid hex sequence %q", s[1:5])
	}
	return rune(n), nil
}
