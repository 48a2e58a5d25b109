package form

import "github.com/cotrain/cotrain/internal/run"

// DryRunAnswer is what the cluster said, and how to make the same run from the command line.
type DryRunAnswer struct {
	run.DryRun
	Command string
}

// parentText says what a submission would do with the parameterized job.
func (a DryRunAnswer) parentText() string {
	switch a.Parent {
	case run.ParentNew:
		return "would be registered: first run of this shape"
	case run.ParentUpdate:
		return "would get a new version: the job file or a setting changed"
	default:
		return "is up to date"
	}
}
