package store

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store/db"
)

// SealBytes is how much of a run's log stays as rows.
const SealBytes = 1 << 20

// maxBlock bounds a decompressed block.
const maxBlock = 8 * SealBytes

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
		data, err := encodeBlock(chunks)
		if err != nil {
			return fmt.Errorf("seal log of %s: %w", id, err)
		}
		first, last := chunks[0].id, chunks[len(chunks)-1].id
		name := fmt.Sprintf("%s/%012d.zst", id, first)
		if err := s.blobs.Put(ctx, name, data); err != nil {
			return err
		}
		err = s.db.Write(ctx, func(tx *db.Tx) error {
			if err := tx.Require(ctx, "runs", string(id)); err != nil {
				return err
			}
			if _, err := tx.Exec(ctx, `INSERT INTO log_blocks (run_id, first_chunk, last_chunk, ranks, bytes, blob) VALUES (?,?,?,?,?,?)`,
				id, first, last, ranks(chunks), size, name); err != nil {
				return err
			}
			_, err := tx.Exec(ctx, `DELETE FROM log_chunks WHERE run_id = ? AND id <= ?`, id, last)
			return err
		})
		if errors.Is(err, fault.ErrNotFound) { // deleted, perhaps before the blob was there
			return s.blobs.DeleteAll(ctx, string(id))
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
func (s *Store) oldestChunks(ctx context.Context, id run.ID) (out []chunk, size int, err error) {
	err = s.db.Read(ctx, func(tx *db.Snapshot) error {
		r := logReader{store: s, tx: tx, id: id}
		return r.eachChunk(ctx, 0, false, func(c chunk) bool {
			out = append(out, c)
			size += len(c.data)
			return size < SealBytes
		})
	})
	return out, size, err
}

func ranks(chunks []chunk) string {
	var rs []int
	for _, c := range chunks {
		if !slices.Contains(rs, c.rank) {
			rs = append(rs, c.rank)
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

// A block is zstd-compressed chunks: ID, rank, time, stream length and data length as varints, then the stream's name
// and the data.
func encodeBlock(chunks []chunk) ([]byte, error) {
	var raw []byte
	for _, c := range chunks {
		raw = binary.AppendUvarint(raw, uint64(c.id))
		raw = binary.AppendVarint(raw, int64(c.rank))
		raw = binary.AppendVarint(raw, c.at)
		raw = binary.AppendUvarint(raw, uint64(len(c.stream)))
		raw = binary.AppendUvarint(raw, uint64(len(c.data)))
		raw = append(raw, c.stream...)
		raw = append(raw, c.data...)
	}
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
	if err != nil {
		return nil, fmt.Errorf("compress: %w", err)
	}
	return enc.EncodeAll(raw, nil), enc.Close()
}

var errBlock = fmt.Errorf("a block of the log archive is damaged")

func decodeBlock(data []byte) ([]chunk, error) {
	dec, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxBlock))
	if err != nil {
		return nil, fmt.Errorf("decompress: %w", err)
	}
	defer dec.Close()
	raw, err := dec.DecodeAll(data, nil)
	if err != nil {
		return nil, fmt.Errorf("%w: %v", errBlock, err) //nolint:errorlint // its end of file is not that of a connection
	}
	var out []chunk
	for len(raw) > 0 {
		var v [5]uint64
		for i := range v {
			var n int
			if i == 1 || i == 2 {
				var x int64
				x, n = binary.Varint(raw)
				v[i] = uint64(x)
			} else {
				v[i], n = binary.Uvarint(raw)
			}
			if n <= 0 {
				return nil, errBlock
			}
			raw = raw[n:]
		}
		if v[3] > uint64(len(raw)) || v[4] > uint64(len(raw))-v[3] {
			return nil, errBlock
		}
		c := chunk{id: int64(v[0]), rank: int(int64(v[1])), at: int64(v[2]), stream: string(raw[:v[3]])}
		c.data = raw[v[3] : v[3]+v[4]]
		raw = raw[v[3]+v[4]:]
		out = append(out, c)
	}
	return out, nil
}

// BlockFacts are what a row of log_blocks says of its block.
type BlockFacts struct {
	First, Last int64  // chunks
	Ranks       string // ",0,2,"
	Bytes       int    // of their lines
}

// ReadBlock checks a block and returns its facts.
func ReadBlock(data []byte) (f BlockFacts, err error) {
	chunks, err := decodeBlock(data)
	if err == nil && len(chunks) == 0 {
		err = errBlock
	}
	if err != nil {
		return f, err
	}
	f = BlockFacts{First: chunks[0].id, Last: chunks[len(chunks)-1].id, Ranks: ranks(chunks)}
	for _, c := range chunks {
		f.Bytes += len(c.data)
	}
	return f, nil
}
