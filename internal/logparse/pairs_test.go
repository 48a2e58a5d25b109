package logparse

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestPlainSamplesAreReadAsOthersAre holds the way that nearly all lines take, which expects the keys of the line before, against the one
// for all lines, and a parser that has read other lines against a new one.
func TestPlainSamplesAreReadAsOthersAre(t *testing.T) {
	t.Parallel()
	key := rapid.SampledFrom([]string{"step", "step", "loss", "Loss", "mfu", "lr", "inner_lr", "grad_norm", "a", "ab", "a-b/c.d", "lossstep", "Step", "1a", strings.Repeat("k", MaxName), strings.Repeat("k", MaxName+1)})
	value := rapid.SampledFrom([]string{"1", "1", "12", "2.5", "-2.25", "007", "0", "0.5", "1e5", "+3", "nan", "", "3.", "[Rank 0] ", "9007199254740993", "99999999999999999"})
	some := rapid.IntRange(0, 9)
	rapid.Check(t, func(rt *rapid.T) {
		var p Parser
		for range 8 {
			var pairs []string
			for range rapid.IntRange(1, 6).Draw(rt, "pairs") {
				pairs = append(pairs, key.Draw(rt, "key")+": "+value.Draw(rt, "value"))
			}
			if some.Draw(rt, "many") == 0 {
				for i := range MaxMetrics {
					pairs = append(pairs, strings.Repeat("x", 1+i/16)+string(rune('a'+i%16))+": 1")
				}
			}
			for range rapid.IntRange(1, 2).Draw(rt, "times") {
				msg := strings.Join(pairs, ", ")
				line := rapid.SampledFrom([]string{head, head, "\r" + head, "container | " + head, head[1:], "03:22:58 [DEBUG] [Rank 1] "}).Draw(rt, "head") + msg + rapid.SampledFrom([]string{"", "", "\r", " ", "\x1b[0m"}).Draw(rt, "end")
				fresh := Parser{State: p.State}
				if got, want := say(p.Line([]byte(line))), say(fresh.Line([]byte(line))); got != want || p.State != fresh.State {
					rt.Fatalf("%q is %q after other lines, %q alone", line, got, want)
				}
				p.metrics = p.metrics[:0]
				res, ok := p.plainSample([]byte(msg))
				if !ok {
					continue
				}
				var other Parser
				if got, want := say(res), say(other.sample([]byte(msg), true)); got != want {
					rt.Fatalf("%q is %q, not %q", msg, got, want)
				}
			}
		}
	})
}
