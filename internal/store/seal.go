package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/logarchive"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store/db"
)

// SealBytes is how much of a run's log stays as rows.
const SealBytes = logarchive.BlockBytes

// Seal moves a run's oldest lines into archive blocks while at least atLeast bytes are unsealed. The blob comes first
// and its row commits with the removal of the chunks, so a kill leaves at most a blob that is written again under the
// same name.
func (s *Store) Seal(ctx context.Context, id run.ID, atLeast int) error {
	for {
		chunks, size, err := s.oldestChunks(ctx, id)
		if err != nil {
			return fmt.Errorf("seal log of %s: %w", id, err)
		}
		if size == 0 || size < atLeast {
			return nil
		}
		about := logarchive.Describe(chunks)
		name := fmt.Sprintf("%s/%012d.zst", id, about.First)
		data := logarchive.Encode(chunks)
		if err := s.blobs.Put(ctx, name, data); err != nil {
			return err
		}
		err = s.db.Write(ctx, func(tx *db.Tx) error {
			if err := tx.Require(ctx, "runs", string(id)); err != nil {
				return err
			}
			if _, err := tx.Exec(ctx, `INSERT INTO log_blocks (run_id, first_chunk, last_chunk, ranks, bytes, blob, since, until, counts, trigrams, sum, size) VALUES (?,?,?,?,?,?,?,?,?,?,?,?)`,
				id, about.First, about.Last, ranks(chunks), size, name, about.Since, about.Until, logarchive.AppendCounts(nil, about.Counts), []byte(logarchive.MakeTrigrams(chunks)), sumOf(data), len(data)); err != nil {
				return err
			}
			if _, err := tx.Exec(ctx, `DELETE FROM log_chunks WHERE run_id = ? AND id <= ?`, id, about.Last); err != nil {
				return err
			}
			return addLogBytes(ctx, tx, id, int64(len(data)))
		})
		if errors.Is(err, fault.ErrNotFound) { // deleted, perhaps before the blob was there
			return s.blobs.Delete(ctx, name)
		}
		if err != nil {
			return fmt.Errorf("seal log of %s: %w", id, err)
		}
	}
}

// UnsealedRuns returns the runs with at least atLeast unsealed bytes.
func (s *Store) UnsealedRuns(ctx context.Context, atLeast int) ([]run.ID, error) {
	rows, err := s.db.Query(ctx, `SELECT run_id FROM log_chunks GROUP BY run_id HAVING sum(length(data)) >= ?`, atLeast)
	if err != nil {
		return nil, fmt.Errorf("unsealed logs: %w", err)
	}
	return db.Collect(rows, db.One[run.ID])
}

// LeftUnsealed returns the runs that ended before a time and still have unsealed lines: what was to seal them then failed.
func (s *Store) LeftUnsealed(ctx context.Context, before time.Time) ([]run.ID, error) {
	rows, err := s.db.Query(ctx, `SELECT run_id FROM (SELECT DISTINCT run_id FROM log_chunks) AS unsealed
		WHERE (SELECT ended_at FROM runs WHERE runs.id = unsealed.run_id) BETWEEN 1 AND ?`, db.Millis(before))
	if err != nil {
		return nil, fmt.Errorf("unsealed logs: %w", err)
	}
	return db.Collect(rows, db.One[run.ID])
}

// oldestChunks reads enough chunks for one block.
func (s *Store) oldestChunks(ctx context.Context, id run.ID) (out []logarchive.Chunk, size int, err error) {
	err = s.db.Read(ctx, func(tx *db.Snapshot) error {
		return eachChunk(ctx, tx, id, 0, false, func(c logarchive.Chunk) bool {
			out = append(out, c)
			size += len(c.Data)
			return size < SealBytes
		})
	})
	return out, size, err
}

func ranks(chunks []logarchive.Chunk) string {
	var rs []int
	for _, c := range chunks {
		if !slices.Contains(rs, c.Rank) {
			rs = append(rs, c.Rank)
		}
	}
	slices.Sort(rs)
	var b strings.Builder
	b.WriteByte(',')
	for _, r := range rs {
		fmt.Fprintf(&b, "%d,", r)
	}
	return b.String()
}

// BlockFacts are what a row of log_blocks says of its block.
type BlockFacts struct {
	First, Last int64  // chunks
	Ranks       string // ",0,2,"
	Bytes       int    // of their lines
}

// ReadBlock checks a block, also against its row's checksum if that is not "", and returns its facts.
func ReadBlock(data []byte, sum string) (f BlockFacts, err error) {
	chunks, err := openBlob(data, sum, nil)
	if err != nil {
		return f, err
	}
	f = BlockFacts{First: chunks[0].ID, Last: chunks[len(chunks)-1].ID, Ranks: ranks(chunks)}
	for _, c := range chunks {
		f.Bytes += len(c.Data)
	}
	return f, nil
}
