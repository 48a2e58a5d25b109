package ingest

import (
	"hash/fnv"

	"github.com/cotrain/cotrain/internal/run"
)

// maxSeen bounds the metrics by whose repetition a new report is known.
const maxSeen = 32

// reports numbers the reports of a stream that never tells a step. A report ends where one of its metrics comes again, so the n-th
// loss is at step n, and an evaluation between two of them at the earlier one's.
type reports struct {
	Number int64    `json:"number,omitempty"`
	Seen   []uint32 `json:"seen,omitempty"` // hashes of the names in the last report
}

// next returns the number of the report to which metrics belong.
func (r *reports) next(metrics []run.Metric) int64 {
	again := r.Number == 0
	for _, m := range metrics {
		again = again || m.Name != "epoch" && r.has(hash(m.Name)) // each report tells the epoch, evaluations too
	}
	if again {
		r.Number++
		r.Seen = r.Seen[:0]
	}
	for _, m := range metrics {
		if h := hash(m.Name); len(r.Seen) < maxSeen && !r.has(h) {
			r.Seen = append(r.Seen, h)
		}
	}
	return r.Number
}

func (r *reports) has(h uint32) bool {
	for _, seen := range r.Seen {
		if seen == h {
			return true
		}
	}
	return false
}

func hash(name string) uint32 {
	h := fnv.New32a()
	_, _ = h.Write([]byte(name)) // never fails
	return h.Sum32()
}
