package draft

import (
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/trainconf"
)

// Validation is what is wrong with a submission, and what it would do.
type Validation struct {
	Valid    bool             `json:"valid" doc:"Whether it could be submitted"`
	Errors   []run.FieldError `json:"errors" nullable:"false"`
	Warnings []run.FieldError `json:"warnings" nullable:"false" doc:"What is allowed and probably not meant"`
	Config   string           `json:"config" doc:"The TOML that would be dispatched"`
	Shape    run.Shape        `json:"shape"`
	Options  run.Options      `json:"options"`
	Plan     Plan             `json:"plan" doc:"What the run would do; meaningless unless valid"`
	Estimate Estimate         `json:"estimate" doc:"What the run would need; meaningless unless valid"`
}

// Plan is [trainconf.Plan].
type Plan struct {
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

// Estimate is [trainconf.Estimate] without its plan.
type Estimate struct {
	LearningRate          []RatePoint `json:"learning_rate" nullable:"false" doc:"By step, at evenly spread steps and at each corner"`
	CheckpointBytes       int64       `json:"checkpoint_bytes" doc:"One worker's checkpoint"`
	CheckpointsBytesTotal int64       `json:"checkpoints_bytes_total" doc:"All that are kept, over all workers"`
	SyncBytes             int64       `json:"sync_bytes" doc:"What each worker sends, and receives, at each outer step"`
	SyncSeconds           float64     `json:"sync_seconds" doc:"How long that takes at the bandwidth given; 0 when it is not known"`
	ComputeSeconds        float64     `json:"compute_seconds" doc:"How long the inner steps of one outer step take at 40 % MFU; 0 when the GPU is not known"`
	SyncShare             float64     `json:"sync_share" doc:"Share of the time spent syncing, 0 to 1; 0 when it is not known"`
	GPUMemory             MemoryParts `json:"gpu_memory"`
	HostBytes             int64       `json:"host_bytes" doc:"What DiLoCo and fsdp_cpu_offload keep in the memory of each worker's host"`
}

// RatePoint is the learning rate after so many steps.
type RatePoint struct {
	Step int64   `json:"step"`
	LR   float64 `json:"lr"`
}

// MemoryParts is [trainconf.MemoryEstimate]: bytes that one GPU holds.
type MemoryParts struct {
	Weights     int64 `json:"weights_bytes"`
	Gradients   int64 `json:"gradients_bytes"`
	Optimizer   int64 `json:"optimizer_bytes"`
	Activations int64 `json:"activations_bytes"`
	Logits      int64 `json:"logits_bytes"`
	Total       int64 `json:"total_bytes"`
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
		Config: sub.Config, Shape: sub.Shape, Options: sub.Options, Plan: Plan(e.Plan), Estimate: estimateOf(e),
	}
}

func estimateOf(e trainconf.Estimate) Estimate {
	out := Estimate{
		LearningRate: make([]RatePoint, 0, len(e.Curve)), CheckpointBytes: e.CheckpointBytes, CheckpointsBytesTotal: e.CheckpointsBytesTotal,
		SyncBytes: e.SyncBytes, SyncSeconds: e.SyncSeconds, ComputeSeconds: e.ComputeSeconds, SyncShare: e.SyncShare,
		GPUMemory: MemoryParts(e.GPUMemory), HostBytes: e.HostBytes,
	}
	for _, p := range e.Curve {
		out.LearningRate = append(out.LearningRate, RatePoint(p))
	}
	return out
}

// list makes no errors an empty list in JSON.
func list(errs run.FieldErrors) []run.FieldError { return append([]run.FieldError{}, errs...) }
