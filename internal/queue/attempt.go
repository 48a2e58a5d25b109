package queue

import (
	"context"
	"fmt"

	"github.com/cotrain/cotrain/internal/run"
)

// prepare returns the checkpoint folder that the next attempt continues from, and why not a newer one. Reports of
// repeated steps are removed later, when the attempt reports the first of them; see [store.Store.Commit].
func (q *Queue) prepare(ctx context.Context, id run.ID) (resume, passed string, err error) {
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
	point, passed, err := q.resumePoint(ctx, r, saved)
	if err != nil {
		return "", "", fmt.Errorf("prepare another attempt of %s: %w", id, err)
	}
	return point.Folder, passed, nil
}

// resumePoint returns the newest complete checkpoint that the choice of a person allows, zero for none, and why newer ones were passed over. Where the
// files cannot be seen, the workers' reports decide.
func (q *Queue) resumePoint(ctx context.Context, r run.Run, saved []run.SavedCheckpoint) (point run.ResumePoint, passed string, err error) {
	for _, p := range r.NextResume.Among(r.ResumeFrom(saved)) {
		lack, known := "", false
		if q.o.Checkpoints != nil {
			if lack, known, err = q.o.Checkpoints.CheckpointProblem(ctx, p.Folder, r.Shape, r.InnerSteps > 0); err != nil {
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
