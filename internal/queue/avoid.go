package queue

import (
	"context"
	"errors"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store"
)

// fallBack lets a run go back to nodes that it avoids, because no others can hold it, even if all of the console's own runs ended.
func (q *Queue) fallBack(ctx context.Context, id run.ID) error {
	u, err := q.o.Store.Update(ctx, id, func(u *store.Update) error {
		if err := u.Record(u.Run.FallBack(q.o.Now())); err != nil {
			return err
		}
		u.Attempt.Cause = u.Run.Cause
		return nil
	})
	if errors.Is(err, run.ErrNotQueued) {
		return nil
	}
	if err != nil {
		return storeTrouble(err)
	}
	q.o.Publisher.PublishRun(u.Run, u.Events...)
	q.Wake() // with another shape, or its place in a sweep is free
	return nil
}
