package trainconf

import (
	"fmt"
	"math"
	"strconv"

	"github.com/cotrain/cotrain/internal/run"
)

// EstimateInput is what an estimate is told that a request does not say; zero is not known.
type EstimateInput struct {
	BandwidthBits float64 // bits a second between workers, in each direction
	GPUMemoryMiB  int     // MiB of one GPU, where it is known better than by the model's name
}

// Estimate is what a run will do and need.
type Estimate struct {
	Plan  Plan        `json:"-"`
	Curve []RatePoint `json:"learning_rate" nullable:"false" doc:"By step, at evenly spread steps and at each corner"` // learning rate, by step
	// CheckpointBytes is the size of one worker's checkpoint: weights and Adam's two moments in 32 bits, 12 bytes a
	// parameter, and with DiLoCo the outer optimiser's momentum in 32 bits, 4 more (checkpoint.py, _init_state and _save). soap
	// adds its preconditioners. The position in the data comes on top and is small.
	CheckpointBytes int64 `json:"checkpoint_bytes" doc:"One worker's checkpoint"`
	// CheckpointsBytesTotal is all that are kept, over all workers: with DiLoCo each saves its own.
	CheckpointsBytesTotal int64 `json:"checkpoints_bytes_total" doc:"All that are kept, over all workers"`
	// SyncBytes is what each worker sends, and receives, at each outer step: a ring all-reduce moves 2(n-1)/n times what is
	// reduced, Plan.SyncBytes, with n workers (Patarasuk and Yuan 2009, doi:10.1016/j.jpdc.2008.09.002; the core's C/collectives.cpp with uint8,
	// Gloo's without). DiLoCo is Douillard et al. 2023, arXiv:2311.08105.
	SyncBytes int64 `json:"sync_bytes" doc:"What each worker sends, and receives, at each outer step"`
	// SyncSeconds is how long that takes at the bandwidth given: 8 x SyncBytes / BandwidthBits, without latency and without
	// waiting for the slowest worker. 0 is not known, or nothing to send.
	SyncSeconds float64 `json:"sync_seconds" doc:"How long that takes at the bandwidth given; 0 when it is not known"`
	// ComputeSeconds is how long the inner steps of one outer step take, or one step without DiLoCo: operations of the
	// model / (GPUs x peak x 40 % MFU). A token takes 6N + 12 x layers x width x seq_length operations, N without the embedding,
	// as the core counts them (get_num_flop_per_token; Kaplan et al. 2020, arXiv:2001.08361, for 6N; Chowdhery et al.
	// 2022, arXiv:2204.02311, appendix B, for the attention). 0 when the GPU is not known.
	ComputeSeconds float64        `json:"compute_seconds" doc:"How long the inner steps of one outer step take at 40 % MFU; 0 when the GPU is not known"`
	SyncShare      float64        `json:"sync_share" doc:"Share of the time spent syncing, 0 to 1; 0 when it is not known"` // SyncSeconds / (SyncSeconds + ComputeSeconds), 0 when either is not known
	GPUMemory      MemoryEstimate `json:"gpu_memory"`
	// HostBytes is what DiLoCo and fsdp_cpu_offload keep in the memory of each worker's host: DiLoCo's copy of the weights,
	// its pseudo-gradient and its momentum, 12 bytes a parameter (diloco.py); offloading 16.
	HostBytes int64 `json:"host_bytes" doc:"What DiLoCo and fsdp_cpu_offload keep in the memory of each worker's host"`
	// Warnings are about what cannot fit; see [Request.Check] for all others.
	Warnings run.FieldErrors `json:"-"`
}

// assumedMFU is the share of a GPU's peak that training reaches: Llama 3 reports 38 to 43 % (arXiv:2407.21783, table 4), PaLM
// 46 % (arXiv:2204.02311).
const assumedMFU = 0.4

// Estimate works out what the request will do and need, with arguments and environment applied. It is meaningful for
// whatever [Request.Check] accepts, and defined for everything else.
func (r Request) Estimate(in EstimateInput) Estimate {
	c, shape := r.EffectiveConfig(), r.Shape
	e := Estimate{Plan: c.Plan(shape)}
	e.Curve = c.curve(e.Plan.StepsTotal)
	m := c.model()
	e.checkpoints(c, m, shape)
	e.sync(c, m, shape, in.BandwidthBits)
	e.GPUMemory = c.memory(shape, e.Plan.GradAccum)
	e.HostBytes = hostBytes(c, m)
	e.Warnings = r.fitWarnings(c, e, in.GPUMemoryMiB)
	return e
}

func (e *Estimate) checkpoints(c Config, m modelOf, shape run.Shape) {
	size, copies := 12*m.params+c.preconditioners(m), 1.0
	if c.DiLoCo() {
		size += 4 * m.params
		copies = float64(max(1, shape.Nodes))
	}
	kept := float64(e.Plan.Checkpoints)
	if topk := c.float("ckpt.topk"); topk > 0 {
		kept = math.Min(kept, topk)
	}
	e.CheckpointBytes, e.CheckpointsBytesTotal = whole(size), whole(size*kept*copies)
}

func (e *Estimate) sync(c Config, m modelOf, shape run.Shape, bandwidth float64) {
	if n := float64(shape.Nodes); c.DiLoCo() && n > 1 {
		e.SyncBytes = whole(2 * (n - 1) / n * float64(e.Plan.SyncBytes))
	}
	if bandwidth > 0 && !math.IsInf(bandwidth, 0) {
		e.SyncSeconds = 8 * float64(e.SyncBytes) / bandwidth
	}
	g, known := lookupGPU(shape.GPUModel)
	if !known || g.flops == 0 || shape.GPUs < 1 {
		return
	}
	perToken := 6*(m.params-m.embedded/2) + 12*float64(m.a.layers*m.a.dim)*c.float("data.seq_length")
	tokens := c.float("data.seq_length") * c.float("optim.batch_size") * float64(max(1, e.Plan.InnerSteps))
	e.ComputeSeconds = perToken * tokens / (float64(shape.GPUs) * g.flops * assumedMFU)
	if e.SyncSeconds > 0 {
		e.SyncShare = e.SyncSeconds / (e.SyncSeconds + e.ComputeSeconds)
	}
}

func hostBytes(c Config, m modelOf) int64 {
	each := 0.0
	if c.DiLoCo() {
		each += 12
	}
	if c.on("train.fsdp_cpu_offload") {
		each += 16
	}
	return whole(each * m.params)
}

// mib rounds bytes up to MiB.
func mib(bytes int64) int64 { return int64(math.Ceil(float64(bytes) / (1 << 20))) }

// fitWarnings tells what cannot fit into the memory asked for.
func (r Request) fitWarnings(c Config, e Estimate, known int) run.FieldErrors {
	var warns run.FieldErrors
	s := r.Shape
	g, named := lookupGPU(s.GPUModel)
	if known == 0 {
		known = g.memory
	}
	need := mib(e.GPUMemory.Total)
	switch {
	case s.GPUs == 0:
	case known > 0 && s.GPUMinMemory > known:
		warns = append(warns, fieldError("gpu_min_memory", strconv.Itoa(s.GPUMinMemory), fmt.Sprintf("is more than one GPU of this model has (%d MiB), so no node will do", known), fmt.Sprintf("use %d or less", known)))
	case known > 0 && need > int64(known):
		field, value := "gpu_model", s.GPUModel
		if value == "" {
			field, value = "gpu_min_memory", strconv.Itoa(s.GPUMinMemory)
		}
		warns = append(warns, fieldError(field, value, fmt.Sprintf("has %d MiB, and each GPU needs about %d MiB", known, need), r.fitFix(c, int64(known))))
	case known == 0 && s.GPUMinMemory > 0 && need > int64(s.GPUMinMemory):
		warns = append(warns, fieldError("gpu_min_memory", strconv.Itoa(s.GPUMinMemory), fmt.Sprintf("allows GPUs that are too small: each needs about %d MiB", need),
			fmt.Sprintf("use %d, or %s", (need+999)/1000*1000, r.fitFix(c, int64(s.GPUMinMemory)))))
	}
	if named && g.flops == 0 && s.GPUs > 0 {
		warns = append(warns, fieldError("gpu_model", s.GPUModel, "has no units for bfloat16, in which the core computes: training is very slow", "use Ampere (A100, RTX 3090) or newer"))
	}
	if asked, _ := strconv.ParseInt(r.Get("memory"), 10, 64); mib(e.HostBytes) > asked {
		rule, value := fmt.Sprintf("is less than the about %d MiB that each worker keeps on its host for DiLoCo or fsdp_cpu_offload: Nomad may end it", mib(e.HostBytes)), r.Get("memory")
		if s.Memory == 0 {
			rule, value = byDefault(value, rule), ""
		}
		warns = append(warns, fieldError("memory", value, rule, fmt.Sprintf("use %d or more", mib(e.HostBytes))))
	}
	return warns
}

// fitFix finds one change after which the run fits into GPUs of so many MiB.
func (r Request) fitFix(c Config, limit int64) string {
	fits := func(c Config, gpus int) bool {
		shape := r.Shape
		shape.GPUs = gpus
		if errs, _ := c.Validate(shape); len(errs) > 0 {
			return false
		}
		return mib(c.memory(shape, c.Plan(shape).GradAccum).Total) <= limit
	}
	for micro := c.number("train.micro_bs") / 2; micro >= 1; micro /= 2 {
		less := c
		if less.Set("train.micro_bs", strconv.FormatInt(micro, 10)) == nil && fits(less, r.Shape.GPUs) {
			return fmt.Sprintf("set train.micro_bs to %d", micro)
		}
	}
	if less := c; less.Set("train.ac_ckpt", "true") == nil && fits(less, r.Shape.GPUs) {
		return "set train.ac_ckpt to true"
	}
	for gpus := r.Shape.GPUs * 2; gpus <= MaxGPUs && gpus > 0; gpus *= 2 {
		if fits(c, gpus) {
			return fmt.Sprintf("set gpus to %d", gpus)
		}
	}
	return "use GPUs with more memory, or a smaller model"
}
