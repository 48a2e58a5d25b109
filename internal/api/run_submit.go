package api

import (
	"context"

	"github.com/cotrain/cotrain/internal/client"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/trainconf"
)

type submitInput struct {
	Key  string `header:"Idempotency-Key" doc:"Repeating a submission with the same key, of at most 200 bytes, returns the first one's run"`
	Body client.Submission
}

type submitOutput struct {
	Location string `header:"Location"`
	Body     client.SubmittedRun
}

func (s *server) submitRun(ctx context.Context, in *submitInput) (*submitOutput, error) {
	d, err := s.resolve(ctx, in.Body.Project, in.Body.Name, in.Body.Source)
	if err != nil {
		return nil, err
	}
	if len(d.Errs) > 0 {
		return nil, d.refusal(true)
	}
	sub := d.Submission()
	sub.Key = in.Key
	// Before it is submitted: afterwards storage may hold what the run itself has made.
	warns := s.judged(ctx, &d, d.Validation(true, trainconf.EstimateInput{})).Warnings
	r, err := s.Actions.Submit(ctx, sub)
	if err != nil {
		return nil, err
	}
	return &submitOutput{"/api/v1/runs/" + string(r.ID), client.SubmittedRun{Run: r, Warnings: warns}}, nil
}

// dryRunName is what a dry run without a name calls the run: a name is often chosen last.
const dryRunName = "dry run"

func (s *server) dryRun(ctx context.Context, in *body[client.Submission]) (out run.DryRun, err error) {
	d, err := s.resolve(ctx, in.Body.Project, in.Body.Name, in.Body.Source)
	if err != nil {
		return out, err
	}
	if d.Request.Name == "" && in.Body.Name == "" {
		d.Request.Name = dryRunName
	}
	if len(d.Errs) > 0 {
		return out, d.refusal(true)
	}
	out, err = s.Launches.DryRun(ctx, d.Submission())
	out.Places, out.Launch.Env = notNil(out.Places), notNil(out.Launch.Env)
	out.Warnings = append(out.Warnings, d.Request.Estimate(trainconf.EstimateInput{}).Warnings...)
	return out, err
}

func (s *server) getLaunch(ctx context.Context, in *runParam) (out run.Launch, err error) {
	r, err := s.find(ctx, in.ID)
	if err != nil {
		return out, err
	}
	out, err = s.Launches.Launch(ctx, r.ID)
	out.Env = notNil(out.Env)
	return out, err
}
