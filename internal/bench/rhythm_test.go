package bench

import (
	"testing"

	"github.com/cotrain/cotrain/internal/rhythm"
	"github.com/cotrain/cotrain/internal/rhythm/rhythmtest"
)

// rhythmRuns is how many runs the figures in docs/failures.md are of.
const rhythmRuns = 10_000

// BenchmarkRhythm simulates runs of varied rhythm and prints how soon hangs, slow workers and troubles of the loss are seen, and how
// often that is wrong.
func BenchmarkRhythm(b *testing.B) {
	for range b.N {
		h := rhythmtest.SimulateHangs(rhythmRuns, 1)
		b.Log("\n" + h.String())
		b.Log(rhythmtest.SimulateStragglers(rhythmRuns/5, 1))
		l := rhythmtest.SimulateLosses(rhythmRuns/5, 1)
		b.Log("\n" + l.String())
		b.ReportMetric(h.Quantile(.5).Seconds(), "s-median-delay")
		b.ReportMetric(float64(h.FalseRuns)/float64(h.Runs), "false-runs(<=0.04)")
		b.ReportMetric(float64(l.False[rhythm.Diverged])/float64(l.Runs), "false-divergences(<=0.005)")
	}
}
