package compare

import (
	"math"
	"strings"
)

// Direction is which values of a metric are better.
type Direction int

// The directions.
const (
	Neutral Direction = iota
	Lower
	Higher
)

// words in the names of metrics tell which values are better; the first that matches counts.
var words = []struct {
	word      string
	direction Direction
}{
	{"learning_rate", Neutral},
	{"loss", Lower}, {"perplexity", Lower}, {"ppl", Lower}, {"error", Lower}, {"wer", Lower}, {"bpb", Lower}, {"latency", Lower},
	{"seconds", Lower}, {"sync_time", Lower}, {"step_time", Lower},
	{"per_second", Higher}, {"throughput", Higher}, {"accuracy", Higher}, {"acc", Higher}, {"mfu", Higher}, {"f1", Higher},
	{"bleu", Higher}, {"rouge", Higher}, {"auc", Higher}, {"reward", Higher}, {"exact_match", Higher},
}

// DirectionOf guesses from its name which values of a metric are better; a formula is [Neutral].
func DirectionOf(metric string) Direction {
	if strings.HasPrefix(metric, "=") {
		return Neutral
	}
	// Words are whole: "acc" is not in "accelerator".
	name := "_" + strings.Map(func(r rune) rune {
		if r == '/' || r == '.' || r == '-' || r == ' ' {
			return '_'
		}
		return r
	}, strings.ToLower(metric)) + "_"
	for _, w := range words {
		if strings.Contains(name, "_"+w.word+"_") {
			return w.direction
		}
	}
	return Neutral
}

// Judge tells whether a value is better (1) or worse (-1) than a baseline's, or neither (0).
func (d Direction) Judge(value, base float64) int {
	switch {
	case d == Neutral || math.IsNaN(value) || math.IsNaN(base) || value == base:
		return 0
	case (value < base) == (d == Lower):
		return 1
	}
	return -1
}

// Delta is a difference to a baseline.
type Delta struct {
	Absolute float64
	Percent  float64 // NaN where the baseline is 0
}

// DeltaOf is the difference of a value to a baseline's; false where either is not finite.
func DeltaOf(value, base float64) (Delta, bool) {
	if !finite(value) || !finite(base) {
		return Delta{}, false
	}
	d := Delta{value - base, math.NaN()}
	if base != 0 {
		d.Percent = (value - base) / math.Abs(base) * 100
	}
	return d, true
}
