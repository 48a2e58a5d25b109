package store

import (
	"context"
	"fmt"
	"slices"

	"github.com/cotrain/cotrain/internal/logarchive"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store/db"
)

// MaxLines is the most lines of a batch.
const MaxLines = logarchive.MaxLines

func insertChunk(ctx context.Context, tx *db.Tx, b *Batch) error {
	if len(b.Log) == 0 {
		return nil
	}
	err := tx.QueryRow(ctx, `INSERT INTO log_chunks (run_id, rank, stream, at, data) VALUES (?,?,?,?,?) RETURNING id`,
		b.RunID, b.Rank, b.Stream, b.At.UnixMilli(), b.Log).Scan(&b.ChunkID)
	if err != nil {
		return fmt.Errorf("store log of %s: %w", b.AllocID, err)
	}
	return nil
}

// Lines splits what the batch stored into lines with positions.
func (b *Batch) Lines() []run.LogLine {
	return linesOf(logarchive.Chunk{ID: b.ChunkID, Rank: b.Rank, Stream: b.Stream, At: b.At.UnixMilli(), Data: b.Log})
}

func linesOf(c logarchive.Chunk) []run.LogLine {
	var out []run.LogLine
	for i, line := range c.Lines() {
		out = append(out, c.Line(i, line))
	}
	return out
}

// Logs returns lines of a run's log, oldest first.
func (s *Store) Logs(ctx context.Context, id run.ID, q run.LogQuery) (out []run.LogLine, err error) {
	q.Limit = min(max(q.Limit, 1), 10000)
	// One snapshot, so that a concurrent seal cannot hide or repeat lines.
	err = s.db.Read(ctx, func(tx *db.Snapshot) error {
		r := logReader{store: s, tx: tx, id: id, q: q}
		if q.Tail {
			out, err = r.tail(ctx)
		} else {
			out, err = r.forward(ctx)
		}
		return err
	})
	return out, err
}

type logReader struct {
	store *Store
	tx    *db.Snapshot
	id    run.ID
	q     run.LogQuery
}

func scanChunk(row db.Scanner) (logarchive.Chunk, error) {
	var c logarchive.Chunk
	return c, row.Scan(&c.ID, &c.Rank, &c.Stream, &c.At, &c.Data)
}

// blocks returns the sealed blocks that may have lines for the query, without what they hold.
func (r *logReader) blocks(ctx context.Context, where string, arg any) ([]logPiece, error) {
	all, err := db.Select(ctx, r.tx, scanPiece, selectPieces+where, r.id, arg)
	if err != nil {
		return nil, fmt.Errorf("log blocks of %s: %w", r.id, err)
	}
	return slices.DeleteFunc(all, func(p logPiece) bool { return r.q.Rank >= 0 && !slices.Contains(p.ranks, r.q.Rank) }), nil
}

// skips reports whether the query wants no line of the chunk.
func (r *logReader) skips(c logarchive.Chunk) bool {
	return (r.q.Rank >= 0 && c.Rank != r.q.Rank) || (!r.q.Tail && c.ID < int64(r.q.After)>>16) ||
		(r.q.Tail && r.q.Before != 0 && c.ID > int64(r.q.Before)>>16)
}

func (r *logReader) wants(l run.LogLine) bool {
	if r.q.Rank >= 0 && l.Rank != r.q.Rank {
		return false
	}
	if r.q.Tail {
		return r.q.Before == 0 || l.Pos < r.q.Before
	}
	return l.Pos > r.q.After
}

func (r *logReader) forward(ctx context.Context) ([]run.LogLine, error) {
	var out []run.LogLine
	from := int64(r.q.After) >> 16
	take := func(c logarchive.Chunk) bool {
		if r.skips(c) {
			return true
		}
		for _, l := range linesOf(c) {
			if r.wants(l) {
				out = append(out, l)
				if len(out) == r.q.Limit {
					return false
				}
			}
		}
		return true
	}
	blocks, err := r.blocks(ctx, `last_chunk >= ? ORDER BY first_chunk`, from)
	if err != nil {
		return nil, err
	}
	for _, b := range blocks {
		chunks, err := r.store.open(ctx, b)
		if err != nil {
			return nil, err
		}
		for _, c := range chunks {
			if !take(c) {
				return out, nil
			}
		}
	}
	return out, r.eachChunk(ctx, from, false, take)
}

// fewChunks and manyChunks are how many chunks are read at first and at once: PostgreSQL sends all that a query finds, wanted or
// not, and the end of a log is mostly in its last chunk.
const fewChunks, manyChunks = 2, 64

// eachChunk calls take for unsealed chunks from an ID on, or back from it, until it returns false.
func (r *logReader) eachChunk(ctx context.Context, from int64, back bool, take func(logarchive.Chunk) bool) error {
	where, next := `id >= ? ORDER BY id`, int64(1)
	if back {
		where, next = `id <= ? ORDER BY id DESC`, -1
	}
	for n := fewChunks; ; n = min(2*n, manyChunks) {
		chunks, err := db.Select(ctx, r.tx, scanChunk, `SELECT id, rank, stream, at, data FROM log_chunks WHERE run_id = ? AND `+where+` LIMIT ?`, r.id, from, n)
		if err != nil {
			return fmt.Errorf("log of %s: %w", r.id, err)
		}
		for _, c := range chunks {
			if !take(c) {
				return nil
			}
		}
		if len(chunks) < n {
			return nil
		}
		from = chunks[n-1].ID + next
	}
}

func (r *logReader) tail(ctx context.Context) ([]run.LogLine, error) {
	var out []run.LogLine // reversed at the end
	take := func(c logarchive.Chunk) bool {
		if r.skips(c) {
			return true
		}
		for _, l := range slices.Backward(linesOf(c)) {
			if r.wants(l) {
				out = append(out, l)
				if len(out) == r.q.Limit {
					return false
				}
			}
		}
		return true
	}
	upTo := int64(r.q.Before) >> 16
	if r.q.Before == 0 {
		upTo = 1<<47 - 1 // beyond every chunk
	}
	if err := r.eachChunk(ctx, upTo, true, take); err != nil {
		return nil, err
	}
	if len(out) < r.q.Limit {
		blocks, err := r.blocks(ctx, `first_chunk <= ? ORDER BY first_chunk DESC`, upTo)
		if err != nil {
			return nil, err
		}
	blocks:
		for _, b := range blocks {
			chunks, err := r.store.open(ctx, b)
			if err != nil {
				return nil, err
			}
			for _, c := range slices.Backward(chunks) {
				if !take(c) {
					break blocks
				}
			}
		}
	}
	slices.Reverse(out)
	return out, nil
}
