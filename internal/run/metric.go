package run

import "strings"

// Better is which values of a metric are good.
type Better string

// The directions.
const (
	Lower  Better = "lower"
	Higher Better = "higher"
)

// MetricInfo is what is known of a metric by its name; the zero value is nothing.
type MetricInfo struct {
	Title  string
	Unit   string // "" where it has none
	Better Better // "" where neither is
	Log    bool   // charts start with a logarithmic scale
	Total  bool   // over workers it is their sum, not their mean
}

// metrics are the known ones, in the order in which charts come first.
var metrics = []struct {
	name string
	MetricInfo
}{
	{"loss", MetricInfo{Title: "Loss", Better: Lower}},
	{"perplexity", MetricInfo{Title: "Perplexity", Better: Lower, Log: true}},
	{"val_loss", MetricInfo{Title: "Validation loss", Better: Lower}},
	{"eval_loss", MetricInfo{Title: "Evaluation loss", Better: Lower}},
	{"val_perplexity", MetricInfo{Title: "Validation perplexity", Better: Lower, Log: true}},
	{"eval_perplexity", MetricInfo{Title: "Evaluation perplexity", Better: Lower, Log: true}},
	{"accuracy", MetricInfo{Title: "Accuracy", Better: Higher}},
	{"eval_accuracy", MetricInfo{Title: "Evaluation accuracy", Better: Higher}},
	{"learning_rate", MetricInfo{Title: "Learning rate"}},
	{"planned/learning_rate", MetricInfo{Title: "Planned learning rate"}},
	{"tokens_per_second", MetricInfo{Title: "Throughput", Unit: "tokens/s", Better: Higher, Total: true}},
	{"samples_per_second", MetricInfo{Title: "Samples per second", Unit: "samples/s", Better: Higher, Total: true}},
	{"mfu", MetricInfo{Title: "MFU", Unit: "%", Better: Higher}},
	{"grad_norm", MetricInfo{Title: "Gradient norm", Log: true}},
	{"z_loss", MetricInfo{Title: "z loss", Better: Lower, Log: true}},
	{"outer_mfu", MetricInfo{Title: "Outer MFU", Unit: "%", Better: Higher}},
	{"outer_tokens_per_second", MetricInfo{Title: "Outer throughput", Unit: "tokens/s", Better: Higher, Total: true}},
	{"sync_seconds", MetricInfo{Title: "Sync time", Unit: "s", Better: Lower}},
	{"all_reduce_seconds", MetricInfo{Title: "All-reduce time", Unit: "s", Better: Lower}},
	{"total_tokens", MetricInfo{Title: "Tokens", Unit: "tokens"}},
	{"num_peers", MetricInfo{Title: "Peers"}},
	{"outer_step", MetricInfo{Title: "Outer step"}},
	{"diloco/pseudo_gradient_norm", MetricInfo{Title: "Pseudo-gradient norm", Log: true}},
	{"diloco/mean_pseudo_gradient_norm", MetricInfo{Title: "Norm of the mean pseudo-gradient", Log: true}},
	{"diloco/cosine", MetricInfo{Title: "Cosine to the mean pseudo-gradient"}},
	{"diloco/drift", MetricInfo{Title: "Drift between workers"}},
	{"diloco/outer_lr", MetricInfo{Title: "Outer learning rate"}},
	{"step_time", MetricInfo{Title: "Step time", Unit: "s", Better: Lower}},
}

// KnownMetrics are the names of the metrics that are known, in the order in which charts come first.
func KnownMetrics() []string {
	names := make([]string, len(metrics))
	for i, m := range metrics {
		names[i] = m.name
	}
	return names
}

// Over is a metric's value over the workers of a step.
func (m MetricInfo) Over(p CurvePoint) float64 {
	if m.Total {
		return p.Sum
	}
	return p.Mean
}

// KnownMetric is what is known of a metric. One in a group, such as train/loss, is what its last part is, under its own name.
func KnownMetric(name string) MetricInfo {
	_, last := MetricGroup(name)
	var grouped MetricInfo
	for _, m := range metrics {
		switch m.name {
		case name:
			return m.MetricInfo
		case last:
			grouped = m.MetricInfo
		}
	}
	grouped.Title = name
	return grouped
}

// MetricGroup is the group of a metric, which is what its name has before the last slash or "", and the rest.
func MetricGroup(name string) (group, rest string) {
	i := strings.LastIndexByte(name, '/')
	if i <= 0 || i == len(name)-1 {
		return "", name
	}
	return name[:i], name[i+1:]
}
