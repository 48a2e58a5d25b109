package run

import (
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
)

// Saved is one worker's word that it has saved a checkpoint.
type Saved struct {
	Attempt int
	Rank    int
	Step    int64
	Path    string // as the trainer printed it: never open it
}

// ResumeFrom returns the checkpoints that another attempt may continue from by what the workers reported, newest first.
// With DiLoCo every worker saves its own part, so all must have reported a step in one attempt. Without, saving is one act
// of all workers, which worker 0 completes. What a worker reports is said before others have written their files, so
// whoever can see the folder looks at it first.
func (r *Run) ResumeFrom(saved []Saved) []ResumePoint {
	if r.CheckpointPath == "" {
		return nil
	}
	type key struct {
		step    int64
		attempt int
	}
	ranks := map[key]map[int]bool{}
	for _, s := range saved {
		if s.Rank < 0 || s.Rank >= r.Shape.Nodes || !r.savesAt(s) {
			continue
		}
		k := key{s.Step, s.Attempt}
		if ranks[k] == nil {
			ranks[k] = map[int]bool{}
		}
		ranks[k][s.Rank] = true
	}
	whole := map[int64]bool{}
	for k, by := range ranks {
		if by[0] && (r.InnerSteps == 0 || len(by) == r.Shape.Nodes) {
			whole[k.step] = true
		}
	}
	var out []ResumePoint
	for _, step := range slices.Backward(slices.Sorted(maps.Keys(whole))) {
		out = append(out, ResumePoint{Step: step, Folder: strings.TrimRight(r.CheckpointPath, "/") + "/" + stepFolder(step)})
	}
	return out
}

// ResumePoint is a checkpoint that an attempt may continue from.
type ResumePoint struct {
	Step   int64
	Folder string // below the run's CheckpointPath: what a log says decides about the step alone
}

func stepFolder(step int64) string { return "step_" + strconv.FormatInt(step, 10) }

// savesAt reports whether a printed path is where the run's workers save a step: below CheckpointPath, with DiLoCo in a
// folder of each worker's own (jobs/launch.sh). A relative path may be printed with the working directory before it.
func (r *Run) savesAt(s Saved) bool {
	printed := path.Clean(s.Path)
	for _, own := range []string{"", "worker_" + strconv.Itoa(s.Rank)} {
		want := path.Join(r.CheckpointPath, own, stepFolder(s.Step))
		if printed == want || !path.IsAbs(want) && strings.HasSuffix(printed, "/"+want) {
			return true
		}
	}
	return false
}
