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
	// Archive has the sealed blocks of logs; nil for the folder logs in Folder.
	Archive Blobs
}

// archive is where the sealed blocks of logs are.
func (a Address) archive() (Blobs, error) {
	if a.Archive != nil {
		return a.Archive, nil
	}
	return a.logs()
}

// logs is the folder of sealed blocks in the data folder.
func (a Address) logs() (Blobs, error) { return NewFileBlobs(filepath.Join(a.Folder, logsFolder)) }

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

// lockAll keeps consoles from the data folders of a source and a destination, which it makes.
func lockAll(from, to Address) (unlock func() error, err error) {
	first, err := from.lock()
	if err != nil || to.Folder == from.Folder {
		return first, err
	}
	second, err := to.lock()
	if err != nil {
		return nil, errors.Join(err, first())
	}
	return func() error { return errors.Join(second(), first()) }, nil
}

// lock keeps consoles from the data folder, and makes it.
func (a Address) lock() (unlock func() error, err error) {
	if err := os.MkdirAll(a.Folder, 0o750); err != nil {
		return nil, cannotOpen(a.Folder, fmt.Errorf("data folder %s: %w", a.Folder, err))
	}
	lock, err := lockDir(a.Folder)
	if errors.Is(err, ErrInUse) {
		return nil, fault.New(fault.ErrInUse, "A console has the data folder "+a.Folder+".", "Stop it, and keep it stopped until this is done.").Because(err)
	}
	if err != nil {
		return nil, cannotOpen(a.Folder, err)
	}
	return func() error { return unlockDir(lock) }, nil
}

// exists refuses a folder for SQLite that is not there.
func (a Address) exists() error {
	if _, err := os.Stat(a.Folder); errors.Is(err, fs.ErrNotExist) && a.Database.URL == "" {
		return fault.New(fault.ErrNotFound, "There is no data folder "+a.Folder+".", "Check the path.")
	}
	return nil
}

// openDatabase opens a database with [db.Open], [db.OpenExisting], [db.OpenReading] or [db.OpenBeside], unless a copy into it is unfinished.
func openDatabase(ctx context.Context, o db.Options, open func(context.Context, db.Options, db.Migrations) (*db.DB, error)) (*db.DB, error) {
	m, err := migrations()
	if err != nil {
		return nil, err
	}
	d, err := open(ctx, o, m)
	if err != nil && o.URL == "" {
		err = cannotOpen(o.File, err)
	}
	if err != nil {
		return nil, fmt.Errorf("open the database: %w", err)
	}
	if err := transfer.Unfinished(ctx, d); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

// Inspection is a console's data, to be checked.
type Inspection struct {
	DB   *db.DB
	Logs Blobs // the sealed blocks

	unlock func() error
}

// Inspect opens existing data: for reading only, also while a console has it, or alone to repair it.
func Inspect(ctx context.Context, a Address, alone bool) (*Inspection, error) {
	a = a.resolved()
	if err := a.exists(); err != nil {
		return nil, err
	}
	i := &Inspection{unlock: func() error { return nil }}
	open := db.OpenReading
	if alone {
		open = db.OpenExisting
		var err error
		if i.unlock, err = a.lock(); err != nil {
			return nil, err
		}
	}
	var err error
	if i.DB, err = openDatabase(ctx, a.Database, open); err != nil {
		return nil, errors.Join(err, i.unlock())
	}
	if i.Logs, err = a.archive(); err != nil {
		return nil, errors.Join(err, i.DB.Close(), i.unlock())
	}
	return i, nil
}

// OpenBeside opens an existing database for changes that may be made while a console has it.
func OpenBeside(ctx context.Context, a Address) (*db.DB, error) {
	a = a.resolved()
	if err := a.exists(); err != nil {
		return nil, err
	}
	return openDatabase(ctx, a.Database, db.OpenBeside)
}

// Close ends the inspection.
func (i *Inspection) Close() error { return errors.Join(i.DB.Close(), i.Logs.Close(), i.unlock()) }
