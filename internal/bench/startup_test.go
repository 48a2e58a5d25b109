package bench

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"testing"
	"time"
)

// BenchmarkStartup starts `cotrain server --dev` on an empty folder and on a used one until the first page is served, and
// reads its resident memory when idle. The baseline is the same binary printing its version: what any start costs.
func BenchmarkStartup(b *testing.B) {
	const rounds = 7
	for range b.N {
		var fresh, used, base []time.Duration
		var rss float64
		for range rounds {
			dir := b.TempDir()
			began := time.Now()
			if err := exec.Command(binary, "version").Run(); err != nil {
				b.Fatal(err)
			}
			base = append(base, time.Since(began))
			d, s := firstPage(b, dir)
			fresh = append(fresh, d)
			time.Sleep(time.Second) // what it is like at rest
			rss = max(rss, residentMB(b, s.cmd.Process.Pid))
			_ = s.cmd.Process.Signal(os.Interrupt) // it may be gone already
			if _, err := s.cmd.Process.Wait(); err != nil {
				b.Fatal(err)
			}
			d, _ = firstPage(b, dir)
			used = append(used, d)
		}
		b.ReportMetric(ms(fresh), "ms-first-start(<300)")
		b.ReportMetric(ms(used), "ms-later-start(<300)")
		b.ReportMetric(ms(base), "ms-baseline-version")
		b.ReportMetric(ms(used)/ms(base), "ratio")
		b.ReportMetric(rss, "MB-resident-idle(<80)")
	}
}

// ms is the median in milliseconds.
func ms(ds []time.Duration) float64 {
	slices.Sort(ds)
	return float64(ds[len(ds)/2].Microseconds()) / 1000
}

func firstPage(b *testing.B, dir string, env ...string) (time.Duration, started) {
	b.Helper()
	began := time.Now()
	s := start(b, append(env, "COTRAIN_LISTEN=127.0.0.1:0", "COTRAIN_DATA_DIR="+dir), "server", "--dev")
	resp, err := http.Get("http://" + s.addr + "/")
	if err != nil {
		b.Fatal(err)
	}
	took := time.Since(began)
	if err := resp.Body.Close(); err != nil || resp.StatusCode != http.StatusOK {
		b.Fatalf("first page: %d, %v", resp.StatusCode, err)
	}
	return took, s
}

// residentMB reads VmRSS.
func residentMB(b *testing.B, pid int) float64 {
	b.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		b.Skipf("resident memory is read from /proc: %v", err)
	}
	_, rest, _ := bytes.Cut(status, []byte("VmRSS:"))
	kb, err := strconv.ParseFloat(string(bytes.Fields(rest)[0]), 64)
	if err != nil {
		b.Fatal(err)
	}
	return kb / 1024
}
