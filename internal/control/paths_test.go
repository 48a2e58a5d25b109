package control_test

import (
	"context"
	"errors"
	"log/slog"
	"path"
	"strings"
	"testing"
	"time"

	"github.com/cotrain/cotrain/internal/control"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/trainconf"
)

// shelf is shared storage that knows no checkpoint, warns of every dataset, and counts how often it is asked.
type shelf struct {
	asked   int
	folders []string // in which it was asked
}

func (s *shelf) CheckPaths(_ context.Context, c trainconf.Config, shape run.Shape) (errs, warns run.FieldErrors) {
	s.asked++
	s.folders = append(s.folders, shape.Folder)
	if resume, set := c.Get("ckpt.resume"); set {
		errs = append(errs, run.FieldError{Field: "ckpt.resume", Value: resume, Rule: "is not in shared storage", Fix: "use another"})
	}
	return errs, run.FieldErrors{{Field: "data.dataset_name_or_paths", Value: c.Effective("data.dataset_name_or_paths"), Rule: "is not in shared storage", Fix: "put it there"}}
}

func (s *shelf) CheckpointProblem(context.Context, string, run.Shape, bool) (what string, known bool, err error) {
	return "", false, nil
}

// Below takes every path but an address for one of shared storage, which the nodes see at /mnt/shared.
func (s *shelf) Below(folder, given string) (string, bool) {
	p, absolute := strings.CutPrefix(given, "/mnt/shared/")
	if !absolute {
		p = path.Join(folder, given)
	}
	return path.Clean(p), !strings.Contains(given, "://")
}

// Touches is of paths that are the same, or begin alike.
func (s *shelf) Touches(here, folder, given string) bool {
	p, _ := s.Below(folder, given)
	here = strings.Trim(here, "/")
	return strings.HasPrefix(p+"/", here+"/") || strings.HasPrefix(here+"/", p+"/")
}

func newShelvedRig(t *testing.T) (*rig, *shelf) {
	t.Helper()
	r, s := newRig(t), &shelf{}
	r.control = control.New(control.Options{
		Store: r.store, Queue: r.queue, Cluster: r.cluster, Logs: r.logs, Publisher: r.hub, Logger: slog.New(slog.DiscardHandler), Now: time.Now,
		ReconcileSoon: func(run.ID) {}, Storage: s,
	})
	return r, s
}

func TestPathsThatAreNotInSharedStorageAreToldWithEverythingElse(t *testing.T) {
	t.Parallel()
	r, _ := newShelvedRig(t)
	s := submission()
	s.Config = strings.Replace(s.Config, "batch_size = 16", "batch_size = 17", 1) + "[ckpt]\nresume = \"models/checkpoints/r-1/step_5\"\n"
	_, err := r.control.Submit(t.Context(), "test", s)
	var errs run.FieldErrors
	if !errors.As(err, &errs) || len(errs) != 2 {
		t.Fatalf("%v", err)
	}
	if _, err := r.control.Submit(t.Context(), "test", submission()); err != nil {
		t.Errorf("a warning refuses the run: %v", err)
	}
	dry, err := r.control.DryRun(t.Context(), submission())
	if err != nil || len(dry.Warnings) == 0 || dry.Warnings[len(dry.Warnings)-1].Field != "data.dataset_name_or_paths" {
		t.Errorf("%+v, %v", dry.Warnings, err)
	}
	s = submission()
	s.Options.Args = []string{"--data.dataset_name_or_paths=datasets/from-an-argument"}
	if dry, err = r.control.DryRun(t.Context(), s); err != nil || dry.Warnings[len(dry.Warnings)-1].Value != "datasets/from-an-argument" {
		t.Errorf("what an argument names: %+v, %v", dry.Warnings, err)
	}
}

func TestASweepAsksSharedStorageOnceForTheSamePaths(t *testing.T) {
	t.Parallel()
	r, s := newShelvedRig(t)
	if _, err := r.control.SubmitSweep(t.Context(), "test", grid()); err != nil {
		t.Fatal(err)
	}
	if s.asked != 1 {
		t.Errorf("asked %d times for 4 runs", s.asked)
	}
}

func TestASweepAsksSharedStorageForEachPathOfItsRuns(t *testing.T) {
	t.Parallel()
	for _, field := range trainconf.PathFields() {
		r, s := newShelvedRig(t)
		spec := grid()
		spec.Grid = []run.Axis{{Field: field, Values: []string{"a/{run}/step_1", "b/{run}/step_1"}}}
		if _, err := r.control.SubmitSweep(t.Context(), "test", spec); s.asked != 2 {
			t.Errorf("%s: asked %d times, %v", field, s.asked, err)
		}
	}
}

func TestALogIsMirroredOnlyWhereThereIsSharedStorage(t *testing.T) {
	t.Parallel()
	without := newRig(t)
	with, _ := newShelvedRig(t)
	for value, fields := range map[string][2]string{run.MirrorOn: {"mirror_logs", ""}, run.MirrorOff: {}, run.MirrorDefault: {}, "maybe": {"mirror_logs", "mirror_logs"}} {
		for i, r := range []*rig{without, with} {
			s := submission()
			s.Options.MirrorLogs = value
			_, err := r.control.Submit(t.Context(), "test", s)
			var errs run.FieldErrors
			errors.As(err, &errs)
			if got := len(errs); (got > 0) != (fields[i] != "") || got > 0 && (errs[0].Field != fields[i] || errs[0].Value != value || errs[0].Fix == "") {
				t.Errorf("%s, %d: %v", value, i, err)
			}
		}
	}
}
