package trainconf

import (
	"strings"
	"unicode/utf8"

	"github.com/cotrain/cotrain/internal/run"
)

// FieldConfig is the name that errors give to the configuration as a whole.
const FieldConfig = "config"

// hiddenValue is what an error shows in place of a secret.
const hiddenValue = "(hidden)"

// maxValue is how many bytes of a bad value an error repeats.
const maxValue = 200

// fault makes one error; whatever came from outside is cut and made valid UTF-8.
func fault(field, value, rule, fix string) run.FieldError {
	return run.FieldError{Field: clip(field), Value: clip(value), Rule: rule, Fix: fix}
}

// clip shortens s to maxValue bytes at a rune boundary.
func clip(s string) string {
	if len(s) > maxValue {
		n := maxValue
		for n > 0 && !utf8.RuneStart(s[n]) {
			n--
		}
		s = s[:n]
	}
	return strings.ToValidUTF8(s, "?")
}

// shown is a value as an error may show it: secrets are hidden.
func (f Field) shown(text string) string {
	if f.Secret && text != "" {
		return hiddenValue
	}
	return text
}
