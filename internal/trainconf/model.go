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
// and 1024 synthetic tokens for debugmodel with synthetic data.
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

// architectureOf returns the dimensions of the configured model and the entries of its tokenizer. Where they are not public for this
// type_model they are those of llama2's model of that name; known is false when there are none either.
func architectureOf(c Config) (a architecture, vocab int64, known bool) {
	name := c.Effective("name_model")
	vocab, table := int64(vocabLlama3), llama3
	if c.Effective("type_model") == "llama2" {
		vocab, table = vocabLlama2, llama2
	}
	if name == "debugmodel" && c.on("data.fake") {
		vocab = vocabFake
	}
	if a, known = table[name]; !known {
		a, known = llama2[name]
	}
	return a, vocab, known
}

// parameters counts the parameters of the configured model, embeddings included. nominal is true when its
// dimensions are not known for this type_model: then it is the count of llama2's model of that name, or the name's own number.
func parameters(c Config) (count int64, nominal bool) {
	name := c.Effective("name_model")
	a, vocab, known := architectureOf(c)
	if !known {
		return nominal70M, true
	}
	if c.Effective("type_model") != "llama2" && !llama3Has(name) {
		nominal = true
	}
	return a.parameters(vocab), nominal
}

// parameters counts the weights of a Llama model: its layers, the last norm, and the embedding and output matrices, which
// are not shared.
func (a architecture) parameters(vocab int64) int64 {
	return a.layers*a.layerParameters() + a.dim + 2*vocab*a.dim
}

// layerParameters counts the weights of one layer: four attention matrices, three feed-forward matrices and two norms.
func (a architecture) layerParameters() int64 {
	kv, ffn := a.widths()
	return 2*a.dim*a.dim + 2*a.dim*kv + 3*a.dim*ffn + 2*a.dim
}

// widths are those of keys and values, and of the feed-forward.
func (a architecture) widths() (kv, ffn int64) {
	heads := a.kvHeads
	if heads == 0 {
		heads = a.heads
	}
	ffn = 2 * 4 * a.dim / 3
	if a.ffnTenths > 0 {
		ffn = ffn * a.ffnTenths / 10
	}
	unit := a.multipleOf
	if unit == 0 {
		unit = 256
	}
	return a.dim / a.heads * heads, (ffn + unit - 1) / unit * unit
}
