package logparse

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"strconv"
	"testing"
	"time"
)

// mixedRegexp does with a table of regular expressions, tried in turn, what the parser does with streams of other trainers.
type mixedRegexp struct {
	escape *regexp.Regexp
	table  []regexpFormat
}

// regexpFormat is a format as one would write it: what a record looks like, with its step if it has one, and what pairs look like.
type regexpFormat struct {
	record, pair *regexp.Regexp
}

const anyNumber = `([+-]?(?:\d[\d,]*(?:\.\d+)?(?:[eE][+-]?\d+)?|nan|inf))`

func newMixedRegexp() *mixedRegexp {
	f := func(record, pair string) regexpFormat {
		return regexpFormat{regexp.MustCompile(record), regexp.MustCompile(pair)}
	}
	colon := `([A-Za-z_][\w./ ]*?):\s*` + anyNumber
	return &mixedRegexp{
		escape: regexp.MustCompile(`\x1b\[[0-?]*[ -/]*[@-~]`),
		table: []regexpFormat{
			f(`^\{'`, `'([\w/]+)': '?`+anyNumber+`'?`),
			f(`^\{.*"step":\s*(\d+)`, `"([\w/]+)":\s*"?`+anyNumber+`"?`),
			f(`\|\s*(\d+)/\d+ \[\d+:\d+<`, `([\w/]+)=`+anyNumber),
			f(`iteration\s+(\d+)/\s*\d+ \|`, colon),
			f(`step:\s+(\d+)  loss:`, colon),
			f(`step:(\d+) - `, `([\w/@.-]+):`+anyNumber),
			f(`iter (\d+): loss`, `(loss|time|mfu) `+anyNumber),
			f(`step\s+(\d+)/\d+ \| loss`, `(loss|norm|lr) `+anyNumber),
			f(`epoch \d+:\s+\d+ / \d+ .*num_updates=(\d+)`, `([\w/]+)=`+anyNumber),
			f(`Epoch \[\d+\]\[(\d+)/\d+\]`, colon),
			f(`Epoch: \[\d+\]\s+\[(\d+)/\d+\]`, colon),
		},
	}
}

// line returns the step, -1 for none, the loss, and the number of metrics.
func (p *mixedRegexp) line(line []byte) (step int64, loss float64, metrics int) {
	line = p.escape.ReplaceAll(line, nil)
	for _, f := range p.table {
		m := f.record.FindSubmatch(line)
		if m == nil {
			continue
		}
		step = -1
		if len(m) > 1 {
			step, _ = strconv.ParseInt(string(m[1]), 10, 64) // the expression admits digits only
		}
		for _, pair := range f.pair.FindAllSubmatch(line, -1) {
			v, err := strconv.ParseFloat(string(pair[2]), 64)
			if err != nil {
				continue
			}
			metrics++
			switch string(pair[1]) {
			case "loss", "lm loss":
				loss = v
			}
		}
		return step, loss, metrics
	}
	return -1, 0, 0
}

// mixedStreams are logs of several trainers, each with as many lines of what their libraries print.
func mixedStreams(n int) [][][]byte {
	r := rand.New(rand.NewPCG(3, 14))
	shapes := []func(i int) string{
		func(i int) string {
			return fmt.Sprintf("{'loss': %.4f, 'grad_norm': %v, 'learning_rate': %v, 'epoch': %.2f}", 9*r.Float64(), r.Float64(), 1e-4*r.Float64(), float64(i)/100)
		},
		func(i int) string {
			return fmt.Sprintf(`{"step": %d, "loss": %.4f, "lr": %v, "tokens_per_second": %.1f}`, i, 9*r.Float64(), 1e-4*r.Float64(), 9000*r.Float64())
		},
		func(i int) string {
			return fmt.Sprintf("Epoch 0:  22%%|██▏       | %d/90000 [00:17<01:02,  4.47s/it, loss=%.3f, v_num=1]", i, 9*r.Float64())
		},
		func(i int) string {
			return fmt.Sprintf(" iteration %8d/  250000 | consumed samples: %12d | elapsed time per iteration (ms): 4247.9 | learning rate: 2.999E-04 | global batch size:     8 | lm loss: %.6E | loss scale: 1.0 | grad norm: %.3f | number of skipped iterations:   0 |", i, 8*i, 9*r.Float64(), r.Float64())
		},
		func(i int) string {
			return fmt.Sprintf("[titan] 2026-02-24 19:46:17,508 - root - INFO - \x1b[31mstep: %2d  \x1b[32mloss: %8.5f  \x1b[33mgrad_norm: %7.4f  \x1b[34mmemory: 66.91GiB(37.51%%)  \x1b[35mtps: 10,050  mfu: 13.99%%\x1b[39m", i, 9*r.Float64(), r.Float64())
		},
		func(i int) string {
			return fmt.Sprintf("(TaskRunner pid=87031) step:%d - actor/entropy_loss:0.317 - actor/kl_loss:%.3f - actor/grad_norm:0.006 - training/epoch:2.000 - critic/rewards/mean:0.918", i, r.Float64())
		},
		func(i int) string {
			return fmt.Sprintf("iter %d: loss %.4f, time 893.76ms, mfu 16.68%%", i, 9*r.Float64())
		},
		func(i int) string {
			return fmt.Sprintf("step %4d/9000 | loss %.6f (+0.31z)| norm %.4f (-0.42z)| lr 3.00e-04 | 44.57 ms | 39.4%% bf16 MFU | 91886 tok/s", i, 9*r.Float64(), r.Float64())
		},
		func(i int) string {
			return fmt.Sprintf("2021-03-01 10:00:00 | INFO | train_inner | epoch 001:    450 / 1891 loss=%.3f, nll_loss=10.881, ppl=1886.05, wps=52922, num_updates=%d, lr=8.90889e-05, gnorm=1.543", 9*r.Float64(), i)
		},
		func(i int) string {
			return fmt.Sprintf("2022-02-09 20:28:32,418 - mmdet - INFO - Epoch [1][%d/7420]     lr: 5.000e-05, eta: 2:15:01, time: 0.396, memory: 4127, loss_cls: 0.4123, loss: %.4f", i, 9*r.Float64())
		},
		func(i int) string {
			return fmt.Sprintf("Epoch: [0]  [%d/15040]  lr: 0.000026  loss: %.4f (1.1317)  grad_norm: 0.4995 (1.1826)  time: 4.5833  data: 0.0002  max mem: 51710", i, 9*r.Float64())
		},
	}
	streams := make([][][]byte, len(shapes))
	for k, shape := range shapes {
		for i := range n {
			streams[k] = append(streams[k], []byte(shape(i+1)), []byte(noiseLine(r, i)))
		}
	}
	return streams
}

func TestATableOfRegularExpressionsReadsTheSameInMixedStreams(t *testing.T) {
	t.Parallel()
	baseline := newMixedRegexp()
	for k, stream := range mixedStreams(50) {
		var p Parser
		for i := 0; i < len(stream); i += 2 {
			res := p.Line(stream[i])
			step, loss, metrics := baseline.line(stream[i])
			got := int64(-1)
			if res.Sample.HasStep {
				got = res.Sample.Step
			}
			at := p.index("loss")
			if got != step || at >= 0 && p.metrics[at].Value != loss || at < 0 && loss != 0 || metrics == 0 || res.Kind != KindSample {
				t.Fatalf("stream %d: %q\nparser %s\nregexp step %d loss %v", k, stream[i], say(res), step, loss)
			}
		}
	}
}

// BenchmarkMixedAgainstRegexp times the parser and a table of regular expressions on logs of eleven trainers in turns, the fastest pass of each.
func BenchmarkMixedAgainstRegexp(b *testing.B) {
	streams := mixedStreams(100)
	baseline := newMixedRegexp()
	ours, theirs := time.Hour, time.Hour
	lines := float64(len(streams) * len(streams[0]))
	for b.Loop() {
		start := time.Now()
		for _, stream := range streams {
			var p Parser
			for _, line := range stream {
				p.Line(line)
			}
		}
		middle := time.Now()
		for _, stream := range streams {
			for _, line := range stream {
				baseline.line(line)
			}
		}
		ours, theirs = min(ours, middle.Sub(start)), min(theirs, time.Since(middle))
	}
	b.StopTimer()
	b.ReportMetric(lines/ours.Seconds(), "lines/s")
	b.ReportMetric(lines/theirs.Seconds(), "regexp-lines/s")
	b.ReportMetric(theirs.Seconds()/ours.Seconds(), "ratio(>=5)")
}
