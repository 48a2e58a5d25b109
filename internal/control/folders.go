package control

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/trainconf"
)

// fixedFolders returns the configuration's output folders without the run's ID, by field.
func fixedFolders(effective trainconf.Config) map[string]string {
	out := map[string]string{}
	for _, field := range trainconf.OwnFolders() {
		if folder, _ := effective.Get(field); folder != "" && !strings.Contains(folder, trainconf.RunPlaceholder) {
			out[field] = folder
		}
	}
	return out
}

// canonical is one spelling of a path of a run of a project with that folder.
func (c *Control) canonical(folder, given string) string {
	if c.o.Storage != nil {
		if p, ok := c.o.Storage.Below(folder, given); ok {
			return p
		}
	}
	if !path.IsAbs(given) && !strings.Contains(given, "://") {
		given = path.Join(folder, given)
	}
	return path.Clean(given)
}

// foldersInUse returns an error for each folder of the drafts, of a project, that a live run writes into: of any project, but
// only that of the same one is named.
func (c *Control) foldersInUse(ctx context.Context, project string, drafts ...draft) (run.FieldErrors, error) {
	type place struct{ field, folder string }
	mine := map[place]string{} // as written
	for _, d := range drafts {
		for field, folder := range d.fixed {
			mine[place{field, c.canonical(d.run.Shape.Folder, folder)}] = folder
		}
	}
	if len(mine) == 0 {
		return nil, nil
	}
	var errs run.FieldErrors
	err := eachUnended(ctx, c.o.Store.Runs, func(r run.Run) {
		req, err := trainconf.RequestOf(run.Submission{Config: r.Config, Options: r.Options})
		if err != nil {
			return // accepted by an older version
		}
		for field, folder := range fixedFolders(req.EffectiveConfig()) {
			at := place{field, c.canonical(r.Shape.Folder, folder)}
			given, ok := mine[at]
			if !ok {
				continue
			}
			delete(mine, at) // naming one run is enough
			other := run.OfAnotherProject
			if r.Project == project {
				other = fmt.Sprintf("run %s (%s), which is %s", r.ID, fault.Quote(r.Name), r.State)
			}
			errs = append(errs, run.FieldError{
				Field: field, Value: fault.Quote(given), Rule: "is the folder of " + other + ": each would overwrite the other's files",
				Fix: "use " + strings.TrimRight(fault.Quote(given), "/") + "/" + trainconf.RunPlaceholder + ", or wait until that run has ended",
			})
		}
	})
	slices.SortFunc(errs, func(a, b run.FieldError) int { return strings.Compare(a.Field+a.Value, b.Field+b.Value) })
	return errs[:min(len(errs), maxPointFault)], err
}

// reserveFolders calls create under the folder lock, if no live run writes into the drafts' folders. repeated reports
// whether the submission was made before: its run already uses them.
func (c *Control) reserveFolders(ctx context.Context, project string, drafts []draft, repeated func() (bool, error), create func() error) error {
	if !slices.ContainsFunc(drafts, func(d draft) bool { return len(d.fixed) > 0 }) {
		return create()
	}
	c.folders.Lock()
	defer c.folders.Unlock()
	again, err := repeated()
	if err != nil {
		return err
	}
	if !again {
		bad, err := c.foldersInUse(ctx, project, drafts...)
		if err != nil {
			return err
		}
		if len(bad) > 0 {
			return bad
		}
	}
	return create()
}

// found turns the error of a lookup into whether it found something.
func found(err error) (bool, error) {
	if errors.Is(err, fault.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// listRuns lists runs; see [store.Store.Runs].
type listRuns = func(ctx context.Context, f run.RunFilter) ([]run.Run, error)

// eachUnended calls fn for every run that has not ended.
func eachUnended(ctx context.Context, runs listRuns, fn func(run.Run)) error {
	f := run.RunFilter{Projects: run.AllProjects(), Limit: 1000}
	for _, s := range run.States() {
		if !s.Terminal() {
			f.States = append(f.States, s)
		}
	}
	for {
		page, err := runs(ctx, f)
		if err != nil {
			return err
		}
		for _, r := range page {
			fn(r)
		}
		if len(page) < f.Limit {
			return nil
		}
		f.Before = page[len(page)-1].ID
	}
}

// CheckpointUsers returns the live runs whose checkpoints are at, around or below a place in shared storage; see
// [storage.Storage.Touches].
func CheckpointUsers(ctx context.Context, runs listRuns, place string, touches func(place, folder, given string) bool) ([]run.Run, error) {
	var out []run.Run
	err := eachUnended(ctx, runs, func(r run.Run) {
		if touches(place, r.Shape.Folder, r.CheckpointPath) {
			out = append(out, r)
		}
	})
	return out, err
}

// CheckpointUsersWarning warns of a deletion that takes checkpoints from runs, "" for none. Those without a project are of one
// that the reader may not see: they are counted, and not named.
func CheckpointUsersWarning(runs []run.Run) string {
	var seen []run.Run
	for _, r := range runs {
		if r.Project != "" {
			seen = append(seen, r)
		}
	}
	const lost = "cannot be resumed from them."
	unseen := len(runs) - len(seen)
	switch {
	case len(runs) == 0:
		return ""
	case len(seen) == 0 && unseen == 1:
		return "A run of another project keeps its checkpoints there: it may fail, and " + lost
	case len(seen) == 0:
		return fmt.Sprintf("%d runs of other projects keep their checkpoints there: they may fail, and ", unseen) + lost
	}
	r := seen[0]
	text := fmt.Sprintf("The run “%s” (%s) is %s and keeps its checkpoints there: it may fail, and ", r.Name, r.ID, r.State) + lost
	switch n := len(runs) - 1; {
	case n == 0:
	case unseen == 0:
		text += fmt.Sprintf(" So do %d others.", n)
	default:
		text += fmt.Sprintf(" So do %d others, %d of them of other projects.", n, unseen)
	}
	return text
}
