package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/store/db"
	"github.com/cotrain/cotrain/internal/store/transfer"
)

// Copying is what [Copy] is to do. From and To are a PostgreSQL URL and a data folder with SQLite (DIR, or sqlite:///DIR),
// either way round.
type Copying struct {
	From, To string
	// Folder is the data folder of the console on PostgreSQL, "" for that with SQLite: logs/ then stays where it is.
	Folder string
	Tell   func(transfer.Progress)
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
// Consoles are kept from both meanwhile. The source is not changed, nor migrated: it must have this program's schema.
func Copy(ctx context.Context, c Copying) (out *Copied, err error) {
	from, to := parseAddress(c.From), parseAddress(c.To)
	switch {
	case (from.URL == "") == (to.URL == ""):
		return nil, fault.New(fault.ErrInvalid, "One of the two must be a PostgreSQL database (postgres://...), the other a data folder with SQLite.", "For a copy of the same kind use pg_dump, or SQLite's backup.")
	case from.folder == "":
		from.folder = folderOf(c.Folder, to.folder)
	default:
		to.folder = folderOf(c.Folder, from.folder)
	}
	unlock, err := lockFolders(from, to)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	m, err := migrations()
	if err != nil {
		return nil, err
	}
	source, err := db.OpenExisting(ctx, from.Options, m)
	if err != nil {
		return nil, fmt.Errorf("open the source: %w", err)
	}
	defer func() { err = errors.Join(err, source.Close()) }()
	if err := transfer.Unfinished(ctx, source); err != nil {
		return nil, err
	}
	target, err := db.Open(ctx, to.Options, m)
	if err != nil {
		return nil, fmt.Errorf("open the destination: %w", err)
	}
	defer func() { err = errors.Join(err, target.Close()) }()
	out = &Copied{From: source.Name(), To: target.Name()}
	if out.Logs, err = copyLogs(ctx, source, from.folder, to.folder); err != nil {
		return nil, err
	}
	out.Tables, err = transfer.Copy(ctx, source, target, c.Tell)
	return out, err
}

// address is a console's database and data folder.
type address struct {
	db.Options
	folder string
}

func parseAddress(text string) address {
	if strings.HasPrefix(text, "postgres://") || strings.HasPrefix(text, "postgresql://") {
		return address{Options: db.Options{URL: text, MaxConns: 4}}
	}
	dir := strings.TrimPrefix(text, "sqlite://")
	if filepath.Base(dir) == databaseFile {
		dir = filepath.Dir(dir)
	}
	dir = folderOf(dir, "")
	return address{db.Options{File: filepath.Join(dir, databaseFile)}, dir}
}

// folderOf is an absolute path of a folder, that of another if it is not set.
func folderOf(dir, other string) string {
	if dir == "" {
		return other
	}
	if abs, err := filepath.Abs(dir); err == nil { // else there is no working folder, which using it will say
		dir = abs
	}
	if real, err := filepath.EvalSymlinks(dir); err == nil { // else it is not there yet
		dir = real
	}
	return dir
}

// lockFolders keeps consoles from the data folders, and makes the destination's.
func lockFolders(from, to address) (unlock func() error, err error) {
	if _, err := os.Stat(from.folder); errors.Is(err, fs.ErrNotExist) && from.URL == "" {
		return nil, fault.New(fault.ErrNotFound, "There is no data folder "+from.folder+".", "Check the path.")
	}
	var locks []*os.File
	unlock = func() error {
		var errs []error
		for _, f := range locks {
			errs = append(errs, unlockDir(f))
		}
		return errors.Join(errs...)
	}
	for i, dir := range []string{from.folder, to.folder} {
		if i == 1 && dir == from.folder {
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
