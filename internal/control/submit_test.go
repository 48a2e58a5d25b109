package control_test

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
)

const saving = config + `[ckpt] # kept in {run}
path = "models/checkpoints/{run}"
interval = 10
`

func TestOptionsAreKeptAndSent(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.register(hub)
	s := submission()
	s.Options = run.Options{
		Description: " why ", Tags: []string{"b", "a", " b "}, Priority: 70, MaxDuration: 3600, Retries: 2, Env: map[string]string{"NCCL_DEBUG": "INFO"},
		Args: []string{"--train.torch_compile=false"}, Secrets: run.SecretNames{"HF_TOKEN"},
	}
	s.Origin = run.Origin{Template: "mine@3", Clone: "r-0000000000", Sweep: "s-0000000000", Point: map[string]string{"x": "y"}}
	got, err := r.control.Submit(t.Context(), "test", s)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got.Options.Tags, []string{"a", "b"}) || got.Options.Description != "why" || got.Options.Retries != 2 {
		t.Errorf("options are %+v", got.Options)
	}
	if got.Origin.Template != "mine@3" || got.Origin.Clone != "r-0000000000" || got.Origin.Sweep != "" || got.Origin.Point != nil {
		t.Errorf("origin is %+v: only a sweep makes its runs", got.Origin)
	}
	r.queue.Round(t.Context())
	d := r.cluster.Dispatched(r.cluster.Jobs()[0])
	if d.Priority != 70 || d.Env["NCCL_DEBUG"] != "INFO" || len(d.Args) != 1 || len(d.Secrets) != 1 || d.Secrets[0] != hub.Ref() {
		t.Errorf("sent %+v", d)
	}
}

func TestOptionsAreChecked(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	s := submission()
	s.Options = run.Options{
		Priority: 101, MaxDuration: -1, Retries: -1, Env: map[string]string{"GLOBAL_RANK": "1"}, Tags: []string{strings.Repeat("x", 100)}, Secrets: run.SecretNames{"../x"},
	}
	s.Preset, s.Origin.Clone = strings.Repeat("p", 300), "nonsense"
	_, err := r.control.Submit(t.Context(), "test", s)
	var fes run.FieldErrors
	if !errors.As(err, &fes) {
		t.Fatal(err)
	}
	for _, field := range []string{"priority", "max_duration", "retries", "env", "tags", "secrets", "preset", "origin.clone"} {
		found := false
		for _, fe := range fes {
			found = found || fe.Field == field
		}
		if !found {
			t.Errorf("nothing is said of %s in:\n%v", field, err)
		}
	}
}

func TestASecretInTheConfigurationIsNeverStored(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	s := submission()
	s.Config += "[monitor]\nauth_token = \"hunter2\"\n"
	if _, err := r.control.Submit(t.Context(), "test", s); !errors.Is(err, fault.ErrInvalid) || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("got %v", err)
	}
	tpl := run.Template{Name: "mine", Config: s.Config, Shape: s.Shape}
	if _, err := r.control.SaveTemplate(t.Context(), "test", tpl, run.AnyVersion); !errors.Is(err, fault.ErrInvalid) || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("as a template: %v", err)
	}
	spec := run.SweepSpec{Submission: submission(), Grid: []run.Axis{{Field: "monitor.auth_token", Values: []string{"hunter2", "hunter3"}}}}
	if _, err := r.control.SubmitSweep(t.Context(), "test", spec); !errors.Is(err, fault.ErrInvalid) || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("as an axis: %v", err)
	}
}

func TestTheRunsIDIsFilledIntoItsFolders(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	s := submission()
	s.Config = saving
	s.Options.Env = map[string]string{"OUT": "/tmp/{run}"}
	s.Options.Args = []string{"--train.memory_profiler.snapshot_dir=snapshots/{run}"}
	first, err := r.control.Submit(t.Context(), "test", s)
	if err != nil {
		t.Fatal(err)
	}
	second, err := r.control.Submit(t.Context(), "test", s)
	if err != nil {
		t.Fatal(err)
	}
	for _, got := range []run.Run{first, second} {
		id := string(got.ID)
		if got.Config != strings.ReplaceAll(saving, "{run}", id) { // comments and all
			t.Errorf("configuration is\n%s", got.Config)
		}
		if got.CheckpointPath != "models/checkpoints/"+id || got.Options.Env["OUT"] != "/tmp/"+id || !strings.HasSuffix(got.Options.Args[0], id) {
			t.Errorf("run is %+v", got)
		}
	}
	if s.Options.Env["OUT"] != "/tmp/{run}" {
		t.Error("the submission was changed")
	}
	r.queue.Round(t.Context())
	d := r.cluster.Dispatched(r.cluster.Jobs()[0])
	if d.CheckpointPath != first.CheckpointPath && d.CheckpointPath != second.CheckpointPath {
		t.Errorf("sent %+v", d)
	}
}

func TestThePlaceholderOutsideOfFoldersIsText(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	s := submission()
	s.Config = "run_name = \"about {run}\"\n" + saving
	got, err := r.control.Submit(t.Context(), "test", s)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(got.Config, `"about {run}"`) || !strings.Contains(got.Config, `"models/checkpoints/`+string(got.ID)+`"`) {
		t.Errorf("configuration is\n%s", got.Config)
	}
}

func TestArgumentsDecideTheCheckpointFolder(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	s := submission()
	s.Config = saving
	s.Options.Args = []string{"--ckpt.path", "elsewhere/{run}"}
	got, err := r.control.Submit(t.Context(), "test", s)
	if err != nil {
		t.Fatal(err)
	}
	if got.CheckpointPath != "elsewhere/"+string(got.ID) {
		t.Errorf("folder is %q", got.CheckpointPath)
	}
}

func TestARepeatedKeyComparesEverythingThatMakesTheRun(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	s := submission()
	s.Key, s.Config = "k", saving
	s.Options = run.Options{Tags: []string{"b", "a"}, Retries: 1, Env: map[string]string{"OUT": "{run}"}}
	first, err := r.control.Submit(t.Context(), "test", s)
	if err != nil {
		t.Fatal(err)
	}
	again := s
	again.Options.Tags = []string{"a", "b", "a"} // means the same
	if got, err := r.control.Submit(t.Context(), "test", again); err != nil || got.ID != first.ID {
		t.Errorf("the same again gave %s after %s, %v", got.ID, first.ID, err)
	}
	for name, change := range map[string]func(*run.Submission){
		"retries":     func(s *run.Submission) { s.Options.Retries = 2 },
		"environment": func(s *run.Submission) { s.Options.Env = map[string]string{"OUT": "x"} },
		"folder":      func(s *run.Submission) { s.Config = strings.Replace(saving, "{run}\"", "mine\"", 1) },
		"site":        func(s *run.Submission) { s.Shape.Site = "dc2" },
	} {
		other := s
		change(&other)
		if _, err := r.control.Submit(t.Context(), "test", other); !errors.Is(err, fault.ErrConflict) {
			t.Errorf("another %s: %v", name, err)
		}
	}
	r.queue.Round(t.Context())
	if n := len(r.cluster.Jobs()); n != 1 {
		t.Errorf("Nomad has %d jobs", n)
	}
}

func TestAConfigurationThatGrowsTooLargeIsRefused(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	s := submission()
	s.Config = saving + "# " + strings.Repeat("{run}", (16384-len(saving))/5-1) + "\n"
	if len(s.Config) > 16384 {
		t.Fatalf("%d bytes are too many as they are", len(s.Config))
	}
	if _, err := r.control.Submit(t.Context(), "test", s); !errors.Is(err, fault.ErrInvalid) {
		t.Errorf("got %v", err)
	}
}

// set are the settings of every project.
type set access.Settings

func (s set) Settings(string) access.Settings { return access.Settings(s) }

func (s set) ProjectNames(context.Context) []string { return []string{access.DefaultProject} }

func TestARunGetsWhatItsProjectSets(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.projects = set{Namespace: "team-a", NodePool: "gpu", Folder: "teams/a", Limits: access.Limits{Workers: 2, GPUs: 4, Priority: 40, MaxDuration: 7200}}
	r.useCluster(r.cluster)
	s := submission()
	s.Key = "once"
	got, err := r.control.Submit(t.Context(), "test", s)
	if err != nil {
		t.Fatal(err)
	}
	if s := got.Shape; s.Namespace != "team-a" || s.NodePool != "gpu" || s.Folder != "teams/a" || got.Options.Priority != 40 || got.Options.MaxDuration != 7200 {
		t.Errorf("got %+v, %+v", got.Shape, got.Options)
	}
	if parent := got.Shape.ParentJob(); !strings.HasSuffix(parent, ".team-a") || run.JobNamespace(parent+"/dispatch-1-a") != "team-a" {
		t.Errorf("its parent is %s", parent)
	}
	r.projects = set{Namespace: "team-b", Limits: access.Limits{Priority: 40, MaxDuration: 7200}}
	r.useCluster(r.cluster)
	if again, err := r.control.Submit(t.Context(), "test", s); err != nil || again.ID != got.ID || again.Shape != got.Shape {
		t.Errorf("with the same key after a change: %+v, %v", again, err)
	}
	s.Key, s.Shape = "", got.Shape
	if _, err := r.control.Submit(t.Context(), "test", s); !slices.Equal(fieldsOf(err), []string{"namespace", "node_pool", "folder"}) {
		t.Errorf("for what another project sets: %v", err)
	}
	s.Shape = got.Shape.Unassigned()
	if other, err := r.control.Submit(t.Context(), "test", s); err != nil || other.Shape.Namespace != "team-b" || other.Shape.NodePool != "" {
		t.Errorf("%+v, %v", other.Shape, err)
	}
}

func TestWhatAProjectDoesNotAllowIsRefused(t *testing.T) {
	t.Parallel()
	limits := access.Limits{Workers: 3, GPUs: 4, Priority: 60, MaxDuration: 7200}
	for name, tc := range map[string]struct {
		change func(*run.Submission)
		want   []string
	}{
		"as much as it allows": {func(s *run.Submission) {
			s.Shape.Nodes, s.Shape.GPUs, s.Options.Priority, s.Options.MaxDuration = 2, 2, 60, 7200
		}, nil},
		"more workers":      {func(s *run.Submission) { s.Shape.Nodes = 4 }, []string{"nodes"}},
		"more GPUs":         {func(s *run.Submission) { s.Shape.Nodes, s.Shape.GPUs = 3, 2 }, []string{"gpus"}},
		"more on one node":  {func(s *run.Submission) { s.Shape.Nodes, s.Shape.GPUs = 1, 8 }, []string{"gpus"}},
		"a higher priority": {func(s *run.Submission) { s.Options.Priority = 61 }, []string{"priority"}},
		"a longer time":     {func(s *run.Submission) { s.Options.MaxDuration = 7201 }, []string{"max_duration"}},
		"everything, at once": {func(s *run.Submission) {
			s.Shape.Nodes, s.Shape.GPUs, s.Options = 4, 2, run.Options{Priority: 99, MaxDuration: 86400}
		}, []string{"nodes", "gpus", "priority", "max_duration"}},
		"beyond any number": {func(s *run.Submission) { s.Shape.Nodes, s.Shape.GPUs = 1<<62, 4 }, []string{"nodes"}},
	} {
		r := newRig(t)
		r.projects = set{Limits: limits}
		r.useCluster(r.cluster)
		s := submission()
		tc.change(&s)
		_, err := r.control.Submit(t.Context(), "test", s)
		got := fieldsOf(err)
		for _, field := range tc.want {
			if !slices.Contains(got, field) {
				t.Errorf("%s: nothing about %s in %v", name, field, err)
			}
		}
		if len(tc.want) == 0 && err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if _, dry := r.control.DryRun(t.Context(), s); !slices.Equal(fieldsOf(dry), got) {
			t.Errorf("%s: a dry run says %v", name, dry)
		}
	}
}

func fieldsOf(err error) (out []string) {
	var errs run.FieldErrors
	errors.As(err, &errs)
	for _, e := range errs {
		out = append(out, e.Field)
	}
	return out
}
