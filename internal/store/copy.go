package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/store/db"
	"github.com/cotrain/cotrain/internal/store/transfer"
)

// Copied is the result of [Copy].
type Copied struct {
	From   string           `json:"from"`
	To     string           `json:"to"`
	Tables []transfer.Table `json:"tables"`
	Logs   LogsCopied       `json:"logs"`
}

// LogsCopied counts sealed blocks of logs.
type LogsCopied struct {
	Folder  string `json:"folder"` // or bucket, that the destination's console has them in
	Blocks  int    `json:"blocks"`
	Copied  int    `json:"copied"` // 0 where they stay
	Bytes   int64  `json:"bytes"`  // of the copied ones
	Missing int    `json:"missing"`
	Damaged int    `json:"damaged"`
}

// String says it to a person.
func (c *Copied) String() string {
	var rows int64
	for _, t := range c.Tables {
		rows += t.Rows
	}
	text := fmt.Sprintf("%s is now the same as %s: %d rows in %d tables, compared by their checksums.\n", c.To, c.From, rows, len(c.Tables))
	if c.Logs.Copied > 0 {
		text += fmt.Sprintf("%d sealed blocks of logs (%d bytes) were copied to %s.\n", c.Logs.Copied, c.Logs.Bytes, c.Logs.Folder)
	} else if c.Logs.Blocks > 0 {
		text += fmt.Sprintf("Sealed logs are in %s.\n", c.Logs.Folder)
	}
	if c.Logs.Missing > 0 {
		text += fmt.Sprintf("%d of %d sealed blocks of logs were already missing.\n", c.Logs.Missing, c.Logs.Blocks)
	}
	if c.Logs.Damaged > 0 {
		text += fmt.Sprintf("%d of %d sealed blocks of logs were already damaged.\n", c.Logs.Damaged, c.Logs.Blocks)
	}
	return text
}

// Copy makes a console's data in one of the two databases that of the other, which must be empty; see [transfer.Copy].
// Sealed logs are copied where the data folders differ. Consoles are kept from both meanwhile. The source is not changed,
// nor migrated: it must have this program's schema.
func Copy(ctx context.Context, from, to Address, tell func(transfer.Progress)) (out *Copied, err error) {
	if (from.Database.URL == "") == (to.Database.URL == "") {
		return nil, fault.New(fault.ErrInvalid, "One side must be a PostgreSQL database, and the other a data folder with SQLite.", "Use pg_dump or SQLite's VACUUM INTO for a copy of the same kind.")
	}
	from, to = from.resolved(), to.resolved()
	if err := from.exists(); err != nil {
		return nil, err
	}
	unlock, err := lockAll(from, to)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	m, err := migrations()
	if err != nil {
		return nil, err
	}
	source, err := openDatabase(ctx, from.Database, db.OpenExisting)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, source.Close()) }()
	target, err := db.Open(ctx, to.Database, m)
	if err != nil {
		return nil, fmt.Errorf("open the destination: %w", err)
	}
	defer func() { err = errors.Join(err, target.Close()) }()
	out = &Copied{From: source.Name(), To: target.Name()}
	logs := func() (err error) {
		out.Logs, err = copyArchives(ctx, source, from, to)
		return err
	}
	out.Tables, err = transfer.Copy(ctx, source, target, logs, tell)
	return out, err
}

// copyArchives copies the sealed blocks from one console's archive to another's.
func copyArchives(ctx context.Context, d *db.DB, from, to Address) (out LogsCopied, err error) {
	source, err := from.archive()
	if err != nil {
		return out, err
	}
	defer func() { err = errors.Join(err, source.Close()) }()
	target := source
	if to.Archive != from.Archive || to.Archive == nil && to.Folder != from.Folder {
		if target, err = to.archive(); err != nil {
			return out, err
		}
		defer func() { err = errors.Join(err, target.Close()) }()
	}
	return copyLogs(ctx, d, source, target, func(LogsCopied) {})
}
