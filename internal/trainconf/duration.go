package trainconf

import (
	"math"
	"strconv"
	"strings"
)

// units of a duration, greatest first, in seconds.
var durationUnits = [...]struct {
	letter  byte
	seconds int64
}{{'d', 86400}, {'h', 3600}, {'m', 60}, {'s', 1}}

// FormatDuration writes whole seconds as days, hours, minutes and seconds: "1d12h". It is the canonical form.
func FormatDuration(seconds int64) string {
	if seconds == 0 {
		return "0s"
	}
	var b strings.Builder
	for _, u := range durationUnits {
		if n := seconds / u.seconds; n > 0 {
			b.WriteString(strconv.FormatInt(n, 10))
			b.WriteByte(u.letter)
			seconds %= u.seconds
		}
	}
	return b.String()
}

// ParseDuration reads "2h30m", "1.5h", "7d" or "2h 30m" as whole seconds.
func ParseDuration(text string) (seconds int64, ok bool) {
	total := 0.0
	rest := strings.ReplaceAll(strings.ToLower(text), " ", "")
	for rest != "" {
		n := strings.IndexFunc(rest, func(r rune) bool { return (r < '0' || r > '9') && r != '.' })
		if n <= 0 {
			return 0, false
		}
		v, err := strconv.ParseFloat(rest[:n], 64)
		unit := unitSeconds(rest[n])
		if err != nil || unit == 0 {
			return 0, false
		}
		total += v * float64(unit)
		rest = rest[n+1:]
	}
	if total != math.Trunc(total) || total > 1<<53 {
		return 0, false
	}
	return int64(total), text != ""
}

func unitSeconds(letter byte) int64 {
	for _, u := range durationUnits {
		if u.letter == letter {
			return u.seconds
		}
	}
	return 0
}

func (f Field) canonicalDuration(text string) (string, *problem) {
	seconds, ok := ParseDuration(text)
	if !ok {
		// A bare number does not say of what.
		if n, err := strconv.ParseInt(text, 10, 64); err == nil && f.inBounds(float64(n)) {
			return "", &problem{"must say its unit, and be " + f.Rule(), "use " + FormatDuration(n) + " for that many seconds"}
		}
		return "", f.broken("")
	}
	if !f.inBounds(float64(seconds)) {
		return "", f.broken(FormatDuration(min(max(seconds, int64(*f.Min)), int64(*f.Max))))
	}
	return FormatDuration(seconds), nil
}
