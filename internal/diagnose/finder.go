package diagnose

import "encoding/binary"

// minText is the length of the shortest text that rules may search for: longer ones let the search skip further.
const minText = 6

// finder searches for many texts at once, whatever the case of ASCII letters (Wu and Manber, 1994): it looks at the last three bytes
// of a window of minText bytes, which mostly stand in no text, and skips as far as they say. Of each text, the window is where it is
// least like what a healthy log is full of.
type finder struct {
	texts [][]byte // folded
	// offsets are where in each text its window is, and windows its bytes.
	offsets []int
	windows []uint64
	// skip has for each hash of three bytes how far the window may move, 0 where a text may be.
	skip [1 << hashBits]uint8
	// heads has for each hash of a window the first text with such a one, nexts the one after each, -1 none.
	heads [1 << hashBits]int32
	nexts []int32
}

const hashBits = 15

// fold makes the cases of an ASCII letter equal, and some other bytes, too.
const fold = 0x20

func newFinder(texts []string) *finder {
	f := &finder{nexts: make([]int32, len(texts))}
	for i := range f.skip {
		f.skip[i], f.heads[i] = minText-2, -1
	}
	usual := usualHashes()
	for id, text := range texts {
		folded := make([]byte, len(text))
		for i := range len(text) {
			folded[i] = text[i] | fold
		}
		offset := rarest(folded, usual)
		f.texts, f.offsets = append(f.texts, folded), append(f.offsets, offset)
		w := window(folded[offset:])
		f.windows = append(f.windows, w)
		f.nexts[id], f.heads[hashOf(w)] = f.heads[hashOf(w)], int32(id) // #nosec G115 -- bounded by maxRules and maxTexts
		for end := 3; end <= minText; end++ {
			h := hashAt(folded, offset+end-3)
			f.skip[h] = min(f.skip[h], uint8(minText-end)) // #nosec G115 -- less than minText
		}
	}
	return f
}

// healthy are lines as trainers print them again and again: what stands in them is a poor thing to search for.
const healthy = `03:22:58 [INFO] [Rank 0] step: 1244, loss: 6.9331, inner_lr: 0.0004, tokens_per_second: 89174.58, mfu: 18.19, diloco_peers: 3
03:22:58 [DEBUG] [Rank 0] Grad acc step 3 completed in 0.42 seconds. Inner step 12 completed in 1.23 seconds. Starting "Loss Calculation"
{'loss': 0.4827, 'grad_norm': 0.27102014422416687, 'learning_rate': 0.0004999954015022048, 'epoch': 0.11}
COTRAIN {"v": 1, "kind": "metrics", "Loss": 3.2, "step": 12, "Perplexity": 21.3, "total_tokens": 1048576, "time": 1761000000.1, "num_peers": 3}
 iteration 4100/ 500000 | consumed samples: 2099200 | elapsed time per iteration (ms): 8123.3 | learning rate: 1.500E-04 | global batch size: 512 | lm loss: 2.991182E+00 | loss scale: 1.0 | grad norm: 0.911 | number of skipped iterations: 0 | number of nan iterations: 0 |
node-1:534:1763 [3] NCCL INFO NVLS comm 0x7f1928e6e060 headRank 3 nHeads 4 buffSize 4194304 memSize 2097152 nvlsPerRankSize 201326592 Channel 00/0 : 0[0] -> 1[1] via P2P/CUMEM/read Connected all rings trees
Epoch 0:   6%|xx | 32040/500150 [6:28:43<94:39:17,  1.37it/s, loss=2.6, v_num=95nc, train_loss=2.590, global_step=3.2e+4] Saved checkpoint to /data/run/ckpt/step_500 in 3.2 seconds
[2024-01-01 10:00:00,001] [INFO] [logging.py:128:log_dist] [Rank 0] step=100, skipped=0, lr=[9.65e-06], mom=[(0.9, 0.95)] throughput: samples/sec memory: 61.20GiB(77%) tps: 8,012 time_step 0.812 validation training trainer model worker node`

// usualHashes counts the hashes of healthy.
func usualHashes() *[1 << hashBits]int {
	var out [1 << hashBits]int
	for i := range len(healthy) - 2 {
		out[hashAt([]byte(healthy), i)]++
	}
	return &out
}

// rarest returns where in a text the window starts whose bytes stand least in healthy lines.
func rarest(folded []byte, usual *[1 << hashBits]int) int {
	best, least := 0, -1
	for offset := range len(folded) - minText + 1 {
		cost := 0
		for i := range minText - 2 {
			cost += usual[hashAt(folded, offset+i)] * (i + 1) // the last ones let the window skip least
		}
		if least < 0 || cost < least {
			best, least = offset, cost
		}
	}
	return best
}

// hashAt is the hash of three bytes.
func hashAt(b []byte, at int) uint32 {
	return hash(uint32(b[at]) | uint32(b[at+1])<<8 | uint32(b[at+2])<<16)
}

func hash(v uint32) uint32 { return (v | fold*0x10101) * 0x9E3779B1 >> (32 - hashBits) }

// next returns where the window of the first text at or after from starts, len(b) if none does.
func (f *finder) next(b []byte, from int) int {
	for end := from + minText - 1; end < len(b); {
		if n := f.skip[hash(binary.LittleEndian.Uint32(b[end-3:])>>8)]; n > 0 {
			end += int(n)
			continue
		}
		if f.at(b, end-minText+1) {
			return end - minText + 1
		}
		end++
	}
	return len(b)
}

// lanes is how many parts of a block are searched in turns: one step waits for the one before it, those of others need not.
const lanes = 4

// lines appends where the windows of texts start in b, at most the first of each line.
func (f *finder) lines(b []byte, out []int32) []int32 {
	var end, stop [lanes]int // the last byte of each window, and where its part ends
	var hits [lanes][]int32
	for i := range lanes {
		end[i] = minText - 1
		if i > 0 {
			end[i] += stop[i-1]
		}
		stop[i] = len(b)
		if i+1 < lanes {
			from := max(len(b)/lanes*(i+1), end[i]-minText+1)
			stop[i] = min(len(b), indexFrom(b, from, newline)+1)
		}
	}
	hits[0] = out
	for end[0] < stop[0] && end[1] < stop[1] && end[2] < stop[2] && end[3] < stop[3] {
		a := int(f.skip[hash(binary.LittleEndian.Uint32(b[end[0]-3:])>>8)])
		c := int(f.skip[hash(binary.LittleEndian.Uint32(b[end[1]-3:])>>8)])
		d := int(f.skip[hash(binary.LittleEndian.Uint32(b[end[2]-3:])>>8)])
		e := int(f.skip[hash(binary.LittleEndian.Uint32(b[end[3]-3:])>>8)])
		end[0], end[1], end[2], end[3] = end[0]+a, end[1]+c, end[2]+d, end[3]+e
		if a*c*d*e != 0 {
			continue
		}
		if a == 0 {
			end[0], hits[0] = f.look(b, end[0], hits[0])
		}
		if c == 0 {
			end[1], hits[1] = f.look(b, end[1], hits[1])
		}
		if d == 0 {
			end[2], hits[2] = f.look(b, end[2], hits[2])
		}
		if e == 0 {
			end[3], hits[3] = f.look(b, end[3], hits[3])
		}
	}
	for i := range lanes {
		for end[i] < stop[i] {
			skip := int(f.skip[hash(binary.LittleEndian.Uint32(b[end[i]-3:])>>8)])
			end[i] += skip
			if skip == 0 {
				end[i], hits[i] = f.look(b, end[i], hits[i])
			}
		}
	}
	out = hits[0]
	for _, more := range hits[1:] {
		out = append(out, more...)
	}
	return out
}

// look compares what ends at end with the texts, appends a hit, and returns the end of the next window: in the next line after one.
func (f *finder) look(b []byte, end int, hits []int32) (int, []int32) {
	start := end - minText + 1
	if f.at(b, start) {
		return indexFrom(b, end, newline) + minText, append(hits, int32(start)) // #nosec G115 -- within a block
	}
	return end + 1, hits
}

// at reports whether the window of a text starts at a place.
func (f *finder) at(b []byte, start int) bool {
	w := window(b[start:])
	for id := f.heads[hashOf(w)]; id >= 0; id = f.nexts[id] {
		if f.windows[id] == w && f.stands(id, b, start) {
			return true
		}
	}
	return false
}

// window returns the bytes of a window, which b starts with, folded.
func window(b []byte) uint64 {
	const low, high = minText - 4, 8 * (minText - 4)
	return (uint64(binary.LittleEndian.Uint32(b)) | uint64(binary.LittleEndian.Uint32(b[low:]))<<high) | fold*0x010101010101
}

// hashOf is the hash of a window.
func hashOf(w uint64) uint32 { return uint32(w * 0x9E3779B97F4A7C15 >> (64 - hashBits)) }

// each calls found with every text in b and where it starts, once for each place.
func (f *finder) each(b []byte, found func(id int32, at int)) {
	for at := f.next(b, 0); at < len(b); at = f.next(b, at+1) {
		w := window(b[at:])
		for id := f.heads[hashOf(w)]; id >= 0; id = f.nexts[id] {
			if f.windows[id] == w && f.stands(id, b, at) {
				found(id, at-f.offsets[id])
			}
		}
	}
}

// stands reports whether a text is in b, with its window at a place.
func (f *finder) stands(id int32, b []byte, window int) bool {
	text := f.texts[id]
	start := window - f.offsets[id]
	if start < 0 || len(b)-start < len(text) {
		return false
	}
	for i, c := range text {
		if b[start+i]|fold != c {
			return false
		}
	}
	return true
}
