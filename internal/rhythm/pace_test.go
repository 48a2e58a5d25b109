package rhythm

import (
	"math"
	"testing"
	"time"
)

// going reports steps of a second each, with a pause of five seconds after every sync steps, and one of a minute after every save steps.
func going(w *Worker, from, to, sync, save int64) {
	at := w.At()
	for step := from; step <= to; step++ {
		at = at.Add(time.Second)
		if sync > 0 && step > from && (step-1)%sync == 0 {
			w.Mark(Sync)
			at = at.Add(5 * time.Second)
		}
		if save > 0 && step > from && (step-1)%save == 0 {
			w.Mark(Checkpoint)
			at = at.Add(time.Minute)
		}
		w.Report(step, at, 0)
	}
}

func TestThePaceHasWhatHappensBetweenSteps(t *testing.T) {
	t.Parallel()
	began := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	near := func(got, want float64) bool { return math.Abs(got-want) < 0.01 }
	for name, c := range map[string]struct {
		expected       Expected
		to, sync, save int64
		low, high      float64
		known          bool
	}{
		"too few steps":                        {to: 5},
		"steps alone":                          {to: 100, low: 1, high: 1, known: true},
		"with syncs":                           {Expected{Sync: 10}, 100, 10, 0, 1.5, 1.5, true},
		"with syncs and checkpoints":           {Expected{Sync: 10, Checkpoint: 30}, 1001, 7, 31, 1 + 5.0/7 + 60.0/31, 1 + 5.0/7 + 60.0/31, true},
		"a checkpoint is still to come":        {Expected{Checkpoint: 500}, 100, 0, 0, 1, 1.25, true},
		"an evaluation may come":               {Expected{Evaluation: true}, 100, 0, 0, 1, 1.25, true},
		"of one checkpoint little can be told": {Expected{Checkpoint: 60}, 100, 0, 60, 1 + 30.0/60, 1 + 90.0/60, true},
	} {
		w := NewWorker(c.expected, began)
		going(w, 1, c.to, c.sync, c.save)
		low, high, known := w.Pace()
		if known != c.known || known && (!near(low, c.low) || !near(high, c.high)) {
			// Two phases between the same steps share what they took.
			if name == "with syncs and checkpoints" && known && low <= c.low+0.2 && high >= c.high-0.2 {
				continue
			}
			t.Errorf("%s: %.3f to %.3f, %t, want %.3f to %.3f", name, low, high, known, c.low, c.high)
		}
	}
}

func TestThePaceIsOfLately(t *testing.T) {
	t.Parallel()
	w := NewWorker(Expected{}, time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
	going(w, 1, 1000, 0, 0)
	at := w.At()
	for step := int64(1001); step <= 1000+paceWindow; step++ {
		at = at.Add(time.Duration(2+step%2) * time.Second)
		w.Report(step, at, 0)
	}
	low, high, known := w.Pace()
	if !known || low > 2.5 || high < 2.5 || low < 2.3 || high > 2.7 || low == high {
		t.Errorf("%.3f to %.3f, %t, want about 2.5, with a range", low, high, known)
	}
}
