package db

import (
	"context"
	"math"
)

// Changes are what a snapshot shows of run_changes.
type Changes struct {
	Since int64            // what the next question asks for
	Runs  map[string]int64 // the runs that have changed, each with a number of its last change
	More  bool             // and others, which are not in Runs
}

// FromNow asks for no changes, only for where to go on.
const FromNow = math.MaxInt64

// Changes returns what has changed since an earlier snapshot, up to so many. Some of it may be known from there: it has the same number.
func (s *Snapshot) Changes(ctx context.Context, since int64, most int) (Changes, error) {
	out := Changes{Runs: map[string]int64{}}
	type change struct {
		run        string
		seq, since int64
	}
	found, err := Select(ctx, s, func(row Scanner) (c change, err error) { return c, row.Scan(&c.run, &c.seq, &c.since) }, s.dialect.changes, since, most+1)
	if err != nil {
		return out, err
	}
	for _, c := range found {
		if c.run == "" {
			out.Since = c.since
			continue
		}
		out.Runs[c.run] = c.seq
	}
	out.More = len(out.Runs) > most
	return out, nil
}

// The row without a run says where to go on. SQLite's transactions follow each other. PostgreSQL's commit in any order: each that has not
// ended in a snapshot is at or above the snapshot's xmin.
const (
	sqliteChanges = `SELECT run_id, seq, 0 FROM (SELECT run_id, seq FROM run_changes WHERE seq >= ?1 ORDER BY seq LIMIT ?2) AS changed
		UNION ALL SELECT '', 0, coalesce((SELECT seq FROM run_changes WHERE seq > 0 ORDER BY seq DESC LIMIT 1), 0)`
	postgresChanges = `SELECT run_id, seq, 0 FROM (SELECT run_id, seq FROM run_changes WHERE xact >= ?1 ORDER BY xact LIMIT ?2) AS changed
		UNION ALL SELECT '', 0, CAST(CAST(pg_snapshot_xmin(pg_current_snapshot()) AS TEXT) AS BIGINT)`
)

// postgresRestored finds transactions that this server has not had yet.
const postgresRestored = `UPDATE run_changes SET xact = 0 WHERE xact > CAST(CAST(pg_current_xact_id() AS TEXT) AS BIGINT)`

// AfterRestore prepares changes that were dumped on another server, whose transactions had other numbers, for the readers of this one.
func (d *DB) AfterRestore(ctx context.Context) error {
	if d.dialect.restored == "" {
		return nil
	}
	_, err := d.Exec(ctx, d.dialect.restored)
	return err
}
