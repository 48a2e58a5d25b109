package ui

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/cotrain/cotrain/internal/run"
)

// Absent stands where a number is not known yet.
const Absent = "–"

// Number writes v with 3 significant digits and an SI prefix: 0.00123, 4.57, 12.3 k, 1.50 M. What lies exactly between two
// such numbers is rounded away from zero, as the browser does it in static/js/ui/numbers.js: 3.125 is 3.13.
func Number(v float64) string {
	switch {
	case math.IsNaN(v):
		return "NaN"
	case math.IsInf(v, 0):
		return strings.TrimPrefix(fmt.Sprintf("%v", v), "+")
	case v == 0:
		return "0"
	}
	abs := math.Abs(v)
	if abs < 1e-4 {
		return scientific(v)
	}
	for _, p := range []struct {
		size float64
		name string
	}{{1e15, ""}, {1e12, " T"}, {1e9, " G"}, {1e6, " M"}, {1e3, " k"}} {
		// 999.5 of the smaller unit would round to 1000 of it: it is 1.00 of this one.
		if abs >= p.size*0.9995 {
			if p.name == "" {
				return scientific(v)
			}
			return significant(v/p.size) + p.name
		}
	}
	return significant(v)
}

// scientific writes v with 3 significant digits and its power of ten, as axes of charts do: 1.67e39, 2.50e-5.
func scientific(v float64) string {
	mantissa, power, _ := strings.Cut(strconv.FormatFloat(offTie(v), 'e', 2, 64), "e")
	n, _ := strconv.Atoi(power)
	return mantissa + "e" + strconv.Itoa(n)
}

// significant writes a number of magnitude 1e-4 to 1000 with 3 significant digits.
func significant(v float64) string {
	v = offTie(v)
	rounded := strconv.FormatFloat(v, 'e', 2, 64)
	exponent, _ := strconv.Atoi(rounded[strings.IndexByte(rounded, 'e')+1:]) // of what is written: 9.996 is 10.0, not 10.00
	return strconv.FormatFloat(v, 'f', max(2-exponent, 0), 64)
}

// offTie returns v, or its neighbour away from zero when v lies exactly between two numbers of 3 digits: strconv would take
// the even one of them.
func offTie(v float64) float64 {
	digits := strconv.FormatFloat(math.Abs(v), 'e', 60, 64)
	if rest := digits[len("1.23"):strings.IndexByte(digits, 'e')]; rest[0] == '5' && strings.Trim(rest[1:], "0") == "" {
		return math.Nextafter(v, math.Copysign(math.Inf(1), v))
	}
	return v
}

// Exact writes v with every digit that it has.
func Exact(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }

// Integer writes n with commas between thousands.
func Integer[T int | int64](n T) string {
	s := strconv.FormatInt(int64(n), 10)
	sign := ""
	if s[0] == '-' {
		sign, s = "-", s[1:]
	}
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return sign + s
}

// Duration writes d in its two largest units: 45 s, 3 min 20 s, 2 h 05 min, 3 d 4 h.
func Duration(d time.Duration) string {
	s := int64(max(d, 0).Round(time.Second) / time.Second)
	switch {
	case s < 60:
		return fmt.Sprintf("%d s", s)
	case s < 3600:
		return fmt.Sprintf("%d min %02d s", s/60, s%60)
	case s < 86400:
		return fmt.Sprintf("%d h %02d min", s/3600, s/60%60)
	}
	return fmt.Sprintf("%d d %d h", s/86400, s/3600%24)
}

// Ago writes how long before now t was, in its largest unit. The script static/js/ui/times.js writes the same.
func Ago(t, now time.Time) string {
	s := int64(now.Sub(t) / time.Second)
	switch {
	case s < 5:
		return "just now"
	case s < 60:
		return fmt.Sprintf("%d s ago", s)
	case s < 3600:
		return fmt.Sprintf("%d min ago", s/60)
	case s < 86400:
		return fmt.Sprintf("%d h ago", s/3600)
	}
	return fmt.Sprintf("%d d ago", s/86400)
}

// In writes how long after now t is, to the second. The script static/js/ui/times.js writes the same.
func In(t, now time.Time) string {
	if !t.After(now) {
		return "now"
	}
	return "in " + Duration(t.Sub(now))
}

// Bytes writes a size in binary units: whole bytes up to 1,023, and else 3 significant digits.
func Bytes(n float64) string {
	if math.Abs(n) < 1024 {
		return Integer(int64(n)) + " B"
	}
	unit := ""
	for _, unit = range []string{"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"} {
		if n /= 1024; math.Abs(n) < 999.5 { // else it would be 1.00 k of the unit
			break
		}
	}
	return Number(n) + " " + unit
}

// Plural is "1 node", "3 nodes".
func Plural(n int, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return Integer(n) + " " + one + "s"
}

// gpuModel is the readable part of vendor/type/name.
func gpuModel(g run.GPU) string {
	if i := strings.LastIndexByte(g.Model, '/'); i >= 0 {
		return g.Model[i+1:]
	}
	return g.Model
}

// GPUSummary groups devices by model: "2 × A100, 1 × H100".
func GPUSummary(gpus []run.GPU) string {
	var order []string
	count := map[string]int{}
	for _, g := range gpus {
		m := gpuModel(g)
		if count[m] == 0 {
			order = append(order, m)
		}
		count[m]++
	}
	var parts []string
	for _, m := range order {
		parts = append(parts, fmt.Sprintf("%d × %s", count[m], m))
	}
	return strings.Join(parts, ", ")
}
