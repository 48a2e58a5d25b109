package localnomad

import (
	"errors"
	"math"
	"regexp"
	"regexp/syntax"
	"strconv"
	"strings"

	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
	"github.com/zclconf/go-cty/cty/gocty"
)

// functions are those of job files, which are counted before they make much of little.
func (m *meter) functions() map[string]function.Function {
	funcs, guards := jobFunctions(), guards()
	for name, f := range funcs {
		switch name {
		case "can", "convert", "try": // take expressions, which are counted themselves
		default:
			funcs[name] = m.guarded(f, guards[name])
		}
	}
	return funcs
}

// guarded is a function that looks at its arguments first.
func (m *meter) guarded(f function.Function, guard func(m *meter, args []cty.Value) error) function.Function {
	return function.New(&function.Spec{
		Params: f.Params(), VarParam: f.VarParam(),
		Type: func(args []cty.Value) (cty.Type, error) {
			if err := m.before(args, guard); err != nil {
				return cty.DynamicPseudoType, err
			}
			return f.ReturnTypeForValues(args)
		},
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) { return f.Call(args) },
	})
}

func (m *meter) before(args []cty.Value, guard func(*meter, []cty.Value) error) error {
	for _, arg := range args {
		if arg.Type() == cty.Number && arg.IsKnown() && !arg.IsNull() { // it may have been a text until now
			if err := m.number(arg.AsBigFloat()); err != nil {
				return err
			}
		}
		if !arg.IsWhollyKnown() || arg.IsNull() {
			return m.err // then no function does anything
		}
	}
	if guard == nil || m.err != nil {
		return m.err
	}
	if err := guard(m, args); err != nil {
		m.err = err
	}
	return m.err
}

// guards is what some functions could make much of, by their names: the others make about as much as they are given. The
// arguments have the types of the function's parameters.
func guards() map[string]func(*meter, []cty.Value) error {
	return map[string]func(*meter, []cty.Value) error{
		"join":          guardJoin,
		"format":        func(m *meter, args []cty.Value) error { return guardFormat(m, args, 1) },
		"formatlist":    guardFormatList,
		"indent":        guardIndent,
		"replace":       guardReplace,
		"regex_replace": guardRegexp,
		"setproduct":    guardProduct,
		"csvdecode":     func(_ *meter, args []cty.Value) error { return readable("CSV", args[0].AsString()) },
		"jsondecode":    guardJSON,
		"parseint":      guardInteger,
		"yamldecode":    func(_ *meter, args []cty.Value) error { return guardYAML(args[0].AsString()) },
		"bcrypt":        guardBcrypt,
		"rsadecrypt":    func(_ *meter, args []cty.Value) error { return guardRSA(args[0].AsString(), args[1].AsString()) },
	}
}

// times multiplies what may be large; what is too large for an int is as much as can be.
func times(a, b int) int {
	if a > 0 && b > math.MaxInt/a {
		return math.MaxInt
	}
	return a * b
}

func guardJoin(m *meter, args []cty.Value) error {
	separators := 0
	for _, list := range args[1:] {
		separators += list.LengthInt()
	}
	return m.room(times(len(args[0].AsString()), separators))
}

// widths are the width and the precision of a verb.
var widths = regexp.MustCompile(`%[^a-zA-Z%]*`)

// guardFormat bounds what a format makes of its arguments, count times.
func guardFormat(m *meter, args []cty.Value, count int) error {
	format := args[0].AsString()
	longest := 0
	for _, arg := range args[1:] {
		if err := m.numberIn(arg); err != nil {
			return err
		}
		if arg.Type() == cty.String {
			longest = max(longest, len(arg.AsString()))
		}
	}
	made := len(format)
	for _, verb := range widths.FindAllString(format, -1) {
		made += longest
		for _, digits := range strings.FieldsFunc(verb, func(r rune) bool { return r < '0' || r > '9' }) {
			n, err := strconv.Atoi(digits)
			if err != nil || n > maxText {
				n = maxText
			}
			made += n
		}
	}
	return m.room(times(made, count))
}

// guardFormatList takes every list for a text of the length of its longest element.
func guardFormatList(m *meter, args []cty.Value) error {
	plain, count := args[:1:1], 1
	for _, arg := range args[1:] {
		if !arg.CanIterateElements() {
			plain = append(plain, arg)
			continue
		}
		count = max(count, arg.LengthInt())
		longest := ""
		for it := arg.ElementIterator(); it.Next(); {
			_, element := it.Element()
			if err := m.numberIn(element); err != nil {
				return err
			}
			if !element.IsNull() && element.Type() == cty.String && len(element.AsString()) > len(longest) {
				longest = element.AsString()
			}
		}
		plain = append(plain, cty.StringVal(longest))
	}
	return guardFormat(m, plain, count)
}

func guardIndent(m *meter, args []cty.Value) error {
	var spaces int
	if err := gocty.FromCtyValue(args[0], &spaces); err != nil {
		return m.err // the function says what is wrong
	}
	return m.room(times(max(spaces, 0), 1+strings.Count(args[1].AsString(), "\n")))
}

func guardReplace(m *meter, args []cty.Value) error {
	return m.room(times(strings.Count(args[0].AsString(), args[1].AsString()), len(args[2].AsString())))
}

// guardRegexp bounds the work as well: the text, times the size of the program that the expression becomes.
func guardRegexp(m *meter, args []cty.Value) error {
	text, pattern, with := args[0].AsString(), args[1].AsString(), args[2].AsString()
	for what, s := range map[string]string{"a regular expression": pattern, "what one is to match": text} {
		if err := readable(what, s); err != nil {
			return err
		}
	}
	re, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return m.err // the function says what is wrong
	}
	program, err := syntax.Compile(re.Simplify())
	if err != nil {
		return m.err
	}
	if times(len(program.Inst), len(text)) > maxText {
		return limitf("a regular expression of %d steps meets a text of %d bytes: more than %d steps", len(program.Inst), len(text), maxText)
	}
	return m.room(times(2*(len(text)+1), len(with))) // each match, and each reference to what it matched
}

func guardProduct(m *meter, args []cty.Value) error {
	n := 1
	for _, set := range args {
		if n = times(n, set.LengthInt()); n > maxElements {
			return limitf("setproduct makes more than %d elements", maxElements)
		}
	}
	return m.spend(times(n, len(args)))
}

func guardJSON(_ *meter, args []cty.Value) error {
	text := args[0].AsString()
	if err := readable("JSON", text); err != nil {
		return err
	}
	var limit limitError
	if err := walkJSON(text, func(string) error { return nil }); errors.As(err, &limit) {
		return limit
	}
	return nil // of other errors the function tells
}

func guardInteger(_ *meter, args []cty.Value) error {
	if args[0].Type() != cty.String {
		return nil
	}
	return readable("a number", args[0].AsString())
}

// yamlAlias is what may stand for an alias in YAML.
var yamlAlias = regexp.MustCompile(`\*[^\s*]`)

// guardYAML bounds how deep the text is nested, by brackets and by the marks at the start of a line, and how much a few
// aliases can make of it.
func guardYAML(text string) error {
	if err := readable("YAML", text); err != nil {
		return err
	}
	if err := checkBrackets(text); err != nil {
		return err
	}
	for line := range strings.Lines(text) {
		marks := 0
		for _, word := range strings.Fields(line) {
			if word != "-" && word != "?" && word != ":" {
				break
			}
			if marks++; marks > maxNesting {
				return tooDeep()
			}
		}
	}
	if strings.Contains(text, "&") && len(yamlAlias.FindAllStringIndex(text, maxYAMLAliases+1)) > maxYAMLAliases {
		return limitf("YAML with anchors has more than %d aliases", maxYAMLAliases)
	}
	return nil
}

func guardBcrypt(m *meter, args []cty.Value) error {
	if len(args) < 2 {
		return m.err
	}
	if cost, _ := args[1].AsBigFloat().Int64(); cost > maxBcryptCost {
		return limitf("a cost of bcrypt is more than %d", maxBcryptCost)
	}
	return m.err
}

func guardRSA(text, key string) error {
	if len(text) > maxRSA || len(key) > maxRSA {
		return limitf("rsadecrypt is given more than %d KiB", maxRSA>>10)
	}
	return nil
}
