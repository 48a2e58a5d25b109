package queue

import (
	"context"
	"fmt"
	"slices"
	"strings"

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
	point, note, err := q.resumePoint(ctx, r, saved)
	if err != nil {
		return "", "", fmt.Errorf("prepare another attempt of %s: %w", id, err)
	}
	return point.Folder, note, nil
}

// maxPassed is how many checkpoints that were passed over a note names.
const maxPassed = 3

// resumePoint returns the newest complete checkpoint that the choice of a person allows, zero for none, and a note: why newer ones were passed over, and whether its files
// could be checked. Where they cannot be seen, the workers' reports decide.
func (q *Queue) resumePoint(ctx context.Context, r run.Run, saved []run.SavedCheckpoint) (point run.ResumePoint, note string, err error) {
	var notes []string
	candidates := r.NextResume.Among(r.ResumeFrom(saved))
	if step, ok := r.NextResume.Step(); ok && q.o.Checkpoints != nil && (len(candidates) == 0 || candidates[0].Step != step) { // an old one, of which no report is left
		candidates = append([]run.ResumePoint{r.PointAt(step)}, candidates...)
	}
	for _, p := range candidates {
		lack, known, err := q.lacks(ctx, r, p)
		if err != nil {
			return run.ResumePoint{}, "", err
		}
		if lack == "" {
			if !known {
				notes = append(notes, "its files could not be checked, because the console does not see them")
			}
			return p, strings.Join(notes, "; "), nil
		}
		if len(notes) < maxPassed {
			notes = append(notes, p.Folder+" "+lack)
		}
	}
	if len(notes) > 0 || len(saved) > 0 && r.NextResume != run.ResumeStart {
		notes = append(notes, "no complete checkpoint "+r.Excluded()+"is left, so it starts as its configuration says")
	}
	return run.ResumePoint{}, strings.Join(notes, "; "), nil
}

// lacks says why a run cannot continue from a checkpoint, "" if it can; known is false where only the workers' reports say that.
func (q *Queue) lacks(ctx context.Context, r run.Run, p run.ResumePoint) (lack string, known bool, err error) {
	if r.NextResume == "" && slices.Contains(r.Ledger.Broken, p.Folder) {
		return "could not be loaded before", true, nil
	}
	if q.o.Checkpoints == nil {
		return "", false, nil
	}
	return q.o.Checkpoints.CheckpointProblem(ctx, p.Folder, r.Shape, r.InnerSteps > 0)
}
