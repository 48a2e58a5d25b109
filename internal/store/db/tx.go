package db

import (
	"context"
	"database/sql"
	"errors"
	"sync"

	"github.com/cotrain/cotrain/internal/fault"
)

// Tx is a write transaction. Repeated statements are prepared, which halves the cost of small transactions such as a
// submission.
type Tx struct {
	tx     *sql.Tx
	stmts  *statements
	missed []string
	ended  []func(committed bool)
}

// OnEnd calls fn after the transaction committed or failed.
func (t *Tx) OnEnd(fn func(committed bool)) { t.ended = append(t.ended, fn) }

// statements are prepared on the write connection.
type statements struct {
	db      *sql.DB
	mu      sync.Mutex
	byQuery map[string]*sql.Stmt
}

// maxStatements is more than the store has.
const maxStatements = 100

// Write runs fn in one write transaction.
func (d *DB) Write(ctx context.Context, fn func(*Tx) error) error {
	err := d.transact(ctx, fn)
	if f := (*fault.Error)(nil); errors.Is(err, fault.ErrFull) && errors.As(err, &f) {
		return diskFull(d.dir, f.Unwrap())
	}
	return err
}

func (d *DB) transact(ctx context.Context, fn func(*Tx) error) error {
	tx, err := d.write.BeginTx(ctx, nil)
	if err != nil {
		return MapError(err)
	}
	t := &Tx{tx: tx, stmts: &d.stmts}
	if err = fn(t); err != nil {
		_ = tx.Rollback() // report the first error
	} else if err = tx.Commit(); err == nil {
		d.stmts.prepare(ctx, t.missed) // only now is the one connection free
	}
	for _, end := range t.ended {
		end(err == nil)
	}
	return MapError(err)
}

// prepare prepares queries for next time; failures only cost speed.
func (s *statements) prepare(ctx context.Context, queries []string) {
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
	if st := t.stmt(ctx, query); st != nil {
		res, err := st.ExecContext(ctx, args...)
		return res, MapError(err)
	}
	res, err := t.tx.ExecContext(ctx, query, args...)
	return res, MapError(err)
}

// Query reads what the transaction sees.
func (t *Tx) Query(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	if st := t.stmt(ctx, query); st != nil {
		rows, err := st.QueryContext(ctx, args...)
		return rows, MapError(err)
	}
	rows, err := t.tx.QueryContext(ctx, query, args...)
	return rows, MapError(err)
}

// QueryRow reads one row of what the transaction sees; none is [fault.ErrNotFound].
func (t *Tx) QueryRow(ctx context.Context, query string, args ...any) Row {
	if st := t.stmt(ctx, query); st != nil {
		return Row{st.QueryRowContext(ctx, args...)}
	}
	return Row{t.tx.QueryRowContext(ctx, query, args...)}
}
