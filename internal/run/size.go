package run

import (
	"math"
	"regexp"
	"strconv"
	"strings"
)

// sizePattern is a number with a unit.
var sizePattern = regexp.MustCompile(`^([0-9]{1,9}(?:\.[0-9]{1,3})?) ?([kKMGT]i?)B$`)

// ParseSize reads 500MB, 1.5 TB or 2GiB; ok is false for what is none, or less than 1 MB.
func ParseSize(s string) (bytes int64, ok bool) {
	m := sizePattern.FindStringSubmatch(strings.TrimSpace(s))
	if m == nil {
		return 0, false
	}
	n, err := strconv.ParseFloat(m[1], 64)
	base := 1000.0
	if strings.HasSuffix(m[2], "i") {
		base = 1024
	}
	n *= math.Pow(base, float64(1+strings.Index("KMGT", strings.ToUpper(m[2][:1]))))
	return int64(math.Round(n)), err == nil && n >= 1e6 && n <= 1e18
}

// FormatSize writes a size in decimal units with up to 3 significant digits, as [ParseSize] reads it.
func FormatSize(n int64) string {
	f, unit := float64(n), "B"
	for _, next := range []string{"kB", "MB", "GB", "TB"} {
		if f < 999.5 {
			break
		}
		f, unit = f/1000, next
	}
	if f >= 100 || unit == "B" {
		return strconv.FormatFloat(f, 'f', 0, 64) + " " + unit
	}
	return strconv.FormatFloat(f, 'g', 3, 64) + " " + unit
}
