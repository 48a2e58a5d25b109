package api

import (
	"context"
	"slices"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/trainconf"
)

// Sweeps is the groups of runs that differ in a few fields.
type Sweeps interface {
	// SubmitSweep makes a sweep and its runs; what is not valid is [run.FieldErrors].
	SubmitSweep(ctx context.Context, actor string, s run.SweepSpec) (run.Sweep, error)
	// Sweep returns a sweep with the counts of its runs, or an error that matches [fault.ErrNotFound].
	Sweep(ctx context.Context, id run.SweepID) (run.Sweep, error)
	// Sweeps returns up to limit, newest first, older than before ("" for the newest).
	Sweeps(ctx context.Context, before run.SweepID, limit int) ([]run.Sweep, error)
	// StopSweep and DeleteSweep return an error that matches [fault.ErrConflict] when the states of its runs do not allow it.
	StopSweep(ctx context.Context, actor string, id run.SweepID) error
	DeleteSweep(ctx context.Context, actor string, id run.SweepID) error
}

// SweepInput is a sweep as a client describes it: what its runs have in common, and how they differ.
type SweepInput struct {
	Name string `json:"name" doc:"Name of the sweep; its runs add their number"`
	Source
	Grid     []run.Axis          `json:"grid,omitempty" maxItems:"20" doc:"Every combination of these values, the last field fastest"`
	List     []map[string]string `json:"list,omitempty" maxItems:"500" doc:"Instead of a grid: the values of each run, by field"`
	Parallel int                 `json:"parallel,omitempty" minimum:"0" maximum:"500" doc:"The most runs that are sent to Nomad at one time; 0 for no limit"`
}

type submitSweepInput struct {
	Key  string `header:"Idempotency-Key" doc:"Repeating a submission with the same key, of at most 200 bytes, returns the first one's sweep"`
	Body SweepInput
}

type submitSweepOutput struct {
	Location string `header:"Location"`
	Body     SubmittedSweep
}

// SubmittedSweep is a sweep that was submitted, with what its runs are warned of.
type SubmittedSweep struct {
	run.Sweep
	Warnings []run.FieldError `json:"warnings,omitempty" nullable:"false" doc:"What is allowed and probably not meant, once for all runs that it is said of"`
}

func (s *server) submitSweep(ctx context.Context, in *submitSweepInput) (*submitSweepOutput, error) {
	d, err := s.resolve(ctx, in.Body.Name, in.Body.Source)
	if err != nil {
		return nil, err
	}
	if len(d.errs) > 0 {
		return nil, d.refusal(true)
	}
	spec := run.SweepSpec{Submission: d.submission(), Grid: in.Body.Grid, List: in.Body.List, Parallel: in.Body.Parallel}
	spec.Key = in.Key
	sw, err := s.Sweeps.SubmitSweep(ctx, actor, spec)
	if err != nil {
		return nil, err
	}
	return &submitSweepOutput{"/api/v1/sweeps/" + string(sw.ID), SubmittedSweep{sw, sweepWarnings(d.request, spec)}}, nil
}

// maxSweepWarnings bounds what is said of the runs of a sweep.
const maxSweepWarnings = 50

// sweepWarnings is what the runs of a sweep are warned of, each warning once.
func sweepWarnings(base trainconf.Request, spec run.SweepSpec) []run.FieldError {
	var out []run.FieldError
	for _, values := range spec.Points() {
		req := base
		for _, field := range inOrder(values) {
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

type listSweepsInput struct {
	Before string `query:"before" maxLength:"60" doc:"Cursor: the next of the previous page"`
	Limit  int    `query:"limit" default:"50" minimum:"1" maximum:"500"`
}

type listSweepsOutput struct {
	Body struct {
		Items []run.Sweep `json:"items" nullable:"false"`
		Next  run.SweepID `json:"next,omitempty" doc:"Cursor of the next page, for before; absent on the last"`
	}
}

func (s *server) listSweeps(ctx context.Context, in *listSweepsInput) (*listSweepsOutput, error) {
	var before run.SweepID
	if in.Before != "" {
		id, err := run.ParseSweepID(in.Before)
		if err != nil {
			return nil, invalid("query", run.FieldError{Field: "before", Value: in.Before, Rule: "is not the ID of a sweep", Fix: "use the next of the previous page"})
		}
		before = id
	}
	sweeps, err := s.Sweeps.Sweeps(ctx, before, in.Limit+1)
	if err != nil {
		return nil, err
	}
	out := &listSweepsOutput{}
	if len(sweeps) > in.Limit {
		sweeps = sweeps[:in.Limit]
		out.Body.Next = sweeps[in.Limit-1].ID
	}
	out.Body.Items = notNil(sweeps)
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

type getSweepOutput struct {
	Body SweepDetail
}

// SweepDetail is a sweep with its runs.
type SweepDetail struct {
	Sweep run.Sweep  `json:"sweep"`
	Runs  []SweepRun `json:"runs" nullable:"false" doc:"In the order of the sweep's points"`
}

// SweepRun is what a table of a sweep shows of a run.
type SweepRun struct {
	ID         run.ID            `json:"id"`
	Name       string            `json:"name"`
	Values     map[string]string `json:"values" nullable:"false" doc:"What was varied, by field"`
	State      run.State         `json:"state"`
	Reason     string            `json:"reason,omitempty"`
	StepsTotal int64             `json:"steps_total"`
	Progress   run.Progress      `json:"progress" doc:"Its newest step, loss and tokens per second"`
}

func (s *server) getSweep(ctx context.Context, in *sweepParam) (*getSweepOutput, error) {
	sw, err := s.findSweep(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	runs, err := s.Runs.Runs(ctx, run.RunFilter{Sweep: sw.ID, Limit: 2 * run.MaxSweepRuns})
	if err != nil {
		return nil, err
	}
	out := &getSweepOutput{SweepDetail{Sweep: sw, Runs: make([]SweepRun, 0, len(runs))}}
	for i := len(runs) - 1; i >= 0; i-- { // newest first, and made in the order of the points
		r := runs[i]
		values := r.Origin.Point
		if values == nil {
			values = map[string]string{}
		}
		out.Body.Runs = append(out.Body.Runs, SweepRun{r.ID, r.Name, values, r.State, r.Reason, r.StepsTotal, r.Progress})
	}
	return out, nil
}

type sweepOutput struct {
	Body run.Sweep
}

// stopSweep answers as soon as the requests are on their way.
func (s *server) stopSweep(ctx context.Context, in *sweepParam) (*sweepOutput, error) {
	sw, err := s.findSweep(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	if err := s.Sweeps.StopSweep(ctx, actor, sw.ID); err != nil {
		return nil, err
	}
	if sw, err = s.findSweep(ctx, in.ID); err != nil {
		return nil, err
	}
	return &sweepOutput{sw}, nil
}

func (s *server) deleteSweep(ctx context.Context, in *sweepParam) (*struct{}, error) {
	sw, err := s.findSweep(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	return nil, s.Sweeps.DeleteSweep(ctx, actor, sw.ID)
}
