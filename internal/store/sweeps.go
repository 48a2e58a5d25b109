package store

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store/accounts"
	"github.com/cotrain/cotrain/internal/store/db"
)

// CreateSweep stores a sweep with its runs and their first events in one transaction. A reused key of its project
// returns that sweep, with created false. An existing ID is [fault.ErrConflict].
func (s *Store) CreateSweep(ctx context.Context, sw run.Sweep, key string, runs []run.Run, evs []run.Event) (stored run.Sweep, created bool, err error) {
	spec, err := json.Marshal(sw.Spec)
	if err != nil {
		return sw, false, fmt.Errorf("encode sweep: %w", err)
	}
	fields, err := json.Marshal(sw.Fields)
	if err != nil {
		return sw, false, fmt.Errorf("encode sweep: %w", err)
	}
	err = s.db.Write(ctx, func(tx *db.Tx) error {
		if err := accounts.KeepProject(ctx, tx, sw.Project); err != nil {
			return err
		}
		if key != "" {
			old, err := scanSweep(tx.QueryRow(ctx, `SELECT `+sweepColumns+` FROM sweeps WHERE submit_key = ?`, keyIn(sw.Project, key)))
			if err == nil {
				stored, created = old, false
				return nil
			}
			if !errors.Is(err, fault.ErrNotFound) {
				return err
			}
		}
		_, err := tx.Exec(ctx, `INSERT INTO sweeps (`+sweepColumns+`, parallel, submit_key) VALUES (?,?,?,?,?,?,?,?,?,?)`,
			sw.ID, sw.Name, string(spec), string(fields), sw.Stopped, db.Millis(sw.CreatedAt), sw.Actor, sw.Project, sw.Spec.Parallel, keyIn(sw.Project, key))
		if err != nil {
			return err
		}
		for i, r := range runs {
			if created, err := insertRun(ctx, tx, r, "", evs[i:i+1]); err != nil || !created {
				return cmp.Or(err, fmt.Errorf("another run has the ID %s: %w", r.ID, fault.ErrConflict))
			}
		}
		stored, created = sw, true
		return auditSweep(ctx, tx, sw.ID, nil, &auditedSweep{sw.Project, sw.Name, sw.Fields, len(runs), sw.Spec.Shape.String(), hashOf(sw.Spec.Config), false})
	})
	if err != nil {
		return sw, false, fmt.Errorf("store sweep %s: %w", sw.ID, err)
	}
	counts, err := s.countSweep(ctx, stored.ID)
	stored.Counts = counts
	return stored, created, err
}

const sweepColumns = `id, name, spec, fields, stopped, created_at, actor, project`

func scanSweep(row db.Scanner) (run.Sweep, error) {
	var sw run.Sweep
	var spec, fields string
	var created int64
	if err := row.Scan(&sw.ID, &sw.Name, &spec, &fields, &sw.Stopped, &created, &sw.Actor, &sw.Project); err != nil {
		return sw, err
	}
	sw.CreatedAt = db.FromMillis(created)
	if err := errors.Join(json.Unmarshal([]byte(spec), &sw.Spec), json.Unmarshal([]byte(fields), &sw.Fields)); err != nil {
		return sw, fmt.Errorf("sweep %s: %w", sw.ID, err)
	}
	return sw, nil
}

// SweepByKey returns the sweep submitted to a project with a key, without counts, or [fault.ErrNotFound].
func (s *Store) SweepByKey(ctx context.Context, project, key string) (run.Sweep, error) {
	sw, err := scanSweep(s.db.QueryRow(ctx, `SELECT `+sweepColumns+` FROM sweeps WHERE submit_key = ?`, keyIn(project, key)))
	if err != nil {
		return sw, fmt.Errorf("sweep of a key: %w", err)
	}
	return sw, nil
}

// Sweep returns a sweep with its counts, or [fault.ErrNotFound].
func (s *Store) Sweep(ctx context.Context, id run.SweepID) (run.Sweep, error) {
	sw, err := scanSweep(s.db.QueryRow(ctx, `SELECT `+sweepColumns+` FROM sweeps WHERE id = ?`, id))
	if err != nil {
		return sw, fmt.Errorf("sweep %s: %w", id, missing(err, run.NoSweep(string(id))))
	}
	sw.Counts, err = s.countSweep(ctx, id)
	return sw, err
}

// Sweeps returns up to limit sweeps of projects, older than before ("" for the newest), newest first, with counts.
func (s *Store) Sweeps(ctx context.Context, in run.Projects, before run.SweepID, limit int) ([]run.Sweep, error) {
	limit = min(max(limit, 1), 1000)
	var out []run.Sweep
	for _, in := range in.Each() {
		where, args := `id < ?`, []any{cmp.Or(before, "s-~")} // which is after all
		if !in.All {
			where, args = where+` AND project = ?`, append(args, in.Names[0])
		}
		some, err := db.Select(ctx, s.db, scanSweep, `SELECT `+sweepColumns+` FROM sweeps WHERE `+where+` ORDER BY id DESC LIMIT ?`, append(args, limit)...)
		if err != nil {
			return nil, fmt.Errorf("list sweeps: %w", err)
		}
		out = append(out, some...)
	}
	slices.SortFunc(out, func(a, b run.Sweep) int { return cmp.Compare(b.ID, a.ID) })
	out = out[:min(len(out), limit)]
	for i := range out {
		var err error
		if out[i].Counts, err = s.countSweep(ctx, out[i].ID); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (s *Store) countSweep(ctx context.Context, id run.SweepID) (map[run.State]int, error) {
	type count struct {
		state run.State
		n     int
	}
	found, err := db.Select(ctx, s.db, func(row db.Scanner) (c count, err error) { return c, row.Scan(&c.state, &c.n) }, `SELECT state, count(*) FROM runs WHERE sweep <> '' AND sweep = ? GROUP BY state`, id)
	if err != nil {
		return nil, fmt.Errorf("count runs of %s: %w", id, err)
	}
	out := map[run.State]int{}
	for _, c := range found {
		out[c.state] = c.n
	}
	return out, nil
}

// BestRun returns the sweep's run with the lowest loss, the earlier of equals, or [fault.ErrNotFound] if none has a
// finite loss.
func (s *Store) BestRun(ctx context.Context, id run.SweepID) (run.Run, error) {
	r, err := scanRun(s.db.QueryRow(ctx, `SELECT `+runColumns+` FROM runs
		WHERE sweep <> '' AND sweep = ? AND has_loss = 1 AND abs(loss) <= ? ORDER BY loss, id LIMIT 1`, id, math.MaxFloat64)) // SQLite stores NaN as NULL
	if err != nil {
		return r, fmt.Errorf("best run of %s: %w", id, err)
	}
	return r, nil
}

// StopSweep marks a sweep as stopped and lets fn change each of its live runs, in one transaction; see [Store.Update].
// It returns the changes, oldest run first; a missing sweep is [fault.ErrNotFound].
func (s *Store) StopSweep(ctx context.Context, id run.SweepID, fn func(*Update) error) ([]Update, error) {
	var out []Update
	err := s.db.Write(ctx, func(tx *db.Tx) error {
		out = nil
		was, err := sweepBefore(ctx, tx, id)
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `UPDATE sweeps SET stopped = 1 WHERE id = ?`, id); err != nil {
			return err
		}
		ids, err := db.Select(ctx, tx, db.One[run.ID], `SELECT id FROM runs WHERE sweep <> '' AND sweep = ? AND state NOT IN (?,?,?) ORDER BY id FOR UPDATE`,
			id, run.Succeeded, run.Failed, run.Stopped)
		if err != nil {
			return err
		}
		for _, id := range ids {
			u, _, err := s.change(ctx, tx, id, fn)
			if err != nil {
				return err
			}
			out = append(out, u)
		}
		return auditSweep(ctx, tx, id, was, &auditedSweep{Project: was.Project, Name: was.Name, Runs: len(out), Stopped: true})
	})
	if err != nil {
		return nil, fmt.Errorf("stop sweep %s: %w", id, err)
	}
	return out, nil
}

// DeleteSweep removes a sweep without runs. A missing one is [fault.ErrNotFound], one with runs [fault.ErrConflict].
func (s *Store) DeleteSweep(ctx context.Context, id run.SweepID) error {
	err := s.db.Write(ctx, func(tx *db.Tx) error {
		var left int
		if err := tx.QueryRow(ctx, `SELECT count(*) FROM runs WHERE sweep <> '' AND sweep = ?`, id).Scan(&left); err != nil {
			return err
		}
		if left > 0 {
			return fault.New(fault.ErrNotEnded, fmt.Sprintf("Sweep %s still has %d runs.", id, left), "Delete it again: what is interrupted goes on.")
		}
		was, err := sweepBefore(ctx, tx, id)
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `DELETE FROM sweeps WHERE id = ?`, id); err != nil {
			return err
		}
		return auditSweep(ctx, tx, id, was, nil)
	})
	if err != nil {
		return fmt.Errorf("delete sweep %s: %w", id, err)
	}
	return nil
}

// sweepBefore locks a sweep that is about to change, and returns what it was.
func sweepBefore(ctx context.Context, tx *db.Tx, id run.SweepID) (*auditedSweep, error) {
	var was auditedSweep
	err := tx.QueryRow(ctx, `SELECT project, name, stopped FROM sweeps WHERE id = ? FOR UPDATE`, id).Scan(&was.Project, &was.Name, &was.Stopped)
	return &was, missing(err, run.NoSweep(string(id)))
}

// ProjectOfSweep returns the project that owns a sweep, or [fault.ErrNotFound].
func (s *Store) ProjectOfSweep(ctx context.Context, id run.SweepID) (project string, err error) {
	err = s.db.QueryRow(ctx, `SELECT project FROM sweeps WHERE id = ?`, id).Scan(&project)
	if err != nil {
		return "", fmt.Errorf("project of sweep %s: %w", id, missing(err, run.NoSweep(string(id))))
	}
	return project, nil
}
