package draft

import (
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/trainconf"
)

// Validation is what is wrong with a submission, and what it would do.
type Validation struct {
	Valid    bool               `json:"valid" doc:"Whether it could be submitted"`
	Errors   []run.FieldError   `json:"errors" nullable:"false"`
	Warnings []run.FieldError   `json:"warnings" nullable:"false" doc:"What is allowed and probably not meant"`
	Config   string             `json:"config" doc:"The TOML that would be dispatched"`
	Shape    run.Shape          `json:"shape"`
	Options  run.Options        `json:"options"`
	Plan     trainconf.Plan     `json:"plan" doc:"What the run would do; meaningless unless valid"`
	Estimate trainconf.Estimate `json:"estimate" doc:"What the run would need; meaningless unless valid"`
}

// Validation checks the draft. known is what an estimate cannot know by itself.
func (d *Draft) Validation(named bool, known trainconf.EstimateInput) Validation {
	warns := d.Check(named)
	e := d.Request.Estimate(known)
	if len(d.Errs) == 0 {
		warns = append(warns, e.Warnings...)
	}
	sub := d.Submission()
	return Validation{
		Valid: len(d.Errs) == 0, Errors: list(d.Errs), Warnings: list(warns),
		Config: sub.Config, Shape: sub.Shape, Options: sub.Options, Plan: e.Plan, Estimate: e,
	}
}

// list makes no errors an empty list in JSON.
func list(errs run.FieldErrors) []run.FieldError { return append([]run.FieldError{}, errs...) }
