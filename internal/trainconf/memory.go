package trainconf

import (
	"math"

	"github.com/cotrain/cotrain/internal/run"
)

// MemoryEstimate is what one GPU must hold, in bytes; all are zero without GPUs. It is what the method needs: fragmentation
// and CUDA itself take 1 to 3 GiB more. N is the number of parameters, g the GPUs of a worker, over which FSDP shards
// (train.py, fully_shard with cuda_local_mesh), as ZeRO stage 3 does (Rajbhandari et al. 2019, arXiv:1910.02054).
type MemoryEstimate struct {
	// Weights: 4N/g in 32 bits, and gathered in bfloat16 2N, or with reshard_after_forward only two layers and the
	// embeddings. fsdp_cpu_offload keeps the first on the host.
	Weights int64 `json:"weights_bytes"`
	// Gradients: 4N/g in 32 bits; while micro-batches are accumulated FSDP also keeps all of them, not sharded: 2N,
	// or 4N with reduce_fp32. With one micro-batch a step those of two layers instead.
	Gradients int64 `json:"gradients_bytes"`
	// Optimizer: Adam's two moments in 32 bits, 8N/g. soap adds for each m x n matrix two of m x m and two of n x n
	// (Vyas et al. 2024, arXiv:2409.11321), without the sides above max_preconditioner_dim.
	Optimizer int64 `json:"optimizer_bytes"`
	// Activations of one micro-batch. For each token and layer, what backward needs of a Llama layer in bfloat16:
	// 12d + 4k + 6f bytes with d its width, k that of keys and values, f that of the feed-forward; for d = k and f = 8d/3 that is
	// 32d, beside the 34d of Korthikanti et al. 2022 (arXiv:2205.05198, equation 1) for GPT with dropout. attn_fn math
	// keeps the attention weights too: 4 bytes x heads x seq_length. A layer under ac_ckpt keeps its input alone, 2d, and
	// one such layer at a time is computed again.
	Activations int64 `json:"activations_bytes"`
	// Logits: micro_bs x seq_length x vocabulary in bfloat16, as much for their gradient, and 4 bytes each for the
	// loss in 32 bits, of one of num_chunks parts. fused_linear_ce never makes them.
	Logits int64 `json:"logits_bytes"`
	Total  int64 `json:"total_bytes"` // the sum
}

// modelOf is what the estimates need to know of the configured model.
type modelOf struct {
	a        architecture
	known    bool    // a is known, though maybe only as that of the other type_model
	vocab    float64 // entries of the tokenizer
	params   float64
	layer    float64 // parameters of one layer, 0 when a is not known
	kv, ffn  float64 // widths
	embedded float64 // parameters of the embedding and the output matrix, 0 when a is not known
}

func (c Config) model() modelOf {
	n, _ := parameters(c)
	a, vocab, known := architectureOf(c)
	m := modelOf{a: a, known: known, vocab: float64(vocab), params: float64(n)}
	if known {
		kv, ffn := a.widths()
		m.kv, m.ffn = float64(kv), float64(ffn)
		m.layer = float64(a.layerParameters())
		m.embedded = 2 * float64(vocab*a.dim)
	}
	return m
}

// memory estimates what one GPU holds.
func (c Config) memory(shape run.Shape, accumulated int64) MemoryEstimate {
	if shape.GPUs < 1 {
		return MemoryEstimate{}
	}
	m, g := c.model(), float64(shape.GPUs)
	shard := 4 * m.params / g
	if c.on("train.fsdp_cpu_offload") {
		shard = 0
	}
	gathered := 2 * m.params
	if c.on("train.reshard_after_forward") && m.known {
		gathered = math.Min(gathered, 2*(2*m.layer+m.embedded))
	}
	full := 2 * 2 * m.layer
	if accumulated > 1 {
		full = 2 * m.params
		if c.on("train.reduce_fp32") {
			full *= 2
		}
	}
	optimizer := 2 * shard
	if shard > 0 {
		optimizer += c.preconditioners(m) / g
	}
	tokens := c.float("train.micro_bs") * c.float("data.seq_length")
	e := MemoryEstimate{
		Weights: whole(shard + gathered), Gradients: whole(shard + full), Optimizer: whole(optimizer),
		Activations: whole(tokens * c.activations(m)), Logits: whole(tokens * m.vocab * c.logitBytes()),
	}
	e.Total = whole(float64(e.Weights) + float64(e.Gradients) + float64(e.Optimizer) + float64(e.Activations) + float64(e.Logits))
	return e
}

// activations is bytes for each token of a micro-batch, over all layers.
func (c Config) activations(m modelOf) float64 {
	d, layers := float64(m.a.dim), float64(m.a.layers)
	each := 12*d + 4*m.kv + 6*m.ffn
	if c.Effective("train.attn_fn") == "math" {
		each += 4 * float64(m.a.heads) * c.float("data.seq_length")
	}
	saved := c.checkpointedLayers(layers)
	if saved == 0 {
		return layers * each
	}
	return saved*2*d + (layers-saved)*each + each
}

// checkpointedLayers is how many layers ac_ckpt applies to. With a whole number above 1 the published core counts only the
// layers that it has chosen, and so chooses the first alone (utils/activation_ckpt.py).
func (c Config) checkpointedLayers(layers float64) float64 {
	switch c.Effective("train.ac_ckpt") {
	case "false":
		return 0
	case "true", "1":
		return layers
	}
	return math.Min(1, layers)
}

// logitBytes is bytes for each logit of a micro-batch.
func (c Config) logitBytes() float64 {
	if c.on("train.fused_linear_ce") {
		return 0
	}
	return 2 + 2 + 4/math.Max(1, c.float("optim.num_chunks"))
}

// preconditioners is the bytes that soap adds to Adam's two moments.
func (c Config) preconditioners(m modelOf) float64 {
	if c.Effective("optim.optim.type") != "soap" || !m.known {
		return 0
	}
	limit := c.float("optim.optim.max_preconditioner_dim")
	square := func(side float64) float64 {
		if side > limit {
			return 0
		}
		return 2 * side * side
	}
	d := square(float64(m.a.dim))
	layer := 4*d + 2*(d+square(m.kv)) + 3*(d+square(m.ffn)) // queries and output, keys and values, feed-forward
	return 4 * (float64(m.a.layers)*layer + 2*(d+square(m.vocab)))
}

// whole is a number of bytes, at most the greatest int64.
func whole(v float64) int64 {
	if v >= math.MaxInt64 {
		return math.MaxInt64
	}
	return int64(v)
}
