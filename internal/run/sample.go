package run

// MaxStep is the greatest step of a point; metrics without steps use the time in milliseconds, which is greater.
const MaxStep = 1_000_000_000_000

// Metric is a named value of a sample. Names are canonical where possible: loss, val_loss, learning_rate, grad_norm,
// tokens_per_second, mfu (percent), perplexity, num_peers, total_tokens; others stay as printed.
type Metric struct {
	Name  string
	Value float64
}

// Sample is one parsed line of measurements.
type Sample struct {
	// Step is the training step; meaningless unless HasStep.
	Step    int64
	HasStep bool
	// Exact is true for machine-readable lines (JSON, full precision): they win over printed values of the same step.
	Exact   bool
	Metrics []Metric
}
