package cli

import (
	"errors"
	"io/fs"
	"math"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/cotrain/cotrain/internal/logparse"
	"github.com/cotrain/cotrain/internal/run"
)

// appendJSONLine appends {"line":0,"step":1,"metrics":{...},"extra":{...},"event":{...}}. Metrics of CotrainCore, and those with
// names that trainers share, are "metrics"; others, under the names that their trainer prints, are "extra".
func appendJSONLine(dst []byte, line int64, res *logparse.Result) []byte {
	dst = append(dst, `{"line":`...)
	dst = strconv.AppendInt(dst, line, 10)
	dst = append(dst, `,"step":`...)
	dst = appendStep(dst, res, "null")
	dst = append(dst, `,"metrics":{`...)
	metrics := res.Sample.Metrics
	if res.Kind == logparse.KindEvent {
		metrics = nil
	}
	left := 0
	if res.Printed != nil {
		dst = appendPrinted(dst, metrics, res.Printed)
	} else if res.Format == logparse.CotrainCore {
		dst, _ = appendMembers(dst, metrics, anyName)
	} else {
		dst, left = appendMembers(dst, metrics, logparse.Shared)
	}
	dst = append(dst, '}')
	if left > 0 {
		dst = append(dst, `,"extra":{`...)
		dst, _ = appendMembers(dst, metrics, ownName)
		dst = append(dst, '}')
	}
	if res.Kind == logparse.KindEvent {
		dst = appendEvent(dst, res.Event)
	}
	return append(dst, "}\n"...)
}

func appendEvent(dst []byte, ev logparse.Event) []byte {
	dst = append(dst, `,"event":{"name":`...)
	dst = appendJSONText(dst, ev.Name)
	dst = append(dst, `,"level":`...)
	dst = appendJSONText(dst, ev.Level.String())
	dst = append(dst, `,"message":`...)
	dst = appendJSONText(dst, ev.Message())
	if path := ev.Path(); path != "" {
		dst = append(dst, `,"path":`...)
		dst = appendJSONText(dst, path)
	}
	if len(ev.Metrics) > 0 {
		dst = append(dst, `,"numbers":{`...)
		dst, _ = appendMembers(dst, ev.Metrics, anyName)
		dst = append(dst, '}')
	}
	return append(dst, '}')
}

// appendPrinted appends metrics with the numbers of the line. Their names are words, in which nothing is to be escaped.
func appendPrinted(dst []byte, metrics []run.Metric, numbers [][]byte) []byte {
	for i, m := range metrics {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, '"')
		dst = append(dst, m.Name...)
		dst = append(dst, '"', ':')
		dst = append(dst, numbers[i]...)
	}
	return dst
}

func anyName(string) bool { return true }

func ownName(name string) bool { return !logparse.Shared(name) }

// appendMembers appends those metrics whose name is wanted, and says how many are not.
func appendMembers(dst []byte, metrics []run.Metric, wanted func(name string) bool) (out []byte, left int) {
	first := true
	for _, m := range metrics {
		if !wanted(m.Name) {
			left++
			continue
		}
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst = append(appendJSONText(dst, m.Name), ':')
		switch {
		case math.IsNaN(m.Value):
			dst = append(dst, `"NaN"`...)
		case math.IsInf(m.Value, 1):
			dst = append(dst, `"Infinity"`...)
		case math.IsInf(m.Value, -1):
			dst = append(dst, `"-Infinity"`...)
		default:
			dst = appendNumber(dst, m.Value)
		}
	}
	return dst, left
}

func appendStep(dst []byte, res *logparse.Result, none string) []byte {
	switch {
	case res.Kind == logparse.KindSample && res.Sample.HasStep:
		return strconv.AppendInt(dst, res.Sample.Step, 10)
	case res.Kind == logparse.KindEvent && res.Event.HasStep:
		return strconv.AppendInt(dst, res.Event.Step, 10)
	}
	return append(dst, none...)
}

// appendNumber appends the shortest decimal number that reads as v. Printed metrics have few decimals, for which this is several
// times faster than strconv: n/10^4 is rounded once, so if that is v, then its decimal digits read as v.
func appendNumber(dst []byte, v float64) []byte {
	const scale, places = 1e4, 4
	a := math.Abs(v)
	if !(a < 1e11) || a == 0 {
		return strconv.AppendFloat(dst, v, 'g', -1, 64)
	}
	n := uint64(a*scale + 0.5)
	if float64(n)/scale != a {
		return strconv.AppendFloat(dst, v, 'g', -1, 64)
	}
	var buf [24]byte
	at := len(buf)
	whole, part := n/scale, n%scale
	if part > 0 {
		left := places
		for part%10 == 0 {
			part /= 10
			left--
		}
		for ; left > 0; left-- {
			at--
			buf[at] = byte('0' + part%10)
			part /= 10
		}
		at--
		buf[at] = '.'
	}
	for {
		at--
		buf[at] = byte('0' + whole%10)
		if whole /= 10; whole == 0 {
			break
		}
	}
	if v < 0 {
		at--
		buf[at] = '-'
	}
	return append(dst, buf[at:]...)
}

// appendJSONText appends a JSON string in which everything is escaped that a terminal would obey.
func appendJSONText(dst []byte, s string) []byte {
	dst = append(dst, '"')
	plain := true
	for i := 0; i < len(s); i++ {
		if c := s[i]; c < 0x20 || c >= 0x7f || c == '"' || c == '\\' {
			plain = false
			break
		}
	}
	if plain {
		dst = append(dst, s...)
		return append(dst, '"')
	}
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			dst = append(dst, '\\', byte(r))
		case r == '\t' || unprintable(r):
			for _, u := range utf16.AppendRune(nil, r) {
				const hex = "0123456789abcdef"
				dst = append(dst, '\\', 'u', hex[u>>12], hex[u>>8&15], hex[u>>4&15], hex[u&15])
			}
		default:
			dst = utf8.AppendRune(dst, r)
		}
	}
	return append(dst, '"')
}

// appendRow appends a row of the table for people.
func appendRow(dst []byte, line int64, res *logparse.Result) []byte {
	var number [24]byte
	dst = pad(dst, strconv.AppendInt(number[:0], line, 10), -8)
	dst = pad(append(dst, "  "...), appendStep(number[:0], res, "-"), -10)
	if res.Kind == logparse.KindEvent {
		dst = pad(append(dst, "  "...), []byte("event"), 14)
		dst = append(dst, "  "...)
		dst = append(dst, printable(res.Event.Name+": "+res.Event.Message())...)
		return append(dst, '\n')
	}
	dst = pad(append(dst, "  "...), []byte(printable(res.Format)), 14)
	for _, m := range res.Sample.Metrics {
		dst = append(dst, "  "...)
		dst = append(dst, printable(m.Name)...)
		dst = append(dst, '=')
		if math.IsNaN(m.Value) || math.IsInf(m.Value, 0) {
			dst = strconv.AppendFloat(dst, m.Value, 'g', -1, 64)
		} else {
			dst = appendNumber(dst, m.Value)
		}
	}
	return append(dst, '\n')
}

// pad appends text in a column: negative widths align to the right.
func pad(dst, text []byte, width int) []byte {
	if width > 0 {
		dst = append(dst, text...)
	}
	for n := max(width, -width) - len(text); n > 0; n-- {
		dst = append(dst, ' ')
	}
	if width < 0 {
		dst = append(dst, text...)
	}
	return dst
}

func asPattern(err error, target **logparse.PatternError) bool { return errors.As(err, target) }

// pathReason is why a file could not be opened, without its path.
func pathReason(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}
