package store

import (
	"context"

	"github.com/cotrain/cotrain/internal/store/db"
)

// QueuePlans tells how SQLite answers what the queue asks, by the name of the query.
func (s *Store) QueuePlans(ctx context.Context) (map[string][]string, error) {
	plans := map[string][]string{}
	for name, q := range map[string]struct {
		query string
		args  []any
	}{
		"dispatching":          {dispatching, nil},
		"readyGroups":          {readyGroups, nil},
		"readyOf":              {readyOf, []any{"", "", 1}},
		"unplaced":             {unplaced, nil},
		"line":                 {line("id, name", 1) + " ORDER BY priority DESC, id LIMIT 3", []any{"s"}},
		"places":               {places(1, 2), []any{"s", "a", "b"}},
		"readyWithOtherReason": {readyWithOtherReason, []any{"", ""}},
		"anyDue":               {anyDue, []any{1}},
		"releaseDue":           {releaseDue, []any{1}},
		"allExpired":           {allExpired, []any{1}},
	} {
		rows, err := s.db.Query(ctx, "EXPLAIN QUERY PLAN "+q.query, q.args...)
		if err != nil {
			return nil, err
		}
		plans[name], err = db.Collect(rows, func(row db.Scanner) (detail string, err error) {
			var id, parent, unused int
			return detail, row.Scan(&id, &parent, &unused, &detail)
		})
		if err != nil {
			return nil, err
		}
	}
	return plans, nil
}
