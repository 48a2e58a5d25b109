package queue_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/nomad"
	"github.com/cotrain/cotrain/internal/nomad/nomadtest"
	"github.com/cotrain/cotrain/internal/queue"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store"
)

// recorder notes each dispatch, and answers the first silent ones with silence.
type recorder struct {
	*nomadtest.Cluster
	mu     sync.Mutex
	sent   []nomad.Dispatch
	silent int
}

func (c *recorder) DispatchRun(ctx context.Context, shape run.Shape, d nomad.Dispatch) (parent, child string, err error) {
	c.mu.Lock()
	c.sent = append(c.sent, d)
	silence := len(c.sent) <= c.silent
	c.mu.Unlock()
	parent, child, err = c.Cluster.DispatchRun(ctx, shape, d)
	if silence {
		return parent, "", fmt.Errorf("the answer got lost: %w", fault.ErrUnavailable)
	}
	return parent, child, err
}

// firsts tells of each dispatch whether it was said to be its token's first.
func (c *recorder) firsts() (out []bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, d := range c.sent {
		out = append(out, d.First)
	}
	return out
}

func newRecordedRig(t *testing.T, silent int) (*rig, *recorder) {
	t.Helper()
	r := newRig(t)
	c := &recorder{Cluster: r.cluster, silent: silent}
	o := r.options()
	o.Cluster = c
	r.queue = queue.New(o)
	return r, c
}

func TestOnlyANewAttemptIsItsTokensFirst(t *testing.T) {
	t.Parallel()
	r, c := newRecordedRig(t, 1)
	if err := r.queue.Send(t.Context(), r.id); !errors.Is(err, fault.ErrUnavailable) {
		t.Fatalf("a lost answer is %v", err)
	}
	if err := r.queue.Send(t.Context(), r.id); err != nil { // the same attempt: Nomad may have it
		t.Fatal(err)
	}
	_, err := r.store.Update(t.Context(), r.id, func(u *store.Update) error { u.Run.State = run.Queued; return nil })
	if err != nil {
		t.Fatal(err)
	}
	if err := r.queue.Send(t.Context(), r.id); err != nil { // the second attempt
		t.Fatal(err)
	}
	if got := fmt.Sprint(c.firsts()); got != "[true false true]" || r.run().Attempt != 2 {
		t.Errorf("first: %s; the run is %+v", got, r.run())
	}
}

func TestWhatAnEarlierProcessMayHaveSentIsNotFirst(t *testing.T) {
	t.Parallel()
	r, c := newRecordedRig(t, 0)
	_, err := r.store.Update(t.Context(), r.id, func(u *store.Update) error {
		_, err := u.Run.Claim(&u.Attempt, "", time.Now())
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.queue.Send(t.Context(), r.id); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(c.firsts()); got != "[false]" {
		t.Errorf("first: %s", got)
	}
}
