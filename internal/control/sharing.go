package control

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/trainconf"
)

// sharingRuns is how many of the newest runs of a project are looked through for one that saves into the same folder.
const sharingRuns = 100

const checkpointField = "ckpt.path"

// sharesFolder warns of submissions that save into the folder of another run, which may have ended. What warns of a folder already has seen
// the checkpoints themselves.
func (c *Control) sharesFolder(ctx context.Context) func(s run.Submission, conf trainconf.Config, warned run.FieldErrors) *run.FieldError {
	type question struct{ project, folder, path string }
	known := map[question]*run.FieldError{}
	return func(s run.Submission, conf trainconf.Config, warned run.FieldErrors) *run.FieldError {
		given := conf.Effective(checkpointField)
		told := slices.ContainsFunc(warned, func(w run.FieldError) bool { return w.Field == checkpointField })
		if given == "" || told || strings.Contains(given, trainconf.RunPlaceholder) {
			return nil
		}
		q := question{cmp.Or(s.Project, access.DefaultProject), s.Shape.Folder, given}
		if _, ok := known[q]; !ok {
			known[q] = nil
			if r, ok := c.savedInto(ctx, q.project, c.canonical(q.folder, given), s.Origin.Clone, "", time.Time{}); ok {
				known[q] = &run.FieldError{
					Field: checkpointField, Value: fault.Quote(given), Rule: fmt.Sprintf("is where run %s (%s) saves: its checkpoints would be overwritten, and a retry of it would continue from those of this run", r.ID, fault.Quote(r.Name)),
					Fix: "use " + strings.TrimRight(fault.Quote(given), "/") + "/" + trainconf.RunPlaceholder,
				}
			}
		}
		return known[q]
	}
}

// savedInto is a run of a project, other than one, that has started after a time and saves into a folder: the one that a submission was made
// from, or one of the newest. What cannot be read is none.
func (c *Control) savedInto(ctx context.Context, project, folder string, origin, except run.ID, since time.Time) (run.Run, bool) {
	var list []run.Run
	if origin != "" {
		if r, err := c.o.Store.Run(ctx, origin); err == nil && r.Project == project {
			list = append(list, r)
		}
	}
	newest, err := c.o.Store.Runs(ctx, run.RunFilter{Projects: run.InProjects(project), Limit: sharingRuns})
	if err != nil {
		c.o.Logger.DebugContext(ctx, "look for runs that save into a folder", "err", err)
	}
	for _, r := range append(list, newest...) {
		if r.ID != except && r.CheckpointPath != "" && r.StartedAt.After(since) && c.canonical(r.Shape.Folder, r.CheckpointPath) == folder {
			return r, true
		}
	}
	return run.Run{}, false
}

// overwritten says that another run has saved into the folder of one since that ended, "" if none is known to.
func (c *Control) overwritten(ctx context.Context, r run.Run) string {
	if !r.State.Terminal() || r.CheckpointPath == "" || r.EndedAt.IsZero() {
		return ""
	}
	other, ok := c.savedInto(ctx, r.Project, c.canonical(r.Shape.Folder, r.CheckpointPath), "", r.ID, r.EndedAt)
	if !ok {
		return ""
	}
	return fmt.Sprintf("; but run %s (%s) has saved into %s since, so what it continues from may be of that run", other.ID, fault.Quote(other.Name), fault.Quote(r.CheckpointPath))
}
