package points

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store/db"
)

// Used returns the newest value of each metric of what a live run's machines use, if it was measured since a time. Of a run that has
// ended there is none: its points are in chunks.
func (ps *Points) Used(ctx context.Context, id run.ID, since time.Time) (run.Used, error) {
	type value struct {
		metric string
		rank   int
		value  float64
	}
	rows, err := db.Select(ctx, ps.db, func(row db.Scanner) (v value, err error) {
		return v, row.Scan(&v.metric, &v.rank, &v.value)
	}, `SELECT s.metric, s.rank, p.value FROM series s JOIN points p ON p.series = s.id AND p.step = (SELECT max(step) FROM points WHERE series = s.id)
		WHERE s.run_id = ? AND s.metric >= ? AND s.metric < ? AND p.step >= ? AND p.value IS NOT NULL`,
		id, run.SystemPrefix, strings.TrimSuffix(run.SystemPrefix, "/")+"0", db.Millis(since)) // 0 comes after the slash
	if err != nil {
		return nil, fmt.Errorf("what %s uses: %w", id, err)
	}
	out := run.Used{}
	for _, v := range rows {
		if out[v.rank] == nil {
			out[v.rank] = map[string]float64{}
		}
		out[v.rank][strings.TrimPrefix(v.metric, run.SystemPrefix)] = v.value
	}
	return out, nil
}
