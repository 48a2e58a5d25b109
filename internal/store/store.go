package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store/accounts"
	"github.com/cotrain/cotrain/internal/store/auditlog"
	"github.com/cotrain/cotrain/internal/store/db"
	"github.com/cotrain/cotrain/internal/store/points"
)

// Store is the console's memory. Its methods are safe for concurrent use.
type Store struct {
	*points.Points
	*accounts.Accounts

	Audit *auditlog.Log

	db    *db.DB
	lock  *os.File // held while open; nil with OpenWith
	blobs Blobs

	// Lost is told once of each block of the archive of logs that cannot be read; nil for nobody. It is set before logs are read.
	Lost func(id run.ID, blob, how string)

	blocks   *blocks
	unstored atomic.Int64 // bytes of the newest batches that failed; 0 after a success

	ordered chan struct{}

	catalog atomic.Pointer[current] // nil until the first list
	loading chan struct{}
}

// What is in a data folder: SQLite's database, and the archive of logs.
const (
	databaseFile = "cotrain.db"
	logsFolder   = "logs"
)

// Open opens or creates the store in dir (cotrain.db and logs/) and migrates it; see [OpenAt].
func Open(ctx context.Context, dir string) (*Store, error) {
	return OpenAt(ctx, dir, db.Options{})
}

// OpenAt is [Open] with the database elsewhere: where it has a URL, dir holds only logs/. It refuses a newer schema, another
// console's database or folder, and explains an unwritable dir.
func OpenAt(ctx context.Context, dir string, o db.Options) (*Store, error) {
	return OpenAddress(ctx, Address{Folder: dir, Database: o})
}

// OpenAddress is [OpenAt] with the archive of logs elsewhere, too, where the address has one; the store closes it.
func OpenAddress(ctx context.Context, a Address) (s *Store, err error) {
	dir, o := a.Folder, a.Database
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, cannotOpen(dir, fmt.Errorf("data folder %s: %w", dir, err))
	}
	if err := probe(dir); err != nil {
		return nil, err
	}
	lock, err := lockDir(dir)
	if err != nil {
		return nil, cannotOpen(dir, err)
	}
	blobs, err := a.archive()
	if err != nil {
		return nil, errors.Join(cannotOpen(dir, err), unlockDir(lock))
	}
	o.File = filepath.Join(dir, databaseFile)
	if s, err = OpenWith(ctx, o, blobs); err != nil {
		return nil, errors.Join(err, unlockDir(lock))
	}
	s.lock = lock
	return s, nil
}

// cannotOpen adds what to do to an error at start-up.
func cannotOpen(name string, err error) error {
	mapped := db.MapError(err)
	switch {
	case errors.Is(mapped, fault.ErrDamaged):
		return fault.New(fault.ErrDamaged, fmt.Sprintf("%s is damaged, or is no database of CoTrain.", name),
			fmt.Sprintf("Keep a copy of it and of the files beside it, then restore it from a backup, or recover what is left with \"sqlite3 %s .recover\"; or start with another folder (COTRAIN_DATA_DIR).", name)).Because(err)
	case errors.Is(mapped, fault.ErrFull), errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return fault.New(fault.ErrFull, fmt.Sprintf("There is no room on the disk that holds %s.", name), "Free space there, or start with a folder on a larger disk (COTRAIN_DATA_DIR).").Because(err)
	}
	return err
}

// probeBytes is more than SQLite writes to open a database.
const probeBytes = 256 << 10

// probe checks that dir can be written.
func probe(dir string) error {
	f, err := os.CreateTemp(dir, ".write-*")
	if err == nil {
		_, err = f.Write(make([]byte, probeBytes))
		err = errors.Join(err, f.Close(), os.Remove(f.Name()))
	}
	if err != nil {
		return cannotOpen(dir, fmt.Errorf("data folder %s cannot be written: %w; choose another with COTRAIN_DATA_DIR", dir, err))
	}
	return nil
}

// ErrInUse means that another console has the data folder, or the database.
var ErrInUse = db.ErrInUse

// lockDir makes this the only console with the folder: two would follow the same logs for different viewers. The kernel
// releases the lock however the process ends.
func lockDir(dir string) (*os.File, error) {
	name := filepath.Join(dir, "cotrain.lock")
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o640)
	if err != nil {
		return nil, fmt.Errorf("data folder %s: %w", dir, err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close() // nothing was written
		return nil, fmt.Errorf("data folder %s is %w: stop that one, or choose another folder with COTRAIN_DATA_DIR", dir, ErrInUse)
	}
	return f, nil
}

// unlockDir unlocks explicitly: a child process being started may still have the file open.
func unlockDir(f *os.File) error {
	return errors.Join(syscall.Flock(int(f.Fd()), syscall.LOCK_UN), f.Close())
}

// OpenWith opens the store with its log archive elsewhere.
func OpenWith(ctx context.Context, o db.Options, blobs Blobs) (*Store, error) {
	d, err := openDatabase(ctx, o, db.Open)
	if err != nil {
		return nil, err
	}
	if err := d.AfterRestore(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("open the database: %w", err), d.Close())
	}
	return &Store{Points: points.New(d), Accounts: accounts.New(d), Audit: auditlog.New(d), db: d, blobs: blobs, blocks: newBlocks(), ordered: make(chan struct{}, 1), loading: make(chan struct{}, 1)}, nil
}

// Database names the database and its version, for logs.
func (s *Store) Database() string { return s.db.String() }

// CheckArchive tells whether sealed blocks of logs can be written there.
func (s *Store) CheckArchive(ctx context.Context) error { return s.blobs.Check(ctx) }

// Archive names where the sealed blocks of logs are.
func (s *Store) Archive() string { return s.blobs.String() }

// LacksOldLogs reports whether the archive does not have the oldest or the newest sealed block: it may be another than before.
func (s *Store) LacksOldLogs(ctx context.Context) (bool, error) {
	names, err := db.Select(ctx, s.db, db.One[string], `SELECT blob FROM (SELECT blob FROM log_blocks WHERE run_id > '' ORDER BY run_id, first_chunk LIMIT 1) AS oldest
		UNION ALL SELECT blob FROM (SELECT blob FROM log_blocks WHERE run_id > '' ORDER BY run_id DESC, first_chunk DESC LIMIT 1) AS newest`)
	if err != nil {
		return false, err
	}
	for _, name := range names {
		if _, err := s.blobs.Stat(ctx, name); err != nil {
			if errors.Is(err, fault.ErrNotFound) {
				return true, nil
			}
			return false, err
		}
	}
	return false, nil
}

// Pools returns the connections to the database.
func (s *Store) Pools() []db.Pool { return s.db.Pools() }

// Connected is an error while the connection to a database elsewhere is lost.
func (s *Store) Connected() error { return s.db.Connected() }

// Gone receives an error when another console has taken the database; it is nil for a database that others cannot reach.
func (s *Store) Gone() <-chan error { return s.db.Gone() }

// Close closes the store; commits are on disk.
func (s *Store) Close() error {
	err := errors.Join(s.db.Close(), s.blobs.Close())
	if s.lock != nil {
		err = errors.Join(err, unlockDir(s.lock))
	}
	return err
}

// checkBytes is what Ping writes, up to maxCheckBytes after a larger write failed.
const (
	checkBytes    = 16 << 10
	maxCheckBytes = 1 << 20
)

// Ping checks that the store can be read and written, with as much as failed last.
func (s *Store) Ping(ctx context.Context) error {
	err := s.db.Write(ctx, func(tx *db.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO write_checks (id, data) VALUES (0, ?) ON CONFLICT (id) DO UPDATE SET data = excluded.data`, make([]byte, max(checkBytes, s.unstored.Load())))
		return err
	})
	if err == nil { // in its own transaction, or SQLite would never write it
		_, err = s.db.Exec(ctx, `DELETE FROM write_checks`)
	}
	if err != nil {
		return fmt.Errorf("write to the store: %w", err)
	}
	return nil
}

// missing replaces a not-found error's words.
func missing(err error, what *fault.Error) error {
	if errors.Is(err, fault.ErrNotFound) {
		return what
	}
	return err
}
