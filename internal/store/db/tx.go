package db

import (
	"context"
	"database/sql"
	"errors"
	"math/rand/v2"
	"sync"
	"time"
)

// Tx is a write transaction. It has one result at a time.
type Tx struct {
	dialect *dialect
	tx      *sql.Tx
	stmts   *statements
	kept    *sync.Map
	missed  []string
	ended   []func(committed bool)
}

// OnEnd calls fn after the transaction committed or failed; one of which that is not known has failed.
func (t *Tx) OnEnd(fn func(committed bool)) { t.ended = append(t.ended, fn) }

// Keep keeps a value for later transactions of this process ([Tx.Kept]), once this one has committed.
func (t *Tx) Keep(key, value any) {
	t.OnEnd(func(committed bool) {
		if committed {
			t.kept.Store(key, value)
		}
	})
}

// Kept is what a transaction of this process kept last, nil for nothing. Others may have changed the database since: compare.
func (t *Tx) Kept(key any) any {
	value, _ := t.kept.Load(key)
	return value
}

// Lock waits until no other transaction changes a row, of runs, sweeps or audit_head, and keeps others from it until this one ends. No
// row is no error. Lock several in the order of their keys.
func (t *Tx) Lock(ctx context.Context, table string, id any) error {
	if !t.dialect.concurrent {
		return nil
	}
	_, err := t.Exec(ctx, `SELECT 1 FROM `+table+` WHERE id = ? FOR UPDATE`, id)
	return err
}

// Require is [Tx.Lock], and [fault.ErrNotFound] if there is no such row: one that was deleted must not come back in parts.
func (t *Tx) Require(ctx context.Context, table, id string) error {
	var one int
	return t.QueryRow(ctx, `SELECT 1 FROM `+table+` WHERE id = ? FOR UPDATE`, id).Scan(&one)
}

// statements are prepared on SQLite's write connection, which halves the cost of small transactions such as a submission.
type statements struct {
	db      *sql.DB
	mu      sync.Mutex
	byQuery map[string]*sql.Stmt
}

// maxStatements is more than the store has.
const maxStatements = 200

// Write runs fn in one write transaction, again with a new one if that lost to another transaction or its connection broke
// before the commit: fn must set, not add to, what it leaves behind. A connection that breaks in the commit leaves open
// whether it is stored.
func (d *DB) Write(ctx context.Context, fn func(*Tx) error) error {
	if d.twice {
		_ = d.transact(ctx, func(tx *Tx) error { return errors.Join(fn(tx), errTwice) }) // fails
	}
	return d.repeat(ctx, d.dialect.repeatable, func() error {
		if err := d.Connected(); err != nil {
			return err
		}
		return d.transact(ctx, fn)
	})
}

var errTwice = errors.New("a test repeats this transaction")

const (
	// tries is how often a transaction is tried.
	tries = 6
	// pause is about the pause after the first try; it doubles.
	pause = 10 * time.Millisecond
)

// repeat calls do until it succeeds or fails in another way than again accepts.
func (d *DB) repeat(ctx context.Context, again func(err error, try int) bool, do func() error) error {
	for try := 1; ; try++ {
		err := do()
		if err == nil || try == tries || errors.As(err, &unknown{}) || !again(err, try) {
			return d.explain(err)
		}
		if staleConns(err) {
			d.write.SetMaxIdleConns(0)
			d.write.SetMaxIdleConns(d.maxConns)
		}
		wait := pause << (try - 1)
		select {
		case <-ctx.Done():
			return d.explain(err)
		case <-time.After(wait/2 + rand.N(wait)):
		}
	}
}

func (d *DB) transact(ctx context.Context, fn func(*Tx) error) (err error) {
	if d.wrote != nil {
		begin := time.Now()
		defer func() { d.wrote(time.Since(begin), err == nil) }()
	}
	tx, err := d.write.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	t := &Tx{dialect: d.dialect, tx: tx, stmts: d.stmts, kept: &d.kept}
	if err = fn(t); err != nil {
		_ = tx.Rollback() // report the first error
	} else if err = tx.Commit(); err == nil {
		d.stmts.prepare(ctx, t.missed) // only now is the one connection free
	} else if errors.Is(err, sql.ErrTxDone) && ctx.Err() != nil { // rolled back before it was committed
		err = ctx.Err()
	} else if d.dialect.uncertain(err) {
		err = unknown{err}
	}
	for _, end := range t.ended {
		end(err == nil)
	}
	return err
}

// prepare prepares queries for next time; failures only cost speed.
func (s *statements) prepare(ctx context.Context, queries []string) {
	if s == nil {
		return
	}
	for _, q := range queries {
		s.mu.Lock()
		_, known := s.byQuery[q]
		full := len(s.byQuery) >= maxStatements
		s.mu.Unlock()
		if known || full {
			continue
		}
		st, err := s.db.PrepareContext(ctx, q)
		if err != nil {
			continue
		}
		s.mu.Lock()
		if s.byQuery[q] == nil {
			s.byQuery[q], st = st, nil
		}
		s.mu.Unlock()
		if st != nil {
			_ = st.Close() // another call was faster
		}
	}
}

func (s *statements) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	for _, st := range s.byQuery {
		errs = append(errs, st.Close())
	}
	return errors.Join(errs...)
}

// stmt returns the prepared statement, nil the first time.
func (t *Tx) stmt(ctx context.Context, query string) *sql.Stmt {
	if t.stmts == nil {
		return nil
	}
	t.stmts.mu.Lock()
	st := t.stmts.byQuery[query]
	t.stmts.mu.Unlock()
	if st == nil {
		t.missed = append(t.missed, query)
		return nil
	}
	return t.tx.StmtContext(ctx, st)
}

// Exec runs one statement.
func (t *Tx) Exec(ctx context.Context, query string, args ...any) (sql.Result, error) {
	query = t.dialect.statement(query)
	args, err := arguments(args)
	if err != nil {
		return nil, err
	}
	trace(ctx, query, args)
	var res sql.Result
	if st := t.stmt(ctx, query); st != nil {
		res, err = st.ExecContext(ctx, args...)
	} else {
		res, err = t.tx.ExecContext(ctx, query, args...)
	}
	return res, MapError(err)
}

// Query reads what the transaction sees.
func (t *Tx) Query(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	query = t.dialect.statement(query)
	if st := t.stmt(ctx, query); st != nil {
		args, err := arguments(args)
		if err != nil {
			return nil, err
		}
		trace(ctx, query, args)
		rows, err := st.QueryContext(ctx, args...)
		return rows, MapError(err)
	}
	return runQuery(ctx, t.dialect, t.tx, query, args)
}

// QueryRow reads one row of what the transaction sees; none is [fault.ErrNotFound].
func (t *Tx) QueryRow(ctx context.Context, query string, args ...any) Row {
	query = t.dialect.statement(query)
	if st := t.stmt(ctx, query); st != nil {
		args, err := arguments(args)
		if err != nil {
			return Row{err: err}
		}
		trace(ctx, query, args)
		return Row{row: st.QueryRowContext(ctx, args...)}
	}
	return runRow(ctx, t.dialect, t.tx, query, args)
}
