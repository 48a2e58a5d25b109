package api

import (
	"context"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/trainconf"
)

type submitInput struct {
	Key  string `header:"Idempotency-Key" doc:"Repeating a submission with the same key, of at most 200 bytes, returns the first one's run"`
	Body submission
}

type submitOutput struct {
	Location string `header:"Location"`
	Body     run.Run
}

func (s *server) submitRun(ctx context.Context, in *submitInput) (*submitOutput, error) {
	d := in.Body.resolve()
	if len(d.errs) > 0 {
		_ = d.check(true) // all errors at once; warnings stop nobody
		return nil, d.errs
	}
	d.Key = in.Key
	r, err := s.Actions.Submit(ctx, actor, d.Submission)
	if err != nil {
		return nil, err
	}
	return &submitOutput{"/api/v1/runs/" + string(r.ID), r}, nil
}

type validateInput struct {
	Body submission
}

type validateOutput struct {
	Body validateBody
}

type validateBody struct {
	Valid    bool             `json:"valid" doc:"Whether it could be submitted"`
	Errors   []run.FieldError `json:"errors" nullable:"false"`
	Warnings []run.FieldError `json:"warnings" nullable:"false" doc:"What is allowed and probably not meant"`
	Config   string           `json:"config" doc:"The TOML that would be dispatched"`
	Shape    run.Shape        `json:"shape"`
	Plan     planBody         `json:"plan" doc:"What the run would do; meaningless unless valid"`
}

// planBody is [trainconf.Plan].
type planBody struct {
	StepsAsked        int64 `json:"steps_asked"`
	StepsTotal        int64 `json:"steps_total" doc:"Rounded up to an outer boundary"`
	InnerSteps        int64 `json:"inner_steps"`
	OuterSteps        int64 `json:"outer_steps"`
	TokensPerStep     int64 `json:"tokens_per_step"`
	TokensTotal       int64 `json:"tokens_total"`
	SamplesPerGPU     int64 `json:"samples_per_gpu"`
	GradAccum         int64 `json:"grad_accum" doc:"Forward passes of one GPU in one step"`
	Checkpoints       int64 `json:"checkpoints"`
	Parameters        int64 `json:"parameters"`
	ParametersNominal bool  `json:"parameters_nominal" doc:"Only the name of the size is known"`
	SyncBytes         int64 `json:"sync_bytes" doc:"What a worker averages at each outer step"`
}

// validateConfig needs no name: a configuration is often checked before the run has one.
func (s *server) validateConfig(_ context.Context, in *validateInput) (*validateOutput, error) {
	d := in.Body.resolve()
	warns := d.check(in.Body.Name != "")
	return &validateOutput{validateBody{
		Valid: len(d.errs) == 0, Errors: notNil([]run.FieldError(d.errs)), Warnings: notNil([]run.FieldError(warns)),
		Config: d.Config, Shape: d.Shape, Plan: planBody(planOf(d)),
	}}, nil
}

func planOf(d draft) trainconf.Plan { return d.cfg.Plan(d.Shape) }
