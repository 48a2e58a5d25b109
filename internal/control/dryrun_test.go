package control_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/nomad/nomadtest"
	"github.com/cotrain/cotrain/internal/run"
)

func TestADryRunTellsAndChangesNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	s := submission()
	s.Config, s.Key, s.Options.Env = saving, "k", map[string]string{"A": "{run}"}
	got, err := r.control.DryRun(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	if !got.Fits || got.Reason != "" || len(got.Places) != 1 || got.Parent != run.ParentNew || !strings.HasPrefix(got.ParentJob, "cotrain-core-") {
		t.Errorf("got %+v", got)
	}
	l := got.Launch
	if l.Config != saving || l.Meta["run_id"] != "{run}" || l.Meta["attempt"] != "1" || l.Meta["ckpt_path"] != "models/checkpoints/{run}" || l.Script == "" {
		t.Errorf("launch is %+v", l)
	}
	r.cluster.SetPlan(nomadtest.Plan{Reason: "needs 2 nodes, the cluster has 1"})
	r.cluster.SetParent(run.ParentUpdate)
	got, err = r.control.DryRun(t.Context(), s)
	if err != nil || got.Fits || got.Reason != "needs 2 nodes, the cluster has 1" || got.Places == nil || got.Parent != run.ParentUpdate {
		t.Errorf("got %+v, %v", got, err)
	}
	runs, err := r.store.Runs(t.Context(), run.RunFilter{Projects: run.AllProjects(), Limit: 10})
	if err != nil || len(runs) != 0 || len(r.cluster.Jobs()) != 0 || r.cluster.Calls("EnsureParent") != 0 {
		t.Errorf("afterwards there are runs %v, jobs %v, %v", runs, r.cluster.Jobs(), err)
	}
	if _, err := r.control.Submit(t.Context(), "test", s); err != nil {
		t.Errorf("its key was used up: %v", err)
	}
}

func TestADryRunTellsWarnings(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	s := submission()
	s.Config = strings.Replace(config, "warmup_steps = 2", "warmup_steps = 900", 1)
	got, err := r.control.DryRun(t.Context(), s)
	if err != nil || len(got.Warnings) == 0 {
		t.Errorf("warnings %v, %v", got.Warnings, err)
	}
}

func TestADryRunOfWhatIsWrongSaysWhatSubmitSays(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	s := submission()
	s.Name, s.Shape.Nodes, s.Options.Retries = "", 0, 99
	_, want := r.control.Submit(t.Context(), "test", s)
	_, got := r.control.DryRun(t.Context(), s)
	if !errors.Is(got, fault.ErrInvalid) || got.Error() != want.Error() {
		t.Errorf("a dry run says\n%v\na submission\n%v", got, want)
	}
	r.cluster.SetDown(true)
	if _, err := r.control.DryRun(t.Context(), submission()); !errors.Is(err, fault.ErrUnavailable) {
		t.Errorf("without Nomad: %v", err)
	}
}

func TestLaunchIsToldBeforeAndAfterSubmission(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	s := submission()
	s.Name, s.Config = "", saving
	before, err := r.control.LaunchOf(t.Context(), s)
	if err != nil || before.Config != saving || before.Meta["run_id"] != "{run}" {
		t.Errorf("before: %+v, %v", before, err)
	}
	s.Config = "nonsense"
	if _, err := r.control.LaunchOf(t.Context(), s); !errors.Is(err, fault.ErrInvalid) {
		t.Errorf("of nonsense: %v", err)
	}
	s = submission()
	s.Config = saving
	stored, err := r.control.Submit(t.Context(), "test", s)
	if err != nil {
		t.Fatal(err)
	}
	after, err := r.control.Launch(t.Context(), stored.ID)
	if err != nil || after.Config != stored.Config || after.Meta["run_id"] != string(stored.ID) || after.Meta["attempt"] != "1" {
		t.Errorf("after: %+v, %v", after, err)
	}
	r.queue.Round(t.Context())
	meta, err := r.cluster.Dispatched(r.cluster.Jobs()[0]).Meta()
	if err != nil || len(meta) != len(after.Meta) || meta["ckpt_path"] != after.Meta["ckpt_path"] {
		t.Errorf("was sent with %v, is told as %v, %v", meta, after.Meta, err)
	}
	if _, err := r.control.Launch(t.Context(), "r-0000000000"); !errors.Is(err, fault.ErrNotFound) {
		t.Errorf("of nothing: %v", err)
	}
}
