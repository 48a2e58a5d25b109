package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store/auditlog"
	"github.com/cotrain/cotrain/internal/store/db"
)

// keptCauseRules is how many revisions of a site's rules stay.
const keptCauseRules = 20

// CauseRules returns the site's rules of diagnosis, revision 0 if there never were any.
func (s *Store) CauseRules(ctx context.Context) (run.CauseRules, error) {
	out, err := scanCauseRules(s.db.QueryRow(ctx, newestCauseRules))
	if errors.Is(err, fault.ErrNotFound) {
		return run.CauseRules{}, nil
	}
	if err != nil {
		return out, fmt.Errorf("read the site's rules of diagnosis: %w", err)
	}
	return out, nil
}

const newestCauseRules = `SELECT revision, body, saved_at, saved_by FROM cause_rules ORDER BY revision DESC LIMIT 1`

func scanCauseRules(row db.Scanner) (out run.CauseRules, err error) {
	var at int64
	err = row.Scan(&out.Revision, &out.Text, &at, &out.Actor)
	out.At = db.FromMillis(at)
	return out, err
}

// SaveCauseRules stores rules over the revision that in names; if there is a newer one, it is [fault.ErrOutdated].
func (s *Store) SaveCauseRules(ctx context.Context, in run.CauseRules) (run.CauseRules, error) {
	out := in
	err := s.db.Write(ctx, func(tx *db.Tx) error {
		out = in
		before, err := scanCauseRules(tx.QueryRow(ctx, newestCauseRules))
		if err != nil && !errors.Is(err, fault.ErrNotFound) {
			return err
		}
		if before.Revision != in.Revision {
			return fault.New(fault.ErrOutdated, fmt.Sprintf("The rules are at revision %d by now, not %d.", before.Revision, in.Revision), "Read them again, then save your change over those.")
		}
		out.Revision++
		if _, err := tx.Exec(ctx, `INSERT INTO cause_rules (revision, body, saved_at, saved_by) VALUES (?,?,?,?)`, out.Revision, out.Text, db.Millis(out.At), out.Actor); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `DELETE FROM cause_rules WHERE revision = ?`, out.Revision-keptCauseRules); err != nil {
			return err
		}
		return auditlog.Append(ctx, tx, "cause-rules", "", causeRulesAudit(before), causeRulesAudit(out))
	})
	if err != nil {
		return out, fmt.Errorf("save the site's rules of diagnosis: %w", err)
	}
	return out, nil
}

// causeRulesAudit is what the audit log says of rules: the table has their text.
func causeRulesAudit(r run.CauseRules) any {
	return map[string]any{"revision": r.Revision, "bytes": len(r.Text)}
}

// Failures returns attempts that failed since a time, newest first.
func (s *Store) Failures(ctx context.Context, since time.Time, limit int) ([]run.PastFailure, error) {
	rows, err := s.db.Query(ctx, `SELECT a.run_id, a.number, a.created_at, a.ended_at, r.name, r.project,
		COALESCE((SELECT n.created_at FROM attempts n WHERE n.run_id = a.run_id AND n.number = a.number + 1), 0)
		FROM attempts a JOIN runs r ON r.id = a.run_id WHERE a.fingerprint <> '' AND a.fingerprint NOT LIKE 'policy/%' AND a.ended_at >= ? ORDER BY a.ended_at DESC LIMIT ?`, db.Millis(since), limit)
	if err != nil {
		return nil, fmt.Errorf("list failures: %w", err)
	}
	return db.Collect(rows, func(row db.Scanner) (f run.PastFailure, err error) {
		var created, ended, next int64
		err = row.Scan(&f.RunID, &f.Number, &created, &ended, &f.Name, &f.Project, &next)
		f.CreatedAt, f.EndedAt, f.Next = db.FromMillis(created), db.FromMillis(ended), db.FromMillis(next)
		return f, err
	})
}

// AttemptWorkers returns the workers of an attempt.
func (s *Store) AttemptWorkers(ctx context.Context, id run.ID, attempt int) ([]run.Worker, error) {
	return workers(ctx, s.db, id, attempt)
}

// NodeFailures counts on each node, by name, what failed since a time because of what happened there, attempts and workers lost by those that
// went on: the newest thousand of each.
func (s *Store) NodeFailures(ctx context.Context, in run.Projects, since time.Time) (map[string]run.NodeFailures, error) {
	if in.None() {
		return nil, nil
	}
	where, args := ``, []any(nil)
	if !in.All {
		where, args = ` AND r.project IN (`+marks(len(in.Names))+`)`, anys(in.Names)
	}
	args = append(append([]any{db.Millis(since)}, args...), mostCounted)
	list, err := db.Select(ctx, s.db, func(row db.Scanner) (*run.Cause, error) {
		var data string
		if err := row.Scan(&data); err != nil {
			return nil, err
		}
		return decodeCause(data)
	}, `SELECT a.cause FROM attempts a JOIN runs r ON r.id = a.run_id WHERE a.fingerprint <> '' AND a.ended_at >= ?`+where+` ORDER BY a.ended_at DESC LIMIT ?`, args...)
	if err != nil {
		return nil, fmt.Errorf("count the failures of nodes: %w", err)
	}
	lost, err := db.Select(ctx, s.db, func(row db.Scanner) (*run.Cause, error) {
		w, err := scanWorker(row)
		return w.Cause, err
	}, `SELECT w.body FROM workers w JOIN runs r ON r.id = w.run_id WHERE w.fingerprint <> '' AND w.cause_at >= ?`+ofOthers+where+` ORDER BY w.cause_at DESC LIMIT ?`, args...)
	if err != nil {
		return nil, fmt.Errorf("count the workers that nodes lost: %w", err)
	}
	out := map[string]run.NodeFailures{}
	for _, c := range slices.Concat(list, lost) {
		if c != nil && c.Node != "" {
			out[c.Node] = out[c.Node].With(c)
		}
	}
	return out, nil
}
