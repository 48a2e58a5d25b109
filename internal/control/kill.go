package control

import (
	"context"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store"
)

// kill ends a run as Stop does, without time for its workers to save.
func (c *Control) kill(ctx context.Context, actor string, id run.ID) error {
	return c.change(ctx, id, func(u *store.Update) error { return u.Kill(actor, c.o.Now()) })
}
