package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/store/db"
	"github.com/cotrain/cotrain/internal/store/transfer"
)

// Address is where a console's data is.
type Address struct {
	// Folder is its data folder.
	Folder string
	// Database has a URL unless it is SQLite in Folder.
	Database db.Options
}

// resolved has an absolute folder, the same for each way to write it, and the database's file.
func (a Address) resolved() Address {
	if abs, err := filepath.Abs(a.Folder); err == nil { // else there is no working folder, which using it will say
		a.Folder = abs
	}
	if real, err := filepath.EvalSymlinks(a.Folder); err == nil { // else it is not there yet
		a.Folder = real
	}
	a.Database.File = filepath.Join(a.Folder, databaseFile)
	return a
}

// Copied is the result of [Copy].
type Copied struct {
	From   string           `json:"from"`
	To     string           `json:"to"`
	Tables []transfer.Table `json:"tables"`
	Logs   LogsCopied       `json:"logs"`
}

// LogsCopied counts sealed blocks of logs.
type LogsCopied struct {
	Blocks  int   `json:"blocks"`
	Copied  int   `json:"copied"` // 0 where they stay
	Bytes   int64 `json:"bytes"`  // of the copied ones
	Missing int   `json:"missing"`
}

// String says it to a person.
func (c *Copied) String() string {
	var rows int64
	for _, t := range c.Tables {
		rows += t.Rows
	}
	text := fmt.Sprintf("%s is now the same as %s: %d rows in %d tables, compared by their checksums.\n", c.To, c.From, rows, len(c.Tables))
	if c.Logs.Copied > 0 {
		text += fmt.Sprintf("%d sealed blocks of logs were copied (%d bytes).\n", c.Logs.Copied, c.Logs.Bytes)
	}
	if c.Logs.Missing > 0 {
		text += fmt.Sprintf("%d of %d sealed blocks of logs were already missing.\n", c.Logs.Missing, c.Logs.Blocks)
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
	unlock, err := lockFolders(from, to)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	m, err := migrations()
	if err != nil {
		return nil, err
	}
	source, err := db.OpenExisting(ctx, from.Database, m)
	if err != nil {
		return nil, fmt.Errorf("open the source: %w", err)
	}
	defer func() { err = errors.Join(err, source.Close()) }()
	if err := transfer.Unfinished(ctx, source); err != nil {
		return nil, err
	}
	target, err := db.Open(ctx, to.Database, m)
	if err != nil {
		return nil, fmt.Errorf("open the destination: %w", err)
	}
	defer func() { err = errors.Join(err, target.Close()) }()
	out = &Copied{From: source.Name(), To: target.Name()}
	if out.Logs, err = copyLogs(ctx, source, from.Folder, to.Folder); err != nil {
		return nil, err
	}
	out.Tables, err = transfer.Copy(ctx, source, target, tell)
	return out, err
}

// lockFolders keeps consoles from the data folders, and makes the destination's.
func lockFolders(from, to Address) (unlock func() error, err error) {
	if _, err := os.Stat(from.Folder); errors.Is(err, fs.ErrNotExist) && from.Database.URL == "" {
		return nil, fault.New(fault.ErrNotFound, "There is no data folder "+from.Folder+".", "Check the path.")
	}
	var locks []*os.File
	unlock = func() error {
		var errs []error
		for _, f := range locks {
			errs = append(errs, unlockDir(f))
		}
		return errors.Join(errs...)
	}
	for i, dir := range []string{from.Folder, to.Folder} {
		if i == 1 && dir == from.Folder {
			break
		}
		if err := os.MkdirAll(dir, 0o750); err != nil {
			return nil, errors.Join(cannotOpen(dir, fmt.Errorf("data folder %s: %w", dir, err)), unlock())
		}
		lock, err := lockDir(dir)
		if errors.Is(err, ErrInUse) {
			err = fault.New(fault.ErrInUse, "A console has the data folder "+dir+".", "Stop it, and keep it stopped until the copy is done.").Because(err)
		}
		if err != nil {
			return nil, errors.Join(cannotOpen(dir, err), unlock())
		}
		locks = append(locks, lock)
	}
	return unlock, nil
}
