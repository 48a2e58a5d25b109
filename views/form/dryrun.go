package form

import "github.com/cotrain/cotrain/internal/run"

// DryRunAnswer is what the cluster said, and how to make the same run from the command line.
type DryRunAnswer struct {
	run.DryRun
	Command string
}

// secretText says whether a secret is there, and secretIcon shows it.
func secretText(s run.SecretState) string {
	if s == run.SecretUnknown {
		return "cannot be told"
	}
	return string(s)
}

func secretIcon(s run.SecretState) string {
	switch s {
	case run.SecretPresent:
		return "succeeded"
	case run.SecretMissing:
		return "failed"
	case run.SecretForbidden, run.SecretUnknown:
	}
	return "warning"
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
