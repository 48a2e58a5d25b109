package bench

import (
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store/storetest"
)

// BenchmarkListAnyFilterAndOrder measures a page of 100 000 runs under each filter in each order, in each database: the median and the 99th
// percentile of all, with the first in each order, against the plain page of the newest; what the catalog takes in memory; and how long a
// list waits that comes before it is read.
func BenchmarkListAnyFilterAndOrder(b *testing.B) {
	const n, rounds = 100_000, 5
	filters := []run.RunFilter{
		{}, {Archived: run.WithoutArchived}, {Archived: run.OnlyArchived}, {Tags: []string{storetest.FrequentTag}}, {Tags: []string{"tag-7"}}, {Tags: []string{storetest.FrequentTag}, Node: storetest.FrequentNode},
		{Node: storetest.FrequentNode}, {Node: "node-7"}, {Model: "7b"}, {Model: "debug-1"}, {Owner: "ann"}, {Owner: "user-3"}, {Owner: "ann", Model: "7b"}, {States: []run.State{run.Failed}},
		{States: []run.State{run.Queued, run.Stopped}}, {Text: storetest.RareText}, {Text: storetest.FrequentText}, {Text: storetest.NoText}, {Text: storetest.FrequentText, Tags: []string{"tag-7"}},
		{Projects: run.InProjects(storetest.SomeProject)}, {Projects: run.InProjects(storetest.TinyProject)}, {Since: time.Date(2025, 2, 1, 0, 0, 0, 0, time.UTC)},
		{Tags: []string{storetest.FrequentTag}, Owner: "ann"}, {Node: storetest.FrequentNode, States: []run.State{run.Failed}}, // of many each, and none of both
	}
	orders := []string{"", "created", "name", "-name", "-owner", "step", "-loss", "throughput", "-duration", "-ended", "metric:loss:last", "-metric:eval/loss:low", "metric:none:last"}
	for _, d := range databases(b) {
		storetest.Many(b, d.store, d.sql, n)
		if d.name == "postgresql" {
			if _, err := d.sql.ExecContext(b.Context(), `VACUUM ANALYZE`); err != nil { // as autovacuum does in time
				b.Fatal(err)
			}
		}
		took := func(f run.RunFilter) time.Duration {
			if f.Projects.None() {
				f.Projects = run.AllProjects()
			}
			f.Limit = 50
			began := time.Now()
			if _, err := d.store.ListRuns(b.Context(), f); err != nil {
				b.Fatal(err)
			}
			return time.Since(began)
		}
		b.Run(d.name, func(b *testing.B) {
			for range b.N {
				before := heap()
				began := time.Now()
				if err := d.store.Warm(b.Context()); err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(float64(time.Since(began).Milliseconds()), "ms-to-read")
				var plain, all []time.Duration
				for _, f := range filters {
					for _, order := range orders {
						var err error
						if f.Order, err = run.ParseOrder(order); err != nil {
							b.Fatal(err)
						}
						for range rounds {
							t := took(f)
							if all, plain = append(all, t), append(plain, took(run.RunFilter{})); t > 30*time.Millisecond {
								b.Logf("%v: %s of %+v", t, order, f)
							}
						}
					}
				}
				slices.Sort(all)
				slices.Sort(plain)
				p50, p99 := all[len(all)/2], all[len(all)*99/100]
				b.ReportMetric(float64(p50.Microseconds())/1000, "ms-median")
				b.ReportMetric(float64(p99.Microseconds())/1000, "ms-p99(<30)")
				b.ReportMetric(p99.Seconds()/plain[len(plain)/2].Seconds(), "p99-of-the-newest")
				b.ReportMetric((heap()-before)/n, "bytes-a-run")
			}
		})
	}
}

// heap is how many bytes are in use.
func heap() float64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc)
}
