package ui

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/cotrain/cotrain/internal/run"
)

func TestNumbersHaveThreeSignificantDigitsAndAPrefix(t *testing.T) {
	t.Parallel()
	for in, want := range map[float64]string{
		0: "0", 1: "1.00", 4.5678: "4.57", 12.345: "12.3", 123.45: "123", 999.4: "999", 999.6: "1.00 k", 1000: "1.00 k", 12345: "12.3 k",
		999_950: "1.00 M", 1.5e6: "1.50 M", 2e9: "2.00 G", 3.25e12: "3.25 T", 1e16: "1.00e16", 0.00123: "0.00123", 0.0004: "0.000400",
		3.125: "3.13", -3.125: "-3.13", 3.115: "3.12", 2.675: "2.67", 2.5625: "2.56", 1.375e3: "1.38 k", 100.5: "101", 1.125e15: "1.13e15", 9.995: "9.99", 9.9951: "10.0",
		0.00001: "1.00e-5", -2.5: "-2.50", 9.999: "10.0", math.Inf(1): "Inf", math.Inf(-1): "-Inf",
	} {
		if got := Number(in); got != want {
			t.Errorf("Number(%v) = %q, want %q", in, got, want)
		}
	}
	if got := Number(math.NaN()); got != "NaN" {
		t.Errorf("Number(NaN) = %q", got)
	}
}

func TestIntegersHaveCommas(t *testing.T) {
	t.Parallel()
	for in, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567", -1000: "-1,000", math.MinInt64: "-9,223,372,036,854,775,808"} {
		if got := Integer(in); got != want {
			t.Errorf("Integer(%d) = %q, want %q", in, got, want)
		}
	}
}

func TestDurationsHaveTheirTwoLargestUnits(t *testing.T) {
	t.Parallel()
	for in, want := range map[time.Duration]string{
		-time.Second: "0 s", 0: "0 s", 45 * time.Second: "45 s", 200 * time.Second: "3 min 20 s", 125 * time.Minute: "2 h 05 min", 76 * time.Hour: "3 d 4 h",
	} {
		if got := Duration(in); got != want {
			t.Errorf("Duration(%v) = %q, want %q", in, got, want)
		}
	}
}

func TestAgoUsesTheLargestUnit(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for in, want := range map[time.Duration]string{
		-time.Minute: "just now", 0: "just now", 59 * time.Second: "59 s ago", time.Minute: "1 min ago", 3 * time.Hour: "3 h ago", 50 * time.Hour: "2 d ago",
	} {
		if got := Ago(now.Add(-in), now); got != want {
			t.Errorf("%v before: %q, want %q", in, got, want)
		}
	}
}

func TestBytesAreInBinaryUnits(t *testing.T) {
	t.Parallel()
	for in, want := range map[float64]string{0: "0 B", 512: "512 B", 1023: "1,023 B", 1024: "1.00 KiB", 2048: "2.00 KiB", 999.4 * 1024: "999 KiB", 1023 * 1024: "0.999 MiB", 9.996 * 1024: "10.0 KiB", 1 << 62: "4.00 EiB", 8.5 * (1 << 20): "8.50 MiB", 26.5e9: "24.7 GiB"} {
		if got := Bytes(in); got != want {
			t.Errorf("Bytes(%v) = %q, want %q", in, got, want)
		}
	}
}

func TestTheTimeLeftIsARangeWhereItIsUncertain(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for want, pace := range map[string]run.Pace{
		"2 h 10 min to 2 h 40 min": {Low: 77.9, High: 96.1}, "1 h 40 min": {Low: 60, High: 60}, "3 min 20 s": {Low: 2, High: 2.04}, "7 min to 13 min": {Low: 4.2, High: 7.8}, "2 h": {Low: 72, High: 72}, "50 s to 1 min 30 s": {Low: 0.5, High: 0.9},
	} {
		r := run.Run{State: run.Running, StepsTotal: 110, Pace: pace, Progress: run.Progress{Step: 10, UpdatedAt: now}}
		if got, ok := TimeLeft(r, now); !ok || got != want {
			t.Errorf("%+v: %q, %t, want %q", pace, got, ok, want)
		}
	}
	if got, ok := TimeLeft(run.Run{State: run.Running, StepsTotal: 110}, now); ok {
		t.Errorf("without a pace: %q", got)
	}
}

func TestAPercentageIsNotHundredBeforeTheLastStep(t *testing.T) {
	t.Parallel()
	for step, want := range map[int64]string{0: "0 %", 999: "99 %", 1000: "100 %", 1200: "100 %"} {
		if got := percent(run.Run{StepsTotal: 1000, Progress: run.Progress{Step: step}}); got != want {
			t.Errorf("step %d: %q, want %q", step, got, want)
		}
	}
	if got := percent(run.Run{}); got != Absent {
		t.Errorf("without a total: %q", got)
	}
}

func TestGPUsAreGroupedByModel(t *testing.T) {
	t.Parallel()
	got := GPUSummary([]run.GPU{{Model: "nvidia/gpu/A100"}, {Model: "nvidia/gpu/H100"}, {Model: "nvidia/gpu/A100"}, {Model: "odd"}})
	if want := "2 × A100, 1 × H100, 1 × odd"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestEveryStateHasItsOwnIconAndSentence(t *testing.T) {
	t.Parallel()
	seen := map[string]run.State{}
	for _, s := range run.States() {
		var b strings.Builder
		if err := RunBadge(run.Run{State: s}).Render(t.Context(), &b); err != nil {
			t.Fatal(err)
		}
		drawing := b.String()[strings.Index(b.String(), ">"):]
		drawing = drawing[strings.Index(drawing, "<svg"):strings.Index(drawing, "</svg>")]
		drawing = strings.ReplaceAll(drawing, "icon-"+string(s), "")
		if other, ok := seen[drawing]; ok {
			t.Errorf("%s and %s have one icon", s, other)
		}
		seen[drawing] = s
		if ReasonText(run.Run{State: s}) == "" {
			t.Errorf("%s has no sentence", s)
		}
	}
}
