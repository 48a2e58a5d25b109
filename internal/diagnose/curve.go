package diagnose

import (
	"bytes"
	"math"
	"strconv"
)

// Rules of how a loss ends. It is lost where its last report is NaN or infinite; one that came back is a step that mixed precision
// skipped. It has spiked where at the end it stays for 3 reports above 3 times its best mean of 3, or for 20 above twice that, and by 1.5 at least.
// A language model's loss cannot rise that far, as one that guesses has about 11: of a steady loss 1.6 times and 2.5 are enough, if
// that is 6 times what it strayed before.
const (
	spikeReports = 3
	spikeTimes   = 3
	longReports  = 20
	longTimes    = 2
	spikeBy      = 1.5
	leapTimes    = 1.6
	leapBy       = 2.5
	leapStrays   = 6
)

// curve follows the loss. It is a few numbers, whatever the length of the log.
type curve struct {
	name    uint32 // of the metric, so that two losses are not taken for one
	reports int64
	recent  [3]float64 // finite ones, the newest at reports % 3
	finite  int64
	best    float64  // lowest mean of 3
	bad     int      // NaN or infinite in a row, up to now
	high    int      // above spikeTimes in a row
	higher  int      // above longTimes
	leapt   int      // above what a steady loss may rise
	level   float64  // running mean, not of what leapt
	strays  float64  // running mean of the distance from it
	ended   float64  // newest finite loss
	since   sighting // where the present row of bad or high reports starts
	newest  kept     // its newest line
	bar     []byte   // of a progress bar, what stands before its times: which step it is at
	again   bool     // the bar is at the same step as the time before
}

// maxBar is how much of a progress bar tells its step.
const maxBar = 256

// redraw reads a progress bar that is drawn again: the same loss at the same step is one report.
func (c *curve) redraw(bar []byte, at int, number int64) {
	step := bar[:min(len(bar), maxBar)]
	if i := bytes.IndexByte(step, '['); i > 0 {
		step = step[:i]
	}
	c.again = bytes.Equal(step, c.bar)
	c.bar = append(c.bar[:0], step...)
	c.read(bar, at, number)
	c.again = false
}

// read looks for a loss in a line, from a place on where "oss" stands, and reports whether there is one. It is on the path of every
// step, so it allocates nothing.
func (c *curve) read(line []byte, at int, number int64) bool {
	for {
		if at > 0 && line[at-1]|fold == 'l' && !isEvaluation(line[:at-1]) {
			if value, ok := lossAfter(line[at+3:]); ok {
				c.add(value, metricName(line, at-1), line, number)
				return true
			}
		}
		i := bytes.Index(line[at+3:], lossText)
		if i < 0 {
			return false
		}
		at += 3 + i
	}
}

// isEvaluation knows the names of losses that are not the training's: val_loss, eval loss, aux_loss, z_loss, "best loss".
func isEvaluation(before []byte) bool {
	n := len(before)
	if n == 0 || before[n-1] == '\'' || before[n-1] == '"' {
		return false
	}
	if n > 1 && before[n-1] == ' ' && bytes.IndexByte([]byte(",|;])}"), before[n-2]) >= 0 {
		return false
	}
	if isLetter(before[n-1]) || before[n-1] == '.' {
		return true // "gloss", "crossEntropyLoss", "torch.nn.loss"
	}
	var folded [12]byte
	word := folded[:copy(folded[:], before[max(0, n-len(folded)):])]
	for i, c := range word {
		if isLetter(c) {
			word[i] = c | fold
		}
	}
	for _, name := range [...]string{"val", "eval", "test", "aux", "z_", "best", "max_", "min_", "kl_", "dev_", "kl ", "target", "max ", "min "} {
		if i := bytes.LastIndex(word, []byte(name)); i >= 0 && !bytes.ContainsAny(word[i:], ",|;={") {
			return true
		}
	}
	return false
}

// lossAfter reads the number after the word: ": 1.5", "=1.5", "': 1.5", " 1.5", " (avg): 1.5" not.
func lossAfter(b []byte) (float64, bool) {
	i := 0
	for i < len(b) && i < 6 && (b[i] == ' ' || b[i] == ':' || b[i] == '=' || b[i] == '\'' || b[i] == '"') {
		i++
	}
	if i == 0 {
		return 0, false
	}
	n := i
	for n < len(b) && n-i < 24 && (isDigit(b[n]) || b[n] == '.' || b[n]|fold == 'e' || b[n] == '+' || b[n] == '-') {
		n++
	}
	if n > i {
		if !isDigit(b[i]) && (n == i+1 || b[i] != '-' || !isDigit(b[i+1])) {
			if b[i] == '-' && hasFold(b[i+1:], "inf") {
				return math.Inf(-1), true
			}
			return 0, false
		}
		return parseLoss(bytes.TrimRight(b[i:n], ".eE+-"))
	}
	switch word := bytes.TrimLeft(b[i:], "'\""); {
	case isWordOf(word, "nan"):
		return math.NaN(), true
	case isWordOf(word, "inf"), isWordOf(word, "infinity"):
		return math.Inf(1), true
	}
	return 0, false
}

// parseLoss reads a number; plain decimals, which almost all are, without the care that exact rounding takes.
func parseLoss(b []byte) (float64, bool) {
	var mantissa, scale int64 = 0, 1
	point := false
	for i, c := range b {
		switch {
		case isDigit(c) && i < 17:
			mantissa = mantissa*10 + int64(c-'0')
			if point {
				scale *= 10
			}
		case c == '.' && !point:
			point = true
		default:
			v, err := strconv.ParseFloat(string(b), 64)
			return v, err == nil
		}
	}
	return float64(mantissa) / float64(scale), len(b) > 0
}

func isWordOf(b []byte, word string) bool {
	return hasFold(b, word) && (len(b) == len(word) || !isLetter(b[len(word)]) && b[len(word)] != '_' && b[len(word)] != '(')
}

func hasFold(b []byte, word string) bool {
	return len(b) >= len(word) && bytes.EqualFold(b[:len(word)], []byte(word))
}

// metricName is a hash of the name that ends with the word loss.
func metricName(line []byte, at int) uint32 {
	h := uint32(2166136261)
	for i := at - 1; i >= 0 && i > at-24 && (isLetter(line[i]) || line[i] == '_'); i-- {
		h = (h ^ uint32(line[i]|0x20)) * 16777619
	}
	return h
}

func (c *curve) add(v float64, name uint32, line []byte, number int64) {
	if c.reports == 0 {
		c.name = name
	} else if name != c.name {
		return
	}
	if c.again && (c.bad == 0 && v == c.ended || c.bad > 0 && (math.IsNaN(v) || math.IsInf(v, 0))) {
		return
	}
	c.reports++
	if v == 0 && zeroForNaN(line) {
		v = math.NaN()
	}
	if math.IsNaN(v) || math.IsInf(v, 0) {
		if c.bad++; c.bad == 1 {
			c.since = sighting{rank: -1, kept: kept{text: c.since.kept.text}}
			c.since.kept.set(line, number)
		}
		c.newest.set(line, number)
		return
	}
	c.bad = 0
	c.ended = v
	c.recent[c.finite%3] = v
	if c.finite++; c.finite < 3 {
		c.follow(v)
		return
	}
	if mean := (c.recent[0] + c.recent[1] + c.recent[2]) / 3; c.finite == 3 || mean < c.best {
		c.best = mean
	}
	far := c.best > 0 && v > c.best+spikeBy
	c.high = next(c.high, far && v > spikeTimes*c.best)
	c.higher = next(c.higher, far && v > longTimes*c.best)
	c.leapt = next(c.leapt, far && v > leapTimes*c.best && v > c.best+max(leapBy, leapStrays*c.strays))
	if c.leapt == 0 {
		c.follow(v)
	}
	if max(c.higher, c.leapt) == 1 {
		c.since = sighting{rank: -1, kept: kept{text: c.since.kept.text}}
		c.since.kept.set(line, number)
	}
	if max(c.higher, c.leapt) > 0 {
		c.newest.set(line, number)
	}
}

// follow moves the level of the loss, and how far it strays from it.
func (c *curve) follow(v float64) {
	if c.finite == 1 {
		c.level = v
	}
	c.strays += (math.Abs(v-c.level) - c.strays) / 8
	c.level += (v - c.level) / 4
}

func next(row int, goesOn bool) int {
	if goesOn {
		return row + 1
	}
	return 0
}

// zeroForNaN knows Hugging Face's Trainer, which prints a loss of 0.0 for NaN.
func zeroForNaN(line []byte) bool {
	i := bytes.Index(line, []byte("grad_norm"))
	return i >= 0 && isNaNText(line[i+len("grad_norm"):])
}

func isNaNText(b []byte) bool {
	return isWordOf(bytes.TrimLeft(b, `'": =`), "nan")
}

// end says how the curve ended: "nan", "spike" or "".
func (c *curve) end() string {
	switch {
	case c.bad > 0:
		return "nan"
	case c.high >= spikeReports || c.higher >= longReports || c.leapt >= spikeReports:
		return "spike"
	}
	return ""
}
