package logparse

import (
	"fmt"
	"math/rand/v2"
)

// corpus makes n lines like those of a real worker: one in ten is a sample, the others are what a trainer at DEBUG
// and the libraries below it print. It is the same on every call.
func corpus(n int) [][]byte {
	r := rand.New(rand.NewPCG(3, 14))
	out := make([][]byte, n)
	for i := range out {
		if i%10 == 0 {
			out[i] = []byte(sampleLine(r, i))
		} else {
			out[i] = []byte(noiseLine(r, i))
		}
	}
	return out
}

func clock(i int) string { return fmt.Sprintf("%02d:%02d:%02d", i/3600%24, i/60%60, i%60) }

// sampleLine is a step line, or the machine line of the same step: the shim prints one beside each.
func sampleLine(r *rand.Rand, i int) string {
	loss, tps := 3+6*r.Float64(), 80000+9000*r.Float64()
	if i%20 == 0 {
		return fmt.Sprintf("%s [INFO] [Rank 0] step: %d, loss: %.4f, tokens_per_second: %.2f, mfu: %.2f, diloco_peers: %d",
			clock(i), i, loss, tps, tps/5000, 1+r.IntN(4))
	}
	return fmt.Sprintf(`COTRAIN {"v": 1, "kind": "metrics", "Loss": %v, "step": %d, "inner_lr": %v, "Perplexity": %v, "total_tokens": %d, "grad_norm": %v, "tokens_per_second": %v, "mfu": %v, "num_peers": 3}`,
		loss, i, 4e-4*r.Float64(), 50*loss, i*524288, r.Float64(), tps, tps/5000)
}

func noiseLine(r *rand.Rand, i int) string {
	core := clock(i) + " [%s] [Rank 0] "
	debug := fmt.Sprintf(core, "DEBUG")
	switch r.IntN(100) {
	case 0:
		return fmt.Sprintf(core, "INFO") + fmt.Sprintf("outer_step step: %d", i/100)
	case 1:
		return fmt.Sprintf(core, "INFO") + fmt.Sprintf("Sync psuedo-gradient in %.6f seconds", 9*r.Float64())
	case 2:
		return fmt.Sprintf(core, "INFO") + fmt.Sprintf("Saved checkpoint to /data/run/ckpt/step_%d in %.2f seconds", i, 9*r.Float64())
	case 3:
		return fmt.Sprintf(core, "INFO") + "Started iperf server on 10.0.0.2 with port 10101"
	case 4:
		return ""
	}
	switch r.IntN(10) {
	case 0, 1:
		return debug + fmt.Sprintf("Grad acc step %d completed in %.2f seconds", r.IntN(16), r.Float64())
	case 2:
		return debug + fmt.Sprintf("Inner step %d completed in %.2f seconds", r.IntN(100), r.Float64())
	case 3:
		return debug + "Starting inner step."
	case 4:
		return debug + fmt.Sprintf("Finished \"Loss allreduce()\" in %.2f seconds", r.Float64())
	case 5:
		return debug + fmt.Sprintf("%d/15 all reduce bucket done in %.6f seconds, numel: 33554432", r.IntN(15), r.Float64())
	case 6:
		return fmt.Sprintf("node-1:534:1763 [%d] NCCL INFO Channel %02d/0 : 0[0] -> 1[1] via P2P/CUMEM/read", r.IntN(8), r.IntN(32))
	case 7:
		return fmt.Sprintf("\rDownloading data: %3d%%|████      | %d/100 [00:12<00:19,  3.21it/s]", r.IntN(100), r.IntN(100))
	case 8:
		return "/opt/conda/lib/python3.11/site-packages/torch/utils/checkpoint.py:295: FutureWarning: `torch.cpu.amp.autocast(args...)` is deprecated."
	default:
		return fmt.Sprintf("\x1b[32m2025-03-22 07:28:%02d.175\x1b[0m | \x1b[1mINFO    \x1b[0m | Reading input file %05d.jsonl", i%60, r.IntN(9999))
	}
}
