package trainconf

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/BurntSushi/toml"

	"github.com/cotrain/cotrain/internal/run"
)

// decoder walks a decoded file and fills a Config.
type decoder struct {
	md     *toml.MetaData
	cfg    Config
	faults []lineFault
	train  bool              // the file has the table [train]
	lines  map[string]int    // where each field that was understood stands; nil when nobody asks
	huge   map[string]string // numbers that cannot be held, by path, as they are written
}

// table takes every key of one table. Primitives are kept undecoded until the end, as only they know their line.
func (d *decoder) table(keys map[string]toml.Primitive, prefix toml.Key) {
	for _, key := range sortedKeys(keys) {
		prim := keys[key]
		full := append(slices.Clone(prefix), key)
		path := full.String() // quotes what is not a bare key, so that "a.b" is not taken for a.b
		var value any
		if err := d.md.PrimitiveDecode(prim, &value); err != nil {
			d.report(prim, fieldError(path, "", "cannot be read", "correct the value"))
			continue
		}
		i, known := schemaIndex[path]
		switch {
		case known:
			d.field(schema[i], prim, value)
		case schemaTables[path]:
			d.subtable(path, full, prim, value)
		default:
			d.unknown(path, full, prim, value)
		}
	}
}

func sortedKeys(m map[string]toml.Primitive) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

func (d *decoder) subtable(path string, full toml.Key, prim toml.Primitive, value any) {
	if _, ok := value.(map[string]any); !ok {
		d.report(prim, fieldError(path, "("+kind(value)+")", "must be a table", "write ["+path+"] on a line of its own"))
		return
	}
	var sub map[string]toml.Primitive
	if err := d.md.PrimitiveDecode(prim, &sub); err != nil {
		d.report(prim, fieldError(path, "", "cannot be read", "correct the table"))
		return
	}
	d.table(sub, full)
	if len(sub) > 0 {
		return
	}
	// An empty table would vanish, and with it the core's complaint that a field in it is missing.
	for i := range schema {
		if f := &schema[i]; f.Required && f.Table() == path {
			d.report(prim, missing(*f, path))
		}
	}
}

// missing is the error for a required field.
func missing(f Field, table string) run.FieldError {
	return fieldError(f.Path, "", "must be set when ["+table+"] is used: "+f.Rule(), "use "+f.Example()+", or remove ["+table+"]")
}

// unknown reports a key that the schema does not have.
func (d *decoder) unknown(path string, full toml.Key, prim toml.Primitive, value any) {
	if len(d.faults) > maxFaults {
		// Only counted: looking for the nearest key is the costly part.
		d.faults = append(d.faults, lineFault{line: math.MaxInt})
		return
	}
	_, table := value.(map[string]any)
	if table && d.line(prim) == 0 {
		// Not written itself, only implied by [a.b] or a.b = 1: what is written is below.
		var sub map[string]toml.Primitive
		if d.md.PrimitiveDecode(prim, &sub) == nil && len(sub) > 0 {
			d.table(sub, full)
			return
		}
	}
	d.report(prim, unknownPath(path, d.written(path, value), table))
}

// field takes one known field.
func (d *decoder) field(f Field, prim toml.Primitive, value any) {
	text, p := f.fromTOML(value)
	switch number, huge := d.huge[f.Path]; {
	case huge && f.Min != nil:
		p = f.broken(f.nearestBound(math.Copysign(math.MaxFloat64, sign(number))))
	case huge && p != nil:
		p.fix = "use " + f.tomlText(f.meant(number))
	}
	if p != nil {
		d.report(prim, f.fault(d.written(f.Path, value), p))
		return
	}
	d.cfg.values[schemaIndex[f.Path]] = text
	if d.lines != nil {
		d.lines[f.Path] = d.line(prim)
	}
}

// written is a value as an error repeats it.
func (d *decoder) written(path string, value any) string {
	if number, huge := d.huge[path]; huge {
		return number
	}
	return describe(value)
}

// sign is -1 for a number that is written with a minus, and 1 for others.
func sign(number string) float64 {
	if strings.HasPrefix(number, "-") {
		return -1
	}
	return 1
}

// fromTOML returns the canonical text of a decoded TOML value. Whole numbers may be written as floats, as the
// core takes them too; otherwise the TOML type must fit.
func (f Field) fromTOML(value any) (string, *problem) {
	var text string
	fits := false
	switch v := value.(type) {
	case string:
		text, fits = v, f.Type == String || f.Type == Choice || f.Type == StringList || f.Type == Ratio
		if fits && strings.TrimSpace(v) == "" {
			return "", &problem{"is empty", "use " + strconv.Quote(f.Example()) + ", or remove the line"}
		}
	case bool:
		text, fits = strconv.FormatBool(v), f.Type == Bool || f.Type == IntOrBool
	case int64:
		text, fits = strconv.FormatInt(v, 10), f.Type == Int || f.Type == Float || f.Type == IntOrBool
	case float64:
		text, fits = strconv.FormatFloat(v, 'g', -1, 64), f.Type == Int || f.Type == Float
	}
	if !fits {
		p := f.broken(f.tomlText(f.meant(value)))
		p.rule += ", not " + kind(value)
		return "", p
	}
	canonical, p := f.canonical(text)
	if s, ok := value.(string); ok && p == nil && canonical != s {
		return "", &problem{"has white space that the core would take as part of the value", "use " + strconv.Quote(canonical)}
	}
	return canonical, p
}

// tomlText is a value as TOML writes it.
func (f Field) tomlText(text string) string {
	switch f.Type {
	case String, Choice, StringList, Ratio:
		return strconv.Quote(text)
	}
	return text
}

// meant is the value that somebody meant who wrote one of another type: "5" for 5, 5 for "5", or ["a", "b"] for "a,b". Where that does
// not pass it is the field's example.
func (f Field) meant(value any) string {
	text := ""
	switch items, list := value.([]any); {
	case list && (f.Type == StringList || f.Type == Ratio) && describe(value) != listKind:
		parts := make([]string, 0, len(items))
		for _, item := range items {
			parts = append(parts, describe(item))
		}
		text = strings.Join(parts, map[Type]string{StringList: ",", Ratio: ":"}[f.Type])
	case !list && f.Type != Ratio && !strings.HasPrefix(describe(value), "("):
		text = describe(value)
	}
	if canonical, p := f.canonical(text); p == nil && canonical != "" {
		return canonical
	}
	return f.Example()
}

// kind names the TOML type of a decoded value.
func kind(value any) string {
	switch value.(type) {
	case string:
		return "text in quotes"
	case bool:
		return "true or false"
	case int64:
		return "a whole number"
	case float64:
		return "a decimal number"
	case time.Time:
		return "a date"
	case map[string]any, []map[string]any:
		return "a table"
	}
	return "a list"
}

// describe is a decoded value as an error repeats it.
func describe(value any) string {
	switch v := value.(type) {
	case string:
		return v
	case bool, int64, float64:
		return fmt.Sprint(v)
	case []any:
		return describeList(v)
	}
	return "(" + kind(value) + ")"
}

// listKind is what an error shows of a list that holds more than texts and numbers.
const listKind = "(a list)"

// describeList is a list as it was written, when it holds texts and numbers only.
func describeList(items []any) string {
	parts := make([]string, 0, len(items))
	for _, item := range items {
		switch item := item.(type) {
		case string:
			parts = append(parts, strconv.Quote(item))
		case bool, int64, float64:
			parts = append(parts, fmt.Sprint(item))
		default:
			return listKind
		}
	}
	return "[" + strings.Join(parts, ", ") + "]"
}

// report adds an error with the line of the key that it concerns.
func (d *decoder) report(prim toml.Primitive, f run.FieldError) {
	line := d.line(prim)
	f.Rule = where(line) + f.Rule
	d.faults = append(d.faults, lineFault{line, f})
}

// line is where the key of a value stands, 0 when it is not known.
func (d *decoder) line(prim toml.Primitive) int {
	var pe toml.ParseError
	if err := d.md.PrimitiveDecode(prim, &lineProbe{}); errors.As(err, &pe) {
		return pe.Position.Line
	}
	return 0
}

// lineProbe refuses every value: the TOML library has no call that tells where a key stands, but its errors do.
type lineProbe struct{}

var errLine = errors.New("only the position is wanted")

// UnmarshalTOML always fails.
func (*lineProbe) UnmarshalTOML(any) error { return errLine }
