package check

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store"
	"github.com/cotrain/cotrain/internal/store/db"
	"github.com/cotrain/cotrain/internal/store/points"
)

// storedRun is a run's row, as far as it is derived.
type storedRun struct {
	run.Run
	columns runColumns
	text    *string   // to be searched
	number  int64     // of it
	state   run.State // after its events so far
	damaged error     // of options and origin; see documents
}

// runColumns are taken from options and origin.
type runColumns struct {
	Priority   int
	Sweep      run.SweepID
	MaxSeconds int64
}

func (r *storedRun) wanted() runColumns {
	return runColumns{cmp.Or(r.Options.Priority, run.DefaultPriority), r.Origin.Sweep, r.MaxSeconds()}
}

func scanRun(row db.Scanner) (r storedRun, err error) {
	var options, origin string
	if err := row.Scan(&r.ID, &r.Name, &options, &origin, &r.columns.Priority, &r.columns.Sweep, &r.columns.MaxSeconds, &r.State, &r.Idle); err != nil {
		return r, err
	}
	r.damaged = errors.Join(json.Unmarshal([]byte(options), &r.Options), json.Unmarshal([]byte(origin), &r.Origin))
	return r, nil
}

// runsAtOnce is how many runs are looked at in one snapshot.
const runsAtOnce = 100

// runs checks what belongs to each run.
func (c *checker) runs(ctx context.Context) error {
	for after, more := run.ID(""), true; more; {
		var rows []storedRun
		err := c.read(ctx, func(s *db.Snapshot) (err error) {
			rows, err = db.Select(ctx, s, scanRun, `SELECT id, name, options, origin, priority, sweep, max_seconds, state, idle_seconds
				FROM runs WHERE id > ? ORDER BY id LIMIT ?`, after, runsAtOnce)
			if more = len(rows) > 0; err != nil || !more {
				return err
			}
			c.report.Runs += len(rows)
			p := &part{checker: c, s: s, first: rows[0].ID, last: rows[len(rows)-1].ID, runs: map[run.ID]*storedRun{}}
			for i := range rows {
				p.runs[rows[i].ID] = &rows[i]
			}
			after = p.last
			for _, look := range []func(context.Context) error{p.readTexts, p.attempts, p.workers, p.events} {
				if err := look(ctx); err != nil {
					return err
				}
			}
			for i := range rows {
				if err := p.one(ctx, &rows[i]); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		for i := range rows {
			if err := c.curves(ctx, &rows[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

// part is runs that follow each other, in one snapshot.
type part struct {
	*checker
	s           *db.Snapshot
	first, last run.ID
	runs        map[run.ID]*storedRun
}

// each calls take for rows of the runs.
func (p *part) each(ctx context.Context, query string, take func(db.Scanner) error) error {
	rows, err := p.s.Query(ctx, query, p.first, p.last)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }() // already read
	for rows.Next() {
		if err := take(rows); err != nil {
			return err
		}
	}
	return db.MapError(rows.Err())
}

func (p *part) readTexts(ctx context.Context) error {
	return p.each(ctx, `SELECT id, number, text FROM run_texts WHERE id BETWEEN ? AND ?`, func(row db.Scanner) error {
		var id run.ID
		var number int64
		var text string
		err := row.Scan(&id, &number, &text)
		if r := p.runs[id]; r != nil {
			r.number, r.text = number, &text
		}
		return err
	})
}

// one checks what a run has by itself.
func (p *part) one(ctx context.Context, r *storedRun) error {
	if want := r.wanted(); r.damaged == nil && want != r.columns {
		p.tell(RunColumns, string(r.ID), fmt.Sprintf("%+v, not %+v", r.columns, want), func(ctx context.Context, tx *db.Tx) error {
			_, err := tx.Exec(ctx, `UPDATE runs SET priority = ?, sweep = ?, max_seconds = ?, revision = revision + 1 WHERE id = ?`, want.Priority, want.Sweep, want.MaxSeconds, r.ID)
			return err
		})
	}
	return p.text(ctx, r)
}

// curves compares a run's curves with its points, and its headline with them.
func (c *checker) curves(ctx context.Context, r *storedRun) error {
	return c.read(ctx, func(s *db.Snapshot) error {
		faults, err := points.CheckCurves(ctx, s, r.ID)
		if err != nil {
			return err
		}
		whole := !c.unread[r.ID] && !slices.ContainsFunc(faults, func(f points.CurveFault) bool { return f.Missing })
		for _, f := range faults {
			c.tellCurve(f, whole)
		}
		if len(faults) > 0 || !whole || !r.State.Terminal() { // else the console is about to write it
			return nil
		}
		return c.headline(ctx, s, r.ID, false)
	})
}

// tellCurve repairs a curve only if all that it was taken from is there.
func (c *checker) tellCurve(f points.CurveFault, whole bool) {
	kind, repair := Curve, f.Repair
	what := fmt.Sprintf("steps %d to %d of %s", f.From, f.To, f.Metric)
	switch {
	case f.Damaged != nil:
		what += " cannot be read: " + f.Damaged.Error()
	case f.Missing:
		kind = PointsMissing
	}
	if !whole {
		repair = nil
		if !f.Missing {
			what += "; it is left as it is, since points of the run are missing or cannot be read"
		}
	}
	c.tell(kind, string(f.Run), what, repair)
}

// text compares the text to be searched. A run whose ID has no number has none.
func (p *part) text(ctx context.Context, r *storedRun) error {
	number, err := r.ID.Number()
	if err != nil {
		p.tell(RunText, string(r.ID), err.Error(), nil)
		return nil
	}
	if r.damaged != nil {
		return nil
	}
	want := store.Searchable(r.Run)
	if r.text != nil && *r.text == want && r.number == number {
		return nil
	}
	what := "it has none"
	if r.text != nil {
		what = "it is another"
	}
	p.tell(RunText, string(r.ID), what, func(ctx context.Context, tx *db.Tx) error {
		if _, err := tx.Exec(ctx, `DELETE FROM run_texts WHERE id = ? OR number = ?`, r.ID, number); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `INSERT INTO run_texts (number, id, text) VALUES (?,?,?)`, number, r.ID, want)
		return err
	})
	return nil
}

// attempts looks for attempts without a row.
func (p *part) attempts(ctx context.Context) error {
	return p.each(ctx, `SELECT r.id, r.attempt, count(a.number) FROM runs r LEFT JOIN attempts a ON a.run_id = r.id AND a.number BETWEEN 1 AND r.attempt
		WHERE r.id BETWEEN ? AND ? GROUP BY r.id, r.attempt HAVING count(a.number) < r.attempt ORDER BY r.id`, func(row db.Scanner) error {
		var id run.ID
		var newest, rows int
		err := row.Scan(&id, &newest, &rows)
		if err == nil {
			p.tell(AttemptMissing, string(id), fmt.Sprintf("it is at attempt %d, and %d of its attempts have a row", newest, rows), nil)
		}
		return err
	})
}

// workers compares columns with the body.
func (p *part) workers(ctx context.Context) error {
	type columns struct {
		Run           run.ID
		Attempt, Rank int
		State         run.WorkerState
		StartedAt     int64
	}
	return p.each(ctx, `SELECT alloc_id, run_id, attempt, rank, state, started_at, body FROM workers WHERE run_id BETWEEN ? AND ?`, func(row db.Scanner) error {
		var alloc, body string
		var have columns
		if err := row.Scan(&alloc, &have.Run, &have.Attempt, &have.Rank, &have.State, &have.StartedAt, &body); err != nil {
			return err
		}
		var w run.Worker
		if err := json.Unmarshal([]byte(body), &w); err != nil {
			return nil //nolint:nilerr // documents tells
		}
		want := columns{w.RunID, w.Attempt, w.Rank, w.State, db.Millis(w.StartedAt)}
		if have == want {
			return nil
		}
		p.tell(WorkerColumns, fmt.Sprintf("worker %s of %s", alloc, have.Run), fmt.Sprintf("%+v, not %+v", have, want), func(ctx context.Context, tx *db.Tx) error {
			_, err := tx.Exec(ctx, `UPDATE workers SET run_id = ?, attempt = ?, rank = ?, state = ?, started_at = ? WHERE alloc_id = ?`,
				want.Run, want.Attempt, want.Rank, want.State, want.StartedAt, alloc)
			return err
		})
		return nil
	})
}

// events follows each run's states.
func (p *part) events(ctx context.Context) error {
	told := map[run.ID]bool{}
	err := p.each(ctx, `SELECT seq, run_id, from_state, to_state FROM events WHERE run_id BETWEEN ? AND ? AND kind = 'state' ORDER BY run_id, seq`, func(row db.Scanner) error {
		var seq int64
		var id run.ID
		var from, to run.State
		if err := row.Scan(&seq, &id, &from, &to); err != nil {
			return err
		}
		r := p.runs[id]
		if r == nil {
			return nil // an orphan
		}
		if from != r.state && !told[id] {
			told[id] = true
			p.tell(RunEvents, string(id), fmt.Sprintf("event %d leaves the state %q, and the run was %q", seq, from, r.state), nil)
		}
		r.state = to
		return nil
	})
	for id, r := range p.runs {
		if err == nil && r.state != "" && r.state != r.State && !told[id] {
			p.tell(RunEvents, string(id), fmt.Sprintf("the last event leads to %q, and the run is %q", r.state, r.State), nil)
		}
	}
	return err
}
