package store

import (
	"context"
	"fmt"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store/db"
)

// Order tells Nomad to stop or purge a child job. It is stored in the transaction that requires it and kept until Nomad
// has accepted it.
type Order struct {
	JobID string
	RunID run.ID
	Purge bool
}

// StopJob orders Nomad to stop the newest attempt's job, if any.
func (u *Update) StopJob() {
	if u.Attempt.JobID != "" {
		u.Orders = append(u.Orders, Order{JobID: u.Attempt.JobID, RunID: u.Run.ID})
	}
}

// addOrder stores an order. A purge is never downgraded.
func (s *Store) addOrder(ctx context.Context, tx *db.Tx, o Order) error {
	tx.OnEnd(func(bool) { // in any case: a commit that failed may have succeeded
		select {
		case s.ordered <- struct{}{}:
		default: // a pending signal covers these too
		}
	})
	_, err := tx.Exec(ctx, `INSERT INTO orders (job_id, run_id, purge) VALUES (?,?,?)
		ON CONFLICT (job_id) DO UPDATE SET purge = CASE WHEN excluded.purge > orders.purge THEN excluded.purge ELSE orders.purge END`, o.JobID, o.RunID, o.Purge)
	if err != nil {
		return fmt.Errorf("store order for job %s: %w", o.JobID, err)
	}
	return nil
}

// NewOrders signals new orders, to one receiver.
func (s *Store) NewOrders() <-chan struct{} { return s.ordered }

// Orders returns the pending orders, stops first.
func (s *Store) Orders(ctx context.Context) ([]Order, error) {
	rows, err := s.db.Query(ctx, `SELECT job_id, run_id, purge FROM orders ORDER BY purge, job_id`)
	if err != nil {
		return nil, fmt.Errorf("list orders: %w", err)
	}
	return db.Collect(rows, func(row db.Scanner) (o Order, err error) { return o, row.Scan(&o.JobID, &o.RunID, &o.Purge) })
}

// CompleteOrder removes an accepted order, unless it has become a purge since.
func (s *Store) CompleteOrder(ctx context.Context, o Order) error {
	if _, err := s.db.Exec(ctx, `DELETE FROM orders WHERE job_id = ? AND purge = ?`, o.JobID, o.Purge); err != nil {
		return fmt.Errorf("remove order for job %s: %w", o.JobID, err)
	}
	return nil
}
