package watch

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/cotrain/cotrain/internal/run"
)

func TestARunIsComparedOnceAtATimeAndRestsInBetween(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const id, other = run.ID("r-0000000001"), run.ID("r-0000000002")
		start, looks := time.Now(), make(chan time.Duration, 10)
		var looked []time.Duration
		p := newPacer(func(run.ID) { looks <- time.Since(start) })
		wait := func(d time.Duration) {
			time.Sleep(d)
			synctest.Wait()
			for len(looks) > 0 {
				looked = append(looked, <-looks)
			}
		}
		if !p.begin(id) || p.begin(id) || p.begin(id) || !p.begin(other) {
			t.Error("one run is compared twice at a time, or keeps another from it")
		}
		p.end(id, 100*time.Millisecond)
		if p.begin(id) {
			t.Error("it does not rest")
		}
		wait(199 * time.Millisecond)
		if len(looked) != 0 {
			t.Errorf("looked at after %v", looked)
		}
		wait(time.Hour)
		if len(looked) != 1 || looked[0] != 200*time.Millisecond {
			t.Errorf("looked at after %v, want once after 200ms", looked)
		}
		if !p.begin(id) {
			t.Error("it rests for ever")
		}
		p.end(id, time.Minute)
		wait(longestRest + time.Millisecond)
		if !p.begin(id) || len(looked) != 1 {
			t.Errorf("after a slow comparison that nobody asked to repeat: looked at after %v", looked)
		}
	})
}
