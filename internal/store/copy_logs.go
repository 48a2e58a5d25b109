package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store/db"
)

// sealedBlock names a block in the archive.
type sealedBlock struct {
	run   run.ID
	first int64
	blob  string
}

// blocksAtOnce bounds what is in memory.
const blocksAtOnce = 1000

// eachBlock calls fn for every row of log_blocks.
func eachBlock(ctx context.Context, q db.Querier, fn func(sealedBlock) error) error {
	for last := (sealedBlock{first: -1}); ; {
		blocks, err := db.Select(ctx, q, func(row db.Scanner) (b sealedBlock, err error) { return b, row.Scan(&b.run, &b.first, &b.blob) },
			`SELECT run_id, first_chunk, blob FROM log_blocks WHERE (run_id, first_chunk) > (?,?) ORDER BY run_id, first_chunk LIMIT ?`, last.run, last.first, blocksAtOnce)
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

// copyLogs copies the archive from one data folder to another, or counts what is missing where it stays. Blocks that are
// there already are compared.
func copyLogs(ctx context.Context, d *db.DB, from, to string) (out LogsCopied, err error) {
	out.Folder = filepath.Join(to, logsFolder)
	source, err := NewFileBlobs(filepath.Join(from, logsFolder))
	if err != nil {
		return out, err
	}
	target, err := NewFileBlobs(out.Folder)
	if err != nil {
		return out, err
	}
	err = eachBlock(ctx, d, func(b sealedBlock) error {
		out.Blocks++
		if there, err := source.has(b.blob); err != nil || !there {
			out.Missing++
			return err
		}
		if from == to {
			return nil
		}
		data, err := source.Get(ctx, b.blob)
		if err != nil {
			return err
		}
		if have, err := target.Get(ctx, b.blob); err == nil && bytes.Equal(have, data) {
			return nil
		}
		out.Copied++
		out.Bytes += int64(len(data))
		return target.Put(ctx, b.blob, data)
	})
	if err == nil && out.Missing > 0 && out.Missing == out.Blocks {
		err = fault.New(fault.ErrNotFound, fmt.Sprintf("None of the %d sealed blocks of logs is in %s.", out.Blocks, filepath.Join(from, logsFolder)),
			"Name the console's own data folder (data_dir, COTRAIN_DATA_DIR).")
	}
	return out, errors.Join(err, source.close(), target.close())
}
