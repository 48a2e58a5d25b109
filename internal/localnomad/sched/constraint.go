package sched

import (
	"cmp"
	"regexp"
	"strconv"
	"strings"
	"unicode"

	"github.com/hashicorp/go-version"
	"github.com/hashicorp/nomad/api"
)

// meets applies an operator to the two sides of a constraint. distinct_hosts depends on other placements and
// is checked apart.
func meets(left, op, right string, resolve func(target string) (string, bool)) bool {
	l, lok := resolve(left)
	r, rok := resolve(right)
	switch op {
	case api.ConstraintDistinctHosts:
		return true
	case api.ConstraintAttributeIsSet:
		return lok
	case api.ConstraintAttributeIsNotSet:
		return !lok
	case "!=", "not":
		return lok != rok || lok && !equal(l, r)
	}
	if !lok || !rok {
		return false
	}
	switch op {
	case "=", "==", "is":
		return equal(l, r)
	case "<", "<=", ">", ">=":
		return inOrder(op, l, r)
	case api.ConstraintVersion:
		return versionMatches(l, r)
	case api.ConstraintRegex:
		re, err := regexp.Compile(r)
		return err == nil && re.MatchString(l)
	}
	return false
}

// equal compares texts, and quantities that have a unit.
func equal(l, r string) bool {
	a, aUnit, aok := quantity(l)
	b, bUnit, bok := quantity(r)
	return l == r || aok && bok && aUnit && bUnit && a == b
}

// inOrder compares numbers, with the same kind of unit or none, else texts. A number has no order with a text, nor
// quantities of different kinds.
func inOrder(op, l, r string) bool {
	a, aUnit, aok := quantity(l)
	b, bUnit, bok := quantity(r)
	order := strings.Compare(l, r)
	switch {
	case aok && bok && aUnit == bUnit:
		order = cmp.Compare(a, b)
	case aok || bok:
		return false
	}
	switch op {
	case "<":
		return order < 0
	case "<=":
		return order <= 0
	case ">":
		return order > 0
	}
	return order >= 0
}

// units are those that devices' attributes have here, in bytes.
var units = map[string]float64{
	"": 1, "B": 1, "kB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40,
}

// quantity reads a number, such as "24 GiB", in bytes where it has a unit.
func quantity(text string) (n float64, hasUnit, ok bool) {
	i := strings.LastIndexFunc(text, unicode.IsDigit) + 1
	n, err := strconv.ParseFloat(text[:i], 64)
	unit := strings.TrimSpace(text[i:])
	return n * units[unit], unit != "", err == nil && units[unit] != 0
}

// versionMatches applies version constraints. A pre-release matches those of its own version only.
func versionMatches(l, r string) bool {
	v, err := version.NewVersion(l)
	if err != nil {
		return false
	}
	c, err := version.NewConstraint(r)
	return err == nil && c.Check(v)
}
