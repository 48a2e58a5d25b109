package trainconf

import (
	"slices"
	"strings"
	"testing"
)

func TestValuesOfASweepAreReadAsAPersonTypesThem(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, field, text string
		want              []string
	}{
		{"commas", "optim.optim.lr", " 1e-4, 3e-4 ,1e-3,", []string{"1e-4", "3e-4", "1e-3"}},
		{"lines may hold commas", "data.dataset_name_or_paths", "a,b\nc\r\n\n", []string{"a,b", "c"}},
		{"one value", "nodes", "3", []string{"3"}},
		{"a range by log", "optim.optim.lr", "1e-4..1e-1 log 4", []string{"1e-4", "0.001", "0.01", "1e-1"}},
		{"a range of whole numbers", "optim.batch_size", "16..64 linear 4", []string{"16", "32", "48", "64"}},
		{"a range of large whole numbers is not rounded", "optim.total_steps", "100000..200001 lin 3", []string{"100000", "150001", "200001"}},
		{"whole numbers by log", "nodes", "1..8 log 4", []string{"1", "2", "4", "8"}},
		{"a range among values", "optim.optim.lr", "0.5, 1..2 linear 2", []string{"0.5", "1", "2"}},
		{"a range downwards", "optim.optim.lr", "1..0 linear 3", []string{"1", "0.5", "0"}},
		{"what only looks like a range", "ckpt.path", "a..b log 4", []string{"a..b log 4"}},
	} {
		got, err := SweepValues(c.field, c.text)
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, %v; want %q", c.name, got, err, c.want)
		}
	}
}

func TestARangeWithoutItsSpreadShowsHowToWriteOne(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"1e-4..1e-3", "1e-4 .. 1e-3 4", "1e-4..1e-3 log"} {
		_, err := SweepValues("optim.optim.lr", text)
		if errs := AsFieldErrors(err); len(errs) != 1 || errs[0].Fix != "write 1e-4..1e-3 log 4, or 1e-4..1e-3 linear 4" {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestValuesOfASweepThatMakeNoSenseAreRefused(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"nothing":              " ,\n ",
		"no number at an end":  "1..x log 4",
		"not finite":           "1..Inf log 4",
		"one value of a range": "1..2 log 1",
		"no spread":            "1e-4..1e-3",
		"no spread, a count":   "1e-4 .. 1e-3 4",
		"no count":             "16..64 linear",
		"too many of a range":  "1..2 log 100000",
		"log of zero":          "0..1 log 3",
		"too many":             strings.Repeat("1,", 501),
		"too long":             strings.Repeat("x", 17<<10),
	} {
		if got, err := SweepValues("optim.optim.lr", text); AsFieldErrors(err) == nil {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}
