package trainconf

import (
	"math"

	"github.com/cotrain/cotrain/internal/run"
)

// Plan is what a run will do. Counts that do not fit 63 bits are [math.MaxInt64].
type Plan struct {
	StepsAsked int64 `json:"steps_asked"` // optim.total_steps
	// StepsTotal is StepsAsked, with DiLoCo rounded up to a multiple of InnerSteps: the core tests whether it is
	// done only at the end of an outer step (train.py).
	StepsTotal int64 `json:"steps_total" doc:"Rounded up to an outer boundary"`
	InnerSteps int64 `json:"inner_steps"` // diloco.inner_steps, 0 without DiLoCo
	OuterSteps int64 `json:"outer_steps"` // StepsTotal / InnerSteps, 0 without DiLoCo

	TokensPerStep int64 `json:"tokens_per_step"` // seq_length x batch_size x workers
	TokensTotal   int64 `json:"tokens_total"`    // TokensPerStep x StepsTotal

	SamplesPerGPU int64 `json:"samples_per_gpu"`                                        // batch_size / GPUs of a worker, rounded down where the configuration is not valid
	GradAccum     int64 `json:"grad_accum" doc:"Forward passes of one GPU in one step"` // SamplesPerGPU / micro_bs: forward passes of one GPU in one step

	Checkpoints int64 `json:"checkpoints"` // StepsTotal / ckpt.interval, 0 when none are saved

	// Parameters of the model, embeddings included; see [Parameters]. ParametersNominal is true when only the name
	// of the size is known.
	Parameters        int64 `json:"parameters"`
	ParametersNominal bool  `json:"parameters_nominal" doc:"Only the name of the size is known"`
	// SyncBytes is what a worker averages at each outer step: 4 bytes for each parameter, 1 with uint8; 0 without
	// DiLoCo.
	SyncBytes int64 `json:"sync_bytes" doc:"What a worker averages at each outer step"`
}

// Plan works out what the configuration will do on this shape. It is meaningful for whatever [Config.Validate]
// accepts, and defined for everything else.
func (c Config) Plan(shape run.Shape) Plan { return plan(c, shape) }

func plan(c Config, shape run.Shape) Plan {
	var p Plan
	batch := c.number("optim.batch_size")
	p.StepsAsked = c.number("optim.total_steps")
	p.StepsTotal = p.StepsAsked
	if c.has("diloco.inner_steps") {
		p.InnerSteps = c.number("diloco.inner_steps")
		p.OuterSteps = (p.StepsAsked + p.InnerSteps - 1) / p.InnerSteps
		p.StepsTotal = p.OuterSteps * p.InnerSteps
	}
	p.TokensPerStep = times(times(c.number("data.seq_length"), batch), int64(max(0, shape.Nodes)))
	p.TokensTotal = times(p.TokensPerStep, p.StepsTotal)
	p.SamplesPerGPU = batch / processes(shape)
	p.GradAccum = p.SamplesPerGPU / c.number("train.micro_bs")
	if interval := c.number("ckpt.interval"); interval > 0 && c.has("ckpt.path") {
		p.Checkpoints = p.StepsTotal / interval
	}
	p.Parameters, p.ParametersNominal = parameters(c)
	if p.InnerSteps > 0 {
		p.SyncBytes = times(p.Parameters, 4)
		if c.Effective("diloco.compression") == "uint8" {
			p.SyncBytes = p.Parameters
		}
	}
	return p
}

// times multiplies two numbers that are not negative, and stops at the greatest int64.
func times(a, b int64) int64 {
	if b > 0 && a > math.MaxInt64/b {
		return math.MaxInt64
	}
	return a * b
}
