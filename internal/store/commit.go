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
	"github.com/cotrain/cotrain/internal/store/db"
	"github.com/cotrain/cotrain/internal/store/points"
)

// Cursor is how far a log stream is stored.
type Cursor struct {
	File   string    // the rotated file; "" before the first byte
	Offset int64     // stored bytes of it
	Parser string    // JSON of the line parser's state there
	Done   bool      // end of stream
	At     time.Time // set by the store
	Report run.ExitReport
}

// Batch is a piece of a worker's log with everything parsed from it, stored atomically.
type Batch struct {
	RunID   run.ID
	AllocID string
	Stream  string // stdout or stderr
	Rank    int
	Attempt int
	At      time.Time // when received
	Printed time.Time // when the lines were printed, if that was long before; else zero

	From, To    Cursor // From must match the stored cursor, which becomes To
	Log         []byte // raw lines
	Points      []points.Point
	Events      []run.Event
	Checkpoints []Checkpoint
	Pulse       run.Pulse // not stored

	ChunkID  int64 // set by Commit: position of Log; 0 if Log is empty
	Repeated bool  // set by Commit: the attempt repeats steps, whose earlier reports were removed
}

// Cursor returns how far a stream is stored; zero at its start.
func (s *Store) Cursor(ctx context.Context, allocID, stream string) (Cursor, error) {
	var c Cursor
	var at int64
	var told string
	err := s.db.QueryRow(ctx, `SELECT file, pos, parser, done, at, told FROM streams WHERE alloc_id = ? AND stream = ?`, allocID, stream).
		Scan(&c.File, &c.Offset, &c.Parser, &c.Done, &at, &told)
	if err == nil {
		c.At = db.FromMillis(at)
		err = json.Unmarshal([]byte(told), &c.Report)
	}
	if err != nil && !errors.Is(err, fault.ErrNotFound) {
		return c, fmt.Errorf("cursor of %s %s: %w", allocID, stream, err)
	}
	return c, nil
}

// ExitReports returns what the logs of a run's workers report of their ends, by allocation.
func (s *Store) ExitReports(ctx context.Context, id run.ID) (map[string]run.ExitReport, error) {
	type stream struct {
		alloc string
		told  run.ExitReport
	}
	streams, err := db.Select(ctx, s.db, func(row db.Scanner) (v stream, err error) {
		var told string
		if err := row.Scan(&v.alloc, &told); err != nil {
			return v, err
		}
		return v, json.Unmarshal([]byte(told), &v.told)
	}, `SELECT alloc_id, told FROM streams WHERE run_id = ?`, id)
	if err != nil {
		return nil, fmt.Errorf("ends of the workers of %s: %w", id, err)
	}
	out := map[string]run.ExitReport{}
	for _, v := range streams {
		if other, ok := out[v.alloc]; ok {
			v.told = v.told.Join(other)
		}
		out[v.alloc] = v.told
	}
	return out, nil
}

// Commit stores batches in one transaction, raw lines, points, events and cursors together, so each line is stored
// exactly once even across kills. The first step of a further attempt removes earlier attempts' reports from there on.
// If a cursor has moved it stores nothing and returns [fault.ErrConflict]. It sets ChunkID, Repeated and the events'
// Seq.
func (s *Store) Commit(ctx context.Context, batches []*Batch) error {
	added := map[*Batch][]run.Event{} // beside the batch's own
	ids := runsOf(batches)
	err := s.db.Write(ctx, func(tx *db.Tx) error {
		clear(added)
		for _, id := range ids {
			if err := tx.Lock(ctx, "runs", string(id)); err != nil {
				return err
			}
		}
		c := commit{tx: tx, points: points.NewWriter(s.Points, tx), added: added}
		for _, b := range batches {
			if err := c.batch(ctx, b); err != nil {
				return err
			}
		}
		return c.points.Flush(ctx)
	})
	if err != nil {
		if errors.Is(err, fault.ErrUnavailable) {
			s.unstored.Store(min(maxCheckBytes, sizeOf(batches)))
		}
		return fmt.Errorf("store log batches: %w", err)
	}
	s.unstored.Store(0)
	for b, evs := range added {
		b.Events = append(b.Events, evs...)
	}
	return nil
}

// runsOf returns the runs of batches in the order in which they are locked.
func runsOf(batches []*Batch) []run.ID {
	var ids []run.ID
	for _, b := range batches {
		ids = append(ids, b.RunID)
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// sizeOf estimates the bytes of batches in the database.
func sizeOf(batches []*Batch) (n int64) {
	const perPoint = 100 // with index and page overhead
	for _, b := range batches {
		n += int64(len(b.Log) + perPoint*len(b.Points))
	}
	return n
}

// commit is one [Store.Commit] under way. It changes batches only in what the store sets: they are stored again if it
// fails.
type commit struct {
	tx     *db.Tx
	points *points.Writer
	added  map[*Batch][]run.Event
}

func (c *commit) batch(ctx context.Context, b *Batch) error {
	b.Repeated = false
	if err := moveCursor(ctx, c.tx, b); err != nil {
		return err
	}
	if err := insertChunk(ctx, c.tx, b); err != nil {
		return err
	}
	var res points.Result
	if len(b.Points) > 0 || len(b.Checkpoints) > 0 {
		var err error
		if res, err = c.points.Add(ctx, points.Report{Run: b.RunID, Attempt: b.Attempt, Rank: b.Rank, At: b.At, Points: b.Points}); err != nil {
			return err
		}
		if b.Repeated = res.Rewound; b.Repeated {
			if err := rewind(ctx, c.tx, b.RunID, res.From, b.Attempt); err != nil {
				return fmt.Errorf("attempt %d of %s repeats step %d: %w", b.Attempt, b.RunID, res.From, err)
			}
		}
		if err := saveCheckpoints(ctx, c.tx, b, res.Gone); err != nil {
			return err
		}
		if b.Repeated || len(b.Checkpoints) > 0 {
			if err := spendChoice(ctx, c.tx, b); err != nil {
				return err
			}
		}
	}
	for i := range b.Events {
		if err := insertEvent(ctx, c.tx, &b.Events[i]); err != nil {
			return err
		}
	}
	return c.notice(ctx, b, res)
}

// notice adds the store's own events.
func (c *commit) notice(ctx context.Context, b *Batch, res points.Result) error {
	for _, find := range []func(context.Context, *db.Tx, *Batch, points.Result) (*run.Event, error){diverged, metricsDropped} {
		ev, err := find(ctx, c.tx, b, res)
		if err != nil {
			return err
		}
		if ev == nil {
			continue
		}
		if err := insertEvent(ctx, c.tx, ev); err != nil {
			return err
		}
		c.added[b] = append(c.added[b], *ev)
	}
	return nil
}

func moveCursor(ctx context.Context, tx *db.Tx, b *Batch) error {
	told, err := json.Marshal(b.To.Report)
	if err != nil {
		return fmt.Errorf("encode the end of %s: %w", b.AllocID, err)
	}
	res, err := tx.Exec(ctx, `UPDATE streams SET file = ?, pos = ?, parser = ?, done = ?, at = ?, told = ?
		WHERE alloc_id = ? AND stream = ? AND file = ? AND pos = ? AND done = 0`,
		b.To.File, b.To.Offset, b.To.Parser, b.To.Done, db.Millis(b.At), string(told), b.AllocID, b.Stream, b.From.File, b.From.Offset)
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err != nil || n == 1 {
		return err
	}
	if b.From.File != "" || b.From.Offset != 0 {
		return fmt.Errorf("the cursor of %s %s is no longer at %s:%d: %w", b.AllocID, b.Stream, b.From.File, b.From.Offset, fault.ErrConflict)
	}
	// Require the run, or rows of a deleted run would come back.
	res, err = tx.Exec(ctx, `INSERT INTO streams (alloc_id, stream, run_id, file, pos, parser, done, at, told)
		SELECT ?,?,id,?,?,?,?,?,? FROM runs WHERE id = ?`, b.AllocID, b.Stream, b.To.File, b.To.Offset, b.To.Parser, b.To.Done, db.Millis(b.At), string(told), b.RunID)
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err != nil || n == 1 {
		return err
	}
	return fmt.Errorf("run %s: %w", b.RunID, fault.ErrNotFound)
}
