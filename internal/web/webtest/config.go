package webtest

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/run"
)

// kept is the fakes' templates, sweeps and launches.
type kept struct {
	AllTemplates []run.Template // newest first
	AllSweeps    []run.Sweep    // newest first
	Specs        []run.SweepSpec
	Dry          run.DryRun
	DryErr       error
	LaunchErr    error
}

func (f *fake) Templates(_ context.Context, in run.Projects) ([]run.Template, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []run.Template
	for _, t := range f.AllTemplates {
		if in.Include(t.Project) && !slices.ContainsFunc(out, func(o run.Template) bool { return o.Name == t.Name && o.Project == t.Project }) {
			out = append(out, t)
		}
	}
	slices.SortFunc(out, func(a, b run.Template) int { return strings.Compare(a.Name, b.Name) })
	return out, f.Err
}

func (f *fake) Template(_ context.Context, project, name string, version int) (run.Template, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, t := range f.AllTemplates {
		if t.Name == name && t.Project == cmp.Or(project, access.DefaultProject) && (version == 0 || t.Version == version) {
			return t, f.Err
		}
	}
	return run.Template{}, run.NoTemplate(name, version)
}

func (f *fake) TemplateVersions(_ context.Context, project, name string) ([]run.Template, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []run.Template
	for _, t := range f.AllTemplates {
		if t.Name == name && t.Project == cmp.Or(project, access.DefaultProject) {
			out = append(out, t)
		}
	}
	if len(out) == 0 {
		return nil, run.NoTemplate(name, 0)
	}
	return out, f.Err
}

func (f *fake) SaveTemplate(ctx context.Context, t run.Template, follows int) (run.Template, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.SubmitErr != nil {
		return t, f.SubmitErr
	}
	t.Project = cmp.Or(t.Project, access.DefaultProject)
	newest := 0
	for _, old := range f.AllTemplates {
		if old.Name == t.Name && old.Project == t.Project {
			newest = max(newest, old.Version)
		}
	}
	if follows != run.AnyVersion && follows != newest {
		return t, fmt.Errorf("store template: %w", &run.OutdatedError{Template: t.Name, Expected: follows, Newest: newest})
	}
	t.Version, t.Actor, t.CreatedAt = newest+1, access.From(ctx).Name, Now
	f.AllTemplates = append([]run.Template{t}, f.AllTemplates...)
	return t, f.Err
}

func (f *fake) DeleteTemplate(_ context.Context, _, name string) error {
	return f.act("delete template " + name)
}

func (f *fake) SubmitSweep(ctx context.Context, s run.SweepSpec) (run.Sweep, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.SubmitErr != nil {
		return run.Sweep{}, f.SubmitErr
	}
	f.Specs = append(f.Specs, s)
	made := run.Sweep{ID: run.NewSweepID(Now), Project: cmp.Or(s.Project, access.DefaultProject), Name: s.Name, Spec: s, CreatedAt: Now, Actor: access.From(ctx).Name}
	f.AllSweeps = append([]run.Sweep{made}, f.AllSweeps...)
	return made, f.Err
}

func (f *fake) Sweep(_ context.Context, id run.SweepID) (run.Sweep, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, s := range f.AllSweeps {
		if s.ID == id {
			return s, f.Err
		}
	}
	return run.Sweep{}, run.NoSweep(string(id))
}

func (f *fake) Sweeps(_ context.Context, in run.Projects, before run.SweepID, limit int) ([]run.Sweep, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []run.Sweep
	for _, s := range f.AllSweeps {
		if in.Include(s.Project) && (before == "" || s.ID < before) && len(out) < limit {
			out = append(out, s)
		}
	}
	return out, f.Err
}

func (f *fake) StopSweep(_ context.Context, id run.SweepID) error {
	return f.act("stop sweep " + string(id))
}

func (f *fake) DeleteSweep(_ context.Context, id run.SweepID) error {
	return f.act("delete sweep " + string(id))
}

func (f *fake) Launch(context.Context, run.ID) (run.Launch, error) {
	return Launch(), f.LaunchErr
}

func (f *fake) LaunchOf(_ context.Context, s run.Submission) (run.Launch, error) {
	l := Launch()
	l.Config = s.Config
	return l, f.LaunchErr
}

func (f *fake) DryRun(_ context.Context, s run.Submission) (run.DryRun, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	d := f.Dry
	d.Launch = Launch()
	d.Launch.Config = s.Config
	return d, f.DryErr
}

// Launch is a launch with recognizable parts.
func Launch() run.Launch {
	return run.Launch{
		ParentJob: "cotrain-core-abc", Job: json.RawMessage(`{"ID":"cotrain-core-abc"}`), Meta: map[string]string{"run_id": "r-0000000001"},
		Config: "[train]\n", Script: "#!/bin/sh\nexec torchrun\n", Command: "torchrun --nnodes=1 train.py @config.toml",
		Env: []run.EnvVar{{Name: "COTRAIN_NODES", Value: "3", From: "job"}, {Name: "GLOBAL_ADDR", Value: "<worker 0's address>", From: "launch script"}},
	}
}
