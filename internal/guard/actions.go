package guard

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
)

// Control acts, for an actor; see package control.
type Control interface {
	RunActions
	SweepActions
	Templates
	Cluster
	Secrets
}

// RunActions act on runs.
type RunActions interface {
	Submit(ctx context.Context, actor string, s run.Submission) (run.Run, error)
	Stop(ctx context.Context, actor string, id run.ID) error
	Delete(ctx context.Context, actor string, id run.ID) error
	Act(ctx context.Context, actor string, id run.ID, a run.Action) error
	Outlook(ctx context.Context, id run.ID) (run.Outlook, error)
	Edit(ctx context.Context, actor string, id run.ID, e run.Edit) error
	Check(ctx context.Context) func(run.Submission) (errs, warns run.FieldErrors)
	DryRun(ctx context.Context, s run.Submission) (run.DryRun, error)
	Launch(ctx context.Context, id run.ID) (run.Launch, error)
	LaunchOf(ctx context.Context, s run.Submission) (run.Launch, error)
}

// SweepActions read and act on sweeps.
type SweepActions interface {
	Sweep(ctx context.Context, id run.SweepID) (run.Sweep, error)
	Sweeps(ctx context.Context, in run.Projects, before run.SweepID, limit int) ([]run.Sweep, error)
	SubmitSweep(ctx context.Context, actor string, s run.SweepSpec) (run.Sweep, error)
	StopSweep(ctx context.Context, actor string, id run.SweepID) error
	DeleteSweep(ctx context.Context, actor string, id run.SweepID) error
}

// projectFor is [run.ProjectFor], of the projects that there are: an administrator may do everything in any other, too.
func (g *Guard) projectFor(ctx context.Context, right access.Right, given string) (string, error) {
	project, err := run.ProjectFor(access.From(ctx), right, given)
	if err == nil && access.From(ctx).May(right, project) && !slices.Contains(g.o.Projects(ctx), project) {
		err = fault.ErrNoProject
	}
	return project, err
}

// inProject changes something new in a project.
func (g *Guard) inProject(ctx context.Context, right access.Right, given string, do func(ctx context.Context, actor, project string) error) error {
	if !access.From(ctx).Known() {
		return g.anywhere(ctx, right)
	}
	project, err := g.projectFor(ctx, right, given)
	if err != nil {
		return err
	}
	return g.change(ctx, right, project, access.Subject{Kind: access.SubjectProject, ID: project}, func(ctx context.Context, actor string) error { return do(ctx, actor, project) })
}

// Submit makes a run; what is not valid is [run.FieldErrors].
func (g *Guard) Submit(ctx context.Context, s run.Submission) (made run.Run, err error) {
	err = g.inProject(ctx, access.RunsSubmit, s.Project, func(ctx context.Context, actor, project string) (err error) {
		s.Project = project
		made, err = g.o.Control.Submit(ctx, actor, s)
		return err
	})
	return made, err
}

// Stop ends a run; [fault.ErrConflict] if its state does not allow it.
func (g *Guard) Stop(ctx context.Context, id run.ID) error {
	return g.changeRun(ctx, access.RunsStop, id, g.o.Control.Stop)
}

// Act pauses, resumes, restarts, retries or kills a run; [fault.ErrConflict] if its state does not allow it.
func (g *Guard) Act(ctx context.Context, id run.ID, a run.Action) error {
	return g.changeRun(ctx, access.RunsStop, id, func(ctx context.Context, actor string, id run.ID) error {
		return g.o.Control.Act(ctx, actor, id, a)
	})
}

// Outlook tells what an action would mean now.
func (g *Guard) Outlook(ctx context.Context, id run.ID) (run.Outlook, error) {
	return seen(ctx, g, id, func() (run.Outlook, error) { return g.o.Control.Outlook(ctx, id) })
}

// Delete removes an ended run; [fault.ErrConflict] if its state does not allow it.
func (g *Guard) Delete(ctx context.Context, id run.ID) error {
	return g.deleted(g.changeRun(ctx, access.RunsDelete, id, g.o.Control.Delete))
}

// Edit changes what people add to a run.
func (g *Guard) Edit(ctx context.Context, id run.ID, e run.Edit) error {
	return g.changeRun(ctx, access.RunsEdit, id, func(ctx context.Context, actor string, id run.ID) error {
		return g.o.Control.Edit(ctx, actor, id, e)
	})
}

func (g *Guard) changeRun(ctx context.Context, right access.Right, id run.ID, do func(ctx context.Context, actor string, id run.ID) error) error {
	subject := access.Subject{Kind: access.SubjectRun, ID: string(id)}
	project, err := g.projectOf(ctx, subject)
	if err != nil {
		return err
	}
	return g.change(ctx, right, project, subject, func(ctx context.Context, actor string) error { return do(ctx, actor, id) })
}

// Check returns what judges drafts while they are written, as their project and shared storage are; nothing of those that cannot
// be submitted.
func (g *Guard) Check(ctx context.Context) func(run.Submission) (errs, warns run.FieldErrors) {
	judge := g.o.Control.Check(ctx)
	return func(s run.Submission) (errs, warns run.FieldErrors) {
		project, err := g.projectFor(ctx, access.RunsSubmit, s.Project)
		if err != nil || !access.From(ctx).May(access.RunsSubmit, project) {
			return nil, nil
		}
		s.Project = project
		return judge(s)
	}
}

// DryRun tells what submitting now would do.
func (g *Guard) DryRun(ctx context.Context, s run.Submission) (run.DryRun, error) {
	project, err := g.wouldSubmit(ctx, s.Project)
	if err != nil {
		return run.DryRun{}, err
	}
	s.Project = project
	return g.o.Control.DryRun(ctx, s)
}

// LaunchOf returns what would start the workers. Nomad unreachable is [fault.ErrUnavailable].
func (g *Guard) LaunchOf(ctx context.Context, s run.Submission) (run.Launch, error) {
	project, err := g.wouldSubmit(ctx, s.Project)
	if err != nil {
		return run.Launch{}, err
	}
	s.Project = project
	return g.o.Control.LaunchOf(ctx, s)
}

func (g *Guard) wouldSubmit(ctx context.Context, given string) (string, error) {
	if err := g.anywhere(ctx, access.RunsSubmit); err != nil {
		return "", err
	}
	project, err := g.projectFor(ctx, access.RunsSubmit, given)
	if err != nil {
		return "", err
	}
	return project, g.over(ctx, access.RunsSubmit, project, access.Subject{Kind: access.SubjectProject, ID: project})
}

// Launch returns what started the workers. Nomad unreachable is [fault.ErrUnavailable].
func (g *Guard) Launch(ctx context.Context, id run.ID) (run.Launch, error) {
	return seen(ctx, g, id, func() (run.Launch, error) { return g.o.Control.Launch(ctx, id) })
}

func sweepSubject(id run.SweepID) access.Subject {
	return access.Subject{Kind: access.SubjectSweep, ID: string(id)}
}

// Sweep returns a sweep with the counts of its runs, or [fault.ErrNotFound].
func (g *Guard) Sweep(ctx context.Context, id run.SweepID) (run.Sweep, error) {
	if err := g.Allow(ctx, access.RunsRead, sweepSubject(id)); err != nil {
		return run.Sweep{}, err
	}
	return g.o.Control.Sweep(ctx, id)
}

// Sweeps returns up to limit of projects, newest first, older than before ("" for the newest).
func (g *Guard) Sweeps(ctx context.Context, in run.Projects, before run.SweepID, limit int) ([]run.Sweep, error) {
	return g.o.Control.Sweeps(ctx, visible(ctx, access.RunsRead, in), before, limit)
}

// The runs that a user may submit in sweeps: so many at once, and then one every so often.
const (
	sweptRuns  = 2000
	sweptEvery = 200 * time.Millisecond
)

// charge counts a sweep's runs, and returns how to take that back. With --dev nothing is limited.
func (g *Guard) charge(ctx context.Context, s run.SweepSpec) (undo func(), err error) {
	user, runs := access.From(ctx).User, len(s.Points())
	if user == access.Local().User {
		return func() {}, nil
	}
	if wait := g.runs.TakeN(string(user), runs); wait > 0 {
		return nil, fault.New(fault.ErrRateLimited, fmt.Sprintf("The console takes %d runs in sweeps at once from you, then one every %s.", sweptRuns, sweptEvery),
			fmt.Sprintf("Try again in %d s.", int(math.Ceil(wait.Seconds()))))
	}
	return func() { g.runs.Give(string(user), runs) }, nil
}

// SubmitSweep creates a sweep and its runs; invalid input is [run.FieldErrors], and too many runs [fault.ErrRateLimited].
func (g *Guard) SubmitSweep(ctx context.Context, s run.SweepSpec) (made run.Sweep, err error) {
	err = g.inProject(ctx, access.RunsSubmit, s.Project, func(ctx context.Context, actor, project string) (err error) {
		undo, err := g.charge(ctx, s)
		if err != nil {
			return err
		}
		s.Project = project
		if made, err = g.o.Control.SubmitSweep(ctx, actor, s); err != nil {
			undo() // what is not valid costs nothing
		}
		return err
	})
	return made, err
}

// StopSweep stops a sweep's runs.
func (g *Guard) StopSweep(ctx context.Context, id run.SweepID) error {
	return g.changeSweep(ctx, access.RunsStop, id, g.o.Control.StopSweep)
}

// DeleteSweep returns [fault.ErrConflict] while runs are live.
func (g *Guard) DeleteSweep(ctx context.Context, id run.SweepID) error {
	return g.deleted(g.changeSweep(ctx, access.RunsDelete, id, g.o.Control.DeleteSweep))
}

func (g *Guard) changeSweep(ctx context.Context, right access.Right, id run.SweepID, do func(ctx context.Context, actor string, id run.SweepID) error) error {
	project, err := g.projectOf(ctx, sweepSubject(id))
	if err != nil {
		return err
	}
	return g.change(ctx, right, project, sweepSubject(id), func(ctx context.Context, actor string) error { return do(ctx, actor, id) })
}
