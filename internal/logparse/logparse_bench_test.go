package logparse

import (
	"testing"
	"time"
)

func TestRegularExpressionsComeToTheSameResultsOnTheCorpus(t *testing.T) {
	t.Parallel()
	var p Parser
	baseline := newRegexpParser()
	count := map[Kind]int{}
	lines := corpus(5000)
	for _, line := range lines {
		res := p.Line(line)
		got, want := say(res), say(baseline.line(line))
		if got != want {
			t.Fatalf("%q\nparser %q\nregexp %q", line, got, want)
		}
		count[res.Kind]++
	}
	if count[KindSample] != len(lines)/10 || count[KindEvent] < 50 || count[None] < 4000 {
		t.Errorf("the corpus is not the mixture it should be: %v", count)
	}
}

// splitCorpus parts the corpus into lines that are samples and lines that are not.
func splitCorpus() (samples, others [][]byte) {
	var p Parser
	for _, line := range corpus(2000) {
		if p.Line(line).Kind == KindSample {
			samples = append(samples, line)
		} else {
			others = append(others, line)
		}
	}
	return samples, others
}

// allocs is the number of allocations of a used parser for one pass over the lines.
func allocs(lines [][]byte) float64 {
	var p Parser
	return testing.AllocsPerRun(5, func() {
		for _, line := range lines {
			p.Line(line)
		}
	})
}

// Not parallel, as testing.AllocsPerRun demands.
func TestNoAllocationForAnyKindOfLine(t *testing.T) {
	samples, others := splitCorpus()
	for _, c := range append(loadCases(t), loadCasesFrom(t, "testdata/formats.jsonl")...) {
		for _, line := range c.Lines {
			others = append(others, []byte(line)) // failures, noise and samples of other trainers, long lines among them
		}
	}
	for _, line := range []string{
		`COTRAIN {"v":1,"kind":"event","name":"some_event","step":3,"path":"\/a\/b","seconds":1.5}`,
		`COTRAIN {"v":1,"kind":"system","some_cpu":3,"mem\u005fory":0.123456789012345678}`,
		`COTRAIN {"v":1,"kind":"unknown","x":[1,2,{"a":"\n"}]}`,
		`COTRAIN {"v":1,"kind":`,
		head + "start pushing /a to /b asynchronously",
		head + "finish pushing /a to /b in 3 seconds",
		head + "Error syncing pseudo gradient: x, retry 1/3",
		head + "Evicting nodes: [1, 2]",
	} {
		others = append(others, []byte(line))
	}
	if n := allocs(others); n != 0 {
		t.Errorf("%v allocations over %d lines that are no samples", n, len(others))
	}
	if n := allocs(samples); n != 0 {
		t.Errorf("%v allocations over %d samples", n, len(samples))
	}
}

// BenchmarkAgainstRegexp times the parser and Go's regexp on the same corpus in turns. An operation is one pass of
// both over it; lines/s and allocs/line (of lines that are no samples) are the parser's.
func BenchmarkAgainstRegexp(b *testing.B) {
	lines := corpus(2000)
	var p Parser
	baseline := newRegexpParser()
	var ours, theirs time.Duration
	passes, samples := 0, 0
	for b.Loop() {
		start := time.Now()
		for range 10 { // so that both measured stretches are long against the clock
			for _, line := range lines {
				if p.Line(line).Kind == KindSample {
					samples++
				}
			}
		}
		middle := time.Now()
		for _, line := range lines {
			if baseline.line(line).Kind == KindSample {
				samples++
			}
		}
		ours += middle.Sub(start)
		theirs += time.Since(middle)
		passes++
	}
	b.StopTimer()
	if want := passes * 11 * len(lines) / 10; samples != want {
		b.Fatalf("%d samples, want %d", samples, want)
	}
	parsed := float64(passes * len(lines))
	_, others := splitCorpus()
	b.ReportMetric(10*parsed/ours.Seconds(), "lines/s")
	b.ReportMetric(parsed/theirs.Seconds(), "regexp-lines/s")
	b.ReportMetric(10*theirs.Seconds()/ours.Seconds(), "ratio")
	b.ReportMetric(allocs(others)/float64(len(others)), "allocs/line")
}

func BenchmarkLine(b *testing.B) {
	lines := corpus(2000)
	var size int64
	for _, line := range lines {
		size += int64(len(line))
	}
	b.SetBytes(size)
	b.ReportAllocs()
	var p Parser
	for b.Loop() {
		for _, line := range lines {
			p.Line(line)
		}
	}
}
