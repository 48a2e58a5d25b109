package queue

import (
	"testing"
	"time"

	"github.com/cotrain/cotrain/internal/run"
)

func TestADisagreementIsBelievedOnlyWhileItIsSeen(t *testing.T) {
	t.Parallel()
	shape := run.Shape{Nodes: 1}
	lax, strict := run.Fit{Workers: 1, Now: true}, run.Fit{Workers: 1}
	at := time.Unix(1000, 0)
	q := New(Options{})
	for i, tc := range []struct {
		after time.Duration
		fit   run.Fit
		odd   bool
	}{
		{0, lax, false},
		{disputeAfter / 2, lax, false},
		{disputeAfter / 2, lax, true},
		{viewAge, lax, true},
		{viewAge, strict, false},
		{viewAge, lax, false},
		{time.Hour, lax, false}, // it waited no longer, and another one waits now
		{disputeAfter / 2, lax, false},
		{disputeAfter / 2, lax, true},
	} {
		at = at.Add(tc.after)
		q.compare(shape, tc.fit, at)
		if got := q.isDisputed(shape); got != tc.odd {
			t.Errorf("%d: odd %v", i, got)
		}
	}
}
