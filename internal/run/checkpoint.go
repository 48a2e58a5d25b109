package run

import (
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
)

// SavedCheckpoint is a worker's report that it saved a checkpoint.
type SavedCheckpoint struct {
	Attempt int
	Rank    int
	Step    int64
	Path    string // as the trainer printed it: never open it
}

// ResumeFrom returns the checkpoints that another attempt may continue from by the workers' reports, newest first. A report may precede the
// other workers' files: [Run.Continuation] looks at those.
func (r *Run) ResumeFrom(saved []SavedCheckpoint) (out []ResumePoint) {
	for _, p := range r.candidates(saved) {
		if p.lack == "" {
			out = append(out, p.ResumePoint)
		}
	}
	return out
}

// candidate is a checkpoint that every worker reported.
type candidate struct {
	ResumePoint
	lack string // what is known to be wrong with it
}

// candidates are the checkpoints that are complete by the workers' reports, newest first. With DiLoCo every worker saves its own part, so all
// must have reported the step in one attempt. Without, worker 0 reports for all. Left out is what was saved after a loss went wrong, be it
// that of the attempt under way.
func (r *Run) candidates(saved []SavedCheckpoint) []candidate {
	if r.CheckpointPath == "" {
		return nil
	}
	type key struct {
		step    int64
		attempt int
	}
	ranks := map[key]map[int]bool{}
	for _, s := range r.excluding().allowed(saved, r.NextResume) {
		if s.Rank < 0 || s.Rank >= r.Shape.Nodes || !r.savesAt(s) {
			continue
		}
		k := key{s.Step, s.Attempt}
		if ranks[k] == nil {
			ranks[k] = map[int]bool{}
		}
		ranks[k][s.Rank] = true
	}
	whole := map[int64]int{} // the newest attempt that saved it
	for k, by := range ranks {
		if by[0] && (r.InnerSteps == 0 || len(by) == r.Shape.Nodes) {
			whole[k.step] = max(whole[k.step], k.attempt)
		}
	}
	_, named := r.NextResume.Step()
	var out []candidate
	for _, step := range slices.Backward(slices.Sorted(maps.Keys(whole))) {
		c := candidate{ResumePoint: r.PointAt(step)}
		if !named && r.Ledger.broken(c.Folder, whole[step]) {
			c.lack = "could not be loaded before"
		}
		out = append(out, c)
	}
	return out
}

// PointAt is the checkpoint of a step, whether or not there is one.
func (r *Run) PointAt(step int64) ResumePoint {
	return ResumePoint{Step: step, Folder: strings.TrimRight(r.CheckpointPath, "/") + "/" + stepFolder(step)}
}

// ResumePoint is a checkpoint that an attempt may continue from.
type ResumePoint struct {
	Step   int64
	Folder string // below CheckpointPath; of a log line only the step is trusted
}

func stepFolder(step int64) string { return "step_" + strconv.FormatInt(step, 10) }

// stepOf is the step of a checkpoint by its folder, 0 where that does not tell.
func stepOf(folder string) int64 {
	text, ok := strings.CutPrefix(path.Base(folder), "step_")
	step, err := strconv.ParseInt(text, 10, 64)
	if !ok || err != nil {
		return 0
	}
	return step
}

// savesAt reports whether a printed path is where the run saves a step: below CheckpointPath, with DiLoCo in a folder
// for each worker (jobs/launch.sh). A relative path may be printed with the working directory before it.
func (r *Run) savesAt(s SavedCheckpoint) bool {
	printed := path.Clean(s.Path)
	for _, own := range []string{"", "worker_" + strconv.Itoa(s.Rank)} {
		want := path.Join(r.CheckpointPath, own, stepFolder(s.Step))
		if printed == want || !path.IsAbs(want) && strings.HasSuffix(printed, "/"+want) {
			return true
		}
	}
	return false
}
