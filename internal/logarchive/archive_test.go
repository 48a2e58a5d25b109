package logarchive_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"pgregory.net/rapid"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/logarchive"
	"github.com/cotrain/cotrain/internal/run"
)

// output is what a few workers print: text with levels, colours, progress bars, other languages and bytes that are no text.
func output(t *rapid.T) []logarchive.Chunk {
	line := rapid.OneOf(
		rapid.SampledFrom([]string{"", "step: 12, loss: 4.125", "\x1b[31mERROR\x1b[0m: lost", "WARNING slow", "Verlust größer K", "\xff\xfe\x00", "  0%|\r 50%|\r100%|\r", `COTRAIN {"v":1}`, "\x1b", "\x1b]0;title", "a\x1b[b"}),
		rapid.StringMatching(`[a-eA-E .:0-3]{0,20}`), rapid.String())
	id, at := int64(0), int64(1000)
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) logarchive.Chunk {
		id += rapid.Int64Range(1, 5).Draw(t, "id")
		at += rapid.Int64Range(-5, 2000).Draw(t, "at")
		text := strings.Join(rapid.SliceOfN(line, 1, 6).Draw(t, "lines"), "\n")
		if rapid.Bool().Draw(t, "whole") || text == "" {
			text += "\n"
		}
		return logarchive.Chunk{ID: id, Rank: rapid.IntRange(0, 3).Draw(t, "rank"), Stream: rapid.SampledFrom([]string{"stdout", "stderr"}).Draw(t, "stream"), At: at, Data: []byte(text)}
	}), 1, 12).Draw(t, "chunks")
}

func TestABlockHoldsWhatWasPrinted(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		chunks := output(t)
		block := logarchive.Encode(chunks)
		back, err := logarchive.Decode(block, nil)
		if err != nil || !reflect.DeepEqual(back, chunks) {
			t.Fatalf("%v, %v\nwant %v", back, err, chunks)
		}
		var want []byte
		for _, c := range chunks {
			want = append(want, c.Data...)
		}
		dec, err := zstd.NewReader(bytes.NewReader(block))
		if err != nil {
			t.Fatal(err)
		}
		defer dec.Close()
		if got, err := io.ReadAll(dec); err != nil || !bytes.Equal(got, want) {
			t.Fatalf("zstd -dc prints %q, %v, want %q", got, err, want)
		}
		cut := rapid.IntRange(0, len(block)-1).Draw(t, "cut")
		if back, err := logarchive.Decode(block[:cut], nil); !errors.Is(err, logarchive.ErrDamaged) {
			t.Fatalf("the first %d of %d bytes are %v, %v", cut, len(block), back, err)
		}
	})
}

func TestBlocksOfEarlierVersionsAreRead(t *testing.T) {
	t.Parallel()
	block, err := os.ReadFile("testdata/rows.zst")
	if err != nil {
		t.Fatal(err)
	}
	got, err := logarchive.Decode(block, nil)
	want := []logarchive.Chunk{{ID: 7, Rank: 1, Stream: "stdout", At: 1700000000000, Data: []byte("step: 1\nstep: 2\n")}, {ID: 9, Stream: "stderr", At: 1700000000500, Data: []byte("gone")}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v, %v", got, err)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(logarchive.Encode([]logarchive.Chunk{{ID: 1, Stream: "stdout", Data: []byte("a\nb\n")}, {ID: 3, Rank: 2, Stream: "stderr", Data: []byte("c")}}))
	f.Fuzz(func(t *testing.T, block []byte) {
		if _, err := logarchive.Decode(block, nil); err != nil && !errors.Is(err, logarchive.ErrDamaged) {
			t.Error(err)
		}
		if _, err := logarchive.DecodeCounts(block); err != nil && !errors.Is(err, logarchive.ErrDamaged) {
			t.Error(err)
		}
	})
}

// lines are those of a filter, by trying each.
func lines(t *rapid.T, chunks []logarchive.Chunk, f run.LogFilter) (out []run.LogPos) {
	ansi := regexp.MustCompile("\x1b\\[[^\\x40-\\x7e\n]*[\\x40-\\x7e]")
	find, err := f.Find.Compile("q")
	if err != nil {
		t.Fatal(err)
	}
	hide, _ := f.Hide.Compile("hide")
	for _, c := range chunks {
		for i, line := range c.Lines() {
			text := bytes.TrimSuffix(ansi.ReplaceAll(line, nil), []byte("\r"))
			level := logarchive.LevelOf(line)
			switch {
			case f.Rank >= 0 && c.Rank != f.Rank, f.Stream != "" && f.Stream != c.Stream, level == run.LevelMachine && !f.Machine, level < f.Level,
				find != nil && !find.Match(text), hide != nil && hide.Match(text),
				!f.Since.IsZero() && c.At < f.Since.UnixMilli(), !f.Until.IsZero() && c.At >= f.Until.UnixMilli():
				continue
			}
			out = append(out, logarchive.Pos(c.ID, i))
		}
	}
	return out
}

// filter draws one whose pattern often occurs.
func filter(t *rapid.T) run.LogFilter {
	f := run.LogFilter{
		Rank: rapid.IntRange(-1, 3).Draw(t, "rank"), Stream: rapid.SampledFrom([]string{"", "stdout", "stderr"}).Draw(t, "stream"),
		Level: run.LogLevel(rapid.IntRange(0, 2).Draw(t, "level")), Machine: rapid.Bool().Draw(t, "machine"),
	}
	f.Find.Case = rapid.Bool().Draw(t, "case")
	if f.Find.Regexp = rapid.Bool().Draw(t, "regexp"); f.Find.Regexp {
		f.Find.Text = rapid.SampledFrom([]string{"", "loss: [0-9.]+", "^step", "(a|bc)+d?", "(?i)ERROR|warning", "a{2,3}", "größer", "[A-C]b", "x*", "lost$", "a.c|E", "(lo(s|st))"}).Draw(t, "q")
	} else {
		f.Find.Text = rapid.OneOf(rapid.SampledFrom([]string{"", "loss", "Error", "GRÖSSER", "größer", "100%"}), rapid.StringMatching(`[a-eA-E .0-3]{1,4}`)).Draw(t, "q")
	}
	f.Hide = run.LogPattern{Text: rapid.SampledFrom([]string{"", "", "step", "a$"}).Draw(t, "hide"), Regexp: true, Case: true}
	return f
}

func TestAFilterFindsWhatEachLineSays(t *testing.T) {
	t.Parallel()
	ran := 0
	rapid.Check(t, func(t *rapid.T) {
		chunks, f := output(t), filter(t)
		for i := range chunks { // other escape sequences are not of the expression above
			chunks[i].Data = bytes.ReplaceAll(chunks[i].Data, []byte("\x1b]"), []byte("]"))
			chunks[i].Data = regexp.MustCompile("\x1b([^\\[]|$)").ReplaceAll(chunks[i].Data, []byte("$1"))
			chunks[i].Data = regexp.MustCompile("(?m)\x1b\\[[^\\x40-\\x7e\n]*$").ReplaceAll(chunks[i].Data, nil)
			if len(chunks[i].Data) == 0 {
				chunks[i].Data = []byte("\n")
			}
		}
		m, err := logarchive.NewMatcher(f)
		if err != nil {
			t.Fatal(err)
		}
		var got []run.LogPos
		for _, c := range chunks {
			m.Each(c, func(i int, line []byte) bool {
				got = append(got, logarchive.Pos(c.ID, i))
				return true
			})
		}
		want := lines(t, chunks, f)
		if !slices.Equal(got, want) {
			t.Fatalf("%+v finds %v, want %v in %+v", f, got, want, chunks)
		}
		ran += len(want)
		about := logarchive.Describe(chunks)
		if n, known := m.Count(about); known && n != len(want) {
			t.Fatalf("%+v is said to leave %d lines, and leaves %d", f, n, len(want))
		}
		if len(want) > 0 && !m.May(logarchive.MakeTrigrams(chunks)) {
			t.Fatalf("%+v would skip the block", f)
		}
		if back, err := logarchive.DecodeCounts(logarchive.AppendCounts(nil, about.Counts)); err != nil || !reflect.DeepEqual(back, about.Counts) {
			t.Fatalf("%v, %v", back, err)
		}
	})
	if ran == 0 {
		t.Error("no filter left a line")
	}
}

func TestABlockIsSkippedThatHasNoneOfAPattern(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	var text []byte
	for i := range 20000 {
		text = fmt.Appendf(text, "07:08:09 [INFO] [Rank 0] step: %d, loss: %.4f, tokens_per_second: %.2f\n", i, 9*r.Float64(), 1e5*r.Float64())
	}
	index := logarchive.MakeTrigrams([]logarchive.Chunk{{ID: 1, Data: text}})
	if len(index) > len(text)/500 {
		t.Errorf("the index has %d bytes for %d", len(index), len(text))
	}
	for pattern, may := range map[string]bool{"loss": true, "LOSS": true, "step: 1999[0-9]": true, "Traceback": false, "(?i)CUDA error": false, "evicted|unreachable": false, "evicted|loss": true, "x?": true, "no": true} {
		m, err := logarchive.NewMatcher(run.LogFilter{Rank: -1, Find: run.LogPattern{Text: pattern, Regexp: true}})
		if err != nil {
			t.Fatal(err)
		}
		if m.May(index) != may {
			t.Errorf("%s: %t", pattern, !may)
		}
	}
}

func TestTheLevelOfALine(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]run.LogLevel{
		"07:08:09 [INFO] [Rank 0] step: 1, loss: 4.1":                   run.LevelInfo,
		"07:08:09 [ERROR] [Rank 0] all-reduce failed":                   run.LevelError,
		"2026-01-02 03:04:05,678 - WARNING - trainer - slow":            run.LevelWarning,
		`{"time":1,"level":"error","msg":"x"}`:                          run.LevelError,
		`{"levelname": "WARNING", "message": "x"}`:                      run.LevelWarning,
		"time=1 level=warn msg=x":                                       run.LevelWarning,
		"[rank0]:E0102 03:04:05.678 123 torch/elastic/x.py:1] failed":   run.LevelError,
		"[rank1]:[W102 03:04:05.678 ProcessGroupNCCL.cpp:1] Warning: x": run.LevelWarning,
		"W0102 03:04:05.678000 1 torch/distributed/run.py:1]":           run.LevelWarning,
		"Traceback (most recent call last):":                            run.LevelError,
		"[rank0]: Traceback (most recent call last):":                   run.LevelError,
		"torch.cuda.OutOfMemoryError: CUDA out of memory.":              run.LevelError,
		"ValueError":                                     run.LevelError,
		"/x/y.py:12: UserWarning: lr_scheduler":          run.LevelWarning,
		"loss went down, no error":                       run.LevelInfo,
		"NCCL_ERROR_HANDLING=1 set":                      run.LevelInfo,
		"12 errors so far, see ERROR_LOG":                run.LevelInfo,
		`COTRAIN {"v":1,"kind":"event","level":"error"}`: run.LevelMachine,
		"":                             run.LevelInfo,
		"INFO: the ERROR counter is 0": run.LevelInfo,
	} {
		if got := logarchive.LevelOf([]byte(line)); got != want {
			t.Errorf("%q is %s, want %s", line, got, want)
		}
	}
}

func TestMarksCountAsJavaScriptDoes(t *testing.T) {
	t.Parallel()
	m, err := logarchive.NewMatcher(run.LogFilter{Rank: -1, Find: run.LogPattern{Text: "loss"}})
	if err != nil {
		t.Fatal(err)
	}
	if got := m.Marks("😀 \x1b[1mLoss\x1b[0m ü loss"); !reflect.DeepEqual(got, [][2]int{{3, 7}, {10, 14}}) {
		t.Error(got)
	}
}

func TestABadPatternIsRefused(t *testing.T) {
	t.Parallel()
	for _, p := range []run.LogPattern{{Text: "(", Regexp: true}, {Text: strings.Repeat("a", run.MaxLogPattern+1)}, {Text: `(?=x)`, Regexp: true}, {Text: "((a{100}){100}){10}", Regexp: true}, {Text: "a\nb"}, {Text: "\xff"}} {
		var errs run.FieldErrors
		if _, err := logarchive.NewMatcher(run.LogFilter{Rank: -1, Find: p}); !errors.Is(err, fault.ErrInvalid) || !errors.As(err, &errs) || errs[0].Field != "q" || errs[0].Rule == "" || errs[0].Fix == "" {
			t.Errorf("%.20q: %v", p.Text, err)
		}
	}
}
