package form

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/trainconf"
)

// Labelled is a field's error after its label.
func Labelled(e run.FieldError) string {
	spec, ok := trainconf.Lookup(e.Field)
	switch {
	case !ok:
		return e.Field + ": " + Sentence(e)
	case e.Value == "":
		return spec.Label + " (" + e.Field + "): " + Sentence(e)
	}
	return spec.Label + " (" + e.Field + " = " + e.Value + "): " + Sentence(e)
}

// Sentence is a field's rule and fix.
func Sentence(e run.FieldError) string {
	out := capital(e.Rule) + "."
	if e.Fix != "" {
		out += " " + capital(e.Fix) + "."
	}
	return out
}

func capital(s string) string {
	s = strings.TrimRight(s, ".")
	r, n := utf8.DecodeRuneInString(s)
	return string(unicode.ToUpper(r)) + s[n:]
}

// LabelOf is a field's label, or its path.
func LabelOf(field string) string {
	if spec, ok := trainconf.Lookup(field); ok {
		return spec.Label
	}
	return field
}
