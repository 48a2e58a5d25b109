package points

import (
	"context"
	"fmt"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/series"
	"github.com/cotrain/cotrain/internal/store/db"
)

const (
	// chunkPoints is how many points become one chunk. So many take more than a page: SQLite fills the pages of what does
	// not fit into one, and wastes a third of those of blobs that do. CotrainCore's metrics take 7.3 bytes a point so, 11.4
	// in chunks of 240, and 29 as rows.
	chunkPoints = 960
	// headPoints is how many of the newest points of a series stay rows: those that are read all the time, that workers in
	// step with each other still add to, and that are corrected.
	headPoints = 240
)

// kind is what all points of one chunk have in common.
type kind struct {
	attempt int
	exact   bool
	times   bool // steps above MaxStep, which are times and survive a rewind
}

// chunk is a chunk as it is stored.
type chunk struct {
	id          int64
	kind        kind
	first, last int64
	count       int
	data        []byte
}

const chunkColumns = `id, attempt, exact, first_step, last_step, count, data`

func scanChunk(row db.Scanner) (chunk, error) {
	var c chunk
	err := row.Scan(&c.id, &c.kind.attempt, &c.kind.exact, &c.first, &c.last, &c.count, &c.data)
	c.kind.times = c.first > run.MaxStep
	return c, err
}

// insertChunk stores points of ascending steps as one chunk.
func insertChunk(ctx context.Context, tx *db.Tx, id int64, kind kind, points []series.Point) error {
	data, err := series.EncodeChunk(points)
	if err != nil {
		return fmt.Errorf("series %d: %w", id, err)
	}
	st := series.StatsOf(points)
	_, err = tx.Exec(ctx, `INSERT INTO point_chunks (series, attempt, exact, first_step, last_step, count, nans, low, high, sum, first_at, last_at, data)
		VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?)`, id, kind.attempt, kind.exact, st.First, st.Last, st.Count, st.NaNs, st.Min, st.Max, st.Sum, st.FirstAt, st.LastAt, data)
	return err
}

// seriesName says which series that is, for an error.
func seriesName(ctx context.Context, tx db.Querier, id int64) string {
	var runID, metric string
	var rank int
	if err := tx.QueryRow(ctx, `SELECT run_id, metric, rank FROM series WHERE id = ?`, id).Scan(&runID, &metric, &rank); err != nil {
		return fmt.Sprintf("series %d", id)
	}
	return fmt.Sprintf("series %s of worker %d of %s", metric, rank, runID)
}
