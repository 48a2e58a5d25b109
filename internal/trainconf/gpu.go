package trainconf

import (
	"slices"
	"strings"

	"github.com/cotrain/cotrain/internal/run"
)

// gpu is what is known of a model of GPU.
type gpu struct {
	words  string  // words that its name has, all of them
	memory int     // MiB as nvidia-smi reports it, 0 when there are several
	flops  float64 // dense bfloat16 operations a second on its matrix units, 0 when it has none for bfloat16
}

// gpus are models of NVIDIA by name, those with more words before those with fewer. Rates are dense bfloat16 with 32-bit sums
// from NVIDIA's data sheets and the white papers of Ampere (GA102), Ada and Blackwell; those of A100 and H100 are what the
// core computes its MFU with (utils/__init__.py, get_peak_flops).
var gpus = [...]gpu{
	{"B200", 183359, 2250e12},
	{"H200", 143771, 989e12},
	{"GH200", 97871, 989e12},
	{"H100 NVL", 95830, 835e12},
	{"H100 PCIE", 81559, 756e12},
	{"H100", 81559, 989e12},
	{"A100 80GB", 81920, 312e12},
	{"A100 40GB", 40960, 312e12},
	{"A100", 0, 312e12},
	{"L40S", 46068, 362e12},
	{"L40", 46068, 181e12},
	{"L4", 23034, 121e12},
	{"A40", 46068, 149.7e12},
	{"A30", 24576, 165e12},
	{"A10G", 23028, 70e12},
	{"A10", 23028, 125e12},
	{"A6000", 49140, 154.8e12},
	{"RTX 6000 ADA", 49140, 364e12},
	{"RTX 5090", 32607, 209.5e12},
	{"RTX 4090", 24564, 165.2e12},
	{"RTX 3090", 24576, 71e12},
	{"V100 32GB", 32768, 0},
	{"V100 16GB", 16384, 0},
	{"V100", 0, 0},
	{"T4", 15360, 0},
}

// lookupGPU finds a model by the name that a device plugin reports, such as "NVIDIA H100 80GB HBM3". Parts of a GPU
// (MIG) and those of laptops are not the model that their names hold.
func lookupGPU(name string) (gpu, bool) {
	words := strings.FieldsFunc(strings.ToUpper(name), func(r rune) bool {
		return (r < 'A' || r > 'Z') && (r < '0' || r > '9')
	})
	if slices.Contains(words, "MIG") || slices.Contains(words, "LAPTOP") {
		return gpu{}, false
	}
next:
	for _, g := range gpus {
		for want := range strings.FieldsSeq(g.words) {
			if !slices.Contains(words, want) {
				continue next
			}
		}
		return g, true
	}
	return gpu{}, false
}

// GPUMemory is the memory in MiB that each GPU of this shape has: that of its model where the name tells it, or else the
// least that was asked for; 0 is not known.
func GPUMemory(s run.Shape) int {
	if g, known := lookupGPU(s.GPUModel); known && g.memory > 0 {
		return g.memory
	}
	return s.GPUMinMemory
}
