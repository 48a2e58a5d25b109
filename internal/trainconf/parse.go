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
	maxLists   = 16     // lists within each other
	maxBraces  = 64     // opening braces in the file, outside of texts and comments
	maxNesting = 500000 // sum over lines of (dots in the line + dots in its table's header + braces so far) squared
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
	switch line, deep := TooDeep(data); deep {
	case "":
		return nil
	case deepLists:
		f := fieldError(FieldConfig, "", where(line)+deep, "use text in quotes, with commas between its items: no setting is a list")
		return &f
	default:
		f := fieldError(FieldConfig, "", where(line)+deep, "use keys of at most three parts, such as optim.optim.lr")
		return &f
	}
}

// What nests too deeply.
const (
	deepLists = "nests lists too deeply"
	deepKeys  = "nests keys too deeply"
)

// TooDeep says what in a text of TOML nests too deeply for the library, and in which line, counted from 1; "" where nothing does. It takes time and memory
// with the square of the depth, so a short text could take all there is.
func TooDeep(data []byte) (line int, what string) {
	braces, lists, header, cost := 0, 0, 0, 0
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
			return line, deepLists
		}
		if braces > maxBraces || cost > maxNesting {
			return line, deepKeys
		}
	}
	return 0, ""
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
