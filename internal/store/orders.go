package store

import (
	"context"
	"fmt"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store/db"
)

// Order tells Nomad to stop a child job, or to purge it. It is stored with the change that calls for it, until Nomad has
// accepted it.
type Order struct {
	JobID string
	RunID run.ID
	Purge bool
}

// StopJob orders Nomad to stop the newest attempt's job, if it has one.
func (u *Update) StopJob() {
	if u.Attempt.JobID != "" {
		u.Orders = append(u.Orders, Order{JobID: u.Attempt.JobID, RunID: u.Run.ID})
	}
}

// place stores an order. A purge stays a purge.
func (s *Store) place(ctx context.Context, tx *db.Tx, o Order) error {
	tx.OnEnd(func(committed bool) {
		if committed {
			select {
			case s.ordered <- struct{}{}:
			default: // one that has not been received yet speaks for these too
			}
		}
	})
	_, err := tx.Exec(ctx, `INSERT INTO orders (job_id, run_id, purge) VALUES (?,?,?)
		ON CONFLICT (job_id) DO UPDATE SET purge = max(purge, excluded.purge)`, o.JobID, o.RunID, o.Purge)
	if err != nil {
		return fmt.Errorf("store order for job %s: %w", o.JobID, err)
	}
	return nil
}

// Ordered signals that there are new orders. It has one receiver.
func (s *Store) Ordered() <-chan struct{} { return s.ordered }

// Orders returns those that Nomad has not accepted yet, stops first.
func (s *Store) Orders(ctx context.Context) ([]Order, error) {
	rows, err := s.db.Query(ctx, `SELECT job_id, run_id, purge FROM orders ORDER BY purge, job_id`)
	if err != nil {
		return nil, fmt.Errorf("list orders: %w", err)
	}
	return db.Collect(rows, func(row db.Scanner) (o Order, err error) { return o, row.Scan(&o.JobID, &o.RunID, &o.Purge) })
}

// Done removes an order that Nomad has accepted. One that has become a purge since then stays.
func (s *Store) Done(ctx context.Context, o Order) error {
	if _, err := s.db.Exec(ctx, `DELETE FROM orders WHERE job_id = ? AND purge = ?`, o.JobID, o.Purge); err != nil {
		return fmt.Errorf("remove order for job %s: %w", o.JobID, err)
	}
	return nil
}
