package reftrain

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"
	"time"
)

// fault is one entry of COTRAIN_TRAINER_FAULT.
type fault struct {
	kind string // exit, garbage, longline, flood, binary, kill, eat, hang, silent, slow, clock, alone, nan, spike, flat, or one of deaths
	n    int    // exit code, number of lines, or by how much
	step int64
	rank int // -1 for every worker
}

// faultExit is an injected exit.
type faultExit struct {
	code int
	says string // what its exception says, "" for that it was injected
}

func (f faultExit) Error() string {
	return cmp.Or(f.says, fmt.Sprintf("injected fault: exit with code %d", f.code))
}

// Bounds of what a fault may print.
const (
	maxFloodLines = 10_000_000
	longLineBytes = 1 << 20
	binaryBytes   = 4 << 10
)

// What the fault eat takes: so much at a time, and at most so much where nothing kills it.
const (
	biteBytes = 16 << 20
	maxEaten  = 4 << 30
)

// parseFaults reads a comma list such as "exit1@20,flood=1000@5:2".
func parseFaults(s string) ([]fault, error) {
	var out []fault
	for part := range strings.SplitSeq(s, ",") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		f, err := parseFault(part)
		if err != nil {
			return nil, fmt.Errorf("%q: %w", cut(part), err)
		}
		out = append(out, f)
	}
	return out, nil
}

// faultsOf leaves of a list the faults of an attempt ("" is the first), without what says so: "exit1@20#1" happens in the first only.
func faultsOf(list, attempt string) string {
	var out []string
	for part := range strings.SplitSeq(list, ",") {
		what, only, limited := strings.Cut(part, "#")
		if !limited || strings.TrimSpace(only) == cmp.Or(attempt, "1") {
			out = append(out, what)
		}
	}
	return strings.Join(out, ",")
}

func parseFault(part string) (fault, error) {
	f := fault{rank: -1}
	what, rank, hasRank := strings.Cut(part, ":")
	if hasRank {
		n, err := strconv.Atoi(rank)
		if err != nil || n < 0 {
			return f, fmt.Errorf("after the colon comes a worker's rank")
		}
		f.rank = n
	}
	what, step, hasStep := strings.Cut(what, "@")
	if what == "silent" && !hasStep {
		f.kind = what
		return f, nil
	}
	n, err := strconv.ParseInt(step, 10, 64)
	if err != nil || n < 1 {
		return f, fmt.Errorf("after the @ comes a step, from 1")
	}
	f.step = n
	kind, count, hasCount := strings.Cut(what, "=")
	switch {
	case kind == "flood" && hasCount:
		f.kind = kind
		if f.n, err = strconv.Atoi(count); err != nil || f.n < 1 || f.n > maxFloodLines {
			return f, fmt.Errorf("a flood has 1 to %d lines", maxFloodLines)
		}
	case strings.HasPrefix(kind, "exit") && !hasCount:
		f.kind = "exit"
		if f.n, err = strconv.Atoi(kind[len("exit"):]); err != nil || f.n < 1 || f.n > 255 {
			return f, fmt.Errorf("an exit code is 1 to 255")
		}
	case hasCount && counted[kind] != 0:
		f.kind = kind
		if f.n, err = strconv.Atoi(count); err != nil || f.n < -counted[kind] || f.n > counted[kind] || f.n == 0 || f.n < 2 && kind == "slow" {
			return f, fmt.Errorf("slow takes 2 to %d times as long; a clock is at most %d seconds ahead (or behind, with a minus)", counted["slow"], counted["clock"])
		}
	case !hasCount && troubles[kind]:
		f.kind = kind
	case !hasCount && deaths[kind] != "":
		f.kind = kind
	case !hasCount && (kind == "garbage" || kind == "longline" || kind == "binary" || kind == "hang" || kind == "kill" || kind == "eat"):
		f.kind = kind
	default:
		return f, fmt.Errorf("expected one of the faults that --help lists")
	}
	return f, nil
}

// counted are the faults with a number other than lines and codes, with the most that it may be.
var counted = map[string]int{"slow": 1000, "clock": 3600}

// troubles are those that last from their step on.
var troubles = map[string]bool{"alone": true, "nan": true, "spike": true, "flat": true}

// suffers reports whether a fault of a kind has begun at this worker after the steps that it has done.
func (t *trainer) suffers(kind string) (n int, yes bool) {
	for _, f := range t.faults {
		if f.kind == kind && t.s.Step >= f.step && (f.rank < 0 || f.rank == t.world.rank) {
			return f.n, true
		}
	}
	return 0, false
}

// spiked is how far a loss is raised by each step of the fault spike.
const spiked = 0.5

// shown is the loss that a worker prints: the true one, unless a fault spoils it. The parameters stay well, or the mesh would refuse them.
func (t *trainer) shown(loss float64) float64 {
	if _, nan := t.suffers("nan"); nan {
		return math.NaN()
	}
	if _, flat := t.suffers("flat"); flat {
		if t.flat == 0 {
			t.flat = loss
		}
		return t.flat
	}
	if _, spike := t.suffers("spike"); spike {
		t.risen += spiked
	}
	return loss + t.risen
}

// clock is the time by a worker's own clock.
func (t *trainer) clock() time.Time {
	now := time.Now()
	if t.s == nil { // before it has a state
		return now
	}
	if n, wrong := t.suffers("clock"); wrong {
		return now.Add(time.Duration(n) * time.Second)
	}
	return now
}

// slowed is how much longer a step is to take that took so long.
func (t *trainer) slowed(took time.Duration) time.Duration {
	n, slow := t.suffers("slow")
	if !slow {
		return 0
	}
	return time.Duration(n-1) * max(took, t.pace)
}

// isolated prints what a CotrainCore prints whose all-reduces fail, after which it goes on by itself.
func (t *trainer) isolated() bool {
	if _, alone := t.suffers("alone"); !alone {
		return false
	}
	for i := range 3 {
		t.log.error("Error syncing pseudo gradient: [gloo] Timed out waiting 600000ms for recv operation to complete, retry %d/3", i+1)
	}
	t.log.error("Failed to sync pseudo gradient after 3 retries, continuing with local gradient")
	return true
}

// inject does what COTRAIN_TRAINER_FAULT asks for after this step.
func (t *trainer) inject(ctx context.Context) error {
	for _, f := range t.faults {
		if f.step != t.s.Step || (f.rank >= 0 && f.rank != t.world.rank) {
			continue
		}
		switch f.kind {
		case "exit":
			return faultExit{code: f.n}
		case "garbage":
			t.log.raw("step: , loss: nan nan\x1b[31m {\"loss\": }\nCOTRAIN {\"v\":1,\"kind\":\nstep: 99999999999999999999, loss: 1e999\n\r\r\n")
		case "longline":
			t.log.raw(strings.Repeat("x", longLineBytes) + "\n")
		case "flood":
			t.flood(f.n)
		case "binary":
			r := counterRand{seed: defaultSeed}
			b := make([]byte, binaryBytes)
			for i := range b {
				b[i] = byte(r.uniform() * 256)
			}
			t.log.raw(string(b) + "\n")
		case "kill":
			if self, err := os.FindProcess(os.Getpid()); err != nil || self.Kill() != nil {
				return faultExit{code: 1}
			}
			<-ctx.Done() // for the moment until it arrives
		case "eat":
			return eat(ctx)
		case "hang":
			<-ctx.Done() // heartbeats go on, as those of a hung CotrainCore do
			return ctx.Err()
		}
		if text := deaths[f.kind]; text != "" {
			t.log.raw(text)
			lines := strings.Split(strings.TrimSpace(text), "\n")
			return faultExit{1, lines[len(lines)-1]}
		}
	}
	return nil
}

// eat takes memory until the kernel kills this process.
func eat(ctx context.Context) error {
	var eaten [][]byte
	for range maxEaten / biteBytes {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		bite := make([]byte, biteBytes)
		for i := 0; i < len(bite); i += os.Getpagesize() {
			bite[i] = 1 // only then it is there
		}
		eaten = append(eaten, bite)
	}
	return faultExit{1, fmt.Sprintf("injected fault: nothing limits this worker's memory to less than %d MiB", len(eaten)*biteBytes>>20)}
}

// deaths are what trainers of the field print as they die, by the fault.
var deaths = map[string]string{
	"cuda-oom": `Traceback (most recent call last):
  File "/opt/core/train.py", line 412, in train
    loss.backward()
  File "/usr/lib/python3/dist-packages/torch/autograd/graph.py", line 825, in _engine_run_backward
    return Variable._execution_engine.run_backward(
torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.25 GiB. GPU 0 has a total capacity of 79.10 GiB of which 1.50 GiB is free.
`,
	"disk-full": `Traceback (most recent call last):
  File "/opt/core/ckpt_utils.py", line 96, in save
    torch.save(state, path)
OSError: [Errno 28] No space left on device: 'step_20/model.pt'
`,
	"nccl-timeout": `[rank0]:[E ProcessGroupNCCL.cpp:616] [Rank 0] Watchdog caught collective operation timeout: WorkNCCL(SeqNum=1874, OpType=ALLREDUCE, NumelIn=4194304, NumelOut=4194304, Timeout(ms)=600000) ran for 600057 milliseconds before timing out.
`,
	"bad-dataset": `Traceback (most recent call last):
  File "/opt/core/data.py", line 88, in read
    return pq.ParquetFile(path)
pyarrow.lib.ArrowInvalid: Parquet magic bytes not found in footer: datasets/fineweb/train-00007.parquet is corrupted or this is not a parquet file.
`,
	"bad-checkpoint": `Traceback (most recent call last):
  File "/opt/core/ckpt_utils.py", line 141, in load
    return torch.load(path)
RuntimeError: PytorchStreamReader failed reading zip archive: failed finding central directory: models/checkpoints/step_10/__0_0.distcp
`,
	"ecc": `NVRM: Xid (PCI:0000:3b:00): 48, pid=2101, An uncorrectable double bit error (DBE) has been detected on GPU.
Traceback (most recent call last):
  File "/opt/core/train.py", line 412, in train
    loss.backward()
RuntimeError: CUDA error: uncorrectable ECC error encountered
`,
	"no-dataset": `Traceback (most recent call last):
  File "/opt/core/data.py", line 61, in get_dataset
    return load_dataset(name)
FileNotFoundError: [Errno 2] No such file or directory: 'datasets/fineweb/train-00000.parquet'
`,
}

func (t *trainer) flood(lines int) {
	var b strings.Builder
	for i := range lines {
		fmt.Fprintf(&b, "flood line %d of %d\n", i+1, lines)
		if b.Len() > 64<<10 || i == lines-1 {
			t.log.raw(b.String())
			b.Reset()
		}
	}
}

func isSilent(faults []fault, rank int) bool {
	for _, f := range faults {
		if f.kind == "silent" && (f.rank < 0 || f.rank == rank) {
			return true
		}
	}
	return false
}
