package diagnose

import (
	"fmt"
	"regexp"
	"regexp/syntax"
	"strconv"
	"strings"
)

// digits says whether what rules look for depends on the digits of a line, for the lines that differ by their digits alone.
type digits struct {
	// finder finds in a masked line, see [mask], where texts with digits may be.
	finder *finder
	bounds map[*regexp.Regexp]bounds
}

// bounds are of an expression that tells digits from each other. Neither bound does: least matches only lines that the expression matches
// whatever their digits, most all that it matches with some.
type bounds struct{ least, most *regexp.Regexp }

// newDigits looks through all rules.
func (r *Rules) newDigits() *digits {
	d := &digits{bounds: map[*regexp.Regexp]bounds{}}
	var texts []string
	for _, text := range r.texts {
		if strings.ContainsAny(text, "0123456789") {
			texts = append(texts, string(mask(nil, []byte(text))))
		}
	}
	d.finder = newFinder(texts)
	add := func(e *regexp.Regexp) {
		if e == nil || !strings.ContainsAny(e.String(), "0123456789") { // none of its classes ends amid the digits
			return
		}
		least, most := withDigits(e.String(), false), withDigits(e.String(), true)
		if least != most {
			d.bounds[e] = bounds{regexp.MustCompile(least), regexp.MustCompile(most)}
		}
	}
	for _, rule := range r.rules {
		add(rule.match)
		add(rule.unless)
	}
	for _, m := range r.markers {
		add(m.match)
		add(m.unless)
	}
	return d
}

// matches reports whether an expression matches a text, and from where on digits may make that so: len(text) if none do.
func (d *digits) matches(e *regexp.Regexp, text []byte) (yes bool, from int) {
	b, depends := d.bounds[e]
	switch {
	case !depends:
		return e.Match(text), len(text)
	case b.least.Match(text):
		return true, len(text)
	}
	at := b.most.FindIndex(text)
	if at == nil {
		return false, len(text)
	}
	return e.Match(text), at[0]
}

// withDigits is an expression that matches as text does, but whatever in it tells some digits from others matches all of them, or none.
func withDigits(text string, all bool) string {
	tree, err := syntax.Parse(text, syntax.Perl)
	if err != nil {
		panic(err) // it was compiled before
	}
	return string(appendExpr(nil, tree, all))
}

// noRune is a class that matches nothing.
const noRune = `[^\x00-\x{10FFFF}]`

// appendExpr prints an expression; its own String takes a millisecond for each class that is negated.
func appendExpr(out []byte, e *syntax.Regexp, all bool) []byte {
	switch e.Op {
	case syntax.OpLiteral:
		return appendLiteral(out, e, all)
	case syntax.OpCharClass:
		return appendClass(out, e.Rune, all)
	case syntax.OpCapture, syntax.OpConcat, syntax.OpAlternate, syntax.OpStar, syntax.OpPlus, syntax.OpQuest, syntax.OpRepeat:
	default:
		return append(out, e.String()...)
	}
	out = append(out, "(?:"...)
	for i, sub := range e.Sub {
		if i > 0 && e.Op == syntax.OpAlternate {
			out = append(out, '|')
		}
		out = appendExpr(out, sub, all)
	}
	out = append(out, ')')
	switch e.Op {
	case syntax.OpStar:
		out = append(out, '*')
	case syntax.OpPlus:
		out = append(out, '+')
	case syntax.OpQuest:
		out = append(out, '?')
	case syntax.OpRepeat:
		if out = fmt.Appendf(out, "{%d,", e.Min); e.Max >= 0 {
			out = strconv.AppendInt(out, int64(e.Max), 10)
		}
		out = append(out, '}')
	}
	return out
}

func appendLiteral(out []byte, e *syntax.Regexp, all bool) []byte {
	if out = append(out, "(?:"...); e.Flags&syntax.FoldCase != 0 {
		out = append(out[:len(out)-1], "i:"...)
	}
	for _, r := range e.Rune {
		switch {
		case r < '0' || r > '9':
			out = append(out, regexp.QuoteMeta(string(r))...)
		case all:
			out = append(out, "[0-9]"...)
		default:
			out = append(out, noRune...)
		}
	}
	return append(out, ')')
}

// appendClass gives a class that has some digits all of them, or takes them away.
func appendClass(out []byte, ranges []rune, all bool) []byte {
	digits := rune(0)
	for i := 0; i < len(ranges); i += 2 {
		digits += max(0, min(ranges[i+1], '9')-max(ranges[i], '0')+1)
	}
	start := len(out)
	out = append(out, '[')
	add := func(low, high rune) {
		if low <= high {
			out = fmt.Appendf(out, `\x{%x}-\x{%x}`, low, high)
		}
	}
	for i := 0; i < len(ranges); i += 2 {
		add(ranges[i], min(ranges[i+1], '0'-1))
		add(max(ranges[i], '9'+1), ranges[i+1])
	}
	switch {
	case all && digits > 0 || digits == 10:
		add('0', '9')
	case len(out) == start+1:
		return append(out[:start], noRune...)
	}
	return append(out, ']')
}
