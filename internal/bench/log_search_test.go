package bench

import (
	"bytes"
	"cmp"
	"database/sql"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cotrain/cotrain/internal/logfile"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store"
	"github.com/cotrain/cotrain/internal/store/storetest"
)

// storedLog is a log in a console's archive, and the same as text.
type storedLog struct {
	dir    string // of the store
	store  *store.Store
	id     run.ID
	blocks []string // files of the archive, in order
	text   string   // file
	size   int64    // of the text, in bytes
}

// needle is a text that one line in the middle of the log has.
const needle = "Traceback of needle-7f3a"

// archived writes a log of CotrainCore's lines of four workers (see logMiB), in batches as they come from a follower that catches up, or
// as they come while a run trains.
func archived(b *testing.B, mib, batch int) storedLog {
	b.Helper()
	dir := b.TempDir()
	l := storedLog{text: filepath.Join(b.TempDir(), "log"), id: "r-0000000000", dir: dir}
	if _, err := writeCoreLog(l.text, mib<<20); err != nil {
		b.Fatal(err)
	}
	text, err := os.ReadFile(l.text)
	if err != nil {
		b.Fatal(err)
	}
	middle := bytes.LastIndexByte(text[:len(text)/2], '\n') + 1
	text = slices.Insert(text, middle, []byte(needle+"\n")...)
	if err := os.WriteFile(l.text, text, 0o600); err != nil {
		b.Fatal(err)
	}
	l.size = int64(len(text))
	if l.store, err = store.Open(b.Context(), dir); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = l.store.Close() }) // nothing of it is wanted
	if err := storetest.FillRun(b.Context(), l.store, 0); err != nil {
		b.Fatal(err)
	}
	cursors := map[int]store.Cursor{}
	at := time.UnixMilli(1_700_000_000_000)
	for n := 0; len(text) > 0; n++ {
		piece := text
		if len(piece) > batch {
			piece = text[:bytes.LastIndexByte(text[:batch], '\n')+1]
		}
		text = text[len(piece):]
		rank := 2 + n%4 // the filled run's own workers are others
		from := cursors[rank]
		to := store.Cursor{File: "f.0", Offset: from.Offset + int64(len(piece)), Parser: "{}"}
		cursors[rank] = to
		at = at.Add(time.Duration(n%7) * 37 * time.Millisecond)
		if err := l.store.Commit(b.Context(), []*store.Batch{{RunID: l.id, AllocID: fmt.Sprint("bench-", rank), Stream: "stdout", Rank: rank, Attempt: 1, At: at, From: from, To: to, Log: piece}}); err != nil {
			b.Fatal(err)
		}
		if n%(4*store.SealBytes/batch+1) == 0 {
			if err := l.store.Seal(b.Context(), l.id, store.SealBytes); err != nil {
				b.Fatal(err)
			}
		}
	}
	if err := l.store.Seal(b.Context(), l.id, 1); err != nil {
		b.Fatal(err)
	}
	if l.blocks, err = filepath.Glob(filepath.Join(dir, "logs", "*", "*.zst")); err != nil || len(l.blocks) == 0 {
		b.Fatal("no blocks: ", err)
	}
	return l
}

// grep is the time of zstd -dc on the blocks and grep -c, the fastest of three.
func (l storedLog) grep(b *testing.B, p run.LogPattern) time.Duration {
	b.Helper()
	flags := "-Ec"
	if !p.Case {
		flags = "-iEc"
	}
	count := filepath.Join(b.TempDir(), "count")
	script := "zstd -dc -- " + strings.Join(l.blocks, " ") + " | grep " + flags + " -- '" + p.Text + "' >" + count + "; test -s " + count // grep fails where it finds nothing
	return fastest(b, nil, "sh", "-c", script)
}

// search is the time of a search, the fastest of three, and of its first hit.
func (l storedLog) search(b *testing.B, f run.LogFilter) (all, first time.Duration, hits int) {
	b.Helper()
	all = time.Hour
	for range 3 {
		began := time.Now()
		hits, first = 0, 0
		err := l.store.SearchLog(b.Context(), l.id, f, func(found run.LogFound) error {
			if hits += found.Hits; first == 0 && hits > 0 {
				first = time.Since(began)
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
		all = min(all, time.Since(began))
	}
	return all, first, hits
}

// BenchmarkLogSearch searches an archived log (COTRAIN_BENCH_PARSE_MIB=1024 takes one of 1 GiB). The baseline is zstd -dc | grep -c on the
// same blocks.
func BenchmarkLogSearch(b *testing.B) {
	l := archived(b, logMiB(), 64<<10)
	for _, c := range []struct {
		name, limit string
		find        run.LogPattern
	}{
		{"rare", "ratio(<=0.3)", run.LogPattern{Text: needle, Case: true}},
		{"rare-any-case", "ratio(<=0.3)", run.LogPattern{Text: strings.ToUpper(needle)}},
		{"absent", "ratio(<=0.3)", run.LogPattern{Text: "CUDA error|NCCL (WARN|ERROR)", Regexp: true, Case: true}},
		{"frequent", "ratio(<=1.5)", run.LogPattern{Text: "loss", Case: true}},
		{"frequent-any-case", "ratio(<=1.5)", run.LogPattern{Text: "loss"}},
		{"frequent-expression", "ratio(<=1.5)", run.LogPattern{Text: "loss: [34][.]1", Regexp: true, Case: true}},
	} {
		b.Run(c.name, func(b *testing.B) {
			for range b.N {
				all, first, hits := l.search(b, run.LogFilter{Rank: -1, Machine: true, Find: c.find})
				grep := l.grep(b, c.find)
				b.ReportMetric(float64(all.Microseconds())/1000, "ms")
				b.ReportMetric(float64(first.Microseconds())/1000, "ms-first-hit(<100)")
				b.ReportMetric(float64(grep.Microseconds())/1000, "ms-baseline-zstd-grep")
				b.ReportMetric(float64(hits), "hits")
				b.ReportMetric(all.Seconds()/grep.Seconds(), c.limit)
			}
		})
	}
	b.Run("memory", func(b *testing.B) {
		for range b.N {
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			l.search(b, run.LogFilter{Rank: -1, Machine: true, Find: run.LogPattern{Text: "[0-9]e[0-9]", Regexp: true}})
			runtime.ReadMemStats(&after)
			b.ReportMetric((float64(after.HeapSys)-float64(before.HeapSys))/(1<<20), "MiB-more-heap")
		}
	})
	b.Run("page", func(b *testing.B) { // what the log's tab asks when one jumps to the middle
		for range b.N {
			var took []time.Duration
			for n := range 40 {
				began := time.Now()
				from := l.size / 110 * int64(n) / 40
				if _, err := l.store.LogLines(b.Context(), l.id, run.LogFilter{Rank: -1}, run.LogSpot{Line: &from}, 200); err != nil {
					b.Fatal(err)
				}
				took = append(took, time.Since(began))
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "ms-median-jump")
		}
	})
}

// BenchmarkLogSize compares the archive with its index against zstd -3 of the same text: as it is caught up with, and as it comes line by
// line while a run trains.
func BenchmarkLogSize(b *testing.B) {
	for name, batch := range map[string]int{"caught-up": 64 << 10, "live": 512} {
		b.Run(name, func(b *testing.B) {
			for range b.N {
				mib := min(logMiB(), 64)
				if batch < 1024 {
					mib = 16 // each batch is a transaction
				}
				l := archived(b, mib, batch)
				size := l.indexed(b)
				for _, name := range l.blocks {
					info, err := os.Stat(name)
					if err != nil {
						b.Fatal(err)
					}
					size += info.Size()
				}
				whole, err := exec.Command("zstd", "-3", "-c", "-q", l.text).Output()
				if err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(float64(size)/float64(l.size), "of-text")
				b.ReportMetric(float64(len(whole))/float64(l.size), "of-text-baseline-zstd-3")
				b.ReportMetric(float64(size)/float64(len(whole)), "ratio(<=1.15)")
			}
		})
	}
}

// indexed is the size of what the database holds of the blocks.
func (l storedLog) indexed(b *testing.B) (size int64) {
	b.Helper()
	conn, err := sql.Open("sqlite", filepath.Join(l.dir, "cotrain.db"))
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = conn.Close() }() // nothing was written
	if err := conn.QueryRow(`SELECT sum(length(counts) + length(trigrams)) FROM log_blocks`).Scan(&size); err != nil {
		b.Fatal(err)
	}
	return size
}

// BenchmarkLogDownload writes an archived log as text, plain and compressed. The baseline is zstd -dc | gzip -1 on the same blocks.
func BenchmarkLogDownload(b *testing.B) {
	l := archived(b, logMiB(), 64<<10)
	for _, compress := range []string{"", "gzip", "zstd"} {
		b.Run(cmp.Or(compress, "plain"), func(b *testing.B) {
			f := logfile.File{Filter: run.AllLines(), Format: "text", Compress: compress}
			for range b.N {
				took := time.Hour
				for range 3 {
					began := time.Now()
					if _, err := f.Write(b.Context(), l.store, l.id, io.Discard); err != nil {
						b.Fatal(err)
					}
					took = min(took, time.Since(began))
				}
				gzip := fastest(b, nil, "sh", "-c", "zstd -dc -- "+strings.Join(l.blocks, " ")+" | gzip -1 >/dev/null")
				mib := float64(l.size) / (1 << 20)
				b.ReportMetric(mib/took.Seconds(), "MiB/s")
				b.ReportMetric(mib/gzip.Seconds(), "MiB/s-baseline-zstd-gzip-1")
				b.ReportMetric(gzip.Seconds()/took.Seconds(), "ratio(>=1)")
			}
		})
	}
}
