package control_test

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/control"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/trainconf"
)

// placed are what is set for projects.
type placed map[string]access.Settings

// Settings is for [control.Projects].
func (p placed) Settings(project string) access.Settings { return p[project] }

// ProjectNames is for [control.Projects].
func (p placed) ProjectNames(context.Context) []string { return slices.Sorted(maps.Keys(p)) }

// newProjectsRig has projects with folders and limits.
func newProjectsRig(t *testing.T) (*rig, *shelf) {
	t.Helper()
	r, s := newRig(t), &shelf{}
	for _, name := range []string{"vision", "audio", "text"} {
		if err := r.store.CreateProject(t.Context(), access.Project{Name: name}); err != nil {
			t.Fatal(err)
		}
	}
	r.control = control.New(control.Options{
		Store: r.store, Queue: r.queue, Cluster: r.cluster, Logs: r.logs, Publisher: r.hub, Logger: slog.New(slog.DiscardHandler), Now: time.Now,
		ReconcileSoon: func(run.ID) {}, Storage: s, Projects: placed{
			"vision": {Folder: "teams/vision", Limits: access.Limits{Workers: 2, MaxDuration: 3600}},
			"audio":  {Folder: "teams/audio"},
		},
	})
	return r, s
}

func sortedFields(err error) []string { return slices.Sorted(slices.Values(fieldsOf(err))) }

func TestADraftIsJudgedAsItWouldBeSubmitted(t *testing.T) {
	t.Parallel()
	r, _ := newProjectsRig(t)
	big := func(project string) run.Submission {
		s := submission()
		s.Project, s.Shape.Nodes, s.Options.MaxDuration = project, 3, 7200
		s.Config += "[ckpt]\nresume = \"models/checkpoints/r-1/step_5\"\n"
		return s
	}
	for project, want := range map[string][]string{"vision": {"ckpt.resume", "max_duration", "nodes"}, "audio": {"ckpt.resume"}} {
		errs, warns := r.control.Check(t.Context())(big(project))
		if !slices.Equal(sortedFields(errs), want) || len(warns) != 1 {
			t.Errorf("%s: %v; %v", project, errs, warns)
		}
		_, submitted := r.control.Submit(t.Context(), "test", big(project))
		_, dry := r.control.DryRun(t.Context(), big(project))
		for what, err := range map[string]error{"submit": submitted, "dry run": dry} {
			if !slices.Equal(sortedFields(err), want) {
				t.Errorf("%s: %s: %v", project, what, err)
			}
		}
	}
	broken := big("vision")
	broken.Config = "lr = ["
	if errs, _ := r.control.Check(t.Context())(broken); !slices.Equal(sortedFields(errs), []string{"max_duration", "nodes"}) {
		t.Errorf("what cannot be read: %v", errs)
	}
}

func TestARunWorksInTheFolderOfItsProject(t *testing.T) {
	t.Parallel()
	r, s := newProjectsRig(t)
	sub := submission()
	sub.Project = "vision"
	made, err := r.control.Submit(t.Context(), "test", sub)
	if err != nil || made.Shape.Folder != "teams/vision" || made.Options.MaxDuration != 3600 {
		t.Errorf("%+v, %v", made.Shape, err)
	}
	if !slices.Equal(s.folders, []string{"teams/vision"}) {
		t.Errorf("paths were judged in %q", s.folders)
	}
	sub.Shape.Folder = "teams/audio"
	if _, err := r.control.Submit(t.Context(), "test", sub); !slices.Equal(sortedFields(err), []string{"folder"}) {
		t.Errorf("another folder: %v", err)
	}
	if again := trainconf.AsAsked(made); again.Shape.Folder != "" || again.Options.MaxDuration != 0 || again.Options.Assigned != nil {
		t.Errorf("the same again asks for what the project set: %+v, %+v", again.Shape, again.Options)
	}
}

func TestTheRunsOfASweepAreOfItsProject(t *testing.T) {
	t.Parallel()
	r, s := newProjectsRig(t)
	spec := grid()
	spec.Project, spec.Grid[1].Values = "vision", []string{"1", "2"}
	sw, err := r.control.SubmitSweep(t.Context(), "test", spec)
	if err != nil {
		t.Fatal(err)
	}
	runs, err := r.store.Runs(t.Context(), run.RunFilter{Projects: run.InProjects("vision"), Sweep: sw.ID, Limit: 10})
	if err != nil || len(runs) != 4 || slices.ContainsFunc(runs, func(x run.Run) bool { return x.Shape.Folder != "teams/vision" }) || !slices.Equal(s.folders, []string{"teams/vision"}) {
		t.Errorf("%d runs, judged in %q, %v", len(runs), s.folders, err)
	}
	spec.Grid[1].Values = []string{"2", "3"}
	var errs run.FieldErrors
	if _, err := r.control.SubmitSweep(t.Context(), "test", spec); !errors.As(err, &errs) || len(errs) != 2 || !strings.Contains(errs[0].Rule, "vision allows at most 2 nodes for a run") {
		t.Errorf("%v", err)
	}
}

func TestTheSameRelativeFolderOfTwoProjectsIsNoConflict(t *testing.T) {
	t.Parallel()
	r, _ := newProjectsRig(t)
	in := func(project, folder string) run.Submission {
		s := into(folder, "")
		s.Project = project
		return s
	}
	for _, project := range []string{"vision", "audio", "text"} {
		if _, err := r.control.Submit(t.Context(), "test", in(project, "models/checkpoints/mine")); err != nil {
			t.Errorf("%s: %v", project, err)
		}
	}
	for _, s := range []run.Submission{in("vision", "models/checkpoints/mine"), in("text", "/mnt/shared/models/checkpoints/mine"), in("audio", "/mnt/shared/teams/vision/models/checkpoints/mine")} {
		var errs run.FieldErrors
		if _, err := r.control.Submit(t.Context(), "test", s); !errors.As(err, &errs) || errs[0].Field != "ckpt.path" || !strings.Contains(errs[0].Rule, "would overwrite the other's files") {
			t.Errorf("%s in %s: %v", s.Config[strings.Index(s.Config, "[ckpt]"):], s.Project, err)
		}
	}
}
