package queue

import (
	"context"
	"fmt"

	"github.com/cotrain/cotrain/internal/run"
)

// prepare returns the checkpoint folder that the next attempt continues from, and what a person should know about that choice. Reports of
// repeated steps are removed later, when the attempt reports the first of them; see [store.Store.Commit].
func (q *Queue) prepare(ctx context.Context, id run.ID) (resume, note string, err error) {
	r, err := q.o.Store.Run(ctx, id)
	if err != nil || r.State != run.Queued || r.Attempt == 0 {
		return "", "", err
	}
	attempts, err := q.o.Store.Attempts(ctx, id)
	if err != nil {
		return "", "", err
	}
	if n := len(attempts); n == 0 || attempts[n-1].JobID == "" && attempts[n-1].MaybeSent { // the same attempt again; its workers may be training
		return "", "", nil
	}
	saved, err := q.o.Store.SavedCheckpoints(ctx, id)
	if err != nil {
		return "", "", err
	}
	c, err := r.Continuation(ctx, saved, q.o.Checkpoints, 1)
	if err != nil {
		return "", "", fmt.Errorf("prepare another attempt of %s: %w", id, err)
	}
	if len(c.Points) > 0 {
		resume = c.Points[0].Folder
	}
	return resume, c.Note(&r, len(saved) > 0), nil
}
