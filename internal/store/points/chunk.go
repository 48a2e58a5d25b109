package points

import (
	"context"
	"fmt"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/series"
	"github.com/cotrain/cotrain/internal/store/db"
)

const (
	// chunkPoints is the most points per chunk, 2048 where there is one of each step: see cutAt. Their blobs take a few pages on purpose: of SQLite's pages, chunks of 960 waste 1.2
	// bytes a point, of 2560 0.45 and of 4096 0.35. More would cost a live run, whose newest points are rows of 29 bytes.
	chunkPoints = 2560
	// headPoints is how many of a series' newest points stay rows, since they are read, merged and corrected.
	headPoints = 240
)

// kind is what the points of a chunk share.
type kind struct {
	attempt int
	exact   bool
	times   bool // steps above MaxStep: times, which survive a rewind
}

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

// seriesName names a series in an error.
func seriesName(ctx context.Context, tx db.Querier, id int64) string {
	var runID, metric string
	var rank, attempt int
	if err := tx.QueryRow(ctx, `SELECT run_id, metric, rank, attempt FROM series WHERE id = ?`, id).Scan(&runID, &metric, &rank, &attempt); err != nil {
		return fmt.Sprintf("series %d", id)
	}
	return fmt.Sprintf("series %s of worker %d of %s in attempt %d", metric, rank, runID, attempt)
}
