package run

// MaxStep is the greatest step that a point may have; a metric without steps has the time in milliseconds, which is more.
const MaxStep = 1_000_000_000_000

// Metric is one named number of a sample. Names are canonical where one exists: loss, val_loss, learning_rate,
// grad_norm, tokens_per_second, mfu (percent), perplexity, num_peers, total_tokens; others keep the printed name.
type Metric struct {
	Name  string
	Value float64
}

// Sample is one parsed measurement line.
type Sample struct {
	// Step is the training step that the line reports; meaningless unless HasStep.
	Step    int64
	HasStep bool
	// Exact is true for machine lines (JSON, full precision). Where an exact and a printed value exist for
	// the same worker, metric and step, the exact one wins.
	Exact   bool
	Metrics []Metric
}
