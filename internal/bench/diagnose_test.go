package bench

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
)

// BenchmarkDiagnose looks for the cause of a failure with cotrain diagnose in a log of CotrainCore's lines, each of which has a
// loss, and counts a word with grep -c, in turns; it counts the fastest of three. The ratio should be at most 4.
// COTRAIN_BENCH_PARSE_MIB=1024 takes a log of 1 GiB.
func BenchmarkDiagnose(b *testing.B) {
	mib := logMiB()
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

// BenchmarkDiagnoseDense takes a log in which nearly every line looks like an error: the lines of all known failures, again and again. There is
// no bound for its ratio to grep -c, which reads no further than the first word of each line. COTRAIN_BENCH_PARSE_MIB sets its size, too.
func BenchmarkDiagnoseDense(b *testing.B) {
	lines, err := failureLines("../logparse/testdata/cases.jsonl")
	if err != nil {
		b.Fatal(err)
	}
	mib := logMiB()
	log := filepath.Join(b.TempDir(), "log")
	if err := os.WriteFile(log, bytes.Repeat(lines, mib<<20/len(lines)+1), 0o600); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		grep := fastestGrep(b, "Error", log)
		diagnose := fastest(b, nil, binary, "diagnose", log)
		b.ReportMetric(float64(mib)/diagnose.Seconds(), "MiB/s")
		b.ReportMetric(diagnose.Seconds()/grep.Seconds(), "times-grep")
	}
}

// failureLines are the lines of the cases of a file, without those that are of great length.
func failureLines(name string) ([]byte, error) {
	f, err := os.Open(name) // #nosec G304 -- of the repository
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // only read
	var out []byte
	for in := json.NewDecoder(f); ; {
		var c struct {
			Kind  string `json:"kind"`
			Lines []any  `json:"lines"`
		}
		if err := in.Decode(&c); errors.Is(err, io.EOF) {
			return out, nil
		} else if err != nil {
			return nil, err
		}
		for _, line := range c.Lines {
			if text, ok := line.(string); ok && c.Kind != "metrics" {
				out = append(append(out, text...), '\n')
			}
		}
	}
}
