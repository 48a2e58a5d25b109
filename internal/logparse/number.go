package logparse

import (
	"math"
	"strconv"
)

// pow10 holds the exact powers of ten of a float64.
var pow10 = [...]float64{
	1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11,
	1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
}

const maxNumber = 64 // bytes; longer ones are no measurement

// parseDecimal reads [+-]digits[.digits][e[+-]digits]. "6." and ".5" are refused: the trainer never prints them, and the
// first may be cut.
func parseDecimal(b []byte) (float64, bool) {
	v, n, ok := scanDecimal(b)
	return v, ok && n == len(b)
}

// scanDecimal reads the number at the start of b and returns its length.
func scanDecimal(b []byte) (v float64, n int, ok bool) {
	i := 0
	if len(b) > 0 && (b[0] == '-' || b[0] == '+') {
		i++
	}
	start := i
	mant, i := scanDigits(0, b, i)
	digits := i - start
	if digits == 0 {
		return 0, 0, false
	}
	exp := 0
	if i < len(b) && b[i] == '.' {
		frac := i + 1
		if mant, i = scanDigits(mant, b, frac); i == frac {
			return 0, 0, false
		}
		exp = frac - i
		digits += i - frac
	}
	if i < len(b) && (b[i] == 'e' || b[i] == 'E') {
		e, end := scanExponent(b, i+1)
		if end < 0 {
			return 0, 0, false
		}
		exp, i = exp+e, end
	}
	if i > maxNumber {
		return 0, 0, false
	}
	// Exact mantissa and exact power: one rounding is correct (Clinger 1990).
	if digits <= 19 && mant <= 1<<53 && exp >= -22 && exp <= 22 {
		v = float64(mant)
		if exp < 0 {
			v /= pow10[-exp]
		} else {
			v *= pow10[exp]
		}
		if b[0] == '-' {
			v = -v
		}
		return v, i, true
	}
	v, err := strconv.ParseFloat(string(b[:i]), 64)
	return v, i, err == nil
}

// scanDigits appends digits at i to mant, which may overflow, and returns the index after them.
func scanDigits(mant uint64, b []byte, i int) (uint64, int) {
	for ; i < len(b); i++ {
		c := b[i] - '0'
		if c > 9 {
			break
		}
		mant = mant*10 + uint64(c)
	}
	return mant, i
}

// scanExponent reads [+-]digits at i and returns the index after them, or -1; huge values are clamped.
func scanExponent(b []byte, i int) (e, end int) {
	neg := false
	if i < len(b) && (b[i] == '-' || b[i] == '+') {
		neg = b[i] == '-'
		i++
	}
	start := i
	for ; i < len(b) && isDigit(b[i]); i++ {
		e = min(e*10+int(b[i]-'0'), 9999)
	}
	if i == start {
		return 0, -1
	}
	if neg {
		e = -e
	}
	return e, i
}

// parsePrinted reads Python's formats: decimal, nan, inf, thousands separators, percent.
func parsePrinted(b []byte) (float64, bool) {
	if len(b) > 1 && b[len(b)-1] == '%' {
		b = b[:len(b)-1]
	}
	if v, ok := parseDecimal(b); ok {
		return v, true
	}
	if v, ok := parseNonFinite(b); ok {
		return v, true
	}
	return parseGrouped(b)
}

// parseNonFinite reads nan, inf and infinity in any case, with or without sign.
func parseNonFinite(b []byte) (float64, bool) {
	sign := 1
	if len(b) > 0 && (b[0] == '-' || b[0] == '+') {
		if b[0] == '-' {
			sign = -1
		}
		b = b[1:]
	}
	switch {
	case equalFold(b, "nan"):
		return math.NaN(), true
	case equalFold(b, "inf"), equalFold(b, "infinity"):
		return math.Inf(sign), true
	}
	return 0, false
}

// equalFold compares with a lower-case ASCII word.
func equalFold(b []byte, word string) bool {
	if len(b) != len(word) {
		return false
	}
	for i, c := range b {
		if c|0x20 != word[i] {
			return false
		}
	}
	return true
}

// parseGrouped reads "89,174.58".
func parseGrouped(b []byte) (float64, bool) {
	var buf [maxNumber]byte
	if len(b) > len(buf) {
		return 0, false
	}
	out, group, grouped, fraction := buf[:0], 0, false, false
	for _, c := range b {
		switch {
		case c == ',' && !fraction:
			if group == 0 || group > 3 || grouped && group != 3 {
				return 0, false
			}
			grouped, group = true, 0
			continue
		case isDigit(c):
			if !fraction {
				group++
			}
		case c == '.':
			fraction = true
		case c != '-' || len(out) > 0:
			return 0, false
		}
		out = append(out, c)
	}
	if !grouped || group != 3 {
		return 0, false
	}
	return parseDecimal(out)
}

// multiple is the exponent of "22.8K", "1.2M", "85.8G" and "85.8B".
func multiple(c byte) string {
	switch c {
	case 'k', 'K':
		return "e3"
	case 'M':
		return "e6"
	case 'G', 'B':
		return "e9"
	case 'T':
		return "e12"
	}
	return ""
}

// parseStep reads a non-negative integer.
func parseStep(b []byte) (int64, bool) {
	n, size, ok := scanStep(b)
	return n, ok && size == len(b)
}

// scanStep reads the non-negative integer at the start of b and returns its length.
func scanStep(b []byte) (n int64, size int, ok bool) {
	for size < len(b) && isDigit(b[size]) {
		if n = n*10 + int64(b[size]-'0'); size == 16 {
			return 0, 0, false
		}
		size++
	}
	return n, size, size > 0 && n < maxStep
}

func wholeStep(v float64) (int64, bool) {
	if v < 0 || v >= maxStep || v != math.Trunc(v) {
		return 0, false // the last comparison catches NaN
	}
	return int64(v), true
}

// isCutNumber reports whether b could start a number.
func isCutNumber(b []byte) bool {
	if len(b) > maxNumber {
		return false
	}
	for len(b) > 0 && (b[0] == '-' || b[0] == '+') {
		b = b[1:]
	}
	for _, word := range [...]string{"nan", "infinity"} {
		if len(b) <= len(word) && equalFold(b, word[:len(b)]) {
			return true
		}
	}
	for _, c := range b {
		if !isDigit(c) && c != '.' && c != 'e' && c != 'E' && c != '-' && c != '+' {
			return false
		}
	}
	return true
}
