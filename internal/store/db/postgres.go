package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
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
	// maxLogin is how long a connection is used where users change: one that is gone may end with its connections.
	maxLogin = 10 * time.Minute
)

func openPostgres(ctx context.Context, o Options, migrate func(*DB) error) (*DB, error) {
	cfg, err := pgx.ParseConfig(o.URL)
	if err != nil {
		return nil, fault.New(fault.ErrInvalid, "The settings of the PostgreSQL database cannot be used.",
			"Check database.url, which is like postgres://user@host:5432/database, and the files that the database.ssl settings name.").Because(errors.New(withoutSecrets(err)))
	}
	cfg.ConnectTimeout = o.ConnectTimeout
	set := func(name, value string) {
		if _, ok := cfg.RuntimeParams[name]; !ok {
			cfg.RuntimeParams[name] = value
		}
	}
	set("application_name", program())
	set("search_path", schemaName) // and not public, where another application's tables may have the names of ours
	set("timezone", "UTC")
	set("plan_cache_mode", "force_generic_plan") // planning takes longer than most statements, and no value needs another plan
	// So that the server frees what a console that vanished from the network had locked.
	set("tcp_keepalives_idle", "10")
	set("tcp_keepalives_interval", "5")
	set("tcp_keepalives_count", "3")
	d := &DB{dialect: postgresDialect, where: fmt.Sprintf("%s at %s", cfg.Database, address(cfg)), maxConns: o.MaxConns, twice: o.Twice, wrote: o.Wrote}
	if o.reading {
		cfg.RuntimeParams["default_transaction_read_only"] = "on"
	}
	if d.owner, err = d.prepare(ctx, cfg, o, migrate); err != nil {
		return nil, d.atStart(err)
	}
	cfg.DialFunc = patient(o.ConnectTimeout, o.Timeout)
	set("idle_in_transaction_session_timeout", fmt.Sprint(2*o.Timeout.Milliseconds()))
	set("statement_timeout", fmt.Sprint(o.Timeout.Milliseconds()*9/10)) // the server tells before the connection is given up
	pool := stdlib.OpenDB(*cfg, stdlib.OptionShouldPing(closed), o.before())
	if o.Login != nil {
		pool.SetConnMaxLifetime(maxLogin)
	}
	pool.SetMaxOpenConns(o.MaxConns)
	pool.SetMaxIdleConns(o.MaxConns)
	pool.SetConnMaxIdleTime(maxIdle)
	d.write, d.read = pool, pool
	return d, nil
}

// logIn takes the user and password of the moment.
func (o Options) logIn(_ context.Context, cfg *pgx.ConnConfig) error {
	if o.Login != nil {
		cfg.User, cfg.Password = o.Login()
	}
	return nil
}

func (o Options) before() stdlib.OptionOpenDB { return stdlib.OptionBeforeConnect(o.logIn) }

// closed reports whether the server has closed a connection that was idle: without asking it, since it may hang.
func closed(_ context.Context, p stdlib.ShouldPingParams) bool {
	return p.IdleDuration > time.Second && p.Conn.PgConn().CheckConn() != nil //nolint:staticcheck // a ping would wait for an answer
}

// prepare checks and migrates the database as its only console, on connections that have all the time that a migration of
// large tables takes.
func (d *DB) prepare(ctx context.Context, cfg *pgx.ConnConfig, o Options, migrate func(*DB) error) (*owner, error) {
	cfg.DialFunc = patient(o.ConnectTimeout, time.Hour)
	pool := stdlib.OpenDB(*cfg, o.before())
	defer func() { _ = pool.Close() }() // idle
	d.write = pool
	limit, cancel := context.WithTimeout(ctx, o.Timeout)
	defer cancel()
	schema, err := d.checkServer(limit, o.reading)
	if err != nil {
		return nil, err
	}
	if o.reading || o.beside {
		return nil, migrate(d)
	}
	w, err := own(ctx, cfg, o.logIn, d.where, o.Timeout)
	if err != nil {
		return nil, err
	}
	if !o.existing {
		err = d.createSchema(ctx, schema)
	}
	if err == nil {
		err = migrate(d)
	}
	if err == nil {
		err = w.claim(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, w.stop())
	}
	return w, nil
}

// atStart is an error of a program that does not try again.
func (d *DB) atStart(err error) error {
	var f *fault.Error
	if !errors.As(err, &f) || f.Kind != fault.ErrStoreUnavailable || f.Unwrap() == nil {
		return err
	}
	return fault.New(f.Kind, fmt.Sprintf("%s (database %s).", strings.TrimSuffix(f.What, "."), d.where), strings.Replace(f.Fix, goesOn, ".", 1)).Because(f.Unwrap())
}

// program names this console to others that want the database.
func program() string {
	host, _ := os.Hostname() // "" says nothing wrong
	return fmt.Sprintf("cotrain on %.30s, process %d", host, os.Getpid())
}

// address is where the server is, or may be.
func address(cfg *pgx.ConnConfig) string {
	var all []string
	add := func(host string, port uint16) {
		at := host
		if !strings.HasPrefix(host, "/") {
			at = net.JoinHostPort(host, fmt.Sprint(port))
		}
		if !slices.Contains(all, at) {
			all = append(all, at)
		}
	}
	add(cfg.Host, cfg.Port)
	for _, f := range cfg.Fallbacks {
		add(f.Host, f.Port)
	}
	return strings.Join(all, " or ")
}

// withoutSecrets is pgx's reason, without the address that it quotes.
func withoutSecrets(err error) string {
	var parse *pgconn.ParseConfigError
	if errors.As(err, &parse) && parse.Unwrap() != nil {
		return parse.Unwrap().Error()
	}
	return "it cannot be parsed"
}

// server is what a console needs to know of a PostgreSQL server.
type server struct {
	version, encoding string
	number            int // of the version
	standby, readOnly bool
}

// refused says why the store would not be on the server what it is elsewhere, and what to do, or nothing.
func (s server) refused() (why, fix string) {
	switch {
	case s.number < oldestPostgres:
		return "is version " + s.version + ", and CoTrain needs 15 or newer", "Upgrade the server, or use another one."
	case s.encoding != "UTF8":
		return "has the encoding " + s.encoding + ", and CoTrain needs UTF8", "Create it with: CREATE DATABASE cotrain OWNER ... ENCODING 'UTF8' TEMPLATE template0."
	case s.standby:
		return "is a standby, which cannot be written", "Give the address of the primary, or several hosts and target_session_attrs=read-write."
	case s.readOnly:
		return "only allows reading (default_transaction_read_only is on)", "Turn that off for the console's user, or use another user."
	}
	return "", ""
}

func (d *DB) refuse(why, fix string) error {
	return fault.New(fault.ErrConflict, fmt.Sprintf("PostgreSQL database %s %s.", d.where, why), fix)
}

// checkServer returns the name of the schema to use.
func (d *DB) checkServer(ctx context.Context, reading bool) (schema string, err error) {
	var s server
	err = d.write.QueryRowContext(ctx, `SELECT current_setting('server_version'), current_setting('server_version_num')::int, current_setting('server_encoding'),
		pg_is_in_recovery(), current_setting('default_transaction_read_only')::bool, split_part(current_setting('search_path'), ',', 1)`).
		Scan(&s.version, &s.number, &s.encoding, &s.standby, &s.readOnly, &schema)
	if err != nil {
		return "", fmt.Errorf("database %s: %w", d.where, MapError(err))
	}
	if reading {
		s.standby, s.readOnly = false, false
	}
	if why, fix := s.refused(); why != "" {
		return "", d.refuse(why, fix)
	}
	d.version = s.version
	return strings.Trim(schema, `" `), nil
}

func (d *DB) createSchema(ctx context.Context, schema string) error {
	_, err := d.write.ExecContext(ctx, `CREATE SCHEMA IF NOT EXISTS `+pgx.Identifier{schema}.Sanitize())
	if err != nil && code(err) != "42501" { // denied: another user may have made it
		return fmt.Errorf("database %s: %w", d.where, MapError(err))
	}
	var ours sql.NullBool
	err = d.write.QueryRowContext(ctx, `SELECT current_schema() = $1 AND has_schema_privilege(current_schema(), 'CREATE') AND has_schema_privilege(current_schema(), 'USAGE')`, schema).Scan(&ours)
	if err != nil {
		return fmt.Errorf("database %s: %w", d.where, MapError(err))
	}
	if !ours.Bool {
		return d.refuse("does not let its user create tables in the schema "+schema,
			fmt.Sprintf("Let an administrator create it: CREATE SCHEMA %s AUTHORIZATION ... , with the user's name.", pgx.Identifier{schema}.Sanitize()))
	}
	return nil
}
