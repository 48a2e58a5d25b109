package api

import (
	"context"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/trainconf"
)

// Submission is a run as a client describes it.
type Submission struct {
	Name string `json:"name,omitempty" doc:"Name of the run, 1 to 100 characters; left out, that of the run which is cloned"`
	Source
}

type submitInput struct {
	Key  string `header:"Idempotency-Key" doc:"Repeating a submission with the same key, of at most 200 bytes, returns the first one's run"`
	Body Submission
}

type submitOutput struct {
	Location string `header:"Location"`
	Body     SubmittedRun
}

// SubmittedRun is a run that was submitted, with what a dry run would have warned of.
type SubmittedRun struct {
	run.Run
	Warnings []run.FieldError `json:"warnings,omitempty" nullable:"false" doc:"What is allowed and probably not meant"`
}

func (s *server) submitRun(ctx context.Context, in *submitInput) (*submitOutput, error) {
	d, err := s.resolve(ctx, in.Body.Name, in.Body.Source)
	if err != nil {
		return nil, err
	}
	if len(d.errs) > 0 {
		return nil, d.refusal(true)
	}
	sub := d.submission()
	sub.Key = in.Key
	// Before it is submitted: afterwards storage may hold what the run itself has made.
	warns := s.seen(ctx, &d, d.validation(true, trainconf.EstimateInput{})).Warnings
	r, err := s.Actions.Submit(ctx, actor, sub)
	if err != nil {
		return nil, err
	}
	return &submitOutput{"/api/v1/runs/" + string(r.ID), SubmittedRun{r, warns}}, nil
}

type dryRunInput struct {
	Body Submission
}

type dryRunOutput struct {
	Body run.DryRun
}

// dryRunName is what a dry run without a name calls the run: a name is often chosen last.
const dryRunName = "dry run"

func (s *server) dryRun(ctx context.Context, in *dryRunInput) (*dryRunOutput, error) {
	d, err := s.resolve(ctx, in.Body.Name, in.Body.Source)
	if err != nil {
		return nil, err
	}
	if d.request.Name == "" && in.Body.Name == "" {
		d.request.Name = dryRunName
	}
	if len(d.errs) > 0 {
		return nil, d.refusal(true)
	}
	dry, err := s.Launches.DryRun(ctx, d.submission())
	if err != nil {
		return nil, err
	}
	dry.Places, dry.Launch.Env = notNil(dry.Places), notNil(dry.Launch.Env)
	if e := d.request.Estimate(trainconf.EstimateInput{}); len(e.Warnings) > 0 {
		dry.Warnings = append(dry.Warnings, e.Warnings...)
	}
	return &dryRunOutput{dry}, nil
}

type launchOutput struct {
	Body run.Launch
}

func (s *server) getLaunch(ctx context.Context, in *runParam) (*launchOutput, error) {
	r, err := s.find(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	l, err := s.Launches.Launch(ctx, r.ID)
	if err != nil {
		return nil, err
	}
	l.Env = notNil(l.Env)
	return &launchOutput{l}, nil
}
