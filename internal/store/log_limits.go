package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store/auditlog"
	"github.com/cotrain/cotrain/internal/store/db"
)

// addLogBytes counts a blob of a run's log, or with a negative number one that is gone.
func addLogBytes(ctx context.Context, tx *db.Tx, id run.ID, bytes int64) error {
	var project string
	if err := tx.QueryRow(ctx, `UPDATE runs SET log_bytes = log_bytes + ? WHERE id = ? RETURNING project`, bytes, id).Scan(&project); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, `INSERT INTO log_usage (project, bytes) VALUES (?,?) ON CONFLICT (project) DO UPDATE SET bytes = log_usage.bytes + excluded.bytes`, project, bytes)
	return err
}

// forgetLogBytes counts the log of a run no more.
func forgetLogBytes(ctx context.Context, tx *db.Tx, id run.ID) error {
	var bytes int64
	err := tx.QueryRow(ctx, `SELECT log_bytes FROM runs WHERE id = ? FOR UPDATE`, id).Scan(&bytes)
	if errors.Is(err, fault.ErrNotFound) {
		return run.NoRun(string(id))
	}
	if err != nil || bytes == 0 {
		return err
	}
	return addLogBytes(ctx, tx, id, -bytes)
}

// measuredAtOnce bounds how many blobs of old blocks are measured before others can write.
const measuredAtOnce = 200

// MeasureLogs counts the blobs of blocks that an earlier version sealed, some at a time, and reports whether there are more.
func (s *Store) MeasureLogs(ctx context.Context) (more bool, err error) {
	old, err := db.Select(ctx, s.db, func(row db.Scanner) (b sealedBlock, err error) { return b, row.Scan(&b.run, &b.first, &b.blob) },
		`SELECT run_id, first_chunk, blob FROM log_blocks WHERE size = 0 ORDER BY run_id, first_chunk LIMIT ?`, measuredAtOnce)
	if err != nil || len(old) == 0 {
		return false, err
	}
	sizes := make([]int64, len(old))
	for i, b := range old {
		if sizes[i], err = s.blobs.Stat(ctx, b.blob); errors.Is(err, fault.ErrNotFound) {
			sizes[i] = 1 // so that it is not looked for again
		} else if err != nil {
			return false, err
		}
	}
	err = s.db.Write(ctx, func(tx *db.Tx) error {
		for i, b := range old {
			res, err := tx.Exec(ctx, `UPDATE log_blocks SET size = ? WHERE run_id = ? AND first_chunk = ? AND size = 0`, max(sizes[i], 1), b.run, b.first)
			if err != nil {
				return err
			}
			if n, err := res.RowsAffected(); err != nil || n == 0 { // deleted meanwhile
				continue
			}
			if err := addLogBytes(ctx, tx, b.run, sizes[i]); err != nil && !errors.Is(err, fault.ErrNotFound) {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return false, fmt.Errorf("measure logs: %w", err)
	}
	return len(old) == measuredAtOnce, nil
}

func scanLimit(row db.Scanner) (l run.LogLimit, err error) {
	var age, since int64
	err = row.Scan(&l.Project, &age, &l.Bytes, &since)
	l.Age, l.Since = time.Duration(age)*time.Second, db.FromMillis(since)
	return l, err
}

const selectLimits = `SELECT project, age, bytes, since FROM log_limits ORDER BY project`

// SetLogLimits stores which limits there are, and returns them with when each was set so.
func (s *Store) SetLogLimits(ctx context.Context, wanted []run.LogLimit, now time.Time) (out []run.LogLimit, err error) {
	err = s.db.Write(ctx, func(tx *db.Tx) error {
		out = nil
		have, err := db.Select(ctx, tx, scanLimit, selectLimits)
		if err != nil {
			return err
		}
		for _, l := range wanted {
			i := slices.IndexFunc(have, func(h run.LogLimit) bool { return h.Project == l.Project })
			if i >= 0 {
				h := have[i]
				have = slices.Delete(have, i, i+1)
				if h.Age == l.Age && h.Bytes == l.Bytes {
					out = append(out, h)
					continue
				}
			}
			l.Since = now
			out = append(out, l)
			if _, err := tx.Exec(ctx, `INSERT INTO log_limits (project, age, bytes, since) VALUES (?,?,?,?)
				ON CONFLICT (project) DO UPDATE SET age = excluded.age, bytes = excluded.bytes, since = excluded.since`, l.Project, int64(l.Age/time.Second), l.Bytes, db.Millis(now)); err != nil {
				return err
			}
		}
		for _, h := range have {
			if _, err := tx.Exec(ctx, `DELETE FROM log_limits WHERE project = ?`, h.Project); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("store the limits of logs: %w", err)
	}
	return out, nil
}

// LogUsage returns how much the logs of each project take, by name, and of all at the end with the project "".
func (s *Store) LogUsage(ctx context.Context) (out []run.LogUsage, err error) {
	out, err = db.Select(ctx, s.db, func(row db.Scanner) (u run.LogUsage, err error) { return u, row.Scan(&u.Project, &u.Bytes) }, `SELECT project, bytes FROM log_usage ORDER BY project`)
	if err != nil {
		return nil, fmt.Errorf("usage of logs: %w", err)
	}
	limits, err := db.Select(ctx, s.db, scanLimit, selectLimits)
	if err != nil {
		return nil, fmt.Errorf("limits of logs: %w", err)
	}
	all := run.LogUsage{}
	for _, u := range out {
		all.Bytes += u.Bytes
	}
	for _, l := range limits {
		if l.Project != "" && !slices.ContainsFunc(out, func(u run.LogUsage) bool { return u.Project == l.Project }) {
			out = append(out, run.LogUsage{Project: l.Project})
		}
	}
	out = append(out, all)
	for i := range out {
		for _, l := range limits {
			if l.Project == out[i].Project {
				out[i].MaxBytes, out[i].Retention = l.Bytes, int64(l.Age/time.Second)
			}
		}
	}
	return out, nil
}

// OldLog is the log of a run that ended.
type OldLog struct {
	Run     run.ID
	EndedAt time.Time
	Bytes   int64
}

// OldestLogs returns up to n logs of runs of a project, "" for all, that ended before a time, those that ended first first.
func (s *Store) OldestLogs(ctx context.Context, project string, before time.Time, n int) ([]OldLog, error) {
	query, args := `SELECT id, ended_at, log_bytes FROM runs WHERE log_bytes > 0 AND ended_at > 0 AND ended_at < ?`, []any{db.Millis(before)}
	if project != "" {
		query += ` AND project = ?`
		args = append(args, project)
	}
	out, err := db.Select(ctx, s.db, func(row db.Scanner) (l OldLog, err error) {
		var ended int64
		err = row.Scan(&l.Run, &ended, &l.Bytes)
		l.EndedAt = db.FromMillis(ended)
		return l, err
	}, query+` ORDER BY ended_at, id LIMIT ?`, append(args, n)...)
	if err != nil {
		return nil, fmt.Errorf("oldest logs: %w", err)
	}
	return out, nil
}

// lookedAhead is how many of the oldest logs are told that a limit will reach them.
const lookedAhead = 1000

// LogFate tells what becomes of the log of a run.
func (s *Store) LogFate(ctx context.Context, id run.ID) (f run.LogFate, err error) {
	var deleted, project string
	var ended int64
	err = s.db.QueryRow(ctx, `SELECT project, ended_at, log_bytes, log_deleted FROM runs WHERE id = ?`, id).Scan(&project, &ended, &f.Bytes, &deleted)
	if err == nil && deleted != "" {
		f.Deleted = &run.DeletedLog{}
		err = json.Unmarshal([]byte(deleted), f.Deleted)
	}
	if err != nil {
		return f, fmt.Errorf("log of %s: %w", id, missing(err, run.NoRun(string(id))))
	}
	if f.Bytes == 0 || ended == 0 {
		return f, nil
	}
	limits, err := db.Select(ctx, s.db, scanLimit, selectLimits)
	if err != nil {
		return f, fmt.Errorf("limits of logs: %w", err)
	}
	for _, l := range limits {
		if l.Project != "" && l.Project != project {
			continue
		}
		if due := l.DueAt(db.FromMillis(ended)); !due.IsZero() && (f.DueAt.IsZero() || due.Before(f.DueAt)) {
			f.DueAt, f.Due = due, l
		}
		room, near, err := s.room(ctx, id, l)
		if err != nil {
			return f, err
		}
		if near && (f.Full.Bytes == 0 || room < f.Room) {
			f.Room, f.Full = room, l
		}
	}
	return f, nil
}

// room is by how much logs can grow until that of a run is deleted by a limit of their size, and whether that is a tenth of it at most.
func (s *Store) room(ctx context.Context, id run.ID, l run.LogLimit) (room int64, near bool, err error) {
	if l.Bytes == 0 {
		return 0, false, nil
	}
	used, err := s.logBytes(ctx, l.Project)
	if err != nil || used < l.Bytes-l.Bytes/10 {
		return 0, false, err
	}
	oldest, err := s.OldestLogs(ctx, l.Project, time.UnixMilli(1<<50), lookedAhead)
	if err != nil {
		return 0, false, err
	}
	room = l.Bytes - used
	for _, o := range oldest {
		if o.Run == id {
			return max(room, 0), room <= l.Bytes/10, nil
		}
		room += o.Bytes
	}
	return 0, false, nil
}

// logBytes is how much the logs of a project take, "" for all.
func (s *Store) logBytes(ctx context.Context, project string) (n int64, err error) {
	err = s.db.QueryRow(ctx, `SELECT coalesce(sum(bytes), 0) FROM log_usage WHERE ? IN ('', project)`, project).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("usage of logs: %w", err)
	}
	return n, nil
}

// DeleteLog deletes the log of a run by a limit, with an event and an entry in the audit log; the archive is told by [Store.TidyLogs].
// A run that lives is [fault.ErrConflict].
func (s *Store) DeleteLog(ctx context.Context, id run.ID, d run.DeletedLog) (r run.Run, ev run.Event, err error) {
	err = s.db.Write(ctx, func(tx *db.Tx) error {
		if r, err = scanRun(tx.QueryRow(ctx, `SELECT `+runColumns+` FROM runs WHERE id = ? FOR UPDATE`, id)); err != nil {
			return missing(err, run.NoRun(string(id)))
		}
		if !r.State.Terminal() {
			return fault.ErrConflict.Fault()
		}
		if err := tx.QueryRow(ctx, `SELECT log_bytes FROM runs WHERE id = ?`, id).Scan(&d.Bytes); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `INSERT INTO log_leftovers (name) SELECT blob FROM log_blocks WHERE run_id = ? ON CONFLICT (name) DO NOTHING`, id); err != nil {
			return err
		}
		for _, table := range []string{"log_blocks", "log_chunks"} {
			if _, err := tx.Exec(ctx, `DELETE FROM `+table+` WHERE run_id = ?`, id); err != nil {
				return err
			}
		}
		if err := addLogBytes(ctx, tx, id, -d.Bytes); err != nil {
			return err
		}
		data, err := json.Marshal(d)
		if err != nil {
			return err
		}
		if err := tx.QueryRow(ctx, `UPDATE runs SET log_deleted = ?, revision = revision + 1 WHERE id = ? RETURNING revision`, string(data), id).Scan(&r.Revision); err != nil {
			return err
		}
		ev = run.Event{RunID: id, At: d.At, Kind: "log", Level: "info", Actor: run.Console, Attempt: r.Attempt, Rank: -1, Message: fmt.Sprintf("log of %s deleted by %s", run.FormatSize(d.Bytes), d.Why())}
		if err := insertEvent(ctx, tx, &ev); err != nil {
			return err
		}
		return auditlog.Append(ctx, tx, "run:"+string(id), r.Project, nil, d)
	})
	if err != nil {
		return r, ev, fmt.Errorf("delete the log of %s: %w", id, err)
	}
	s.blocks.open.Purge()
	return r, ev, nil
}
