package trainconf

// architecture is what decides how many parameters a Llama model has.
type architecture struct {
	dim, layers, heads int64
	kvHeads            int64 // 0 for as many as heads
	ffnTenths          int64 // multiplier of the feed-forward width in tenths, 0 for none
	multipleOf         int64 // the feed-forward width is rounded up to it, 0 for 256
}

// The dimensions of the models, from PrimeIntellect-ai/prime, src/zeroband/models/llama/__init__.py, which the fork's
// missing models package comes from. It has no 70M.
var (
	llama2 = map[string]architecture{
		"debugmodel": {dim: 256, layers: 2, heads: 8},
		"150M":       {dim: 1024, layers: 12, heads: 16},
		"271M":       {dim: 1024, layers: 16, heads: 8},
		"1B":         {dim: 2048, layers: 18, heads: 16},
		"7B":         {dim: 4096, layers: 32, heads: 32},
		"10B":        {dim: 5120, layers: 32, heads: 40},
		"13B":        {dim: 5120, layers: 40, heads: 40},
		"26B":        {dim: 5120, layers: 80, heads: 40},
		"70B":        {dim: 8192, layers: 80, heads: 64, kvHeads: 8, ffnTenths: 13, multipleOf: 4096},
	}
	llama3 = map[string]architecture{
		"debugmodel": {dim: 256, layers: 8, heads: 16},
		"1B":         {dim: 2048, layers: 18, heads: 16, kvHeads: 8, ffnTenths: 13, multipleOf: 512},
		"10B":        {dim: 4096, layers: 42, heads: 32, kvHeads: 8, ffnTenths: 13, multipleOf: 1024},
		"70B":        {dim: 8192, layers: 80, heads: 64, kvHeads: 8, ffnTenths: 13, multipleOf: 4096},
	}
)

// Entries of the tokenizers that the core loads (train.py): Mistral-7B-v0.1 for llama2, Meta-Llama-3-8B for llama3,
// and 1024 made-up tokens for debugmodel with made-up data.
const (
	vocabLlama2 = 32000
	vocabLlama3 = 128256
	vocabFake   = 1024
)

// nominal70M stands for the one model whose dimensions are not public.
const nominal70M = 70_000_000

func llama3Has(name string) bool {
	_, ok := llama3[name]
	return ok
}

// parameters counts the parameters of the configured model, embeddings included. nominal is true when its
// dimensions are not known for this type_model: then it is the count of llama2's model of that name, or the name's own number.
func parameters(c Config) (count int64, nominal bool) {
	name := c.Effective("name_model")
	vocab, table := int64(vocabLlama3), llama3
	if c.Effective("type_model") == "llama2" {
		vocab, table = vocabLlama2, llama2
	}
	if name == "debugmodel" && c.on("data.fake") {
		vocab = vocabFake
	}
	a, known := table[name]
	if !known {
		if a, nominal = llama2[name]; !nominal {
			return nominal70M, true
		}
	}
	return a.parameters(vocab), !known
}

// parameters counts the weights of a Llama model: for each layer four attention matrices, three feed-forward matrices
// and two norms; then the last norm, and the embedding and output matrices, which are not shared.
func (a architecture) parameters(vocab int64) int64 {
	kv := a.kvHeads
	if kv == 0 {
		kv = a.heads
	}
	attention := 2*a.dim*a.dim + 2*a.dim*(a.dim/a.heads*kv)
	hidden := 2 * 4 * a.dim / 3
	if a.ffnTenths > 0 {
		hidden = hidden * a.ffnTenths / 10
	}
	unit := a.multipleOf
	if unit == 0 {
		unit = 256
	}
	hidden = (hidden + unit - 1) / unit * unit
	return a.layers*(attention+3*a.dim*hidden+2*a.dim) + a.dim + 2*vocab*a.dim
}
