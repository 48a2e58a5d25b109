package nvidia

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Health is how well a GPU is.
type Health struct {
	ID          string // as nvidia-smi lists it
	Model       string
	MemoryMiB   int
	Temperature int      // °C, 0 where the driver does not say
	Problems    []string // in words; none for a GPU that is well
}

// slowdowns are the bits of clocks_event_reasons.active that say that something is wrong; others are an idle GPU's, or a limit that
// somebody set. Source: nvml.h, nvmlClocksEventReason*.
var slowdowns = []struct {
	bit uint64
	why string
}{
	{0x08, "slowed down by its hardware"},
	{0x20, "slowed down for its temperature, by the driver"},
	{0x40, "slowed down for its temperature, by its hardware"},
	{0x80, "slowed down by the power supply"},
}

// checks are fields whose value may tell of a problem. They are asked for one by one: a driver that does not know one refuses the
// question.
var checks = []struct {
	fields  []string // the first that the driver knows
	problem func(value string) string
}{
	{[]string{"ecc.errors.uncorrected.volatile.total"}, func(v string) string {
		if n, err := strconv.Atoi(v); err == nil && n > 0 {
			return fmt.Sprintf("ECC errors that were not corrected: %d since the driver was loaded", n)
		}
		return ""
	}},
	{[]string{"retired_pages.pending"}, func(v string) string {
		if v == "Yes" {
			return "memory pages wait for a reset to be retired"
		}
		return ""
	}},
	{[]string{"clocks_event_reasons.active", "clocks_throttle_reasons.active"}, func(v string) string {
		bits, err := strconv.ParseUint(strings.TrimPrefix(v, "0x"), 16, 64)
		if err != nil {
			return ""
		}
		var why []string
		for _, s := range slowdowns {
			if bits&s.bit != 0 {
				why = append(why, s.why)
			}
		}
		return strings.Join(why, ", ")
	}},
	{[]string{"pcie.link.width.current", "pcie.link.width.max"}, nil}, // both; see [lanes]
}

// lanes tells of a GPU that uses fewer lanes than it and its slot have.
func lanes(now, most string) string {
	n, err := strconv.Atoi(now)
	m, err2 := strconv.Atoi(most)
	if err != nil || err2 != nil || n >= m || n == 0 {
		return ""
	}
	return fmt.Sprintf("its PCIe link uses %d of %d lanes", n, m)
}

// Health tells how well each GPU is; [ErrNone] where there are none. What a driver does not know to say is no problem.
func (t Tool) Health(ctx context.Context) ([]Health, error) {
	rows, err := t.Query(ctx, "uuid", "name", "memory.total", "temperature.gpu")
	if err != nil {
		return nil, err
	}
	gpus := make([]Health, len(rows))
	for i, row := range rows {
		g := Health{ID: row[0], Model: row[1]}
		g.MemoryMiB, _ = strconv.Atoi(row[2]) // [N/A] where memory is shared with the CPU
		g.Temperature, _ = strconv.Atoi(row[3])
		if !strings.HasPrefix(g.ID, "GPU-") {
			g.ID, g.Problems = fmt.Sprintf("at index %d", i), append(g.Problems, "the driver says "+strings.Trim(row[0], "[]"))
		}
		gpus[i] = g
	}
	add := func(i int, problem string) {
		if problem != "" && i < len(gpus) {
			gpus[i].Problems = append(gpus[i].Problems, problem)
		}
	}
	for _, c := range checks {
		if c.problem == nil {
			if rows, err = t.Query(ctx, c.fields...); err == nil {
				for i, row := range rows {
					add(i, lanes(row[0], row[1]))
				}
			}
			continue
		}
		for _, field := range c.fields {
			if rows, err = t.Query(ctx, field); err == nil {
				for i, row := range rows {
					add(i, c.problem(row[0]))
				}
				break
			}
		}
	}
	if err := context.Cause(ctx); errors.Is(err, context.Canceled) {
		return nil, err
	}
	return gpus, nil
}
