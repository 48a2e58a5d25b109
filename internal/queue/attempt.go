package queue

import (
	"context"
	"fmt"

	"github.com/cotrain/cotrain/internal/run"
)

// prepare returns the checkpoint folder from which the next attempt of a run that failed continues, and why not from a newer
// one. What was reported of the steps that it trains again goes when it reports the first of them; see [store.Store.Commit].
func (q *Queue) prepare(ctx context.Context, id run.ID) (resume, passed string, err error) {
	r, err := q.o.Store.Run(ctx, id)
	if err != nil || r.State != run.Queued || r.Attempt == 0 {
		return "", "", err
	}
	attempts, err := q.o.Store.Attempts(ctx, id)
	if err != nil {
		return "", "", err
	}
	if n := len(attempts); n == 0 || attempts[n-1].JobID == "" { // the same attempt once more; its workers may be training
		return "", "", nil
	}
	saved, err := q.o.Store.Saved(ctx, id)
	if err != nil {
		return "", "", err
	}
	point, passed, err := q.resumePoint(ctx, r, saved)
	if err != nil {
		return "", "", fmt.Errorf("prepare another attempt of %s: %w", id, err)
	}
	return point.Folder, passed, nil
}

// resumePoint chooses the newest checkpoint that is complete, the zero value for none. passed says why a newer one is not
// used. Where nobody can see the files, what the workers reported decides.
func (q *Queue) resumePoint(ctx context.Context, r run.Run, saved []run.Saved) (point run.ResumePoint, passed string, err error) {
	for _, p := range r.ResumeFrom(saved) {
		lack, known := "", false
		if q.o.Checkpoints != nil {
			if lack, known, err = q.o.Checkpoints.Lacks(ctx, p.Folder, r.Shape, r.InnerSteps > 0); err != nil {
				return run.ResumePoint{}, "", err
			}
		}
		if !known || lack == "" {
			return p, passed, nil
		}
		if passed == "" {
			passed = p.Folder + " " + lack
		}
	}
	return run.ResumePoint{}, passed, nil
}
