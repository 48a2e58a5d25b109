package points

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store/db"
)

const (
	// summarizeEvery is how old the summaries of a live run become at least.
	summarizeEvery = 10 * time.Second
	// summarizeShare bounds the time that goes into them: a run whose pass took long waits so many times as long.
	summarizeShare = 20
	// saveAtOnce is how many summaries one transaction stores.
	saveAtOnce = 100
)

// summaries knows which runs' summaries are behind. After a restart stale_metrics does.
type summaries struct {
	mu      sync.Mutex
	scanned bool // stale_metrics was read
	runs    map[run.ID]*staleRun
}

// staleRun is a run whose summaries are behind.
type staleRun struct {
	marked   bool // in stale_metrics, for certain
	unmarked int  // how often it was removed from there
	changes  int  // begun
	pending  int  // of which have not ended
	summed   int  // changes as of the last pass, -1 before and where some had not ended
	due      time.Time
	from     map[string]int64 // the first step that has changed, by metric
	resets   int              // how often steps were removed
	bases    map[string]base
}

// base is a summary of the steps before one, to which later passes add.
type base struct {
	Summary
	next int64
}

func (s *summaries) of(id run.ID) *staleRun {
	r := s.runs[id]
	if r == nil {
		r = &staleRun{summed: -1, from: map[string]int64{}, bases: map[string]base{}}
		s.runs[id] = r
	}
	return r
}

// change is what a transaction changes of a run: points from these steps on, by metric, known when it ends; or only the headline.
type change struct {
	from  map[string]int64
	reset bool // steps were removed
}

// MarkHeadline says in a transaction that a run's headline changes.
func MarkHeadline(ctx context.Context, p *Points, tx *db.Tx, id run.ID) error {
	return p.sums.mark(ctx, tx, id, &change{})
}

// mark says in a transaction that a run's summaries are behind.
func (s *summaries) mark(ctx context.Context, tx *db.Tx, id run.ID, c *change) error {
	s.mu.Lock()
	r := s.of(id)
	r.changes++
	r.pending++
	marked, unmarked := r.marked, r.unmarked
	s.mu.Unlock()
	tx.OnEnd(func(committed bool) {
		s.mu.Lock()
		defer s.mu.Unlock()
		r.pending--
		if committed && r.unmarked == unmarked {
			r.marked = true
		}
		for metric, step := range c.from {
			lowerFrom(r.from, metric, step)
		}
		if c.reset {
			r.resets++
			r.bases = map[string]base{}
		}
	})
	if marked {
		return nil
	}
	_, err := tx.Exec(ctx, `INSERT INTO stale_metrics (run_id) VALUES (?) ON CONFLICT (run_id) DO NOTHING`, id)
	return err
}

func lowerFrom(from map[string]int64, metric string, step int64) {
	if was, ok := from[metric]; !ok || step < was {
		from[metric] = step
	}
}

// Summarize updates the summaries of the next run that is due at a time, and reports whether there was one. It costs a small
// share of the time: of a live run it reads only what has changed, and the less often the longer that takes; that of an ended one
// it reads once.
func (ps *Points) Summarize(ctx context.Context, now time.Time) (more bool, err error) {
	if err := ps.findStale(ctx); err != nil {
		return false, fmt.Errorf("summarize metrics: %w", err)
	}
	id, r, changes := ps.sums.next(now)
	if r == nil {
		return false, nil
	}
	began := time.Now()
	err = ps.summarizeRun(ctx, id, r, changes)
	ps.sums.mu.Lock()
	r.due = now.Add(max(summarizeEvery, summarizeShare*time.Since(began)))
	ps.sums.mu.Unlock()
	if errors.Is(err, fault.ErrNotFound) { // deleted
		ps.sums.forget(id)
		err = nil
	}
	if err != nil {
		return false, fmt.Errorf("summarize metrics of %s: %w", id, err)
	}
	return true, nil
}

// findStale reads what an earlier console left behind.
func (ps *Points) findStale(ctx context.Context) error {
	if ps.sums.scanned {
		return nil
	}
	ids, err := db.Select(ctx, ps.db, db.One[run.ID], `SELECT run_id FROM stale_metrics`)
	if err != nil {
		return err
	}
	ps.sums.mu.Lock()
	defer ps.sums.mu.Unlock()
	ps.sums.scanned = true
	for _, id := range ids {
		ps.sums.of(id)
	}
	return nil
}

// next returns a run that is due.
func (s *summaries) next(now time.Time) (id run.ID, found *staleRun, changes int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for other, r := range s.runs {
		if !r.due.After(now) && (found == nil || r.due.Before(found.due) || r.due.Equal(found.due) && other > id) {
			id, found, changes = other, r, r.changes
		}
	}
	if found != nil && found.pending > 0 {
		changes = -1 // it cannot be up to date
	}
	return id, found, changes
}

func (s *summaries) forget(id run.ID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.runs, id)
}

func (ps *Points) summarizeRun(ctx context.Context, id run.ID, r *staleRun, changes int) error {
	var state run.State
	var headline int64
	var behind bool
	err := ps.db.QueryRow(ctx, `SELECT state, step, EXISTS (SELECT 1 FROM stale_curves WHERE run_id = runs.id) FROM runs WHERE id = ?`, id).Scan(&state, &headline, &behind)
	if err != nil {
		return err
	}
	last := state.Terminal() && !behind
	ps.sums.mu.Lock()
	if !last && r.summed >= 0 && r.summed == changes {
		ps.sums.mu.Unlock()
		return nil
	}
	from, bases, resets := r.from, r.bases, r.resets
	r.from, r.bases = map[string]int64{}, map[string]base{}
	ps.sums.mu.Unlock()
	if last || len(bases) == 0 {
		names, err := ps.Metrics(ctx, id)
		if err != nil {
			return err
		}
		bases = map[string]base{}
		for _, name := range names {
			lowerFrom(from, name, math.MaxInt64)
		}
	}
	for _, metric := range CurveMetrics() { // their headline may have moved
		if _, known := bases[metric]; known {
			from[metric] = math.MinInt64
		}
	}
	for names := range slices.Chunk(slices.Sorted(maps.Keys(from)), saveAtOnce) {
		var list []Summary
		for _, name := range names {
			b, ok := bases[name]
			if !ok || from[name] < b.next {
				b = base{newSummary(name), math.MinInt64}
			}
			whole, before, err := ps.summarize(ctx, id, b, from[name], headline)
			if err != nil {
				return err
			}
			list = append(list, whole)
			bases[name] = before
		}
		if err := ps.saveSummaries(ctx, id, list); err != nil {
			return err
		}
	}
	if last {
		return ps.unmark(ctx, id, r, changes)
	}
	ps.sums.mu.Lock()
	defer ps.sums.mu.Unlock()
	if r.summed = changes; r.resets == resets {
		r.bases = bases
	}
	return nil
}

func (ps *Points) saveSummaries(ctx context.Context, id run.ID, list []Summary) error {
	return ps.db.Write(ctx, func(tx *db.Tx) error {
		if err := tx.Require(ctx, "runs", string(id)); err != nil {
			return err
		}
		for _, s := range list {
			if s.Points > 0 {
				if err := s.save(ctx, tx, id); err != nil {
					return err
				}
			} else if _, err := tx.Exec(ctx, `DELETE FROM run_metrics WHERE run_id = ? AND metric = ?`, id, s.Metric); err != nil { // all its steps are repeated
				return err
			}
		}
		return nil
	})
}

// unmark says that an ended run's summaries are up to date, unless something has changed since.
func (ps *Points) unmark(ctx context.Context, id run.ID, r *staleRun, changes int) error {
	done := false
	err := ps.db.Write(ctx, func(tx *db.Tx) error {
		if err := tx.Require(ctx, "runs", string(id)); err != nil { // whoever changes points has its lock
			return err
		}
		ps.sums.mu.Lock()
		if done = r.changes == changes; done {
			r.marked = false
			r.unmarked++
		}
		ps.sums.mu.Unlock()
		if !done {
			return nil
		}
		if _, err := tx.Exec(ctx, `DELETE FROM stale_metrics WHERE run_id = ?`, id); err != nil {
			return err
		}
		return SaveResults(ctx, tx, id)
	})
	if err != nil || !done {
		return err
	}
	ps.sums.mu.Lock()
	defer ps.sums.mu.Unlock()
	if r.changes == changes && ps.sums.runs[id] == r {
		delete(ps.sums.runs, id)
	}
	return nil
}
