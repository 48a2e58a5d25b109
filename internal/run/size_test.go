package run_test

import (
	"testing"

	"github.com/cotrain/cotrain/internal/run"
)

func TestSizesAreReadAsTheyAreWritten(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int64{
		"1MB": 1_000_000, "500GB": 500_000_000_000, "1.5 TB": 1_500_000_000_000, " 2GiB ": 2 << 30, "2000kB": 2_000_000, "1.048576MB": 0, "0.5MB": 0, "0": 0, "1": 0, "-1MB": 0, "1 mb": 0, "1e9GB": 0, "9999999999GB": 0, "1PB": 0, "": 0,
		"999999999TB": 0,
	} {
		got, ok := run.ParseSize(text)
		if ok != (want > 0) || ok && got != want {
			t.Errorf("%q is %d, %v; want %d", text, got, ok, want)
		}
	}
	for n, want := range map[int64]string{0: "0 B", 999: "999 B", 1000: "1 kB", 12_345: "12.3 kB", 999_499: "999 kB", 999_600: "1 MB", 1_500_000_000_000: "1.5 TB", 123_456_789_000_000: "123 TB"} {
		if got := run.FormatSize(n); got != want {
			t.Errorf("%d is %q, not %q", n, got, want)
		}
		if got, ok := run.ParseSize(want); n >= 1_000_000 && (!ok || float64(got) < 0.99*float64(n) || float64(got) > 1.01*float64(n)) {
			t.Errorf("%q is read as %d, %v", want, got, ok)
		}
	}
}
