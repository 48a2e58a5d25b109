package store

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store/db"
)

func encodeCause(c *run.Cause) (string, error) {
	if c == nil {
		return "", nil
	}
	data, err := json.Marshal(c)
	if err != nil {
		return "", fmt.Errorf("encode cause: %w", err)
	}
	return string(data), nil
}

func decodeCause(data string) (*run.Cause, error) {
	if data == "" {
		return nil, nil
	}
	c := &run.Cause{}
	return c, json.Unmarshal([]byte(data), c)
}

// mostCounted bounds the failures that one count reads.
const mostCounted = 1000

// ofOthers are workers lost by attempts that did not fail themselves: of one that did, the attempt alone counts.
const ofOthers = ` AND NOT EXISTS (SELECT 1 FROM attempts a WHERE a.run_id = w.run_id AND a.number = w.attempt AND a.fingerprint <> '')`

// CountCause counts what failed of a cause since a time in some projects' runs, attempts and workers lost by those that went on: the newest
// thousand of each at most.
func (s *Store) CountCause(ctx context.Context, in run.Projects, fingerprint string, since time.Time) (run.CauseCount, error) {
	var count run.CauseCount
	if in.None() || fingerprint == "" {
		return count, nil
	}
	where, args := ``, []any(nil)
	if !in.All {
		where, args = ` AND r.project IN (`+marks(len(in.Names))+`)`, anys(in.Names)
	}
	type failure struct{ run, node string }
	var list []failure
	for _, from := range []string{
		`SELECT a.run_id, a.cause_node FROM attempts a JOIN runs r ON r.id = a.run_id WHERE a.fingerprint = ? AND a.fingerprint <> '' AND a.ended_at >= ?` + where + ` ORDER BY a.ended_at DESC LIMIT ?`,
		`SELECT w.run_id, w.cause_node FROM workers w JOIN runs r ON r.id = w.run_id WHERE w.fingerprint = ? AND w.fingerprint <> '' AND w.cause_at >= ?` + ofOthers + where + ` ORDER BY w.cause_at DESC LIMIT ?`,
	} {
		found, err := db.Select(ctx, s.db, func(row db.Scanner) (f failure, err error) { return f, row.Scan(&f.run, &f.node) },
			from, append(append([]any{fingerprint, db.Millis(since)}, args...), mostCounted)...)
		if err != nil {
			return count, fmt.Errorf("count causes: %w", err)
		}
		list = append(list, found...)
	}
	runs, nodes := map[string]bool{}, map[string]int{}
	for _, f := range list {
		runs[f.run] = true
		nodes[f.node]++
		if n := nodes[f.node]; f.node != "" && n > count.OnNode {
			count.Node, count.OnNode = f.node, n
		}
	}
	count.Failures, count.Runs = len(list), len(runs)
	return count, nil
}
