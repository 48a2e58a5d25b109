package trainconf

import (
	"strings"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
)

// FieldConfig is the name that errors give to the configuration as a whole.
const FieldConfig = "config"

// fieldError makes one error; whatever came from outside is cut and made valid UTF-8.
func fieldError(field, value, rule, fix string) run.FieldError {
	return run.FieldError{Field: fault.Quote(field), Value: fault.Quote(value), Rule: rule, Fix: fix}
}

// shown is a value as an error may show it: secrets are hidden.
func (f Field) shown(text string) string {
	switch {
	case f.Secret && text != "":
		return fault.Hidden
	case f.Type == Lines:
		return hideSecrets(text)
	}
	return text
}

// hideSecrets hides the values of variables or arguments, one a line, whose names are those of secrets.
func hideSecrets(lines string) string {
	var b strings.Builder
	after := false // the line before named a secret without giving its value
	for line := range strings.Lines(lines) {
		name, value, found := strings.Cut(line, "=")
		switch {
		case found && fault.NamesSecret(name) && strings.TrimSpace(value) != "":
			b.WriteString(name + "=" + fault.Hidden + "\n")
		case after && !strings.HasPrefix(line, "--"):
			b.WriteString(fault.Hidden + "\n")
		default:
			b.WriteString(line)
		}
		after = !found && fault.NamesSecret(name)
	}
	return strings.TrimSuffix(b.String(), "\n")
}
