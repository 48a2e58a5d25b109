package points

import "context"

// SetPointsPerChunk makes chunks small enough for a test; as many of the newest points stay rows.
func (ps *Points) SetPointsPerChunk(n int) { ps.sealer.perChunk, ps.sealer.keep = n, n }

// CountPoints returns how many points are rows, and how many chunks there are.
func (ps *Points) CountPoints(ctx context.Context) (rows, chunks int, err error) {
	err = ps.db.QueryRow(ctx, `SELECT (SELECT count(*) FROM points), (SELECT count(*) FROM point_chunks)`).Scan(&rows, &chunks)
	return rows, chunks, err
}
