package bench

import (
	"database/sql"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cotrain/cotrain/internal/store"
	"github.com/cotrain/cotrain/internal/store/storetest"
)

// BenchmarkSearch asks a console with 100 000 runs what the search dialog asks while one types. The baseline is the list of
// runs, filtered by the same texts on the same console.
func BenchmarkSearch(b *testing.B) {
	const runs, rounds = 100_000, 40
	dir := b.TempDir()
	fillEnded(b, dir, runs)
	c := start(b, []string{"COTRAIN_LISTEN=127.0.0.1:0", "COTRAIN_DATA_DIR=" + dir}, "server", "--dev")
	texts := []string{"", "l", "ll", "llama", storetest.FrequentText, storetest.OldText, storetest.RareText, storetest.NoText, "7b", "rates", "batch size", "local-1"}
	for range b.N {
		var search, list []time.Duration
		for round := range rounds {
			for _, text := range texts {
				s := ask(b, "http://"+c.addr+"/search?q="+url.QueryEscape(text))
				l := ask(b, "http://"+c.addr+"/?q="+url.QueryEscape(text))
				if round > 0 { // the first is cold
					search, list = append(search, s), append(list, l)
				}
			}
		}
		slices.Sort(search)
		slices.Sort(list)
		at := func(took []time.Duration, q float64) float64 {
			return float64(took[int(q*float64(len(took)-1))].Microseconds()) / 1000
		}
		b.ReportMetric(at(search, 0.5), "ms-median")
		b.ReportMetric(at(search, 0.99), "ms-p99(<50)")
		b.ReportMetric(at(list, 0.5), "ms-median-baseline-list")
		b.ReportMetric(at(list, 0.99), "ms-p99-baseline-list")
		b.ReportMetric(at(search, 0.5)/at(list, 0.5), "ratio(<=1)")
	}
}

// fillEnded stores runs that have all ended, so that the console has nothing else to do.
func fillEnded(b *testing.B, dir string, n int) {
	b.Helper()
	s, err := store.Open(b.Context(), dir)
	if err != nil {
		b.Fatal(err)
	}
	conn, err := sql.Open("sqlite", filepath.Join(dir, "cotrain.db")+"?_pragma=busy_timeout(5000)")
	if err != nil {
		b.Fatal(err)
	}
	storetest.Many(b, s, conn, n)
	for _, q := range []string{
		`UPDATE runs SET state = 'succeeded' WHERE state NOT IN ('succeeded', 'failed', 'stopped')`, `DELETE FROM log_chunks`, `DELETE FROM stale_curves`, `DELETE FROM stale_metrics`, `DELETE FROM streams`,
	} {
		if _, err := conn.ExecContext(b.Context(), q); err != nil {
			b.Fatal(err)
		}
	}
	if err := conn.Close(); err != nil {
		b.Fatal(err)
	}
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
}

// ask returns how long an answer took that htmx asked for.
func ask(b *testing.B, address string) time.Duration {
	b.Helper()
	r, err := http.NewRequestWithContext(b.Context(), http.MethodGet, address, nil)
	if err != nil {
		b.Fatal(err)
	}
	r.Header.Set("HX-Request", "true")
	began := time.Now()
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		b.Fatal(err)
	}
	answer, err := io.ReadAll(resp.Body)
	took := time.Since(began)
	if closing := resp.Body.Close(); err != nil || closing != nil || resp.StatusCode != http.StatusOK || !strings.Contains(string(answer), "<") {
		b.Fatalf("%s: status %d, %v, %v", address, resp.StatusCode, err, closing)
	}
	return took
}
