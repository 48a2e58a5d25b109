package trainconf

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/BurntSushi/toml"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
)

// MaxTOML is the largest file in bytes that Parse reads: four times what can be dispatched, so that comments fit.
const MaxTOML = 64 << 10

// maxFaults is how many errors Parse reports: a file that is not ours at all would give thousands.
const maxFaults = 50

// The TOML library takes time that grows with the square of how deep keys nest: a 64 KiB file can keep it busy for half a
// minute. maxBraces and maxNesting keep that under a tenth of a second; a file of ours needs under a hundredth of them. It calls
// itself for each list in a list, which costs a kilobyte of stack: maxLists bounds that.
const (
	maxLists   = 16      // lists within each other
	maxBraces  = 64      // opening braces in the file, outside of texts and comments
	maxNesting = 2000000 // sum over lines of (dots in the line + dots in its table's header + braces so far) squared
)

// Parse reads CotrainCore's TOML. Every problem is reported with its line, as [run.FieldErrors]; the
// configuration then holds what was understood. Rules between fields are [Config.Validate]'s. It never panics.
func Parse(data []byte) (Config, error) {
	data = bytes.TrimPrefix(data, byteOrderMark)
	if f := checkFile(data); f != nil {
		return Config{}, run.FieldErrors{*f}
	}
	d, syntax := decode(data, false)
	if syntax != nil {
		return Config{}, run.FieldErrors{syntax.fault}
	}
	if !d.train {
		d.faults = append(d.faults, lineFault{math.MaxInt, fieldError("train", "", "must be there: the core does not start without the table [train]", "add a line [train]")})
	}
	if errs := sortedFaults(d.faults); len(errs) > 0 {
		return d.cfg, errs
	}
	return d.cfg, nil
}

// byteOrderMark is what editors on Windows write first.
var byteOrderMark = []byte("\xef\xbb\xbf")

// parsing bounds how many files are read at once, which takes a few MiB each: more would be no faster.
var parsing = make(chan struct{}, max(2, runtime.GOMAXPROCS(0)))

// decode reads TOML that [checkFile] let through; lines of fields are noted when asked for. syntax is not nil when the text is
// not TOML at all; then nothing was read.
func decode(data []byte, wantLines bool) (d decoder, syntax *lineFault) {
	parsing <- struct{}{}
	defer func() { <-parsing }()
	// The TOML library panics on errors that it does not expect; a file must never take the console down.
	defer func() {
		if r := recover(); r != nil {
			d, syntax = decoder{}, &lineFault{0, fieldError(FieldConfig, "", "cannot be read as TOML", "simplify the file")}
		}
	}()
	var top map[string]toml.Primitive
	huge := map[string]string{}
	md, err := toml.Decode(string(data), &top)
	for n := 0; err != nil; n++ {
		rest, path, number := withoutHuge(data, err)
		if rest == nil || n == maxHuge {
			return decoder{}, syntaxFault(data, err)
		}
		huge[path], data, top = number, rest, nil
		md, err = toml.Decode(string(data), &top)
	}
	d = decoder{md: &md, train: md.IsDefined("train"), huge: huge}
	if wantLines {
		d.lines = map[string]int{}
	}
	d.table(top, nil)
	return d, nil
}

// maxHuge is how many numbers that the library cannot hold are told by their field.
const maxHuge = 16

// withoutHuge replaces a number that is too large for the TOML library, which takes it for a mistake of TOML, by 0. It returns
// nil when the error is another.
func withoutHuge(data []byte, err error) (rest []byte, path, number string) {
	var pe toml.ParseError
	if !errors.As(err, &pe) || !strings.Contains(pe.Message, " is out of range for ") || pe.LastKey == "" {
		return nil, "", ""
	}
	start := pe.Position.Start
	end := start
	for end < len(data) && bytes.IndexByte([]byte("0123456789abcdefABCDEFxo_+-."), data[end]) >= 0 {
		end++
	}
	if end == start {
		return nil, "", ""
	}
	number = string(data[start:end])
	rest = bytes.Clone(data)
	copy(rest[start:end], "0"+strings.Repeat(" ", end-start-1))
	return rest, pe.LastKey, number
}

// sortedFaults orders errors by line and bounds their number.
func sortedFaults(faults []lineFault) run.FieldErrors {
	slices.SortStableFunc(faults, func(a, b lineFault) int { return cmp.Compare(a.line, b.line) })
	errs := make(run.FieldErrors, 0, min(len(faults), maxFaults)+1)
	for i, f := range faults {
		if i == maxFaults {
			return append(errs, fieldError(FieldConfig, "", fmt.Sprintf("has %d more problems", len(faults)-i), "solve those above first"))
		}
		errs = append(errs, f.fault)
	}
	return errs
}

// checkFile refuses what should not reach the TOML library.
func checkFile(data []byte) *run.FieldError {
	if len(data) > MaxTOML {
		f := fieldError(FieldConfig, strconv.Itoa(len(data))+" bytes", fmt.Sprintf("must be at most %d bytes", MaxTOML), "remove comments and what is not configuration")
		return &f
	}
	if !utf8.Valid(data) {
		f := fieldError(FieldConfig, "", "must be UTF-8 text", "save the file as UTF-8")
		return &f
	}
	braces, lists, header, cost := 0, 0, 0, 0
	line := 0
	var texts tomlTexts
	for text := range bytes.Lines(data) {
		line++
		outside := texts.outside(string(text)) // what a comment or a text holds nests nothing
		dots := strings.Count(outside, ".")
		braces += strings.Count(outside, "{")
		if strings.HasPrefix(strings.TrimSpace(outside), "[") {
			header = dots
		}
		deep := false
		lists, deep = nestLists(lists, outside)
		weight := dots + header + braces
		cost += weight * weight
		if deep {
			f := fieldError(FieldConfig, "", where(line)+"nests lists too deeply", "use text in quotes, with commas between its items: no setting is a list")
			return &f
		}
		if braces > maxBraces || cost > maxNesting {
			f := fieldError(FieldConfig, "", where(line)+"nests keys too deeply", "use keys of at most three parts, such as optim.optim.lr")
			return &f
		}
	}
	return nil
}

// nestLists follows the lists that are open over one line, and says whether they became too many. The brackets of a header count too:
// it closes as many as it opens.
func nestLists(open int, outside string) (after int, deep bool) {
	for i := range len(outside) {
		switch outside[i] {
		case '[':
			open++
		case ']':
			open = max(0, open-1)
		}
		deep = deep || open > maxLists
	}
	return open, deep
}

// syntaxFault turns an error of the TOML library into ours. The library repeats what it could not read, which must not be a
// secret.
func syntaxFault(data []byte, err error) *lineFault {
	var pe toml.ParseError
	if !errors.As(err, &pe) {
		return &lineFault{0, fieldError(FieldConfig, "", "cannot be read as TOML", "correct the file")}
	}
	if start := pe.Position.Start; strings.Contains(pe.Message, `'\n'`) && start <= len(data) {
		pe.Position.Line = 1 + bytes.Count(data[:start], []byte("\n")) // the library may count the line that has ended
	}
	rule, value := fault.Quote(strings.ReplaceAll(pe.Message, "\n", " ")), strings.TrimSpace(lineOf(data, pe.Position.Line))
	if fault.NamesSecret(pe.LastKey) || fault.NamesSecret(lineOf(data, pe.Position.Line-1)) || fault.NamesSecret(value) {
		rule, value = "the value of a secret is not written as text in quotes", ""
	}
	return &lineFault{pe.Position.Line, fieldError(FieldConfig, value, where(pe.Position.Line)+"is not TOML: "+rule, "correct that line")}
}

// lineOf is a line of a text, counted from 1, "" when it has not so many.
func lineOf(data []byte, number int) string {
	for line := range bytes.Lines(data) {
		if number--; number == 0 {
			return string(line)
		}
	}
	return ""
}

func where(line int) string {
	if line <= 0 {
		return ""
	}
	return "line " + strconv.Itoa(line) + ": "
}

type lineFault struct {
	line  int
	fault run.FieldError
}

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
