package chart

import (
	"slices"
	"strconv"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/trainconf"
)

// Derived is a metric that a run did not print, but that follows from one that it did.
type Derived struct {
	Name    string
	Formula string
}

// derivedOf lists the derived metrics of a run by the names of those that it printed. sequenceLength is the tokens of a sample, 0 if
// unknown.
func derivedOf(printed []string, sequenceLength int64) []Derived {
	var out []Derived
	derive := func(name, from, formula string) {
		if slices.Contains(printed, from) && !slices.Contains(printed, name) {
			out = append(out, Derived{name, formula})
		}
	}
	derive("perplexity", "loss", "exp(loss)")
	derive("val_perplexity", "val_loss", "exp(val_loss)")
	derive("eval_perplexity", "eval_loss", "exp(eval_loss)")
	if sequenceLength > 0 {
		derive("samples_per_second", "tokens_per_second", "tokens_per_second / "+strconv.FormatInt(sequenceLength, 10))
	}
	return out
}

// sequenceLength is the tokens of a sample as configured, 0 where the configuration does not say.
func sequenceLength(r run.Run) int64 {
	c, err := trainconf.Parse([]byte(r.Config))
	if err != nil {
		return 0
	}
	n, _ := strconv.ParseInt(c.Effective("data.seq_length"), 10, 64) // 0 unless it is a number
	return n
}
