package chart

import (
	"math"
	"slices"
	"strconv"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/trainconf"
)

// Derived is a metric that a run did not print, but that follows from one that it did.
type Derived struct {
	Name    string
	From    string                              // the printed metric, at whose steps it has values
	Formula string                              // for people
	value   func(step int64, v float64) float64 // nil for the printed one itself
}

// Of is its value where the printed metric is v. All but [Planned] rise with it.
func (d Derived) Of(step int64, v float64) float64 {
	if d.value == nil {
		return v
	}
	return d.value(step, v)
}

// Planned is the learning rate of the configuration's schedule.
const Planned = "planned/learning_rate"

// DerivedOf lists the derived metrics of a run by the names of those that it printed.
func DerivedOf(printed []string, r run.Run) []Derived {
	var out []Derived
	derive := func(name, from, formula string, value func(int64, float64) float64) {
		if slices.Contains(printed, from) && !slices.Contains(printed, name) {
			out = append(out, Derived{name, from, formula, value})
		}
	}
	exp := func(_ int64, v float64) float64 { return math.Exp(v) }
	derive("perplexity", "loss", "exp(loss)", exp)
	derive("val_perplexity", "val_loss", "exp(val_loss)", exp)
	derive("eval_perplexity", "eval_loss", "exp(eval_loss)", exp)
	request, err := trainconf.RequestOfRun(r)
	if err != nil {
		return out
	}
	c := request.EffectiveConfig()
	if n, _ := strconv.ParseInt(c.Effective("data.seq_length"), 10, 64); n > 0 { // 0 unless it is a number
		derive("samples_per_second", "tokens_per_second", "tokens_per_second / "+strconv.FormatInt(n, 10), func(_ int64, v float64) float64 { return v / float64(n) })
	}
	if rate := c.LearningRate(); slices.Contains(printed, "learning_rate") {
		derive(Planned, "learning_rate", c.Effective("optim.sched_type")+" schedule", func(step int64, _ float64) float64 { return rate(step) })
	}
	return out
}
