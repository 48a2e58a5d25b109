package cli

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/cotrain/cotrain/internal/logparse"
)

func TestParsePrintsWhatEachLineYields(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	c.url = "" // offline
	c.stdin = strings.Join([]string{
		"nothing",
		"{'loss': 0.5, 'entropy': 1.25, 'epoch': 0.5}\r",
		"Epoch 0:  22%|██▏       | 4/18 [00:17<01:02,  4.47s/it, loss=9.5]\rEpoch 0:  28%|██▊       | 5/18 [00:20<00:53,  4.14s/it, loss=9.25]",
		"\x00\xff\xe2\x82",
		"step: 7, loss: 0.123456789",
		"03:22:58 [INFO] [Rank 0] step: 12, loss: nan, mfu: 12.5, z_loss: -inf",
		"03:22:58 [INFO] [Rank 0] Saved checkpoint to /data/step_100 in 3.2 seconds",
		"{'loss': 0.5, 'epoch': 0.5}",
	}, "\n")
	want := `{"line":1,"step":null,"metrics":{"loss":0.5,"epoch":0.5},"extra":{"entropy":1.25}}
{"line":2,"step":5,"metrics":{"loss":9.25,"epoch":0}}
{"line":4,"step":7,"metrics":{"loss":0.123456789}}
{"line":5,"step":12,"metrics":{"loss":"NaN","mfu":12.5,"z_loss":"-Infinity"}}
{"line":6,"step":100,"metrics":{},"event":{"name":"checkpoint_saved","level":"info","message":"Saved checkpoint to /data/step_100 in 3.2 seconds","path":"/data/step_100","numbers":{"seconds":3.2}}}
`
	if got := c.cotrain("parse", "-").want(t, exitDone).out; got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func TestParseReadsTheFormatsOfASite(t *testing.T) {
	t.Parallel()
	b := newBinary(t, "")
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(b.dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("log", "[trainer] it=7 l=0.5 g=1.25\n")
	write("c.toml", "log_formats = ['acme: [{_}] it={step} l={loss} g={grad_norm}']\n")
	write("bad.toml", "log_formats = ['acme: it={step}']\n")
	want := `{"line":0,"step":7,"metrics":{"loss":0.5,"grad_norm":1.25}}`
	b.cotrain("parse", "--config", "c.toml", "log").want(t, exitDone, want)
	b.cotrain("parse", "--pattern", "it={step} l={loss} g={grad_norm}", "log").want(t, exitDone, want)
	b.cotrain("parse", "--format", "table", "--config", "c.toml", "log").want(t, exitDone, "LINE", "FORMAT", "7  acme            loss=0.5  grad_norm=1.25")
	if r := b.cotrain("parse", "log").want(t, exitDone); r.out != "" {
		t.Errorf("without the format: %s", r.out)
	}
	b.cotrain("parse", "--config", "bad.toml", "log").want(t, exitUsage, "log_formats", "names no metric", "add a place such as {loss}")
	b.cotrain("parse", "--pattern", "{step}{loss}", "log").want(t, exitUsage, "--pattern", "has nothing between {step} and the next place")
	b.cotrain("parse", "none").want(t, exitUsage, "none: no such file")
	b.cotrain("parse", b.dir).want(t, exitUsage, "is a folder, not a file")
}

func TestATableShowsHostileNamesInsteadOfObeyingThem(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	c.url = ""
	c.stdin = `{"step": 3, "loss": 1, "<b>\u202e\u001b[2J": 2, "<b>\u202e": 3}` + "\n"
	for _, format := range []string{"table", "json"} {
		out := c.cotrain("parse", "--format", format, "-").want(t, exitDone, `<b>\u202e`).out
		if strings.ContainsAny(out, "\x1b\u202e") {
			t.Errorf("%q", out)
		}
	}
}

// oneByOne is what parseLog must print: one parser reads line after line.
func oneByOne(log string) string {
	var p logparse.Parser
	var out []byte
	for i, line := range strings.Split(log, "\n") {
		if res := p.Line([]byte(line)); res.Kind != logparse.None {
			out = appendJSONLine(out, int64(i), &res)
		}
	}
	return string(out)
}

func TestBlocksParsedAheadPrintWhatOneParserDoes(t *testing.T) {
	t.Parallel()
	bars, core, long := &strings.Builder{}, &strings.Builder{}, &strings.Builder{}
	for i := range 40000 {
		fmt.Fprintf(bars, " 24%%|██▍       | %d/90000 [3:15:22<10:03:32,  4.57s/it]\n{'loss': %d.5, 'epoch': 0.24}\nEpoch 3: loss 2.5\n", i+1, i)
		fmt.Fprintf(core, "03:22:58 [INFO] [Rank 0] step: %d, loss: 4.%04d, tokens_per_second: %d.25\n", i, i, i)
	}
	long.WriteString(core.String()[:5000])
	long.WriteString("\nstep: 1, loss: 1.5" + strings.Repeat("\rx", 3<<20) + "\rstep: 2, loss: 2.5\n")
	long.WriteString("step: 3, loss: 1.5, note: " + strings.Repeat("x", 3<<20) + "\nstep: 4, loss: 4.5")
	for name, log := range map[string]string{
		"CotrainCore": core.String(), "bars": bars.String(), "one format after another": "Epoch 1: loss 3.5\n" + core.String()[:2<<20] + "\n" + bars.String(), "long lines": long.String(), "": "",
	} {
		want := oneByOne(log)
		for _, in := range []io.Reader{strings.NewReader(log), iotest.HalfReader(strings.NewReader(log))} {
			var out bytes.Buffer
			if err := parseLog(in, &out, nil, appendJSONLine); err != nil {
				t.Fatal(err)
			}
			if out.String() != want {
				t.Errorf("%s: %d bytes, want %d", name, out.Len(), len(want))
			}
		}
	}
}

func TestParseEndsWithTheFirstErrorOfItsReaderOrWriter(t *testing.T) {
	t.Parallel()
	log := strings.Repeat("step: 3, loss: 1.5\n", 1<<18)
	broken := errors.New("broken")
	if err := parseLog(io.MultiReader(strings.NewReader(log), iotest.ErrReader(broken)), io.Discard, nil, appendJSONLine); !errors.Is(err, broken) {
		t.Errorf("reader: %v", err)
	}
	r, w := io.Pipe()
	_ = r.CloseWithError(broken)
	if err := parseLog(strings.NewReader(log), w, nil, appendJSONLine); !errors.Is(err, broken) {
		t.Errorf("writer: %v", err)
	}
}

// coreLog is a log of CotrainCore of n bytes.
type coreLog struct{ line, left int }

func (e *coreLog) Read(p []byte) (int, error) {
	const text = "03:22:58 [INFO] [Rank 0] step: 12, loss: 4.1234, mfu: 12.34\n"
	if e.left <= 0 {
		return 0, io.EOF
	}
	for i := range p {
		p[i] = text[e.line]
		e.line = (e.line + 1) % len(text)
	}
	e.left -= len(p)
	return len(p), nil
}

// Not parallel: it measures memory.
func TestTheMemoryOfParseDoesNotGrowWithTheLog(t *testing.T) {
	peak := func(size int) uint64 {
		runtime.GC()
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if err := parseLog(&coreLog{left: size}, io.Discard, nil, appendJSONLine); err != nil {
			t.Fatal(err)
		}
		runtime.ReadMemStats(&after)
		return after.TotalAlloc - before.TotalAlloc
	}
	peak(8 << 20)
	if small, large := peak(8<<20), peak(64<<20); large > 3*small+32<<20 {
		t.Errorf("%d bytes allocated for 64 MiB, %d for 8 MiB", large, small)
	}
}

func TestNumbersArePrintedAsTheShortestThatReadTheSame(t *testing.T) {
	t.Parallel()
	for _, v := range []float64{0, 1, -1, 0.5, 12.34, 89174.58, 4.1234, -0.0001, 0.00015, 1e-5, 1e22, 123456789.1234, 0.1 + 0.2, 99999999999.9, 1e11, math.MaxFloat64, math.SmallestNonzeroFloat64, 5e-5, 0.99995} {
		got := string(appendNumber(nil, v))
		back, err := strconv.ParseFloat(got, 64)
		if shortest := strconv.FormatFloat(v, 'g', -1, 64); err != nil || back != v || len(got) > len(strconv.FormatFloat(v, 'f', -1, 64)) && len(got) > len(shortest) {
			t.Errorf("%v is printed as %s", v, got)
		}
	}
}
