package check

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store"
	"github.com/cotrain/cotrain/internal/store/db"
)

// sealing is how old a file must be that no row names: the row of a new one follows at once.
const sealing = time.Minute

type logBlock struct {
	run   run.ID
	name  string
	facts store.BlockFacts
}

// blocks compares the rows of sealed blocks with their files.
func (c *checker) blocks(ctx context.Context) error {
	for last := (logBlock{facts: store.BlockFacts{First: -1}}); ; {
		blocks, err := db.Select(ctx, c.db, func(row db.Scanner) (b logBlock, err error) {
			return b, row.Scan(&b.run, &b.facts.First, &b.facts.Last, &b.facts.Ranks, &b.facts.Bytes, &b.name)
		}, `SELECT run_id, first_chunk, last_chunk, ranks, bytes, blob FROM log_blocks WHERE (run_id, first_chunk) > (?,?) ORDER BY run_id, first_chunk LIMIT ?`, last.run, last.facts.First, batch)
		if err != nil || len(blocks) == 0 {
			return err
		}
		for _, b := range blocks {
			if err := c.block(ctx, b); err != nil {
				return err
			}
		}
		c.report.Blocks += len(blocks)
		last = blocks[len(blocks)-1]
	}
}

func (c *checker) block(ctx context.Context, b logBlock) error {
	if !filepath.IsLocal(filepath.FromSlash(b.name)) {
		c.tell(LogDamaged, string(b.run), fmt.Sprintf("%q is no name of a file", b.name), nil)
		return nil
	}
	data, err := os.ReadFile(filepath.Join(c.logs, filepath.FromSlash(b.name)))
	if errors.Is(err, fs.ErrNotExist) {
		var still bool // or the run was deleted meanwhile
		err := c.db.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM log_blocks WHERE run_id = ? AND first_chunk = ?)`, b.run, b.facts.First).Scan(&still)
		if still {
			c.tell(LogMissing, string(b.run), b.name, nil)
		}
		return err
	}
	if err != nil {
		return fmt.Errorf("read %s: %w", b.name, err)
	}
	facts, err := store.ReadBlock(data)
	switch {
	case err != nil:
		c.tell(LogDamaged, b.name, err.Error(), nil)
	case facts != b.facts:
		c.tell(LogDamaged, b.name, fmt.Sprintf("it holds %+v, and its row says %+v", facts, b.facts), nil)
	}
	return nil
}

// files looks for files that no row names.
func (c *checker) files(ctx context.Context) error {
	folders, err := os.ReadDir(c.logs)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read %s: %w", c.logs, err)
	}
	for _, f := range folders {
		if err := c.folder(ctx, f.Name()); err != nil {
			return err
		}
	}
	return nil
}

func (c *checker) folder(ctx context.Context, id string) error {
	files, err := os.ReadDir(filepath.Join(c.logs, id))
	if errors.Is(err, fs.ErrNotExist) { // deleted meanwhile
		return nil
	}
	if err != nil {
		c.tell(LogUnknown, id, "it is no folder of a run", nil)
		return nil
	}
	names, err := db.Select(ctx, c.db, db.One[string], `SELECT blob FROM log_blocks WHERE run_id = ?`, strings.ToValidUTF8(id, "\uFFFD"))
	if err != nil {
		return err
	}
	known := map[string]bool{}
	for _, n := range names {
		known[n] = true
	}
	for _, f := range files {
		name := path.Join(id, f.Name())
		info, err := f.Info()
		if known[name] || err != nil || time.Since(info.ModTime()) < sealing {
			continue
		}
		c.tell(LogUnknown, name, fmt.Sprintf("%d bytes", info.Size()), nil)
	}
	return nil
}
