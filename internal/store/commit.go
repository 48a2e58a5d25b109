package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store/db"
)

// Cursor is how far a stream of a worker's log is stored.
type Cursor struct {
	File   string    // the rotated file; "" before the first byte
	Offset int64     // bytes of it that are stored
	Parser string    // JSON of the line parser's state at that place
	Done   bool      // nothing more will come
	At     time.Time // when that was; set by the store
	Told   run.Told
}

// Point is one value of one metric of one worker.
type Point struct {
	Metric string
	Step   int64 // Unix milliseconds for a metric without steps
	Value  float64
	Exact  bool // from a machine line; wins over a printed one
}

// Batch is a piece of one worker's log and all that was read from it. It is stored whole or not at all.
type Batch struct {
	RunID   run.ID
	AllocID string
	Stream  string // stdout or stderr
	Rank    int
	Attempt int
	At      time.Time // when it was received

	From, To Cursor // the stored cursor must still be From's file and offset, and becomes To
	Log      []byte // raw lines, as received
	Points   []Point
	Events   []run.Event
	Saved    []Checkpoint

	ChunkID  int64 // set by Commit: place of Log in the run's log; 0 when Log is empty
	Repeated bool  // set by Commit: its attempt trains steps again, and what earlier ones reported of them is gone
}

// Cursor returns how far a stream is stored; the zero cursor before its first byte.
func (s *Store) Cursor(ctx context.Context, allocID, stream string) (Cursor, error) {
	var c Cursor
	var at int64
	var told string
	err := s.db.QueryRow(ctx, `SELECT file, pos, parser, done, at, told FROM streams WHERE alloc_id = ? AND stream = ?`, allocID, stream).
		Scan(&c.File, &c.Offset, &c.Parser, &c.Done, &at, &told)
	if err == nil {
		c.At = db.FromMillis(at)
		err = json.Unmarshal([]byte(told), &c.Told)
	}
	if err != nil && !errors.Is(err, fault.ErrNotFound) {
		return c, fmt.Errorf("cursor of %s %s: %w", allocID, stream, err)
	}
	return c, nil
}

// Told returns what the logs of a run's workers say about their ends, by allocation.
func (s *Store) Told(ctx context.Context, id run.ID) (map[string]run.Told, error) {
	type stream struct {
		alloc string
		told  run.Told
	}
	rows, err := s.db.Query(ctx, `SELECT alloc_id, told FROM streams WHERE run_id = ?`, id)
	if err != nil {
		return nil, fmt.Errorf("ends of the workers of %s: %w", id, err)
	}
	streams, err := db.Collect(rows, func(row db.Scanner) (v stream, err error) {
		var told string
		if err := row.Scan(&v.alloc, &told); err != nil {
			return v, err
		}
		return v, json.Unmarshal([]byte(told), &v.told)
	})
	if err != nil {
		return nil, fmt.Errorf("ends of the workers of %s: %w", id, err)
	}
	out := map[string]run.Told{}
	for _, v := range streams {
		if other, ok := out[v.alloc]; ok {
			v.told = v.told.Join(other)
		}
		out[v.alloc] = v.told
	}
	return out, nil
}

// Commit stores batches in one transaction: raw lines, points, events and cursors together, so that a console killed at
// any moment has each line exactly once. The first step of a further attempt removes, with it, what earlier attempts
// reported from there on. When another writer moved a cursor first it stores nothing and returns [fault.ErrConflict]. It sets
// ChunkID, Repeated and the events' Seq.
func (s *Store) Commit(ctx context.Context, batches []*Batch) error {
	c := commit{store: s, fresh: map[seriesKey]int64{}, added: map[run.ID]map[int64]int{}, repeats: map[run.ID]repeats{}, told: map[*Batch][]run.Event{}, names: nameKeeper{store: s}}
	err := s.db.Write(ctx, func(tx *db.Tx) error {
		c.tx, c.rows, c.names.tx = tx, pointRows{tx: tx}, tx
		for _, b := range batches {
			if err := c.batch(ctx, b); err != nil {
				return err
			}
		}
		return c.rows.flush(ctx)
	})
	if err != nil {
		c.names.forget()
		if errors.Is(err, fault.ErrUnavailable) {
			s.unstored.Store(min(maxCheckBytes, sizeOf(batches)))
		}
		return fmt.Errorf("store log batches: %w", err)
	}
	s.unstored.Store(0)
	for b, evs := range c.told {
		b.Events = append(b.Events, evs...)
	}
	s.mu.Lock()
	for k, id := range c.fresh {
		s.series[k] = id
	}
	s.mu.Unlock()
	s.heads.add(c.added)
	return nil
}

// sizeOf is about how many bytes batches take.
func sizeOf(batches []*Batch) (n int64) {
	const perPoint = 100 // with its index and the pages that it is written with
	for _, b := range batches {
		n += int64(len(b.Log) + perPoint*len(b.Points))
	}
	return n
}

// commit is one [Store.Commit] under way. Batches stay as they are but for what the store sets: they are stored once more
// when it fails.
type commit struct {
	store   *Store
	tx      *db.Tx
	rows    pointRows
	names   nameKeeper
	fresh   map[seriesKey]int64
	added   map[run.ID]map[int64]int // rows by series
	repeats map[run.ID]repeats
	told    map[*Batch][]run.Event // beside the batch's own
}

func (c *commit) batch(ctx context.Context, b *Batch) error {
	b.Repeated = false
	if err := moveCursor(ctx, c.tx, b); err != nil {
		return err
	}
	if err := insertChunk(ctx, c.tx, b); err != nil {
		return err
	}
	points, err := c.steps(ctx, b)
	if err != nil {
		return err
	}
	for _, p := range points {
		id, ok, err := c.seriesID(ctx, seriesKey{b.RunID, p.Metric, b.Rank})
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		if err := c.rows.add(ctx, id, p, b); err != nil {
			return err
		}
		if c.added[b.RunID] == nil {
			c.added[b.RunID] = map[int64]int{}
		}
		c.added[b.RunID][id]++
	}
	for i := range b.Events {
		if err := insertEvent(ctx, c.tx, &b.Events[i]); err != nil {
			return err
		}
	}
	ev, err := diverged(ctx, c.tx, b, points)
	if err := c.tell(ctx, b, ev, err); err != nil {
		return err
	}
	ev, err = c.names.tell(ctx, b)
	return c.tell(ctx, b, ev, err)
}

// tell stores an event, if there is one, beside the batch's own.
func (c *commit) tell(ctx context.Context, b *Batch, ev *run.Event, err error) error {
	if err != nil || ev == nil {
		return err
	}
	if err := insertEvent(ctx, c.tx, ev); err != nil {
		return err
	}
	c.told[b] = append(c.told[b], *ev)
	return nil
}

// steps makes room for a batch's points, and returns those that are still wanted.
func (c *commit) steps(ctx context.Context, b *Batch) ([]Point, error) {
	if len(b.Points) == 0 && len(b.Saved) == 0 {
		return nil, nil
	}
	done, ok := c.repeats[b.RunID]
	if !ok {
		var err error
		if done, err = readRepeats(ctx, c.tx, b.RunID); err != nil {
			return nil, err
		}
		c.repeats[b.RunID] = done
	}
	points, saved := done.only(b)
	if first, lower := done.lowers(b.Attempt, points); lower {
		if err := c.rows.flush(ctx); err != nil { // earlier batches may hold what is repeated
			return nil, err
		}
		if err := done.repeat(ctx, c.tx, b, first); err != nil {
			return nil, err
		}
	}
	if err := saveCheckpoints(ctx, c.tx, b, saved); err != nil {
		return nil, err
	}
	return points, markUnrolled(ctx, c.tx, b, points)
}

func moveCursor(ctx context.Context, tx *db.Tx, b *Batch) error {
	told, err := json.Marshal(b.To.Told)
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
	// The run must still exist: a deleted one must not come back as rows that nobody owns.
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

type seriesKey struct {
	run    run.ID
	metric string
	rank   int
}

// seriesID returns the series of a metric of a worker; ok is false when the metric is dropped.
func (c *commit) seriesID(ctx context.Context, k seriesKey) (id int64, ok bool, err error) {
	c.store.mu.Lock()
	id, ok = c.store.series[k]
	c.store.mu.Unlock()
	if ok {
		return id, true, nil
	}
	if id, ok = c.fresh[k]; ok {
		return id, true, nil
	}
	if ok, err = c.names.keeps(ctx, k.run, k.metric); err != nil || !ok {
		return 0, false, err
	}
	err = c.tx.QueryRow(ctx, `INSERT INTO series (run_id, metric, rank) VALUES (?,?,?)
		ON CONFLICT (run_id, metric, rank) DO UPDATE SET rank = excluded.rank RETURNING id`, k.run, k.metric, k.rank).Scan(&id)
	if err != nil {
		return 0, false, fmt.Errorf("series %s of %s: %w", k.metric, k.run, err)
	}
	c.fresh[k] = id
	return id, true, nil
}

// pointsPerInsert rows go into one statement: it saves most of the cost of a call into SQLite.
const pointsPerInsert = 64

// upsertPoint lets a later attempt win over an earlier one, and within an attempt an exact value over a printed one.
const upsertPoint = ` ON CONFLICT (series, step) DO UPDATE SET value = excluded.value, at = excluded.at, exact = excluded.exact,
	attempt = excluded.attempt WHERE excluded.attempt > points.attempt OR (excluded.attempt = points.attempt AND excluded.exact >= points.exact)`

const (
	pointRow    = `(?,?,?,?,?,?)`
	pointInsert = `INSERT INTO points (series, step, value, at, exact, attempt) VALUES `
)

var (
	insertPoint  = pointInsert + pointRow + upsertPoint
	insertPoints = pointInsert + strings.Repeat(pointRow+`,`, pointsPerInsert-1) + pointRow + upsertPoint
)

// pointRows gathers points into as few statements as possible.
type pointRows struct {
	tx   *db.Tx
	args []any
}

func (p *pointRows) add(ctx context.Context, series int64, pt Point, b *Batch) error {
	exact := 0
	if pt.Exact {
		exact = 1
	}
	p.args = append(p.args, series, pt.Step, pt.Value, b.At.UnixMilli(), exact, b.Attempt)
	if len(p.args) < 6*pointsPerInsert {
		return nil
	}
	_, err := p.tx.Exec(ctx, insertPoints, p.args...)
	p.args = p.args[:0]
	return err
}

func (p *pointRows) flush(ctx context.Context) error {
	for ; len(p.args) >= 6; p.args = p.args[6:] {
		if _, err := p.tx.Exec(ctx, insertPoint, p.args[:6]...); err != nil {
			return err
		}
	}
	return nil
}
