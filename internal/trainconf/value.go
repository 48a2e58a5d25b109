package trainconf

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
)

// maxText is the longest text value in bytes: more than any path on Linux.
const maxText = 4096

// problem is a rule that a value breaks and what would pass; nil means that it is fine.
type problem struct{ rule, fix string }

// Check returns the canonical form of a value for this field, or what is wrong with it. Text that is empty after
// trimming is canonical for "not set". The error is a [run.FieldError].
func (f Field) Check(text string) (string, error) {
	canonical, p := f.canonical(text)
	if p != nil {
		return "", f.fault(text, p)
	}
	return canonical, nil
}

// fieldError makes the error for a value of this field.
func (f Field) fault(text string, p *problem) run.FieldError {
	return fieldError(f.Path, f.shown(text), p.rule, p.fix)
}

func (f Field) canonical(text string) (string, *problem) {
	text = strings.TrimSpace(text)
	if text == "" {
		return "", nil
	}
	if f.Type == Text || f.Type == Lines {
		return f.canonicalLines(text)
	}
	free := f.Type == String || f.Type == StringList
	switch {
	case free && len(text) > maxText && f.MaxChars == 0:
		return "", &problem{fmt.Sprintf("has %d bytes, and must have at most %d", len(text), maxText), "shorten it"}
	case free && f.MaxChars == 0 && utf8.ValidString(text) && strings.ContainsFunc(text, fault.Unseen):
		return "", &problem{"must be " + f.Rule() + ", without line breaks, control characters, or characters that override the direction of text", "remove them"}
	case len(text) > maxText || !utf8.ValidString(text) || strings.ContainsFunc(text, fault.Unseen):
		return "", f.broken("")
	}
	switch f.Type {
	case Choice:
		if !slices.Contains(f.Choices, text) {
			return "", f.broken(nearestChoice(text, f.Choices))
		}
		return text, nil
	case Int:
		return f.canonicalInt(text)
	case Float:
		return f.canonicalFloat(text)
	case Bool:
		if b, ok := parseBool(text); ok {
			return strconv.FormatBool(b), nil
		}
		return "", f.broken("")
	case IntOrBool:
		if b, ok := parseBool(text); ok {
			return strconv.FormatBool(b), nil
		}
		return f.canonicalInt(text)
	case StringList:
		return f.canonicalList(text)
	case Ratio:
		return f.canonicalRatio(text)
	case Duration:
		return f.canonicalDuration(text)
	}
	if p := f.oneLine(text); p != nil {
		return "", p
	}
	return text, nil
}

// broken says that the field's own rule does not hold; an empty fix becomes the field's example.
func (f Field) broken(fix string) *problem {
	if fix == "" {
		fix = f.Example()
	}
	return &problem{rule: "must be " + f.Rule(), fix: "use " + fix}
}

func (f Field) canonicalInt(text string) (string, *problem) {
	digits, ok := dropUnderscores(text)
	if !ok {
		return "", f.broken("")
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil {
		// 88000.0 and 1e3 are whole numbers too.
		v, ferr := parseFloat(digits)
		switch {
		case ferr != nil:
			return "", f.broken(f.withoutCommas(text))
		case v != math.Trunc(v):
			return "", f.broken(f.nearestBound(math.Round(v)))
		case math.Abs(v) > 1<<53:
			return "", f.broken(f.nearestBound(v))
		}
		n = int64(v)
	}
	if !f.inBounds(float64(n)) {
		return "", f.broken(f.nearestBound(float64(n)))
	}
	if f.Path == "memory" && n > 0 && n < MinMemory {
		return "", f.broken(strconv.Itoa(MinMemory))
	}
	return strconv.FormatInt(n, 10), nil
}

func (f Field) canonicalFloat(text string) (string, *problem) {
	digits, ok := dropUnderscores(text)
	if !ok {
		return "", f.broken("")
	}
	v, err := parseFloat(digits)
	if err != nil {
		return "", f.broken(f.withoutCommas(text))
	}
	if !f.inBounds(v) {
		return "", f.broken(f.nearestBound(v))
	}
	return formatFloat(v), nil
}

// thousands is a whole number that is written with commas, as in 88,000.
var thousands = regexp.MustCompile(`^[0-9]{1,3}(?:,[0-9]{3})+$`)

// withoutCommas is such a number as it would pass, or "".
func (f Field) withoutCommas(text string) string {
	if !thousands.MatchString(text) {
		return ""
	}
	canonical, p := f.canonical(strings.ReplaceAll(text, ",", ""))
	if p != nil {
		return ""
	}
	return canonical
}

// parseFloat takes decimal numbers only: neither NaN nor infinities nor hexadecimal.
func parseFloat(text string) (float64, error) {
	if strings.ContainsFunc(text, func(r rune) bool { return !strings.ContainsRune("0123456789+-.eE", r) }) {
		return 0, strconv.ErrSyntax
	}
	return strconv.ParseFloat(text, 64)
}

// formatFloat is the shortest text that reads back the same, with exponents as people write them: 7.5e-5.
func formatFloat(v float64) string {
	if v == 0 {
		return "0" // minus zero is zero
	}
	text := strconv.FormatFloat(v, 'g', -1, 64)
	mantissa, exponent, found := strings.Cut(text, "e")
	if !found {
		return text
	}
	sign := ""
	if exponent[0] == '-' {
		sign = "-"
	}
	return mantissa + "e" + sign + strings.TrimLeft(exponent[1:], "0")
}

func (f Field) inBounds(v float64) bool {
	if f.Min != nil && (v < *f.Min || f.MinOpen && v == *f.Min) {
		return false
	}
	return f.Max == nil || (v <= *f.Max && (!f.MaxOpen || v < *f.Max))
}

// nearestBound moves a number into the field's bounds; where a bound itself does not pass, the example does.
func (f Field) nearestBound(v float64) string {
	if f.Min != nil && v < *f.Min {
		v = *f.Min
	}
	if f.Max != nil && v > *f.Max {
		v = *f.Max
	}
	if f.Path == "memory" && v > 0 && v < MinMemory {
		v = MinMemory
	}
	if !f.inBounds(v) || math.Abs(v) > 1<<53 {
		return f.Example()
	}
	return plain(v)
}

// parseBool takes what people and HTML forms write.
func parseBool(text string) (value, ok bool) {
	switch strings.ToLower(text) {
	case "true", "on", "yes":
		return true, true
	case "false", "off", "no":
		return false, true
	}
	return false, false
}

// dropUnderscores removes underscores between digits, as TOML allows them; any other underscore is an error.
func dropUnderscores(text string) (string, bool) {
	for i := range len(text) {
		if text[i] == '_' && (i == 0 || i == len(text)-1 || !digit(text[i-1]) || !digit(text[i+1])) {
			return "", false
		}
	}
	return strings.ReplaceAll(text, "_", ""), true
}

func digit(b byte) bool { return b >= '0' && b <= '9' }

// canonicalList removes white space around the items, since the core would take it as part of a name.
func (f Field) canonicalList(text string) (string, *problem) {
	items := strings.Split(text, ",")
	kept := make([]string, 0, len(items))
	for _, item := range items {
		if item = strings.TrimSpace(item); item != "" {
			kept = append(kept, item)
		}
	}
	if len(kept) != len(items) {
		p := f.broken(strings.Join(kept, ","))
		p.rule += ", and one is empty"
		return "", p
	}
	switch f.Path {
	case "tags":
		return canonicalTags(kept)
	case run.SecretsField:
		return canonicalNames(kept)
	case FieldRetry:
		return canonicalRetry(kept)
	}
	return strings.Join(kept, ","), nil
}

func (f Field) canonicalRatio(text string) (string, *problem) {
	parts := strings.Split(text, ":")
	for i, part := range parts {
		part = strings.TrimSpace(part)
		if v, err := parseFloat(part); err != nil || v <= 0 {
			return "", f.broken("")
		}
		parts[i] = part
	}
	return strings.Join(parts, ":"), nil
}
