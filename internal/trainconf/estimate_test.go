package trainconf

import (
	"math"
	"regexp"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/cotrain/cotrain/internal/run"
)

func near(a, b float64) bool { return math.Abs(a-b) <= 1e-9*math.Max(1, math.Abs(b)) }

func TestTheLearningRateIsThatOfTheCoresSchedulers(t *testing.T) {
	t.Parallel()
	// Factors from the formulas of transformers and of the core, worked out by hand.
	for _, tt := range []struct {
		name  string
		pairs []string
		want  map[int64]float64
	}{
		{"cosine", []string{"optim.warmup_steps", "10", "optim.total_steps", "110"},
			map[int64]float64{0: 0, 5: 0.5, 10: 1, 35: (1 + math.Sqrt2/2) / 2, 60: 0.5, 110: 0}},
		{"cosine without warm-up", []string{"optim.warmup_steps", "0", "optim.total_steps", "4"}, map[int64]float64{0: 1, 2: 0.5, 4: 0}},
		{"linear", []string{"optim.sched_type", "linear", "optim.warmup_steps", "10", "optim.total_steps", "110"},
			map[int64]float64{0: 0, 1: 0.1, 10: 1, 35: 0.75, 110: 0, 120: 0}},
		{"wsd-sqrt", []string{"optim.sched_type", "wsd-sqrt", "optim.warmup_steps", "10", "optim.stable_steps", "50", "optim.total_steps", "150"},
			map[int64]float64{0: 0, 5: 0.5, 10: 1, 49: 1, 50: 1, 51: 0.9, 75: 0.5, 99: 0.3, 150: 0, 160: 0}},
		{"a warm-up that never ends", []string{"optim.warmup_steps", "10", "optim.total_steps", "4"}, map[int64]float64{0: 0, 4: 0.4, 5: 0.5}},
		{"a cosine beyond its end rises", []string{"optim.warmup_steps", "0", "optim.total_steps", "100"}, map[int64]float64{150: 0.5}},
	} {
		rate := with(Config{}, append(tt.pairs, "optim.optim.lr", "1")...).LearningRate()
		for step, want := range tt.want {
			if got := rate(step); !near(got, want) {
				t.Errorf("%s: after step %d the factor is %v, want %v", tt.name, step, got, want)
			}
		}
	}
}

func TestTheCurveHoldsEveryCornerInOrder(t *testing.T) {
	t.Parallel()
	r := requestWith(t, "optim.sched_type", "wsd-sqrt", "optim.warmup_steps", "1003", "optim.stable_steps", "74701", "optim.total_steps", "90401",
		"diloco.inner_steps", "100", "optim.optim.lr", "0.5")
	curve := r.Estimate(EstimateInput{}).Curve
	if len(curve) < 200 || len(curve) > 230 {
		t.Errorf("the curve has %d points", len(curve))
	}
	if !slices.IsSortedFunc(curve, func(a, b RatePoint) int { return int(a.Step - b.Step) }) {
		t.Error("the steps are not in order")
	}
	for step, lr := range map[int64]float64{0: 0, 1003: 0.5, 74701: 0.5, 90401: 0, 90500: 0} {
		i := slices.IndexFunc(curve, func(p RatePoint) bool { return p.Step == step })
		if i < 0 || !near(curve[i].LR, lr) {
			t.Errorf("step %d is missing or not %v", step, lr)
		}
	}
}

func TestSyncAndCheckpointsOfADiLoCoRun(t *testing.T) {
	t.Parallel()
	r := requestWith(t, "name_model", "7B", "nodes", "4", "gpus", "8", "gpu_model", "NVIDIA H100 80GB HBM3", "memory", "200000", "optim.batch_size", "1024", "data.seq_length", "2048",
		"diloco.inner_steps", "50", "ckpt.path", "x", "ckpt.interval", "1000")
	const n = 6738415616.0
	e := r.Estimate(EstimateInput{BandwidthBits: 10e9})
	if want := int64(1.5 * 4 * n); e.SyncBytes != want {
		t.Errorf("each worker sends %d bytes, want %d", e.SyncBytes, want)
	}
	if want := 8 * 6 * n / 10e9; !near(e.SyncSeconds, want) {
		t.Errorf("a sync takes %v s, want %v", e.SyncSeconds, want)
	}
	compute := (6*(n-32000*4096) + 12*32*4096*2048) * 2048 * 1024 * 50 / (8 * 989e12 * 0.4)
	if !near(e.ComputeSeconds, compute) || !near(e.SyncShare, e.SyncSeconds/(e.SyncSeconds+compute)) {
		t.Errorf("computing takes %v s, want %v; the share is %v", e.ComputeSeconds, compute, e.SyncShare)
	}
	if want := int64(16 * n); e.CheckpointBytes != want || e.CheckpointsBytesTotal != want*88*4 {
		t.Errorf("a checkpoint has %d bytes, want %d, and all have %d", e.CheckpointBytes, want, e.CheckpointsBytesTotal)
	}
	if want := int64(12 * n); e.HostBytes != want {
		t.Errorf("the host keeps %d bytes, want %d", e.HostBytes, want)
	}
	if len(e.Warnings) > 0 {
		t.Error(e.Warnings)
	}
	for _, tt := range []struct {
		name   string
		change []string
		in     EstimateInput
		check  func(Estimate) bool
	}{
		{"without bandwidth nothing is known of time", nil, EstimateInput{}, func(e Estimate) bool { return e.SyncSeconds == 0 && e.SyncShare == 0 && e.ComputeSeconds > 0 }},
		{"an unknown GPU leaves the share unknown", []string{"gpu_model", "Simulated"}, EstimateInput{BandwidthBits: 1e9}, func(e Estimate) bool { return e.SyncSeconds > 0 && e.SyncShare == 0 && e.ComputeSeconds == 0 }},
		{"one worker sends nothing", []string{"nodes", "1"}, EstimateInput{BandwidthBits: 1e9}, func(e Estimate) bool { return e.SyncBytes == 0 && e.SyncShare == 0 }},
		{"one byte a parameter", []string{"diloco.compression", "uint8"}, EstimateInput{}, func(e Estimate) bool { return e.SyncBytes == int64(1.5*n) }},
		{"without DiLoCo there is one checkpoint of the whole", []string{"diloco.inner_steps", "", "diloco.compression", ""}, EstimateInput{BandwidthBits: 1e9}, func(e Estimate) bool {
			return e.SyncBytes == 0 && e.CheckpointBytes == int64(12*n) && e.CheckpointsBytesTotal == int64(12*n)*88 && e.HostBytes == 0
		}},
		{"only the newest checkpoints", []string{"ckpt.topk", "3"}, EstimateInput{}, func(e Estimate) bool { return e.CheckpointsBytesTotal == int64(16*n)*3*4 }},
		{"an override counts", []string{"env", "ZERO_BAND_DILOCO_COMPRESSION=uint8"}, EstimateInput{}, func(e Estimate) bool { return e.SyncBytes == int64(1.5*n) }},
	} {
		changed := r
		for i := 0; i+1 < len(tt.change); i += 2 {
			if err := changed.Set(tt.change[i], tt.change[i+1]); err != nil {
				t.Fatal(err)
			}
		}
		if e := changed.Estimate(tt.in); !tt.check(e) {
			e.Curve = nil
			t.Errorf("%s: %+v", tt.name, e)
		}
	}
}

func TestMemoryOfOneGPU(t *testing.T) {
	t.Parallel()
	// Llama 2 7B: d = k = 4096, f = 11008, 32 layers of 202383360 parameters, 262144000 in both embeddings.
	const (
		n, layer, both = 6738415616, 202383360, 262144000
		tokens         = 2 * 2048
		each           = 12*4096 + 4*4096 + 6*11008
	)
	base := []string{"name_model", "7B", "gpus", "4", "optim.batch_size", "16", "train.micro_bs", "2", "data.seq_length", "2048"}
	for _, tt := range []struct {
		name   string
		change []string
		want   MemoryEstimate
	}{
		{"with resharding and accumulation", nil, MemoryEstimate{Weights: n + 2*(2*layer+both), Gradients: n + 2*n, Optimizer: 2 * n, Activations: tokens * 32 * each, Logits: tokens * 32000 * 8}},
		{"without resharding", []string{"train.reshard_after_forward", "false"}, MemoryEstimate{Weights: n + 2*n, Gradients: n + 2*n, Optimizer: 2 * n, Activations: tokens * 32 * each, Logits: tokens * 32000 * 8}},
		{"without accumulation", []string{"optim.batch_size", "8"}, MemoryEstimate{Weights: n + 2*(2*layer+both), Gradients: n + 4*layer, Optimizer: 2 * n, Activations: tokens * 32 * each, Logits: tokens * 32000 * 8}},
		{"gradients in 32 bits", []string{"train.reduce_fp32", "true"}, MemoryEstimate{Weights: n + 2*(2*layer+both), Gradients: n + 4*n, Optimizer: 2 * n, Activations: tokens * 32 * each, Logits: tokens * 32000 * 8}},
		{"activation checkpointing", []string{"train.ac_ckpt", "true"}, MemoryEstimate{Weights: n + 2*(2*layer+both), Gradients: n + 2*n, Optimizer: 2 * n, Activations: tokens * (32*2*4096 + each), Logits: tokens * 32000 * 8}},
		{"only the first layer checkpointed", []string{"train.ac_ckpt", "2"}, MemoryEstimate{Weights: n + 2*(2*layer+both), Gradients: n + 2*n, Optimizer: 2 * n, Activations: tokens * (2*4096 + 32*each), Logits: tokens * 32000 * 8}},
		{"offloaded, with chunks", []string{"train.fsdp_cpu_offload", "true", "optim.num_chunks", "4"}, MemoryEstimate{Weights: 2 * (2*layer + both), Gradients: 2 * n, Activations: tokens * 32 * each, Logits: tokens * 32000 * 5}},
		{"the fused loss, and attention weights kept", []string{"train.fused_linear_ce", "true", "train.attn_fn", "math"}, MemoryEstimate{Weights: n + 2*(2*layer+both), Gradients: n + 2*n, Optimizer: 2 * n, Activations: tokens * 32 * (each + 4*32*2048)}},
		{"soap", []string{"optim.optim.type", "soap"}, MemoryEstimate{Weights: n + 2*(2*layer+both), Gradients: n + 2*n, Optimizer: 2*n + (32*(8+3)+2)*2*4096*4096, Activations: tokens * 32 * each, Logits: tokens * 32000 * 8}},
	} {
		got := requestWith(t, append(slices.Clone(base), tt.change...)...).Estimate(EstimateInput{}).GPUMemory
		tt.want.Total = tt.want.Weights + tt.want.Gradients + tt.want.Optimizer + tt.want.Activations + tt.want.Logits
		if got != tt.want {
			t.Errorf("%s:\ngot  %+v\nwant %+v", tt.name, got, tt.want)
		}
	}
	if got := requestWith(t, "name_model", "7B").Estimate(EstimateInput{}).GPUMemory; got != (MemoryEstimate{}) {
		t.Errorf("without GPUs: %+v", got)
	}
}

func TestThePresetsFitTheGPUsThatTheyAreFor(t *testing.T) {
	t.Parallel()
	for _, p := range Presets() {
		r := RequestOfPreset(p)
		r.Shape.Memory = 1 << 20
		e := r.Estimate(EstimateInput{})
		if len(e.Warnings) > 0 {
			t.Errorf("%s: %v", p.Name, e.Warnings)
		}
		if len(e.Curve) == 0 || e.CheckpointBytes == 0 || p.Shape.GPUs > 0 && e.GPUMemory.Total == 0 {
			t.Errorf("%s: %+v", p.Name, e)
		}
	}
	p, _ := PresetByName("150M-3090")
	r := RequestOfPreset(p)
	if err := r.Set("train.micro_bs", "64"); err != nil {
		t.Fatal(err)
	}
	if w := r.Estimate(EstimateInput{}).Warnings; len(w) != 1 || w[0].Field != "gpu_min_memory" {
		t.Errorf("the H100's micro-batch fits the 3090: %v", w)
	}
}

func TestWhatCannotFitIsToldWithAChangeThatFits(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, field, rule, fix string
		pairs                  []string
		in                     EstimateInput
	}{
		{"a smaller micro-batch", "gpu_model", "has 24576 MiB, and each GPU needs about", "set train.micro_bs to", []string{"gpus", "1", "gpu_model", "NVIDIA GeForce RTX 3090", "train.micro_bs", "64"}, EstimateInput{}},
		{"checkpointing", "gpu_model", "has 46068 MiB", "set train.ac_ckpt to true", []string{"name_model", "7B", "gpus", "4", "gpu_model", "NVIDIA A40", "train.micro_bs", "1", "optim.batch_size", "4", "data.seq_length", "8192"}, EstimateInput{}},
		{"more GPUs", "gpu_model", "has 40960 MiB", "set gpus to 8", []string{"name_model", "7B", "gpus", "2", "gpu_model", "NVIDIA A100-PCIE-40GB", "optim.batch_size", "8"}, EstimateInput{}},
		{"a smaller model", "gpu_model", "has 15360 MiB", "smaller model", []string{"name_model", "70B", "gpus", "64", "gpu_model", "Tesla T4"}, EstimateInput{}},
		{"memory typed in", "gpu_min_memory", "has 8000 MiB", "set train.micro_bs", []string{"gpus", "1", "train.micro_bs", "32"}, EstimateInput{GPUMemoryMiB: 8000}},
		{"the least memory asked for", "gpu_min_memory", "too small", "000, or set train.micro_bs", []string{"gpus", "1", "gpu_min_memory", "10000", "train.micro_bs", "32"}, EstimateInput{}},
		{"more memory than the model has", "gpu_min_memory", "no node will do", "use 46068 or less", []string{"gpus", "1", "gpu_model", "NVIDIA L40S", "gpu_min_memory", "80000"}, EstimateInput{}},
		{"no bfloat16", "gpu_model", "bfloat16", "Ampere", []string{"gpus", "1", "gpu_model", "Tesla V100-SXM2-32GB"}, EstimateInput{}},
		{"memory of the host", "memory", "less than the about 77116 MiB", "use 77116 or more", []string{"name_model", "7B", "diloco.inner_steps", "10", "memory", "64000"}, EstimateInput{}},
	} {
		r := requestWith(t, tt.pairs...)
		warns := r.Estimate(tt.in).Warnings
		i := slices.IndexFunc(warns, func(w run.FieldError) bool { return w.Field == tt.field && strings.Contains(w.Rule, tt.rule) })
		if i < 0 || !strings.Contains(warns[i].Fix, tt.fix) {
			t.Errorf("%s: got %v", tt.name, warns)
			continue
		}
		change := regexp.MustCompile(`set (\S+) to (\S+)`).FindStringSubmatch(warns[i].Fix)
		if change == nil {
			continue
		}
		if err := r.Set(change[1], change[2]); err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
		if errs, _ := r.Check(); len(errs) > 0 || len(r.Estimate(tt.in).Warnings) > 0 {
			t.Errorf("%s: after %q still %v %v", tt.name, warns[i].Fix, errs, r.Estimate(tt.in).Warnings)
		}
	}
}

func TestGPUsAreKnownByName(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]gpu{
		"NVIDIA H100 80GB HBM3":    {memory: 81559, flops: 989e12},
		"NVIDIA H100 PCIe":         {memory: 81559, flops: 756e12},
		"NVIDIA H100 NVL":          {memory: 95830, flops: 835e12},
		"NVIDIA A100-SXM4-80GB":    {memory: 81920, flops: 312e12},
		"NVIDIA A100-PCIE-40GB":    {memory: 40960, flops: 312e12},
		"A100":                     {memory: 0, flops: 312e12},
		"NVIDIA L40S":              {memory: 46068, flops: 362e12},
		"NVIDIA L40":               {memory: 46068, flops: 181e12},
		"NVIDIA A10G":              {memory: 23028, flops: 70e12},
		"NVIDIA GeForce RTX 4090":  {memory: 24564, flops: 165.2e12},
		"NVIDIA RTX A6000":         {memory: 49140, flops: 154.8e12},
		"Tesla T4":                 {memory: 15360},
		"nvidia/gpu/NVIDIA H200":   {memory: 143771, flops: 989e12},
		"NVIDIA A100 MIG 1g.10gb":  {},
		"NVIDIA RTX 4090 Laptop":   {},
		"Simulated GPU":            {},
		"":                         {},
		"NVIDIA GeForce GTX 14090": {},
	} {
		got, ok := lookupGPU(name)
		if got.memory != want.memory || got.flops != want.flops || ok != (want != gpu{}) {
			t.Errorf("%q is %+v, %v, want %+v", name, got, ok, want)
		}
	}
}

func TestEstimatesAreDefinedForEverything(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		r := Request{Config: anyConfig(t), Shape: run.Shape{
			Nodes: rapid.IntRange(-1, 2000).Draw(t, "nodes"), GPUs: rapid.IntRange(-1, 100).Draw(t, "gpus"), Memory: rapid.IntRange(0, 1000).Draw(t, "memory"),
			GPUModel: rapid.SampledFrom([]string{"", "NVIDIA H100 80GB HBM3", "Tesla T4", "x"}).Draw(t, "model"), GPUMinMemory: rapid.IntRange(0, 90000).Draw(t, "least")}}
		e := r.Estimate(EstimateInput{BandwidthBits: rapid.Float64().Draw(t, "bandwidth"), GPUMemoryMiB: rapid.IntRange(0, 90000).Draw(t, "known")})
		for _, v := range []float64{e.SyncSeconds, e.SyncShare, e.ComputeSeconds, float64(e.SyncBytes), float64(e.CheckpointBytes), float64(e.CheckpointsBytesTotal), float64(e.GPUMemory.Total), float64(e.HostBytes)} {
			if math.IsNaN(v) || v < 0 {
				t.Fatalf("%+v", e)
			}
		}
		for _, p := range e.Curve {
			if math.IsNaN(p.LR) || p.LR < 0 || p.LR > 100 {
				t.Fatalf("%+v", p)
			}
		}
	})
}
