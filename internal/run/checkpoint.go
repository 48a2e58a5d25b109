package run

import (
	"path"
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

// ResumeFrom returns the checkpoint that another attempt continues from, the newest that is complete, and its step. With
// DiLoCo every worker saves its own part, so all must have reported that step in one attempt. Without, saving is one act
// of all workers, which worker 0 completes. The folder is made from CheckpointPath: what a log says decides about the
// step alone. ok is false when there is none.
func (r *Run) ResumeFrom(saved []Saved) (folder string, step int64, ok bool) {
	if r.CheckpointPath == "" {
		return "", 0, false
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
	for k, by := range ranks {
		complete := by[0] && (r.InnerSteps == 0 || len(by) == r.Shape.Nodes)
		if complete && (!ok || k.step > step) {
			step, ok = k.step, true
		}
	}
	if !ok {
		return "", 0, false
	}
	return strings.TrimRight(r.CheckpointPath, "/") + "/" + stepFolder(step), step, true
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
