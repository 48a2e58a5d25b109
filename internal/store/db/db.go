package db

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"time"
)

// Options says which database.
type Options struct {
	// File is SQLite's file, used without URL.
	File string
	// URL is the address of a PostgreSQL database: postgres://user:password@host/name?sslmode=verify-full.
	URL string
	// MaxConns is the most connections to PostgreSQL, besides that of the lock (default 16).
	MaxConns int
	// ConnectTimeout bounds the making of one connection (default 5 s), Timeout each wait for PostgreSQL's answer (default
	// 30 s).
	ConnectTimeout, Timeout time.Duration
	// Login is asked for user and password before each connection to PostgreSQL, where they change; nil for the URL's.
	Login func() (user, password string)
	// Wrote is told of each transaction that writes, with the wait for its turn; nil for nobody. It must not block.
	Wrote func(took time.Duration, committed bool)
	// Twice is for tests: each transaction is undone and repeated once, as if it had lost to another one.
	Twice bool

	existing, reading, beside bool // see OpenExisting, OpenReading and OpenBeside
}

// DB is a database, safe for concurrent use.
type DB struct {
	dialect     *dialect
	file        string // SQLite's
	where       string // PostgreSQL's name and address
	version     string // of the database program
	write, read *sql.DB
	stmts       *statements // SQLite's; pgx has its own
	owner       *owner      // PostgreSQL's
	maxConns    int         // to PostgreSQL
	twice       bool        // see Options
	wrote       func(took time.Duration, committed bool)
	kept        sync.Map // see Tx.Keep
}

// Open opens or creates a database and migrates it. It refuses a schema newer than the migrations, and PostgreSQL in use by
// another console ([ErrInUse]).
func Open(ctx context.Context, o Options, m Migrations) (*DB, error) {
	return open(ctx, o, func(d *DB) error { return d.migrate(ctx, m) })
}

// OpenExisting is [Open] for a database that must be there, with the schema of the migrations.
func OpenExisting(ctx context.Context, o Options, m Migrations) (*DB, error) {
	o.existing = true
	return open(ctx, o, func(d *DB) error { return d.current(ctx, m) })
}

// OpenReading is [OpenExisting] for reading only, also while a console has the database, or from a standby.
func OpenReading(ctx context.Context, o Options, m Migrations) (*DB, error) {
	o.existing, o.reading = true, true
	return open(ctx, o, func(d *DB) error { return d.current(ctx, m) })
}

// OpenBeside is [OpenExisting] while a console may have the database, for changes that stand beside its own.
func OpenBeside(ctx context.Context, o Options, m Migrations) (*DB, error) {
	o.existing, o.beside = true, true
	return open(ctx, o, func(d *DB) error { return d.current(ctx, m) })
}

func open(ctx context.Context, o Options, prepare func(*DB) error) (*DB, error) {
	if o.URL == "" {
		return openSQLite(ctx, o, prepare)
	}
	if o.MaxConns == 0 {
		o.MaxConns = 16
	}
	if o.ConnectTimeout == 0 {
		o.ConnectTimeout = 5 * time.Second
	}
	if o.Timeout == 0 {
		o.Timeout = 30 * time.Second
	}
	return openPostgres(ctx, o, prepare)
}

// Close closes the database; commits are on disk.
func (d *DB) Close() error {
	var errs []error
	if d.stmts != nil {
		errs = append(errs, d.stmts.close())
	}
	if d.read != nil && d.read != d.write {
		errs = append(errs, d.read.Close())
	}
	errs = append(errs, d.write.Close())
	if d.owner != nil {
		errs = append(errs, d.owner.stop())
	}
	return errors.Join(errs...)
}

// String is the program with its version, for logs: PostgreSQL 15.8, database cotrain at db:5432.
func (d *DB) String() string {
	if d.where == "" {
		return d.dialect.name + " " + d.version
	}
	return fmt.Sprintf("%s %s, database %s", d.dialect.name, d.version, d.where)
}

// Name is the database's, without its program: /srv/cotrain/cotrain.db, or cotrain at db:5432.
func (d *DB) Name() string { return cmp.Or(d.where, d.file) }

// Shared reports whether other programs may have tables beside the console's.
func (d *DB) Shared() bool { return d.file == "" }

// Gone receives an error once another console has taken the database; nil, which never receives, with SQLite.
func (d *DB) Gone() <-chan error {
	if d.owner == nil {
		return nil
	}
	return d.owner.gone
}

// Connected is an error while another console might have the database; nothing is written then.
func (d *DB) Connected() error {
	if d.owner != nil {
		if why := d.owner.lost.Load(); why != nil {
			return why
		}
	}
	return nil
}

// Pool are connections of one use.
type Pool struct {
	Name        string // write or read
	InUse, Idle int
	Waits       int64 // for a free one, since the start
}

// Pools returns the connections to the database.
func (d *DB) Pools() []Pool {
	of := func(name string, db *sql.DB) Pool {
		s := db.Stats()
		return Pool{Name: name, InUse: s.InUse, Idle: s.Idle, Waits: s.WaitCount}
	}
	out := []Pool{of("write", d.write)}
	if d.read != nil && d.read != d.write {
		out = append(out, of("read", d.read))
	}
	return out
}

// Exec runs one statement in its own transaction.
func (d *DB) Exec(ctx context.Context, query string, args ...any) (res sql.Result, err error) {
	query = d.dialect.statement(query)
	in, err := arguments(args)
	if err != nil {
		return nil, err
	}
	err = d.repeat(ctx, d.dialect.undone, func() error {
		if err := d.Connected(); err != nil {
			return err
		}
		trace(ctx, query, in)
		res, err = d.write.ExecContext(ctx, query, in...)
		return err
	})
	return res, err
}

// Query reads committed rows.
func (d *DB) Query(ctx context.Context, query string, args ...any) (rows *sql.Rows, err error) {
	err = d.repeat(ctx, d.dialect.repeatable, func() (err error) {
		rows, err = runQuery(ctx, d.dialect, d.read, query, args) //nolint:rowserrcheck,sqlclosecheck // for the caller
		return err
	})
	return rows, err
}

// QueryRow reads one committed row; none is [fault.ErrNotFound].
func (d *DB) QueryRow(ctx context.Context, query string, args ...any) Row {
	return Row{read: func(into ...any) error {
		return d.repeat(ctx, d.dialect.repeatable, func() error { return runRow(ctx, d.dialect, d.read, query, args).Scan(into...) })
	}}
}

// Snapshot is the database at one moment. It has one result at a time.
type Snapshot struct {
	dialect *dialect
	tx      *sql.Tx
}

// Read calls fn with a snapshot.
func (d *DB) Read(ctx context.Context, fn func(*Snapshot) error) error {
	var tx *sql.Tx
	err := d.repeat(ctx, d.dialect.repeatable, func() (err error) {
		tx, err = d.read.BeginTx(ctx, d.dialect.snapshot)
		return err
	})
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // nothing to undo
	return fn(&Snapshot{d.dialect, tx})  // its queries have mapped theirs
}

// Query reads the snapshot.
func (s *Snapshot) Query(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	return runQuery(ctx, s.dialect, s.tx, query, args)
}

// QueryRow reads one row of the snapshot; none is [fault.ErrNotFound].
func (s *Snapshot) QueryRow(ctx context.Context, query string, args ...any) Row {
	return runRow(ctx, s.dialect, s.tx, query, args)
}

// Explain returns the plan of a query, a line each.
func (d *DB) Explain(ctx context.Context, query string, args ...any) ([]string, error) {
	rows, err := d.Query(ctx, d.dialect.explain+query, args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }() // if not read
	columns, err := rows.Columns()
	if err != nil {
		return nil, err
	}
	return Collect(rows, func(row Scanner) (line string, err error) {
		into := make([]any, len(columns))
		for i := range into {
			into[i] = new(any)
		}
		into[len(into)-1] = &line // the only one, or the last
		return line, row.Scan(into...)
	})
}
