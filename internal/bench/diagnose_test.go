package bench

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"
)

// BenchmarkDiagnose looks for the cause of a failure with cotrain diagnose in a log of CotrainCore's lines, each of which has a
// loss, and counts a word with grep -c, in turns; it counts the fastest of three. The ratio should be at most 4.
// COTRAIN_BENCH_PARSE_MIB=1024 takes a log of 1 GiB.
func BenchmarkDiagnose(b *testing.B) {
	mib := parseMiB
	if n, err := strconv.Atoi(os.Getenv("COTRAIN_BENCH_PARSE_MIB")); err == nil && n > 0 {
		mib = n
	}
	log := filepath.Join(b.TempDir(), "log")
	if _, err := writeCoreLog(log, mib<<20); err != nil {
		b.Fatal(err)
	}
	f, err := os.OpenFile(log, os.O_APPEND|os.O_WRONLY, 0) // #nosec G304 -- the benchmark's own
	if err != nil {
		b.Fatal(err)
	}
	if _, err := f.WriteString("RuntimeError: CUDA error: an illegal memory access was encountered\n"); err != nil { // grep fails where nothing matches
		b.Fatal(err)
	}
	if err := f.Close(); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		grep := fastestGrep(b, "Error", log)
		diagnose := fastest(b, nil, binary, "diagnose", log)
		b.ReportMetric(float64(mib)/diagnose.Seconds(), "MiB/s")
		b.ReportMetric(diagnose.Seconds()/grep.Seconds(), "times-grep")
	}
}
