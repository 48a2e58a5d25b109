package bench

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

// parseMiB is the size of the log; COTRAIN_BENCH_PARSE_MIB=1024 takes one of 1 GiB.
const parseMiB = 256

// BenchmarkParse reads a log of CotrainCore's lines with cotrain parse and with grep -c, in turns; it counts the fastest of three.
// The ratio should be at most 3.
func BenchmarkParse(b *testing.B) {
	mib := parseMiB
	if n, err := strconv.Atoi(os.Getenv("COTRAIN_BENCH_PARSE_MIB")); err == nil && n > 0 {
		mib = n
	}
	log := filepath.Join(b.TempDir(), "log")
	lines, err := writeCoreLog(log, mib<<20)
	if err != nil {
		b.Fatal(err)
	}
	out, err := os.Create(filepath.Join(b.TempDir(), "out")) // grep stops at the first match when it writes to /dev/null
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = out.Close() }() // nobody reads it
	run := func(stdout *os.File, name string, args ...string) time.Duration {
		start := time.Now()
		cmd := exec.Command(name, args...) // #nosec G204 -- the benchmark's own
		cmd.Stdout = stdout
		if err := cmd.Run(); err != nil {
			b.Fatalf("%s: %v", name, err)
		}
		return time.Since(start)
	}
	for b.Loop() {
		grep, parse := time.Hour, time.Hour
		for range 3 {
			grep = min(grep, run(out, "grep", "-c", "loss", log))
			parse = min(parse, run(nil, binary, "parse", log))
		}
		b.ReportMetric(float64(lines)/parse.Seconds(), "lines/s")
		b.ReportMetric(float64(mib)/parse.Seconds(), "MiB/s")
		b.ReportMetric(parse.Seconds()/grep.Seconds(), "times-grep")
	}
}

// writeCoreLog writes about size bytes and returns the number of lines.
func writeCoreLog(name string, size int) (lines int, err error) {
	f, err := os.Create(name) // #nosec G304 -- the benchmark's own
	if err != nil {
		return 0, err
	}
	r := rand.New(rand.NewPCG(3, 14))
	w := bufio.NewWriterSize(f, 1<<20)
	for written := 0; written < size; lines++ {
		tps := 80000 + 9000*r.Float64()
		n, err := fmt.Fprintf(w, "%02d:%02d:%02d [INFO] [Rank 0] step: %d, loss: %.4f, tokens_per_second: %.2f, mfu: %.2f, diloco_peers: %d\n",
			lines/3600%24, lines/60%60, lines%60, lines, 3+6*r.Float64(), tps, tps/5000, 1+r.IntN(4))
		if err != nil {
			return 0, err
		}
		written += n
	}
	if err := w.Flush(); err != nil {
		return 0, err
	}
	return lines, f.Close()
}
