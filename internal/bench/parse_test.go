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

// logMiB is the size of a log; COTRAIN_BENCH_PARSE_MIB=1024 takes one of 1 GiB.
func logMiB() int {
	if n, err := strconv.Atoi(os.Getenv("COTRAIN_BENCH_PARSE_MIB")); err == nil && n > 0 {
		return n
	}
	return 256
}

// BenchmarkParse reads a log of CotrainCore's lines with cotrain parse and with grep -c, in turns; it counts the fastest of three.
// The ratio should be at most 3.
func BenchmarkParse(b *testing.B) {
	mib := logMiB()
	log := filepath.Join(b.TempDir(), "log")
	lines, err := writeCoreLog(log, mib<<20)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		grep := fastestGrep(b, "loss", log)
		parse := fastest(b, nil, binary, "parse", log)
		b.ReportMetric(float64(lines)/parse.Seconds(), "lines/s")
		b.ReportMetric(float64(mib)/parse.Seconds(), "MiB/s")
		b.ReportMetric(parse.Seconds()/grep.Seconds(), "times-grep")
	}
}

// fastest runs a command three times and returns the shortest time.
func fastest(b *testing.B, stdout *os.File, name string, args ...string) time.Duration {
	b.Helper()
	shortest := time.Hour
	for range 3 {
		start := time.Now()
		cmd := exec.Command(name, args...) // #nosec G204 -- the benchmark's own
		if stdout != nil {
			cmd.Stdout = stdout
		}
		if err := cmd.Run(); err != nil {
			b.Fatalf("%s: %v", name, err)
		}
		shortest = min(shortest, time.Since(start))
	}
	return shortest
}

// fastestGrep counts the lines with a word; the count goes to a file, since grep stops at the first match when it writes to /dev/null.
func fastestGrep(b *testing.B, word, log string) time.Duration {
	b.Helper()
	out, err := os.Create(filepath.Join(b.TempDir(), "out"))
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = out.Close() }() // nobody reads it
	return fastest(b, out, "grep", "-c", word, log)
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
