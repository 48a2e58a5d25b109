package trainconf

import (
	"math"

	"github.com/cotrain/cotrain/internal/run"
)

// Plan is what a run will do. Counts that do not fit 63 bits are [math.MaxInt64].
type Plan struct {
	StepsAsked int64 // optim.total_steps
	// StepsTotal is StepsAsked, with DiLoCo rounded up to a multiple of InnerSteps: the core tests whether it is
	// done only at the end of an outer step (train.py).
	StepsTotal int64
	InnerSteps int64 // diloco.inner_steps, 0 without DiLoCo
	OuterSteps int64 // StepsTotal / InnerSteps, 0 without DiLoCo

	TokensPerStep int64 // seq_length x batch_size x workers
	TokensTotal   int64 // TokensPerStep x StepsTotal

	SamplesPerGPU int64 // batch_size / GPUs of a worker, rounded down where the configuration is not valid
	GradAccum     int64 // SamplesPerGPU / micro_bs: forward passes of one GPU in one step

	Checkpoints int64 // StepsTotal / ckpt.interval, 0 when none are saved

	// Parameters of the model, embeddings included; see [Parameters]. ParametersNominal is true when only the name
	// of the size is known.
	Parameters        int64
	ParametersNominal bool
	// SyncBytes is what a worker averages at each outer step: 4 bytes for each parameter, 1 with uint8; 0 without
	// DiLoCo.
	SyncBytes int64
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
