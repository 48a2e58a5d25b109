package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store/db"
)

// sealedBlock names a block in the archive.
type sealedBlock struct {
	run   run.ID
	first int64
	blob  string
	sum   string
}

// blocksAtOnce bounds what is in memory.
const blocksAtOnce = 1000

// eachBlock calls fn for every row of log_blocks.
func eachBlock(ctx context.Context, q db.Querier, fn func(sealedBlock) error) error {
	for last := (sealedBlock{first: -1}); ; {
		blocks, err := db.Select(ctx, q, func(row db.Scanner) (b sealedBlock, err error) { return b, row.Scan(&b.run, &b.first, &b.blob, &b.sum) },
			`SELECT run_id, first_chunk, blob, sum FROM log_blocks WHERE (run_id, first_chunk) > (?,?) ORDER BY run_id, first_chunk LIMIT ?`, last.run, last.first, blocksAtOnce)
		if err != nil || len(blocks) == 0 {
			return err
		}
		for _, b := range blocks {
			if err := fn(b); err != nil {
				return err
			}
		}
		last = blocks[len(blocks)-1]
	}
}

// copyLogs copies the blocks that a database names from one archive to another, or counts what is missing where both are the same. A
// block that is there already is compared, so that a copy which was interrupted goes on where it was. What is damaged stays behind.
func copyLogs(ctx context.Context, q db.Querier, source, target Blobs, tell func(LogsCopied)) (out LogsCopied, err error) {
	out.Folder = target.String()
	stays := source == target
	err = eachBlock(ctx, q, func(b sealedBlock) error {
		defer func() { tell(out) }()
		out.Blocks++
		if stays {
			_, err := source.Stat(ctx, b.blob)
			if errors.Is(err, fault.ErrNotFound) {
				return out.missing(ctx, q, b)
			}
			return err
		}
		if b.sum != "" {
			if have, err := target.Get(ctx, b.blob); err == nil && sumOf(have) == b.sum {
				return nil
			} else if err != nil && !errors.Is(err, fault.ErrNotFound) {
				return err
			}
		}
		data, err := source.Get(ctx, b.blob)
		if errors.Is(err, fault.ErrNotFound) {
			if have, err := target.Get(ctx, b.blob); err == nil {
				if _, err := openBlob(have, b.sum, nil); err == nil {
					return nil // sealed there, or moved before
				}
			}
			return out.missing(ctx, q, b)
		}
		if err != nil {
			return err
		}
		if _, err := openBlob(data, b.sum, nil); err != nil {
			out.Damaged++
			return nil //nolint:nilerr // it is counted
		}
		return out.copy(ctx, target, b, data)
	})
	if err == nil && out.Missing > 0 && out.Missing == out.Blocks {
		err = fault.New(fault.ErrNotFound, fmt.Sprintf("None of the %d sealed blocks of logs is in %s.", out.Blocks, source),
			"Name the console's own data folder (data_dir, COTRAIN_DATA_DIR), and where it keeps its logs (logs.s3_bucket).")
	}
	return out, err
}

// missing counts a block, unless its row is gone meanwhile, too.
func (out *LogsCopied) missing(ctx context.Context, q db.Querier, b sealedBlock) error {
	still, err := db.Select(ctx, q, db.One[string], `SELECT blob FROM log_blocks WHERE run_id = ? AND first_chunk = ?`, b.run, b.first)
	if len(still) > 0 {
		out.Missing++
	} else {
		out.Blocks--
	}
	return err
}

// copy puts a block, unless it is there, and reads it again.
func (out *LogsCopied) copy(ctx context.Context, target Blobs, b sealedBlock, data []byte) error {
	if have, err := target.Get(ctx, b.blob); err == nil && bytes.Equal(have, data) {
		return nil
	}
	if err := target.Put(ctx, b.blob, data); err != nil {
		return err
	}
	have, err := target.Get(ctx, b.blob)
	if err != nil {
		return err
	}
	if !bytes.Equal(have, data) {
		return fault.New(fault.ErrDamaged, fmt.Sprintf("%s did not keep %s as it was written.", target, b.blob), "Check that store; nothing of the source was changed.")
	}
	out.Copied++
	out.Bytes += int64(len(data))
	return nil
}
