package store

import (
	"context"
	"database/sql"
	"errors"
	"sync"

	"github.com/cotrain/cotrain/internal/fault"
)

// writeTx is the write transaction. Statements that it has seen before are prepared, which halves the cost of the small
// transactions that a submission is made of.
type writeTx struct {
	tx     *sql.Tx
	stmts  *statements
	missed []string

	ordered bool // it stores orders
}

// statements are prepared on the one connection for writing.
type statements struct {
	db      *sql.DB
	mu      sync.Mutex
	byQuery map[string]*sql.Stmt
}

// maxStatements bounds the prepared ones: the store has fewer queries than this.
const maxStatements = 100

// inTx runs fn in one write transaction.
func (s *Store) inTx(ctx context.Context, fn func(*writeTx) error) error {
	err := s.transact(ctx, fn)
	if f := (*fault.Error)(nil); errors.Is(err, fault.ErrFull) && errors.As(err, &f) {
		return diskFull(s.dir, f.Unwrap())
	}
	return err
}

func (s *Store) transact(ctx context.Context, fn func(*writeTx) error) error {
	tx, err := s.write.BeginTx(ctx, nil)
	if err != nil {
		return mapError(err)
	}
	w := &writeTx{tx: tx, stmts: &s.stmts}
	if err := fn(w); err != nil {
		_ = tx.Rollback() // the first error is the one to tell
		return mapError(err)
	}
	if err := tx.Commit(); err != nil {
		return mapError(err)
	}
	s.stmts.prepare(ctx, w.missed) // not before: the transaction has the only connection
	if w.ordered {
		select {
		case s.ordered <- struct{}{}:
		default: // one that has not been received yet speaks for these too
		}
	}
	return nil
}

// prepare remembers queries for the next time. A failure costs nothing but that time.
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

// stmt returns the prepared statement for a query, or nil the first time.
func (w *writeTx) stmt(ctx context.Context, query string) *sql.Stmt {
	w.stmts.mu.Lock()
	st := w.stmts.byQuery[query]
	w.stmts.mu.Unlock()
	if st == nil {
		w.missed = append(w.missed, query)
		return nil
	}
	return w.tx.StmtContext(ctx, st)
}

// ExecContext is that of sql.Tx.
func (w *writeTx) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	if st := w.stmt(ctx, query); st != nil {
		return st.ExecContext(ctx, args...)
	}
	return w.tx.ExecContext(ctx, query, args...)
}

// QueryContext is that of sql.Tx.
func (w *writeTx) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	if st := w.stmt(ctx, query); st != nil {
		return st.QueryContext(ctx, args...)
	}
	return w.tx.QueryContext(ctx, query, args...)
}

// QueryRowContext is that of sql.Tx.
func (w *writeTx) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	if st := w.stmt(ctx, query); st != nil {
		return st.QueryRowContext(ctx, args...)
	}
	return w.tx.QueryRowContext(ctx, query, args...)
}
