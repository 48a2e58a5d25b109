package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store/db"
)

// MaxLines is the most lines of a batch, so that a line number fits beside the chunk's ID in a run.LogPos.
const MaxLines = 1<<16 - 1

// chunk is a piece of a worker's stream, in the order of arrival.
type chunk struct {
	id     int64
	rank   int
	stream string
	at     int64
	data   []byte
}

// Pos is the position of line i of a chunk.
func Pos(chunkID int64, line int) run.LogPos { return run.LogPos(chunkID<<16 | int64(line)) }

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
	return chunk{b.ChunkID, b.Rank, b.Stream, b.At.UnixMilli(), b.Log}.lines()
}

// lines cuts a chunk at newlines. A last piece without one is a line too: the end of the stream or part of an overlong
// line.
func (c chunk) lines() []run.LogLine {
	var out []run.LogLine
	for i, rest := 0, c.data; len(rest) > 0; i++ {
		line, after, _ := bytes.Cut(rest, []byte("\n"))
		rest = after
		text := strings.ToValidUTF8(string(bytes.TrimSuffix(line, []byte("\r"))), "\uFFFD")
		out = append(out, run.LogLine{Pos: Pos(c.id, i), Rank: c.rank, Stream: c.stream, At: db.FromMillis(c.at), Text: text})
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

type block struct {
	first, last int64
	ranks, blob string
}

func scanBlock(row db.Scanner) (block, error) {
	var b block
	return b, row.Scan(&b.first, &b.last, &b.ranks, &b.blob)
}

func scanChunk(row db.Scanner) (chunk, error) {
	var c chunk
	return c, row.Scan(&c.id, &c.rank, &c.stream, &c.at, &c.data)
}

func (r *logReader) blocks(ctx context.Context, where string, arg any) ([]block, error) {
	rows, err := r.tx.Query(ctx, `SELECT first_chunk, last_chunk, ranks, blob FROM log_blocks WHERE run_id = ? AND `+where, r.id, arg)
	if err != nil {
		return nil, fmt.Errorf("log blocks of %s: %w", r.id, err)
	}
	all, err := db.Collect(rows, scanBlock)
	return slices.DeleteFunc(all, func(b block) bool { return r.q.Rank >= 0 && !strings.Contains(b.ranks, fmt.Sprintf(",%d,", r.q.Rank)) }), err
}

// open returns a block's chunks. The last one is cached for readers that page through a log. A block that is gone or damaged is
// a line that says so: the others can still be read.
func (r *logReader) open(ctx context.Context, b block) ([]chunk, error) {
	if last := r.store.lastBlock.Load(); last != nil && last.blob == b.blob {
		return last.chunks, nil
	}
	data, err := r.store.blobs.Get(ctx, b.blob)
	var chunks []chunk
	if err == nil {
		chunks, err = decodeBlock(data)
	}
	switch {
	case errors.Is(err, fault.ErrNotFound):
		return b.lost("is missing", r.q.Rank), nil
	case errors.Is(err, errBlock):
		return b.lost("is damaged", r.q.Rank), nil
	case err == nil:
		r.store.lastBlock.Store(&openBlock{b.blob, chunks})
	}
	return chunks, err
}

// lost stands for the lines of a block, of the worker that is asked for, or else the first that has some.
func (b block) lost(how string, rank int) []chunk {
	if rank < 0 {
		first, _, _ := strings.Cut(strings.TrimPrefix(b.ranks, ","), ",")
		rank, _ = strconv.Atoi(first) // as written by us
	}
	return []chunk{{id: b.first, rank: rank, stream: "stderr", data: fmt.Appendf(nil, "[CoTrain: lines of the log are lost here: the file %s of its archive %s]\n", b.blob, how)}}
}

// openBlock is a decompressed block; immutable.
type openBlock struct {
	blob   string
	chunks []chunk
}

// skips reports whether the query wants no line of the chunk.
func (r *logReader) skips(c chunk) bool {
	return (r.q.Rank >= 0 && c.rank != r.q.Rank) || (!r.q.Tail && c.id < int64(r.q.After)>>16) ||
		(r.q.Tail && r.q.Before != 0 && c.id > int64(r.q.Before)>>16)
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
	take := func(c chunk) bool {
		if r.skips(c) {
			return true
		}
		for _, l := range c.lines() {
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
		chunks, err := r.open(ctx, b)
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
func (r *logReader) eachChunk(ctx context.Context, from int64, back bool, take func(chunk) bool) error {
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
		from = chunks[n-1].id + next
	}
}

func (r *logReader) tail(ctx context.Context) ([]run.LogLine, error) {
	var out []run.LogLine // reversed at the end
	take := func(c chunk) bool {
		if r.skips(c) {
			return true
		}
		for _, l := range slices.Backward(c.lines()) {
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
			chunks, err := r.open(ctx, b)
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
