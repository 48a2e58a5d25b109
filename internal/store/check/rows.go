package check

import (
	"context"
	"fmt"

	"github.com/cotrain/cotrain/internal/store/db"
	"github.com/cotrain/cotrain/internal/store/points"
)

// batch is how many rows are read at once.
const batch = 500

// reference says that a column names a row of another table.
type reference struct{ table, column, in, key string }

// references are all but that of orders, which outlive their run.
func references() []reference {
	out := []reference{{"points", "series", "series", "id"}, {"point_chunks", "series", "series", "id"}, {"run_texts", "id", "runs", "id"}}
	for _, table := range RunTables() {
		out = append(out, reference{table, "run_id", "runs", "id"})
	}
	return out
}

// RunTables are the tables whose rows belong to the run in run_id.
func RunTables() []string {
	return []string{"attempts", "checkpoints", "curve_blocks", "curve_columns", "events", "log_blocks", "log_chunks", "repeats", "run_labels", "run_metrics", "run_results", "series", "stale_curves", "stale_metrics", "streams", "workers"}
}

// orphans looks for rows of what does not exist.
func (c *checker) orphans(ctx context.Context) error {
	for _, r := range references() {
		var err error
		if r.in == "series" {
			err = orphansOf(ctx, c, PointsUnknown, r, int64(0))
		} else {
			err = orphansOf(ctx, c, Orphan, r, "") // series of deleted runs have ""
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func orphansOf[K int64 | string](ctx context.Context, c *checker, kind Kind, r reference, after K) error {
	type named struct {
		key     K
		missing bool
	}
	q := fmt.Sprintf(`SELECT n.%[2]s, CASE WHEN i.%[4]s IS NULL THEN 1 ELSE 0 END FROM (SELECT DISTINCT %[2]s FROM %[1]s WHERE %[2]s > ? ORDER BY %[2]s LIMIT ?) AS n
		LEFT JOIN %[3]s i ON i.%[4]s = n.%[2]s ORDER BY n.%[2]s`, r.table, r.column, r.in, r.key)
	for {
		keys, err := db.Select(ctx, c.db, func(row db.Scanner) (n named, err error) { return n, row.Scan(&n.key, &n.missing) }, q, after, batch)
		if err != nil || len(keys) == 0 {
			return err
		}
		for _, k := range keys {
			if k.missing {
				c.tell(kind, "table "+r.table, fmt.Sprintf("%s = %v is not in %s", r.column, k.key, r.in), nil)
			}
		}
		after = keys[len(keys)-1].key
	}
}

// chunks compares chunks of points with their columns.
func (c *checker) chunks(ctx context.Context) error {
	for after, more := int64(0), true; more; {
		err := c.read(ctx, func(s *db.Snapshot) error {
			last, read, faults, err := points.CheckChunks(ctx, s, after)
			c.report.Chunks += read
			for _, f := range faults {
				where := fmt.Sprintf("chunk %d of %s", f.ID, f.Series)
				if f.Damaged != nil {
					c.unread[f.Run] = true
					c.tell(ChunkDamaged, where, f.Damaged.Error(), nil)
				} else {
					c.tell(Chunk, where, fmt.Sprintf("of its %d points %d are NaN, and the others from %g to %g", f.Stats.Count, f.Stats.NaNs, f.Stats.Min, f.Stats.Max), f.Repair)
				}
			}
			after, more = last, read > 0
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}
