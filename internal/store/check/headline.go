package check

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
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

// headline is a run's step and loss, as stored and as its curves have them.
type headline struct {
	have, want struct {
		step int64
		loss float64
		has  bool
	}
	wrong bool
}

// headlineOf compares a run's headline with its curves, unless these are to be derived again.
func headlineOf(ctx context.Context, q db.Querier, id run.ID) (h headline, err error) {
	var stored sql.NullFloat64
	var stale bool
	err = q.QueryRow(ctx, `SELECT step, loss, has_loss, EXISTS (SELECT 1 FROM stale_curves WHERE run_id = runs.id) FROM runs WHERE id = ?`, id).
		Scan(&h.have.step, &stored, &h.have.has, &stale)
	if err != nil || stale {
		return h, err
	}
	h.have.loss = db.FromNull(stored)
	loss, err := points.Last(ctx, q, id, "loss", h.have.step)
	if err != nil {
		return h, err
	}
	rate, err := points.Last(ctx, q, id, "tokens_per_second", h.have.step)
	h.want.step, h.want.loss, h.want.has = max(loss.Step, rate.Step), loss.Mean, loss.Workers > 0
	same := h.have.loss == h.want.loss || math.IsNaN(h.have.loss) && math.IsNaN(h.want.loss)
	h.wrong = h.have.step != h.want.step || h.have.has != h.want.has || h.want.has && !same
	return h, err
}

func (c *checker) tellHeadline(id run.ID, h headline) {
	what := fmt.Sprintf("step %d with loss %g, not step %d with loss %g", h.have.step, h.have.loss, h.want.step, h.want.loss)
	c.tell(Headline, string(id), what, func(ctx context.Context, tx *db.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE runs SET step = ?, loss = ?, has_loss = ?, revision = revision + 1 WHERE id = ?`, h.want.step, h.want.loss, h.want.has, id)
		return err
	})
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
		err := c.read(ctx, func(s *db.Snapshot) error {
			h, err := headlineOf(ctx, s, id)
			if err == nil && h.wrong {
				c.tellHeadline(id, h)
			}
			if errors.Is(err, fault.ErrNotFound) { // deleted meanwhile
				return nil
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}
