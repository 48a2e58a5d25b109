package check

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store/db"
	"github.com/cotrain/cotrain/internal/store/points"
)

const (
	// maxSuspects is how many runs are looked at again.
	maxSuspects = 1000
	// headlineDelay is more than a console takes to store a headline after its curves.
	headlineDelay = 2 * time.Second
)

// headline checks that of an ended run, and then its summaries, which depend on it. At first it only suspects the headline.
func (c *checker) headline(ctx context.Context, s *db.Snapshot, id run.ID, again bool) error {
	f, err := points.CheckHeadline(ctx, s, id)
	switch {
	case errors.Is(err, fault.ErrNotFound): // deleted meanwhile
		return nil
	case err != nil:
		return err
	case f == nil:
		return c.summaries(ctx, s, id)
	case !again && !c.repair && len(c.suspects) < maxSuspects:
		c.suspects = append(c.suspects, id)
		return nil
	}
	c.tell(Headline, string(id), fmt.Sprintf("step %d with loss %g, not step %d with loss %g", f.Have.Step, f.Have.Loss, f.Want.Step, f.Want.Loss), f.Repair)
	return nil
}

// headlines looks again at runs whose headline a console may just have been about to store.
func (c *checker) headlines(ctx context.Context) error {
	if len(c.suspects) == 0 {
		return nil
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(headlineDelay):
	}
	for _, id := range c.suspects {
		if err := c.read(ctx, func(s *db.Snapshot) error { return c.headline(ctx, s, id, true) }); err != nil {
			return err
		}
	}
	return nil
}

// summaries checks what lists say of an ended run's metrics.
func (c *checker) summaries(ctx context.Context, s *db.Snapshot, id run.ID) error {
	faults, err := points.CheckSummaries(ctx, s, id)
	if errors.Is(err, fault.ErrNotFound) { // deleted meanwhile
		return nil
	}
	for _, f := range faults {
		c.tell(Summary, string(id), "of "+f.Metric, f.Repair)
	}
	return err
}
