package localnomad

import (
	"math/big"
	"strconv"
	"strings"
	"unicode"

	"github.com/hashicorp/nomad/api"
)

// attribute is a device attribute's value: a number with a unit, a bool, or
// a string.
type attribute struct {
	number *big.Rat // in the base unit
	exact  bool     // number was written as an integer
	kind   unitKind
	flag   *bool
	text   *string
}

// unitKind says which units can be compared with each other.
type unitKind int

const (
	unitNone unitKind = iota
	unitBytes
	unitBytesPerSecond
	unitHertz
	unitWatt
)

// unit is a suffix of a number and what it multiplies by.
type unit struct {
	name string
	kind unitKind
	mul  *big.Rat
}

// units lists Nomad's units, longest name first, so that the first suffix
// that fits is the right one. The source is Nomad's documentation of device
// attributes.
func units() []unit {
	var out []unit
	pow := func(base, n int64) *big.Rat {
		return new(big.Rat).SetInt(new(big.Int).Exp(big.NewInt(base), big.NewInt(n), nil))
	}
	add := func(kind unitKind, suffix string) {
		for i, p := range []string{"Ki", "Mi", "Gi", "Ti", "Pi", "Ei"} {
			out = append(out, unit{p + suffix, kind, pow(1024, int64(i+1))})
		}
	}
	addDecimal := func(kind unitKind, suffix string) {
		out = append(out, unit{"k" + suffix, kind, pow(1000, 1)})
		for i, p := range []string{"K", "M", "G", "T", "P", "E"} {
			out = append(out, unit{p + suffix, kind, pow(1000, int64(i+1))})
		}
	}
	add(unitBytesPerSecond, "B/s")
	addDecimal(unitBytesPerSecond, "B/s")
	add(unitBytes, "B")
	out = append(out, unit{"MHz", unitHertz, pow(1000, 2)}, unit{"GHz", unitHertz, pow(1000, 3)})
	addDecimal(unitBytes, "B")
	out = append(out,
		unit{"mW", unitWatt, big.NewRat(1, 1000)}, unit{"kW", unitWatt, pow(1000, 1)},
		unit{"MW", unitWatt, pow(1000, 2)}, unit{"GW", unitWatt, pow(1000, 3)}, unit{"W", unitWatt, pow(1, 1)})
	return out
}

// parseAttribute reads a literal such as "24 GiB", "1.5", "true" or "sm_90".
func parseAttribute(text string) attribute {
	numeric, u := text, unit{}
	if text != "" && unicode.IsLetter(rune(text[len(text)-1])) {
		for _, candidate := range units() {
			if rest, ok := strings.CutSuffix(text, candidate.name); ok {
				numeric, u = strings.TrimSpace(rest), candidate
				break
			}
		}
	}
	if i, err := strconv.ParseInt(numeric, 10, 64); err == nil {
		return numberAttribute(new(big.Rat).SetInt64(i), true, u)
	}
	if f, err := strconv.ParseFloat(numeric, 64); err == nil {
		if r := new(big.Rat).SetFloat64(f); r != nil {
			return numberAttribute(r, false, u)
		}
	}
	if b, err := strconv.ParseBool(text); err == nil {
		return attribute{flag: &b}
	}
	return attribute{text: &text}
}

func numberAttribute(n *big.Rat, exact bool, u unit) attribute {
	if u.mul != nil {
		n.Mul(n, u.mul)
	}
	return attribute{number: n, exact: exact, kind: u.kind}
}

// wireAttribute converts a node's attribute.
func wireAttribute(a *api.Attribute) attribute {
	var u unit
	for _, candidate := range units() {
		if candidate.name == a.Unit {
			u = candidate
			break
		}
	}
	switch {
	case a.IntVal != nil:
		return numberAttribute(new(big.Rat).SetInt64(*a.IntVal), true, u)
	case a.FloatVal != nil:
		if r := new(big.Rat).SetFloat64(*a.FloatVal); r != nil {
			return numberAttribute(r, false, u)
		}
	case a.BoolVal != nil:
		return attribute{flag: a.BoolVal}
	case a.StringVal != nil:
		return attribute{text: a.StringVal}
	}
	return attribute{}
}

// compare orders two attributes; ok is false when they cannot be compared:
// different types, or units of different kinds, or a unit on one side only.
// Unequal bools compare as 1, as in Nomad.
func (a attribute) compare(b attribute) (order int, ok bool) {
	switch {
	case a.kind != b.kind:
		return 0, false
	case a.text != nil && b.text != nil:
		return strings.Compare(*a.text, *b.text), true
	case a.flag != nil && b.flag != nil:
		if *a.flag == *b.flag {
			return 0, true
		}
		return 1, true
	case a.number != nil && b.number != nil:
		return a.number.Cmp(b.number), true
	}
	return 0, false
}

// versionText is the attribute as a version: strings and whole numbers only.
func (a attribute) versionText() (string, bool) {
	switch {
	case a.text != nil:
		return *a.text, true
	case a.number != nil && a.exact:
		return a.number.Num().String(), true
	}
	return "", false
}
