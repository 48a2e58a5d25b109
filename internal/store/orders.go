package store

import (
	"context"
	"fmt"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store/db"
)

// Order tells Nomad to stop, kill or purge a child job. It is stored in the transaction that requires it and kept until Nomad
// has accepted it.
type Order struct {
	JobID string
	RunID run.ID
	Kill  bool // its workers get no time to save
	Purge bool
}

// StopJob orders Nomad to stop the newest attempt's job, if any.
func (u *Update) StopJob() { u.order(Order{}) }

func (u *Update) order(o Order) {
	if u.Attempt.JobID != "" {
		o.JobID, o.RunID = u.Attempt.JobID, u.Run.ID
		u.Orders = append(u.Orders, o)
	}
}

// addOrder stores an order. A kill or purge is never downgraded.
func (s *Store) addOrder(ctx context.Context, tx *db.Tx, o Order) error {
	tx.OnEnd(func(bool) { // in any case: a commit that failed may have succeeded
		select {
		case s.ordered <- struct{}{}:
		default: // a pending signal covers these too
		}
	})
	_, err := tx.Exec(ctx, `INSERT INTO orders (job_id, run_id, purge, kill) VALUES (?,?,?,?)
		ON CONFLICT (job_id) DO UPDATE SET purge = CASE WHEN excluded.purge > orders.purge THEN excluded.purge ELSE orders.purge END,
		kill = CASE WHEN excluded.kill > orders.kill THEN excluded.kill ELSE orders.kill END`, o.JobID, o.RunID, o.Purge, o.Kill)
	if err != nil {
		return fmt.Errorf("store order for job %s: %w", o.JobID, err)
	}
	return nil
}

// NewOrders signals new orders, to one receiver.
func (s *Store) NewOrders() <-chan struct{} { return s.ordered }

// Orders returns the pending orders, stops first.
func (s *Store) Orders(ctx context.Context) ([]Order, error) {
	rows, err := s.db.Query(ctx, `SELECT job_id, run_id, kill, purge FROM orders ORDER BY purge, job_id`)
	if err != nil {
		return nil, fmt.Errorf("list orders: %w", err)
	}
	return db.Collect(rows, func(row db.Scanner) (o Order, err error) { return o, row.Scan(&o.JobID, &o.RunID, &o.Kill, &o.Purge) })
}

// CompleteOrder removes an accepted order, unless it has become another since.
func (s *Store) CompleteOrder(ctx context.Context, o Order) error {
	if _, err := s.db.Exec(ctx, `DELETE FROM orders WHERE job_id = ? AND purge = ? AND kill = ?`, o.JobID, o.Purge, o.Kill); err != nil {
		return fmt.Errorf("remove order for job %s: %w", o.JobID, err)
	}
	return nil
}
