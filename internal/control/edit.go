package control

import (
	"context"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store"
)

// Edit changes what people add to a run: tags, a note, whether it is archived. What is not valid is [run.FieldErrors]; to archive a run
// that has not ended is [fault.ErrNotEnded].
func (c *Control) Edit(ctx context.Context, _ string, id run.ID, e run.Edit) error {
	u, err := c.o.Store.Update(ctx, id, func(u *store.Update) error { return e.Apply(&u.Run) })
	if err == nil {
		c.o.Publisher.PublishRun(u.Run)
	}
	return err
}
