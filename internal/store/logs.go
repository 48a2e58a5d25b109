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
		b.RunID, b.Rank, b.Stream, b.chunk().At, b.Log).Scan(&b.ChunkID)
	if err != nil {
		return fmt.Errorf("store log of %s: %w", b.AllocID, err)
	}
	return nil
}

func (b *Batch) chunk() logarchive.Chunk {
	at := b.At
	if !b.Printed.IsZero() {
		at = b.Printed
	}
	return logarchive.Chunk{ID: b.ChunkID, Rank: b.Rank, Stream: b.Stream, At: at.UnixMilli(), Data: b.Log}
}

// Lines splits what the batch stored into lines with positions.
func (b *Batch) Lines() []run.LogLine {
	c := b.chunk()
	var out []run.LogLine
	for i, line := range c.Lines() {
		out = append(out, c.Line(i, line))
	}
	return out
}

// Logs returns lines of a run's log, oldest first. It finds one piece after the other, each in a snapshot of its own, and opens blocks
// outside of it: an archive that is slow holds up nobody else. What is sealed between two snapshots is found as a block then, from where
// the piece before it ended.
func (s *Store) Logs(ctx context.Context, id run.ID, q run.LogQuery) ([]run.LogLine, error) {
	q.Limit = min(max(q.Limit, 1), maxLogLines)
	r := logReader{store: s, id: id, q: q, chunk: logarchive.ChunkOf(q.After)}
	if q.Tail {
		if r.chunk = logarchive.ChunkOf(q.Before); q.Before == 0 {
			r.chunk = 1<<47 - 1 // beyond every chunk
		}
	}
	for more := true; more && !r.full(); {
		var err error
		if more, err = r.next(ctx); err != nil {
			return nil, fmt.Errorf("log of %s: %w", id, err)
		}
	}
	if q.Tail {
		slices.Reverse(r.out)
	}
	return r.out, nil
}

// logReader reads a log on from a place, or back from it.
type logReader struct {
	store *Store
	id    run.ID
	q     run.LogQuery
	chunk int64 // the next, or the one before it
	out   []run.LogLine
	text  int // bytes of out
}

func (r *logReader) full() bool { return len(r.out) >= r.q.Limit || r.text >= run.MaxLogText }

// next reads the next piece, and reports whether there may be others.
func (r *logReader) next(ctx context.Context) (more bool, err error) {
	where := selectPieces + `ranks LIKE ? AND last_chunk >= ? ORDER BY first_chunk LIMIT 1`
	if r.q.Tail {
		where = selectPieces + `ranks LIKE ? AND first_chunk <= ? ORDER BY first_chunk DESC LIMIT 1`
	}
	ranks := "%"
	if r.q.Rank >= 0 {
		ranks = fmt.Sprintf("%%,%d,%%", r.q.Rank)
	}
	var blocks []logPiece
	var open []logarchive.Chunk
	err = r.store.db.Read(ctx, func(tx *db.Snapshot) (err error) {
		if r.q.Tail { // the open end comes first
			if open, err = r.unsealed(ctx, tx); err != nil || len(open) > 0 {
				return err
			}
		}
		if blocks, err = db.Select(ctx, tx, scanPiece, where, r.id, ranks, r.chunk); err == nil && len(blocks) == 0 && !r.q.Tail {
			open, err = r.unsealed(ctx, tx)
		}
		return err
	})
	for _, p := range blocks {
		if err == nil {
			open, _, err = r.store.open(ctx, p)
		}
	}
	if err != nil || len(open) == 0 {
		return false, err
	}
	if r.q.Tail {
		for _, c := range slices.Backward(open) {
			r.take(c)
		}
		r.chunk = open[0].ID - 1
		return true, nil
	}
	for _, c := range open {
		r.take(c)
	}
	r.chunk = open[len(open)-1].ID + 1
	return len(blocks) > 0, nil // the open end is the end
}

// unsealed reads chunks that are in no block, at least as many as it takes if there are.
func (r *logReader) unsealed(ctx context.Context, tx *db.Snapshot) (out []logarchive.Chunk, err error) {
	lines, text := len(r.out), r.text
	err = eachChunk(ctx, tx, r.id, r.chunk, r.q.Tail, func(c logarchive.Chunk) bool {
		out = append(out, c)
		for i, line := range c.Lines() {
			if r.wants(c, i) {
				lines, text = lines+1, text+len(line)
			}
		}
		return lines < r.q.Limit && text < run.MaxLogText
	})
	if r.q.Tail {
		slices.Reverse(out)
	}
	return out, err
}

// take takes what is wanted of a chunk, while there is room.
func (r *logReader) take(c logarchive.Chunk) {
	if r.q.Rank >= 0 && c.Rank != r.q.Rank || r.full() {
		return
	}
	var lines []run.LogLine
	for i, line := range c.Lines() {
		if r.wants(c, i) {
			lines = append(lines, c.Line(i, line))
		}
	}
	if r.q.Tail {
		slices.Reverse(lines)
	}
	for _, l := range lines {
		if r.full() {
			return
		}
		r.out, r.text = append(r.out, l), r.text+len(l.Text)
	}
}

func (r *logReader) wants(c logarchive.Chunk, i int) bool {
	pos := logarchive.Pos(c.ID, i)
	switch {
	case r.q.Rank >= 0 && c.Rank != r.q.Rank:
		return false
	case r.q.Tail:
		return r.q.Before == 0 || pos < r.q.Before
	}
	return pos > r.q.After
}

func scanChunk(row db.Scanner) (logarchive.Chunk, error) {
	var c logarchive.Chunk
	return c, row.Scan(&c.ID, &c.Rank, &c.Stream, &c.At, &c.Data)
}

// fewChunks and manyChunks are how many chunks are read at first and at once: PostgreSQL sends all that a query finds, wanted or
// not, and the end of a log is mostly in its last chunk.
const fewChunks, manyChunks = 2, 64

// eachChunk calls take for unsealed chunks from an ID on, or back from it, until it returns false.
func eachChunk(ctx context.Context, tx *db.Snapshot, id run.ID, from int64, back bool, take func(logarchive.Chunk) bool) error {
	where, next := `id >= ? ORDER BY id`, int64(1)
	if back {
		where, next = `id <= ? ORDER BY id DESC`, -1
	}
	for n := fewChunks; ; n = min(2*n, manyChunks) {
		chunks, err := db.Select(ctx, tx, scanChunk, `SELECT id, rank, stream, at, data FROM log_chunks WHERE run_id = ? AND `+where+` LIMIT ?`, id, from, n)
		if err != nil {
			return err
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
