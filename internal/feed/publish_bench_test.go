package feed

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/cotrain/cotrain/internal/run"
)

// BenchmarkPublishBesideStalledViewers measures a publisher whose viewers have read once and never again. The baseline, in
// the same run, has no viewer.
func BenchmarkPublishBesideStalledViewers(b *testing.B) {
	topic := RunTopic("r-0000000001")
	measure := func(viewers int) (median, worst time.Duration) {
		h := NewHub(time.Now)
		for range viewers {
			s := h.Subscribe(map[string]int64{topic: -1})
			defer s.Close()
			h.Publish(topic, EventType, 0)
			if _, err := s.Next(context.Background()); err != nil {
				b.Fatal(err)
			}
		}
		log := Log{Lines: make([]run.LogLine, 20)}
		took := make([]time.Duration, 20_000)
		for i := range took {
			began := time.Now()
			h.Publish(topic, LogType, log)
			took[i] = time.Since(began)
		}
		slices.Sort(took)
		return took[len(took)/2], took[len(took)-1]
	}
	for range b.N {
		baseline, worst := measure(0)
		b.ReportMetric(float64(baseline.Nanoseconds()), "ns-median-baseline-no-viewer")
		b.ReportMetric(float64(worst.Microseconds()), "µs-worst-baseline-no-viewer")
		for _, viewers := range []int{20, 200} {
			median, worst := measure(viewers)
			b.ReportMetric(float64(median.Nanoseconds()), fmt.Sprintf("ns-median-%d-viewers", viewers))
			b.ReportMetric(float64(worst.Microseconds()), fmt.Sprintf("µs-worst-%d-viewers", viewers))
			b.ReportMetric(float64(median)/float64(baseline), fmt.Sprintf("ratio-%d-viewers", viewers))
		}
	}
}
