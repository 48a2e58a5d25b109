package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/cotrain/cotrain/internal/fault"
)

const (
	// oldestPostgres is the oldest release that is supported upstream, by server_version_num.
	oldestPostgres = 150000
	// schemaName is the schema of the console's tables, unless the address sets a search_path.
	schemaName = "cotrain"
	// maxIdle is how long an unused connection stays open.
	maxIdle = 5 * time.Minute
)

func openPostgres(ctx context.Context, o Options, migrate func(*DB) error) (*DB, error) {
	cfg, err := pgx.ParseConfig(o.URL)
	if err != nil {
		return nil, fault.New(fault.ErrInvalid, "database.url is no address of a PostgreSQL database.", "Write it as postgres://user:password@host:5432/database?sslmode=verify-full.").Because(errors.New(withoutSecrets(err)))
	}
	cfg.ConnectTimeout = o.ConnectTimeout
	set := func(name, value string) {
		if _, ok := cfg.RuntimeParams[name]; !ok {
			cfg.RuntimeParams[name] = value
		}
	}
	set("application_name", "cotrain")
	set("search_path", schemaName+", public")
	set("timezone", "UTC")
	// So that the server frees what a console that vanished from the network had locked.
	set("tcp_keepalives_idle", "10")
	set("tcp_keepalives_interval", "5")
	set("tcp_keepalives_count", "3")
	d := &DB{dialect: postgresDialect, where: fmt.Sprintf("%s at %s", cfg.Database, address(cfg)), maxConns: o.MaxConns}
	if o.reading {
		cfg.RuntimeParams["default_transaction_read_only"] = "on"
	}
	if d.owner, err = d.prepare(ctx, cfg, o, migrate); err != nil {
		return nil, err
	}
	cfg.DialFunc = patient(o.ConnectTimeout, o.Timeout)
	set("idle_in_transaction_session_timeout", fmt.Sprint(2*o.Timeout.Milliseconds()))
	set("statement_timeout", fmt.Sprint(o.Timeout.Milliseconds()))
	pool := stdlib.OpenDB(*cfg)
	pool.SetMaxOpenConns(o.MaxConns)
	pool.SetMaxIdleConns(o.MaxConns)
	pool.SetConnMaxIdleTime(maxIdle)
	d.write, d.read = pool, pool
	return d, nil
}

// prepare checks and migrates the database as its only console, on connections that have all the time that a migration of
// large tables takes.
func (d *DB) prepare(ctx context.Context, cfg *pgx.ConnConfig, o Options, migrate func(*DB) error) (*owner, error) {
	cfg.DialFunc = patient(o.ConnectTimeout, time.Hour)
	pool := stdlib.OpenDB(*cfg)
	defer func() { _ = pool.Close() }() // idle
	d.write = pool
	limit, cancel := context.WithTimeout(ctx, o.Timeout)
	defer cancel()
	if err := d.checkPostgres(limit, o); err != nil {
		return nil, err
	}
	if o.reading {
		return nil, migrate(d)
	}
	w, err := own(ctx, cfg, o)
	if err != nil {
		return nil, err
	}
	if err = migrate(d); err == nil {
		err = w.claim(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, w.stop())
	}
	return w, nil
}

func address(cfg *pgx.ConnConfig) string {
	if strings.HasPrefix(cfg.Host, "/") {
		return cfg.Host
	}
	return net.JoinHostPort(cfg.Host, fmt.Sprint(cfg.Port))
}

// withoutSecrets is pgx's reason, without the address that it quotes.
func withoutSecrets(err error) string {
	var parse *pgconn.ParseConfigError
	if errors.As(err, &parse) && parse.Unwrap() != nil {
		return parse.Unwrap().Error()
	}
	return "it cannot be parsed"
}

// checkPostgres refuses a server on which the store would not be what it is elsewhere, and creates the schema unless it
// must exist.
func (d *DB) checkPostgres(ctx context.Context, o Options) error {
	var number int
	var encoding, schema string
	var standby, readOnly bool
	err := d.write.QueryRowContext(ctx, `SELECT current_setting('server_version'), current_setting('server_version_num')::int, current_setting('server_encoding'),
		pg_is_in_recovery(), current_setting('default_transaction_read_only')::bool, split_part(current_setting('search_path'), ',', 1)`).
		Scan(&d.version, &number, &encoding, &standby, &readOnly, &schema)
	if err != nil {
		return fmt.Errorf("database %s: %w", d.where, MapError(err))
	}
	refuse := func(what, fix string) error {
		return fault.New(fault.ErrConflict, fmt.Sprintf("PostgreSQL database %s %s.", d.where, what), fix)
	}
	switch {
	case number < oldestPostgres:
		return refuse("is version "+d.version+", and CoTrain needs 15 or newer", "Upgrade the server, or use another one.")
	case encoding != "UTF8":
		return refuse("has the encoding "+encoding+", and CoTrain needs UTF8", "Create it with: CREATE DATABASE cotrain ENCODING 'UTF8' TEMPLATE template0.")
	case o.reading:
		return nil
	case standby:
		return refuse("is a standby, which cannot be written", "Give the address of the primary, or several hosts and target_session_attrs=read-write.")
	case readOnly:
		return refuse("only allows reading (default_transaction_read_only is on)", "Turn that off for the console's user, or use another user.")
	}
	if o.existing {
		return nil
	}
	if _, err := d.write.ExecContext(ctx, `CREATE SCHEMA IF NOT EXISTS `+pgx.Identifier{strings.Trim(schema, `" `)}.Sanitize()); err != nil && !denied(err) {
		return fmt.Errorf("database %s: %w", d.where, MapError(err))
	}
	var current sql.NullString
	var create sql.NullBool
	if err := d.write.QueryRowContext(ctx, `SELECT current_schema(), has_schema_privilege(current_user, current_schema(), 'CREATE, USAGE')`).Scan(&current, &create); err != nil {
		return fmt.Errorf("database %s: %w", d.where, MapError(err))
	}
	if strings.Trim(schema, `" `) != current.String || !create.Bool {
		return refuse("does not let its user create tables in the schema "+schema, "Make the user its owner: ALTER DATABASE ... OWNER TO ...; or create the schema for it: CREATE SCHEMA "+schema+" AUTHORIZATION ... .")
	}
	return nil
}

func denied(err error) bool { return code(err) == "42501" }

// code is the SQLSTATE of an error of PostgreSQL, or "".
func code(err error) string {
	if pg := (*pgconn.PgError)(nil); errors.As(err, &pg) {
		return pg.Code
	}
	return ""
}

// postgresKind is what an error of PostgreSQL means, "" for nothing that others know; the codes are of its manual,
// appendix A.
func postgresKind(e *pgconn.PgError) fault.Kind {
	switch e.Code {
	case "53100": // disk_full
		return fault.ErrFull
	case "23505": // unique_violation
		return fault.ErrConflict
	case "XX001", "XX002": // data_corrupted, index_corrupted
		return fault.ErrDamaged
	case "25006", "57014", "57P01", "57P02", "57P03", "57P05", "40001", "40P01", "55P03", "25P03", "28P01", "28000", "3D000", "42501":
		// read-only after a failover, cancelled, shutting down, crashed, starting, idle too long, lost to others too often,
		// lock not available, idle in a transaction, log-in and rights that changed
		return fault.ErrStoreUnavailable
	}
	switch e.Code[:min(2, len(e.Code))] {
	case "08", "53", "58": // connection, resources, system error such as I/O
		return fault.ErrStoreUnavailable
	}
	return ""
}

// postgresRepeatable is true for a transaction that lost to another one, or whose connection broke: what fails before the
// commit has not happened.
func postgresRepeatable(err error) bool {
	switch code(err) {
	case "40001", "40P01", "23505": // serialization_failure, deadlock_detected, unique_violation by a concurrent transaction
		return true
	case "57P01", "57P02", "57P03", "25006", "25P03", "57P05":
		return true
	case "":
		return lost(err)
	}
	return strings.HasPrefix(code(err), "08")
}

// postgresUndone is true where the server has said that it did nothing.
func postgresUndone(err error) bool {
	switch code(err) {
	case "40001", "40P01", "25006", "57P03":
		return true
	}
	return false
}

// patient bounds how long a connection may take to be made, and each wait for the server: neither a server that hangs nor a
// network that swallows packets can hold a call for ever.
func patient(connect, answer time.Duration) pgconn.DialFunc {
	dialer := &net.Dialer{Timeout: connect, KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 10 * time.Second, Interval: 5 * time.Second, Count: 3}}
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := dialer.DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return &patientConn{Conn: c, limit: answer}, nil
	}
}

type patientConn struct {
	net.Conn
	limit time.Duration

	mu  sync.Mutex
	own bool // the driver has set a deadline
}

func (c *patientConn) Read(b []byte) (int, error) {
	c.mu.Lock()
	if !c.own {
		_ = c.Conn.SetReadDeadline(time.Now().Add(c.limit)) // a closed connection says so in Read
	}
	c.mu.Unlock()
	return c.Conn.Read(b)
}

func (c *patientConn) Write(b []byte) (int, error) {
	c.mu.Lock()
	if !c.own {
		_ = c.Conn.SetWriteDeadline(time.Now().Add(c.limit))
	}
	c.mu.Unlock()
	return c.Conn.Write(b)
}

func (c *patientConn) SetDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.own = !t.IsZero()
	return c.Conn.SetDeadline(t)
}
