package runs

import (
	"cmp"
	"maps"
	"net/url"
	"path"
	"slices"
	"strings"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/views/ui"
)

// Checkpoint is a step that workers of one attempt reported as saved.
type Checkpoint struct {
	Step    int64
	Attempt int
	Workers int    // that reported it
	Folder  string // that another run can continue from, or what a worker printed
	Files   string // folder of worker 0's files, below the run's, or ""
	Whole   bool   // a run can continue from it
}

// Checkpoints are the newest of a run.
type Checkpoints struct {
	Run   run.Run
	All   []Checkpoint // newest first
	Every int64        // steps between two, 0 if not known
	Files bool         // there is shared storage to look into
}

// CheckpointsOf sorts workers' reports by step, newest first.
func CheckpointsOf(r run.Run, saved []run.SavedCheckpoint) []Checkpoint {
	whole := map[int64]string{}
	for _, p := range r.ResumeFrom(saved) {
		whole[p.Step] = p.Folder
	}
	type key struct {
		step    int64
		attempt int
	}
	found := map[key]*Checkpoint{}
	for _, s := range saved {
		k := key{s.Step, s.Attempt}
		if found[k] == nil {
			folder, ok := whole[s.Step]
			found[k] = &Checkpoint{Step: s.Step, Attempt: s.Attempt, Folder: cmp.Or(folder, s.Path), Whole: ok}
		}
		found[k].Workers++
		if x := found[k]; s.Rank == 0 && x.Whole {
			x.Files = x.Folder
			if strings.HasPrefix(path.Base(path.Dir(s.Path)), "worker_") {
				x.Files = path.Join(r.CheckpointPath, "worker_0", path.Base(x.Folder))
			}
		}
	}
	keys := slices.SortedFunc(maps.Keys(found), func(a, b key) int {
		return cmp.Or(cmp.Compare(b.step, a.step), cmp.Compare(b.attempt, a.attempt))
	})
	var out []Checkpoint
	for _, k := range keys {
		out = append(out, *found[k])
	}
	return out
}

// savedText is how many workers saved a checkpoint, of those that do.
func (c Checkpoints) savedText(x Checkpoint) string {
	if c.Run.InnerSteps == 0 { // worker 0 reports for all
		return "all"
	}
	return ui.Integer(x.Workers) + " / " + ui.Integer(c.Run.Shape.Nodes)
}

// everyText says when checkpoints are saved.
func (c Checkpoints) everyText() string {
	if c.Every > 0 {
		return "Every " + ui.Plural(int(c.Every), "step") + " to "
	}
	return "Saved to "
}

// filesHref is a checkpoint's folder in shared storage, "" where it is elsewhere: relative paths begin there.
func (c Checkpoints) filesHref(x Checkpoint) string {
	if !c.Files || x.Files == "" || path.IsAbs(x.Files) || strings.Contains(x.Files, "://") {
		return ""
	}
	return ui.InProject("/storage?"+url.Values{"path": {x.Files}}.Encode(), c.Run.Project)
}

// resumeHref is the form for a run with the same settings that continues from a checkpoint.
func (c Checkpoints) resumeHref(x Checkpoint) string {
	return "/runs/new?" + url.Values{"clone": {string(c.Run.ID)}, "resume": {x.Folder}}.Encode()
}
