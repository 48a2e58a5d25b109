package check

import (
	"context"
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/logarchive"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store"
	"github.com/cotrain/cotrain/internal/store/db"
)

// sealing is how old a blob must be that no row names: the row of a new one follows at once.
const sealing = time.Minute

type logBlock struct {
	run       run.ID
	name, sum string
	facts     store.BlockFacts
}

// blocks compares the rows of sealed blocks with their blobs.
func (c *checker) blocks(ctx context.Context) error {
	for last := (logBlock{facts: store.BlockFacts{First: -1}}); ; {
		blocks, err := db.Select(ctx, c.db, func(row db.Scanner) (b logBlock, err error) {
			return b, row.Scan(&b.run, &b.facts.First, &b.facts.Last, &b.facts.Ranks, &b.facts.Bytes, &b.name, &b.sum)
		}, `SELECT run_id, first_chunk, last_chunk, ranks, bytes, blob, sum FROM log_blocks WHERE (run_id, first_chunk) > (?,?) ORDER BY run_id, first_chunk LIMIT ?`, last.run, last.facts.First, batch)
		if err != nil || len(blocks) == 0 {
			return err
		}
		for _, b := range blocks {
			if err := c.block(ctx, b); err != nil {
				return err
			}
			c.report.Blocks++
			c.progress(c.report.Blocks)
		}
		last = blocks[len(blocks)-1]
	}
}

func (c *checker) block(ctx context.Context, b logBlock) error {
	if !filepath.IsLocal(filepath.FromSlash(b.name)) {
		c.tell(LogDamaged, string(b.run), fmt.Sprintf("%q is no name of a blob", b.name), nil)
		return nil
	}
	data, err := c.logs.Get(ctx, b.name)
	if errors.Is(err, fault.ErrNotFound) {
		var still bool // or the run, or its log, was deleted meanwhile
		err := c.db.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM log_blocks WHERE run_id = ? AND first_chunk = ?)`, b.run, b.facts.First).Scan(&still)
		if still {
			c.tell(LogMissing, string(b.run), b.name, nil)
		}
		return err
	}
	if errors.Is(err, logarchive.ErrDamaged) {
		c.tell(LogDamaged, b.name, err.Error(), nil)
		return nil
	}
	if err != nil {
		return err
	}
	c.report.Bytes += int64(len(data))
	facts, err := store.ReadBlock(data, b.sum)
	switch {
	case err != nil:
		c.tell(LogDamaged, b.name, err.Error(), nil)
	case facts != b.facts:
		c.tell(LogDamaged, b.name, fmt.Sprintf("it holds %+v, and its row says %+v", facts, b.facts), nil)
	}
	return nil
}

// files looks for blobs that no row names.
func (c *checker) files(ctx context.Context) error {
	folder, known := "", map[string]bool{}
	return c.logs.Each(ctx, "", func(name string, bytes int64, at time.Time) error {
		if time.Since(at) < sealing {
			return nil
		}
		id, _, _ := strings.Cut(name, "/")
		if id != folder {
			var err error
			if known, err = c.named(ctx, id); err != nil {
				return err
			}
			folder = id
		}
		if !known[name] && !known[path.Dir(name)+"/"] {
			c.tell(LogUnknown, name, fmt.Sprintf("%d bytes", bytes), nil)
		}
		return nil
	})
}

// named are the blobs that rows of a run name, or that are about to be deleted.
func (c *checker) named(ctx context.Context, id string) (map[string]bool, error) {
	id = strings.ToValidUTF8(id, "\uFFFD")
	names, err := db.Select(ctx, c.db, db.One[string], `SELECT blob FROM log_blocks WHERE run_id = ? UNION ALL SELECT name FROM log_leftovers WHERE name >= ? AND name < ?`, id, id+"/", id+"0")
	known := map[string]bool{}
	for _, n := range names {
		known[n] = true
	}
	return known, err
}
