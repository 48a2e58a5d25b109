package trainconf

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
)

// maxSweepText bounds the text of one axis, in bytes: 500 values of 30.
const maxSweepText = 16 << 10

// rangeForm is "1e-4..1e-3 log 4": from, to, how values are spread, and how many.
var rangeForm = regexp.MustCompile(`^([-+]?[0-9][0-9_.]*(?:[eE][-+]?[0-9]+)?|[-+]?\.[0-9]+)\s*\.\.\s*(\S+)\s+(log|linear|lin)\s+([0-9]+)$`)

// bareRange is a range without its spread or its count: no value of any field is written so.
var bareRange = regexp.MustCompile(`^([-+]?[0-9.]*[0-9](?:[eE][-+]?[0-9]+)?)\s*\.\.\s*([-+]?\.?[0-9][0-9_.]*(?:[eE][-+]?[0-9]+)?)(?:\s+(?:[0-9]+|log|linear|lin))?$`)

// SweepValues reads the values of one axis of a sweep as a person types them: one a line when the text has more than one
// line (a value may then hold commas), else separated by commas. An item such as "1e-4..1e-3 log 4" or "16..64 linear 4"
// stands for that many values, ends included, rounded to whole numbers where the field takes only those. Values are
// not checked against the field. The error is a [run.FieldError].
func SweepValues(field, text string) ([]string, error) {
	if len(text) > maxSweepText {
		return nil, fieldError(field, strconv.Itoa(len(text))+" bytes", fmt.Sprintf("must be at most %d bytes of values", maxSweepText), "use fewer values")
	}
	separator := ","
	text = strings.TrimSpace(strings.ReplaceAll(text, "\r\n", "\n"))
	if strings.Contains(text, "\n") {
		separator = "\n"
	}
	var out []string
	for item := range strings.SplitSeq(text, separator) {
		item = strings.TrimSpace(item)
		if item == "" {
			continue
		}
		if m := bareRange.FindStringSubmatch(item); m != nil {
			ends := fault.Quote(m[1] + ".." + m[2])
			return nil, fieldError(field, fault.Quote(item), "must say how the values of a range are spread, and how many there are", "write "+ends+" log 4, or "+ends+" linear 4")
		}
		values := []string{item}
		if m := rangeForm.FindStringSubmatch(item); m != nil {
			var err error
			if values, err = rangeValues(field, item, m[1], m[2], m[3] == "log", m[4]); err != nil {
				return nil, err
			}
		}
		if out = append(out, values...); len(out) > run.MaxSweepRuns {
			return nil, fieldError(field, strconv.Itoa(len(out))+" values", fmt.Sprintf("must be at most %d values: a sweep has no more runs", run.MaxSweepRuns), "use fewer values")
		}
	}
	if len(out) == 0 {
		return nil, fieldError(field, "", "must have at least one value", "write values separated by commas, such as 1e-4, 3e-4")
	}
	return out, nil
}

// rangeValues spreads count values from one end to the other. The ends stay as they were written.
func rangeValues(field, item, from, to string, log bool, countText string) ([]string, error) {
	low, err1 := strconv.ParseFloat(strings.ReplaceAll(from, "_", ""), 64)
	high, err2 := strconv.ParseFloat(strings.ReplaceAll(to, "_", ""), 64)
	count, err3 := strconv.Atoi(countText)
	const fix = "write 1e-4..1e-3 log 4, or 16..64 linear 4"
	switch {
	case err1 != nil || err2 != nil || math.IsInf(low, 0) || math.IsInf(high, 0) || math.IsNaN(high):
		return nil, fieldError(field, fault.Quote(item), "must have numbers at both ends of a range", fix)
	case err3 != nil || count < 2 || count > run.MaxSweepRuns:
		return nil, fieldError(field, fault.Quote(item), fmt.Sprintf("must be a range of 2 to %d values", run.MaxSweepRuns), fix)
	case log && (low <= 0 || high <= 0):
		return nil, fieldError(field, fault.Quote(item), "must have ends above zero to be spread by log", "use linear, or ends above zero")
	}
	whole := wholeNumbers(field)
	out := make([]string, 0, count)
	out = append(out, from)
	for i := 1; i < count-1; i++ {
		share := float64(i) / float64(count-1)
		v := low + (high-low)*share
		if log {
			v = math.Exp(math.Log(low) + (math.Log(high)-math.Log(low))*share)
		}
		if whole {
			out = append(out, strconv.FormatFloat(math.Round(v), 'f', 0, 64))
		} else {
			out = append(out, strconv.FormatFloat(v, 'g', 4, 64))
		}
	}
	return append(out, to), nil
}

// wholeNumbers reports whether a field takes whole numbers only.
func wholeNumbers(field string) bool {
	if f, ok := Lookup(field); ok {
		return f.Type == Int || f.Type == IntOrBool
	}
	for _, f := range PlacementFields() {
		if f.Path == field {
			return f.Type == Int
		}
	}
	return false
}
