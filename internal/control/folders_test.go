package control_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/control"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store"
)

// into is a submission that saves into a folder, and maybe copies to another.
func into(folder, remote string) run.Submission {
	s := submission()
	s.Config += fmt.Sprintf("[ckpt]\npath = %q\ninterval = 5\n", folder)
	if remote != "" {
		s.Config += fmt.Sprintf("[ckpt.remote]\npath = %q\ninterval = 5\n", remote)
	}
	return s
}

// refusedFor expects field errors of which the only one is about a folder.
func refusedFor(t *testing.T, what string, err error, field string, id run.ID) {
	t.Helper()
	var errs run.FieldErrors
	if !errors.As(err, &errs) || len(errs) != 1 || errs[0].Field != field || !strings.Contains(errs[0].Rule, string(id)) || !strings.Contains(errs[0].Fix, "{run}") {
		t.Errorf("%s: %v", what, err)
	}
}

func (r *rig) ends(t *testing.T, id run.ID) {
	t.Helper()
	_, err := r.store.Update(t.Context(), id, func(u *store.Update) error { u.Run.State = run.Failed; return nil })
	if err != nil {
		t.Fatal(err)
	}
}

func TestAFolderHasOneRunAtATime(t *testing.T) {
	t.Parallel()
	r, _ := newShelvedRig(t)
	first := into("models/checkpoints/mine", "s3://bucket/mine")
	first.Key = "one"
	live, err := r.control.Submit(t.Context(), "test", first)
	if err != nil {
		t.Fatal(err)
	}
	argued := func(folder string) run.Submission {
		s := into("x", "")
		s.Options.Args = []string{"--ckpt.path=" + folder}
		return s
	}
	for what, s := range map[string]run.Submission{
		"the same folder":            into("models/checkpoints/mine", ""),
		"with a slash at its end":    into("models/checkpoints/mine/", ""),
		"as the nodes see it":        into("/mnt/shared/models/checkpoints/mine", ""),
		"and the others are its own": into("models/checkpoints/mine", "s3://bucket/{run}"),
		"in an argument":             argued("models/checkpoints/mine"),
	} {
		_, err := r.control.Submit(t.Context(), "test", s)
		refusedFor(t, what, err, "ckpt.path", live.ID)
		_, err = r.control.DryRun(t.Context(), s)
		refusedFor(t, what+", dry", err, "ckpt.path", live.ID)
	}
	for _, remote := range []string{"s3://bucket/mine", "s3://bucket/mine/"} {
		_, err = r.control.Submit(t.Context(), "test", into("models/checkpoints/{run}", remote))
		refusedFor(t, "copies to "+remote, err, "ckpt.remote.path", live.ID)
	}
	sweep := grid()
	sweep.Config = into("models/checkpoints/mine", "").Config
	sweep.Grid = []run.Axis{{Field: "ckpt.path", Values: []string{"models/checkpoints/other", "models/checkpoints/mine"}}}
	_, err = r.control.SubmitSweep(t.Context(), "test", sweep)
	refusedFor(t, "a run of a sweep", err, "ckpt.path", live.ID)

	if again, err := r.control.Submit(t.Context(), "test", first); err != nil || again.ID != live.ID {
		t.Errorf("the same submission once more: %s, %v", again.ID, err)
	}
	own, err := r.control.Submit(t.Context(), "test", into("models/checkpoints/{run}", ""))
	if err != nil {
		t.Errorf("a folder of its own: %v", err)
	}
	_, err = r.control.Submit(t.Context(), "test", into("models/checkpoints/"+string(own.ID), ""))
	refusedFor(t, "the folder that a run has by its ID", err, "ckpt.path", own.ID)
	other, err := r.control.Submit(t.Context(), "test", argued("models/checkpoints/argued"))
	if err != nil {
		t.Error(err)
	}
	_, err = r.control.Submit(t.Context(), "test", into("models/checkpoints/argued", ""))
	refusedFor(t, "the folder that a run has by an argument", err, "ckpt.path", other.ID)
	r.ends(t, live.ID)
	if _, err := r.control.Submit(t.Context(), "test", into("models/checkpoints/mine", "")); err != nil {
		t.Errorf("after its run has ended: %v", err)
	}
}

// slowStore takes its time over a list of runs, in which others may make one.
type slowStore struct{ *store.Store }

func (s slowStore) Runs(ctx context.Context, f run.RunFilter) ([]run.Run, error) {
	runs, err := s.Store.Runs(ctx, f)
	time.Sleep(20 * time.Millisecond)
	return runs, err
}

func TestOfSubmissionsAtOneTimeOneGetsTheFolder(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.control = control.New(control.Options{
		Store: slowStore{r.store}, Queue: r.queue, Cluster: r.cluster, Publisher: r.hub, Logger: slog.New(slog.DiscardHandler), Now: time.Now, ReconcileSoon: func(run.ID) {},
	})
	var wg sync.WaitGroup
	results := make([]error, 8)
	for i := range results {
		wg.Go(func() {
			if i%2 == 0 {
				_, results[i] = r.control.Submit(t.Context(), "test", into("models/checkpoints/mine", ""))
				return
			}
			s := grid()
			s.Config = into("x", "").Config
			s.Grid = []run.Axis{{Field: "ckpt.path", Values: []string{"models/checkpoints/mine", fmt.Sprintf("models/checkpoints/%d", i)}}}
			_, results[i] = r.control.SubmitSweep(t.Context(), "test", s)
		})
	}
	wg.Wait()
	won := 0
	for _, err := range results {
		var errs run.FieldErrors
		switch {
		case err == nil:
			won++
		case !errors.As(err, &errs) || len(errs) != 1 || errs[0].Field != "ckpt.path":
			t.Error(err)
		}
	}
	if won != 1 {
		t.Errorf("%d of %d got the folder", won, len(results))
	}
}

func TestRunsThatKeepCheckpointsInAPlaceAreFound(t *testing.T) {
	t.Parallel()
	r, s := newShelvedRig(t)
	live, err := r.control.Submit(t.Context(), "test", into("/mnt/shared/models/checkpoints/team/mine", ""))
	if err != nil {
		t.Fatal(err)
	}
	for place, want := range map[string]bool{
		"models/checkpoints/team": true, "/models/checkpoints/team/": true, "models/checkpoints/team/mine": true, "models/checkpoints/team/mine/step_5/": true,
		"models/checkpoints/team/min": false, "models/checkpoints/team/mine2": false, "datasets": false,
	} {
		got, err := control.CheckpointUsers(t.Context(), r.store.Runs, place, s.Touches)
		if err != nil || (len(got) == 1) != want {
			t.Errorf("%s: %v, %v", place, got, err)
		}
	}
	r.ends(t, live.ID)
	if got, err := control.CheckpointUsers(t.Context(), r.store.Runs, "models/checkpoints/team", s.Touches); err != nil || len(got) != 0 {
		t.Errorf("after it has ended: %v, %v", got, err)
	}
}

func TestAWarningCountsRunsOfOtherProjectsAndDoesNotNameThem(t *testing.T) {
	t.Parallel()
	mine := run.Run{ID: "r-0000000001", Name: "mine", Project: "text", State: run.Running}
	theirs := run.Run{ID: "r-0000000002", Name: "secret plan"}
	for want, runs := range map[string][]run.Run{
		"": nil,
		"The run “mine” (r-0000000001) is running and keeps its checkpoints there: it may fail, and cannot be resumed from them.":                                              {mine},
		"The run “mine” (r-0000000001) is running and keeps its checkpoints there: it may fail, and cannot be resumed from them. So do 2 others, 1 of them of other projects.": {theirs, mine, mine},
		"A run of another project keeps its checkpoints there: it may fail, and cannot be resumed from them.":                                                                  {theirs},
		"2 runs of other projects keep their checkpoints there: they may fail, and cannot be resumed from them.":                                                               {theirs, theirs},
	} {
		if got := control.CheckpointUsersWarning(runs); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestAFolderOfAnotherProjectsRunIsRefusedWithoutItsName(t *testing.T) {
	t.Parallel()
	r, _ := newShelvedRig(t)
	for _, name := range []string{"vision", "text"} {
		if err := r.store.CreateProject(t.Context(), access.Project{Name: name}); err != nil {
			t.Fatal(err)
		}
	}
	first := into("models/checkpoints/mine", "")
	first.Project = "vision"
	if _, err := r.control.Submit(t.Context(), "ann", first); err != nil {
		t.Fatal(err)
	}
	for project, named := range map[string]bool{"vision": true, "text": false} {
		again := into("models/checkpoints/mine", "")
		again.Project = project
		_, err := r.control.Submit(t.Context(), "bob", again)
		var errs run.FieldErrors
		if !errors.As(err, &errs) || len(errs) != 1 || errs[0].Field != "ckpt.path" || strings.Contains(errs[0].Rule, "run r-") != named || strings.Contains(errs[0].Rule, run.OfAnotherProject) == named {
			t.Errorf("from %s: %v", project, err)
		}
	}
}
