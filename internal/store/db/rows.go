package db

import (
	"context"
	"database/sql"
	"math"
	"time"
)

// Querier reads: a [DB], a [Snapshot] or a [Tx].
type Querier interface {
	Query(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRow(ctx context.Context, query string, args ...any) Row
}

// querier is sql.DB or sql.Tx.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

func runQuery(ctx context.Context, d *dialect, q querier, query string, args []any) (*sql.Rows, error) {
	args, err := arguments(args)
	if err != nil {
		return nil, err
	}
	query = d.statement(query)
	trace(ctx, query, args)
	rows, err := q.QueryContext(ctx, query, args...)
	return rows, MapError(err)
}

func runRow(ctx context.Context, d *dialect, q querier, query string, args []any) Row {
	args, err := arguments(args)
	if err != nil {
		return Row{err: err}
	}
	query = d.statement(query)
	trace(ctx, query, args)
	return Row{row: q.QueryRowContext(ctx, query, args...)}
}

// Scanner is a row.
type Scanner interface{ Scan(...any) error }

// Row is the one row of a query.
type Row struct {
	row  *sql.Row
	read func(...any) error // instead
	err  error
}

// Scan is sql.Row's, except that no row is [fault.ErrNotFound].
func (r Row) Scan(into ...any) error {
	switch {
	case r.err != nil:
		return r.err
	case r.read != nil:
		return r.read(into...)
	}
	return MapError(r.row.Scan(into...))
}

// Select returns a query's rows, read by scan.
func Select[T any](ctx context.Context, q Querier, scan func(Scanner) (T, error), query string, args ...any) ([]T, error) {
	rows, err := q.Query(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	return Collect(rows, scan)
}

// One scans a row of one column.
func One[T any](row Scanner) (v T, err error) {
	err = row.Scan(&v)
	return v, err
}

// Collect scans and closes rows.
func Collect[T any](rows *sql.Rows, scan func(Scanner) (T, error)) ([]T, error) {
	defer func() { _ = rows.Close() }()
	var out []T
	for rows.Next() {
		v, err := scan(rows)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, MapError(rows.Err())
}

// Millis is a time as stored; see the migrations.
func Millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// FromMillis undoes [Millis].
func FromMillis(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

// FromNull undoes that NaN is stored as NULL.
func FromNull(v sql.NullFloat64) float64 {
	if !v.Valid {
		return math.NaN()
	}
	return v.Float64
}
