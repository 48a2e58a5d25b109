package run

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// CheckpointFiles looks at the files of a checkpoint: what is missing, "" for nothing, as the end of a sentence that starts with its folder;
// known is false where they cannot be seen.
type CheckpointFiles interface {
	CheckpointProblem(ctx context.Context, folder string, shape Shape, diloco bool) (lack string, known bool, err error)
}

// Continuation is what the next attempt of a run may continue from.
type Continuation struct {
	// Points are complete and sound as far as can be seen, newest first: the first is taken.
	Points []ResumePoint
	// Unseen says that only reports speak for the first.
	Unseen bool
	// Passed says of newer ones what is wrong with them.
	Passed []string
}

// maxPassed is how many checkpoints that were passed over a continuation names.
const maxPassed = 3

// Continuation says what the next attempt of the run continues from, and up to most others that it could: all that dispatch, answer and offer
// do ask here. Without files the workers' reports decide. A checkpoint that a person names is taken though no report of it is left.
func (r *Run) Continuation(ctx context.Context, saved []SavedCheckpoint, files CheckpointFiles, most int) (c Continuation, err error) {
	candidates := slices.DeleteFunc(r.candidates(saved), func(p candidate) bool { return !r.NextResume.allows(p.Step) })
	if step, ok := r.NextResume.Step(); ok && files != nil && (len(candidates) == 0 || candidates[0].Step != step) {
		candidates = append([]candidate{{ResumePoint: r.PointAt(step)}}, candidates...)
	}
	for _, p := range candidates {
		lack, known := p.lack, true
		if lack == "" && files == nil {
			known = false
		} else if lack == "" {
			if lack, known, err = files.CheckpointProblem(ctx, p.Folder, r.Shape, r.InnerSteps > 0); err != nil {
				return c, err
			}
		}
		switch {
		case lack != "" && len(c.Points) == 0 && len(c.Passed) < maxPassed:
			c.Passed = append(c.Passed, p.Folder+" "+lack)
		case lack == "":
			c.Unseen = c.Unseen || len(c.Points) == 0 && !known
			c.Points = append(c.Points, p.ResumePoint)
		}
		if len(c.Points) == most {
			break
		}
	}
	return c, nil
}

// Step is that of the checkpoint which is taken, 0 for none.
func (c Continuation) Step() int64 {
	if len(c.Points) == 0 {
		return 0
	}
	return c.Points[0].Step
}

// Note says what a person should know of the choice: what was passed over, and whether the files could be checked. reported is whether workers
// have reported any checkpoint.
func (c Continuation) Note(r *Run, reported bool) string {
	notes := c.Passed
	switch {
	case c.Unseen:
		notes = append(notes, "its files could not be checked, because the console does not see them")
	case len(c.Points) == 0 && (len(notes) > 0 || reported && r.NextResume != ResumeStart):
		notes = append(notes, "no complete checkpoint "+r.Excluded()+"is left, so it starts as its configuration says")
	}
	return strings.Join(notes, "; ")
}

// NewestWhole is the newest complete checkpoint of the attempt under way, sound or not; zero for none.
func (r Run) NewestWhole(ctx context.Context, saved []SavedCheckpoint, files CheckpointFiles) (ResumePoint, error) {
	var own []SavedCheckpoint
	for _, s := range saved {
		if s.Attempt == r.Attempt {
			own = append(own, s)
		}
	}
	r.NextResume, r.Rollback, r.Diverged, r.Notices, r.Ledger.Broken = ResumeNewest, nil, nil, nil, nil
	c, err := r.Continuation(ctx, own, files, 1)
	if err != nil || len(c.Points) == 0 {
		return ResumePoint{}, err
	}
	return c.Points[0], nil
}

// Cost says from which step an attempt would continue, as the end of a sentence that says from what, and how many steps it would repeat.
func (o Outlook) Cost(from ResumeChoice) string {
	step, repeated := o.Continues(from)
	text := ""
	if from == ResumeNewest && step > 0 {
		text = fmt.Sprintf(", step %d,", step)
	}
	if repeated == 0 {
		return strings.TrimSuffix(text, ",")
	}
	text += " and repeats " + steps(repeated)
	if from == ResumeNewest && o.Run.mayStillSave(o.Gone) {
		text += ", unless its workers save as they exit"
	}
	return text
}

func steps(n int64) string {
	if n == 1 {
		return "1 step"
	}
	return fmt.Sprintf("%d steps", n)
}

// mayStillSave reports whether workers that are told to exit may save a checkpoint to continue from.
func (r *Run) mayStillSave(gone string) bool {
	_, spoiled := r.spoiledFrom()
	return gone == "" && !spoiled && r.CheckpointPath != ""
}
