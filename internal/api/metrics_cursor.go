package api

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store/points"
)

// metricPlace is where a page of values ended: at a value of one of the metrics that were asked for.
type metricPlace struct {
	metric int
	point  points.PageCursor
}

// cursorSum is how many bytes of a cursor tell what it belongs to.
const cursorSum = 12

// cursorEncoding has no characters that mean anything in an address, and one text for each sequence of bytes.
var cursorEncoding = base64.RawURLEncoding.Strict()

// cursor is a place as a client sees it. It holds a digest of everything else in the request that decides which values come
// next, so that it continues the request that it came from and no other.
func (q *metricsQuery) cursor(p metricPlace) string {
	b := binary.AppendVarint(nil, int64(p.metric))
	b = binary.AppendVarint(b, int64(p.point.Rank))
	b = binary.AppendVarint(b, p.point.Step)
	return cursorEncoding.EncodeToString(append(q.sum(b), b...))
}

// place reads a cursor. What is none of this request's own is a [Problem].
func (q *metricsQuery) place(cursor string) (metricPlace, error) {
	bad := invalid("query", run.FieldError{
		Field: "after", Value: cursor, Rule: "is not the next of a page of this request",
		Fix: "use the next of the previous page and leave all but limit as it was, or leave after out to begin again",
	})
	b, err := cursorEncoding.DecodeString(cursor)
	if err != nil || len(b) < cursorSum || !bytes.Equal(b[:cursorSum], q.sum(b[cursorSum:])) {
		return metricPlace{}, bad
	}
	in := bytes.NewReader(b[cursorSum:])
	var parts [3]int64
	for i := range parts {
		if parts[i], err = binary.ReadVarint(in); err != nil {
			return metricPlace{}, bad
		}
	}
	p := metricPlace{int(parts[0]), points.PageCursor{Rank: int(parts[1]), Step: parts[2]}}
	if in.Len() > 0 || p.metric < 0 || p.metric >= len(q.metrics) {
		return metricPlace{}, bad
	}
	return p, nil
}

// sum is the digest of the request and a place in it.
func (q *metricsQuery) sum(place []byte) []byte {
	h := sha256.New()
	_, _ = fmt.Fprintf(h, "%s %s %d %d %q ", q.run, q.Mode, q.Worker, q.From, q.metrics) // a hash takes everything
	_, _ = h.Write(place)
	return h.Sum(nil)[:cursorSum]
}
