package api

import (
	"context"
	"slices"

	"github.com/cotrain/cotrain/internal/client"
	"github.com/cotrain/cotrain/internal/draft"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/trainconf"
)

// Sweeps is the groups of runs that differ in a few fields.
type Sweeps interface {
	// SubmitSweep makes a sweep and its runs; what is not valid is [run.FieldErrors].
	SubmitSweep(ctx context.Context, s run.SweepSpec) (run.Sweep, error)
	// Sweep returns a sweep with the counts of its runs, or an error that matches [fault.ErrNotFound].
	Sweep(ctx context.Context, id run.SweepID) (run.Sweep, error)
	// Sweeps returns up to limit of projects, newest first, older than before ("" for the newest).
	Sweeps(ctx context.Context, in run.Projects, before run.SweepID, limit int) ([]run.Sweep, error)
	// StopSweep and DeleteSweep return an error that matches [fault.ErrConflict] when the states of its runs do not allow it.
	StopSweep(ctx context.Context, id run.SweepID) error
	DeleteSweep(ctx context.Context, id run.SweepID) error
}

type submitSweepInput struct {
	Key  string `header:"Idempotency-Key" doc:"Repeating a submission with the same key, of at most 200 bytes, returns the first one's sweep"`
	Body client.SweepInput
}

type submitSweepOutput struct {
	Location string `header:"Location"`
	Body     client.SubmittedSweep
}

func (s *server) submitSweep(ctx context.Context, in *submitSweepInput) (*submitSweepOutput, error) {
	d, err := s.resolve(ctx, in.Body.Project, in.Body.Name, in.Body.Source)
	if err != nil {
		return nil, err
	}
	if len(d.Errs) > 0 {
		return nil, d.refusal(true)
	}
	spec := run.SweepSpec{Submission: d.Submission(), Grid: in.Body.Grid, List: in.Body.List, Parallel: in.Body.Parallel}
	spec.Key = in.Key
	sw, err := s.Sweeps.SubmitSweep(ctx, spec)
	if err != nil {
		return nil, err
	}
	return &submitSweepOutput{"/api/v1/sweeps/" + string(sw.ID), client.SubmittedSweep{Sweep: sw, Warnings: sweepWarnings(d.Request, spec)}}, nil
}

// maxSweepWarnings bounds what is said of the runs of a sweep.
const maxSweepWarnings = 50

// sweepWarnings is what the runs of a sweep are warned of, each warning once.
func sweepWarnings(base trainconf.Request, spec run.SweepSpec) []run.FieldError {
	var out []run.FieldError
	for _, values := range spec.Points() {
		req := base
		for _, field := range draft.InOrder(values) {
			_ = req.Set(field, values[field]) // control has refused what cannot be set
		}
		_, warns := req.CheckUnnamed()
		for _, w := range warns {
			if len(out) < maxSweepWarnings && !slices.Contains(out, w) {
				out = append(out, w)
			}
		}
	}
	return out
}

func (s *server) listSweeps(ctx context.Context, in *client.SweepsQuery) (out client.SweepPage, err error) {
	var before run.SweepID
	if in.Before != "" {
		id, err := run.ParseSweepID(in.Before)
		if err != nil {
			return out, invalid("query", run.FieldError{Field: "before", Value: in.Before, Rule: "is not the ID of a sweep", Fix: "use the next of the previous page"})
		}
		before = id
	}
	projects, bad := projectsOf(in.Project)
	if bad != nil {
		return out, invalid("query", bad...)
	}
	sweeps, err := s.Sweeps.Sweeps(ctx, projects, before, in.Limit+1)
	if err != nil {
		return out, err
	}
	more := false
	if out.Items, more = firstPage(sweeps, in.Limit); more {
		out.Next = out.Items[in.Limit-1].ID
	}
	return out, nil
}

type sweepParam struct {
	ID string `path:"id" doc:"ID of the sweep, such as s-0123456789"`
}

// findSweep returns the sweep that the path names. An ID of the wrong form names none.
func (s *server) findSweep(ctx context.Context, name string) (run.Sweep, error) {
	id, err := run.ParseSweepID(name)
	if err != nil {
		return run.Sweep{}, run.NoSweep(name)
	}
	return s.Sweeps.Sweep(ctx, id)
}

func (s *server) getSweep(ctx context.Context, in *sweepParam) (out client.SweepDetail, err error) {
	sw, err := s.findSweep(ctx, in.ID)
	if err != nil {
		return out, err
	}
	runs, err := s.Runs.Runs(ctx, run.RunFilter{Projects: run.AllProjects(), Sweep: sw.ID, Limit: 2 * run.MaxSweepRuns})
	if err != nil {
		return out, err
	}
	out = client.SweepDetail{Sweep: sw, Runs: make([]client.SweepRun, 0, len(runs))}
	for i := len(runs) - 1; i >= 0; i-- { // newest first, and made in the order of the points
		r := runs[i]
		values := r.Origin.Point
		if values == nil {
			values = map[string]string{}
		}
		out.Runs = append(out.Runs, client.SweepRun{
			ID: r.ID, Name: r.Name, Values: values, State: r.State, Reason: r.Reason, StepsTotal: r.StepsTotal, Progress: r.Progress,
		})
	}
	return out, nil
}

// stopSweep answers as soon as the requests are on their way.
func (s *server) stopSweep(ctx context.Context, in *sweepParam) (out run.Sweep, err error) {
	sw, err := s.findSweep(ctx, in.ID)
	if err != nil {
		return out, err
	}
	if err := s.Sweeps.StopSweep(ctx, sw.ID); err != nil {
		return out, err
	}
	if sw, err = s.findSweep(ctx, in.ID); err != nil {
		return out, err
	}
	return sw, nil
}

func (s *server) deleteSweep(ctx context.Context, in *sweepParam) (*struct{}, error) {
	sw, err := s.findSweep(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	return nil, s.Sweeps.DeleteSweep(ctx, sw.ID)
}
